"""Absorbed dose as DICOM RT Dose (PS3.3 A.18.3), as planning systems and 3D Slicer read it.

There is no RT Plan that a dose of radionuclide therapy could name. Dose Summation Type is PLAN all the same, the one that importers take,
and Referenced RT Plan Sequence is left out, as Plastimatch and RTToolbox leave it out. The standard asks for it with PLAN, but a plan that
does not exist is one that a planning system waits for; SlicerRT looks at the sequence only where it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from planar3d.grid import Grid
from planar3d.io.dicom_out import ORIENTATION, decimal, first_centre_lps_mm, new_object, save_object, set_pixels

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["write_rt_dose"]

BITS = 32
HIGHEST = 2**31 - 1
"""Of 32 bits the upper half stays free, so that who reads them as signed is right too."""


def write_rt_dose(
    path: str | Path, dose_gy: Tensor, grid: Grid, *, reference: Dataset, description: str = "planar3d absorbed dose", comment: str = ""
) -> None:
    """Write absorbed dose as one file of many frames; it appears whole or not at all.

    Args:
        path: The file.
        dose_gy: Absorbed dose, ``(1, 1, x, y, z)`` or ``(x, y, z)`` [Gy].
        grid: Where it lies; it need not be that of the CT.
        reference: Header of the CT, as `planar3d.io.read_reference` gives it: patient, study and frame of reference are its own.
        description: Of the series; ASCII, at most 64 characters.
        comment: On the dose; ASCII, at most 64 characters.

    Raises:
        ValueError: Dose is negative or not finite, does not lie on the grid, or cannot be written; or the reference lacks a UID.
    """
    from pydicom.uid import RTDoseStorage

    header = new_object(reference, RTDoseStorage, modality="RTDOSE", description=description)
    header.OperatorsName = None
    header.DoseGridScaling = set_pixels(header, dose_gy, grid, bits=BITS, highest=HIGHEST)
    header.DoseUnits, header.DoseType, header.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    if comment:
        header.DoseComment = comment
    header.ImagePositionPatient, header.ImageOrientationPatient = first_centre_lps_mm(grid), ORIENTATION
    header.FrameIncrementPointer = 0x3004000C  # Grid Frame Offset Vector
    header.GridFrameOffsetVector = [decimal(k * grid.spacing_mm[2]) for k in range(grid.shape[2])]
    save_object(header, path)
