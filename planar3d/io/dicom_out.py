"""What a volume becomes as a DICOM object of many frames, whichever the kind: `planar3d.io.rt_dose` and `planar3d.io.nm_activity`.

Convention: DICOM's patient coordinates are LPS, ``(x, y, z)_LPS = (-x, -y, z)_RAS``. Frames go from the feet to the head, rows of a frame
from front to back, columns from the patient's right to the left: ``pixels[k, r, c] = volume[X - 1 - c, Y - 1 - r, k]``. Image Position
(Patient) is the *centre* of ``volume[X - 1, Y - 1, 0]``. Rows and columns lie along these axes whichever way the patient did.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

import planar3d
from planar3d.dicom_files import quietly
from planar3d.grid import Grid
from planar3d.io.dicom_reference import PATIENT, REQUIRED, STUDY
from planar3d.io.volume import single_volume
from planar3d.io.whole_file import whole_file

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.valuerep import DSfloat

__all__ = ["ORIENTATION", "decimal", "first_centre_lps_mm", "new_object", "save_object", "set_pixels"]

ORIENTATION = [1, 0, 0, 0, 1, 0]
"""Image Orientation (Patient): columns grow toward the left, rows toward the back."""

REQUIRED_IF_EMPTY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
                     "ReferringPhysicianName", "PositionReferenceIndicator")  # fmt: skip
"""Type 2 of PS3.3 C.7.1.1, C.7.2.1 and C.7.4.1: present, empty where not known."""

ROUNDING = 1e-6
"""Share of the highest value by which a value may lie below zero and be rounding."""


def new_object(reference: Dataset, sop_class_uid: str, *, modality: str, description: str) -> Dataset:
    """An object of the reference's patient and study, in its frame of reference and in a series of its own.

    Args:
        reference: Header of the CT.
        sop_class_uid: What kind of object.
        modality: Its modality.
        description: Of the series; ASCII.

    Raises:
        ValueError: The reference does not say in which study or frame of reference it is.
    """
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    for keyword, name in REQUIRED.items():
        if not reference.get(keyword):
            raise ValueError(f"reference has no {name}, without which results cannot lie beside the CT; give the header of another CT")
    header = Dataset()
    for keyword in REQUIRED_IF_EMPTY:
        setattr(header, keyword, None)
    with quietly():  # as read, so passed on
        for keyword in ("SpecificCharacterSet", *PATIENT, *STUDY, "FrameOfReferenceUID", "PositionReferenceIndicator"):
            if keyword in reference:
                header[keyword] = deepcopy(reference[keyword])
    now = datetime.now()
    header.SOPClassUID, header.SOPInstanceUID = UID(sop_class_uid), generate_uid(prefix=None)  # None: a random UUID under 2.25
    header.SeriesInstanceUID, header.SeriesNumber, header.InstanceNumber = generate_uid(prefix=None), 1, 1
    header.Modality, header.SeriesDescription = modality, description
    header.Manufacturer, header.ManufacturerModelName, header.SoftwareVersions = "planar3d", "planar3d", planar3d.__version__
    header.InstanceCreationDate = header.ContentDate = now.strftime("%Y%m%d")
    header.InstanceCreationTime = header.ContentTime = now.strftime("%H%M%S")
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    return header


def set_pixels(header: Dataset, volume: Tensor, grid: Grid, *, bits: int, highest: int) -> DSfloat:
    """Put a volume into an object as unsigned integers.

    Args:
        header: Gets pixels, their number and their spacing.
        volume: Not negative, ``(1, 1, x, y, z)`` or ``(x, y, z)``.
        grid: Where it lies.
        bits: Per pixel, 16 or 32.
        highest: Integer for the highest value of the volume.

    Returns:
        The value of one step, as a decimal string has it, so that what is read back is within half a step.

    Raises:
        ValueError: Values are negative or not finite, or the volume does not lie on the grid.
    """
    values = single_volume(volume, grid).double().numpy()
    top = float(values.max())
    if not np.isfinite(values).all() or values.min() < -ROUNDING * top:
        raise ValueError(
            f"volume must be finite and not negative to be written as DICOM, got {values.min():g} to {top:g}; check how it was made"
        )
    step = decimal(top / highest if top > 0 else 1.0)
    frames = np.rint(values / float(step)).clip(0, highest).transpose(2, 1, 0)[:, ::-1, ::-1]
    header.NumberOfFrames, header.Rows, header.Columns = frames.shape
    header.PixelSpacing = [decimal(grid.spacing_mm[1]), decimal(grid.spacing_mm[0])]  # of rows first
    header.SliceThickness = decimal(grid.spacing_mm[2])
    header.SamplesPerPixel, header.PhotometricInterpretation, header.PixelRepresentation = 1, "MONOCHROME2", 0
    header.BitsAllocated = header.BitsStored = bits
    header.HighBit = bits - 1
    header.PixelData = frames.astype(f"<u{bits // 8}").tobytes()
    return step


def first_centre_lps_mm(grid: Grid) -> list[DSfloat]:
    """Image Position (Patient) of the first frame: the centre of the voxel farthest to the right, front and feet, in LPS [mm]."""
    last_x, last_y = (grid.origin_mm[k] + (grid.shape[k] - 1) * grid.spacing_mm[k] for k in (0, 1))
    return [decimal(-last_x), decimal(-last_y), decimal(grid.origin_mm[2])]


def decimal(value: float) -> DSfloat:
    """A number as the 16 characters of a decimal string hold it."""
    from pydicom.valuerep import DSfloat, format_number_as_ds

    number: Any = DSfloat(format_number_as_ds(float(value)))
    return number


def save_object(header: Dataset, path: str | Path) -> None:
    """Write an object; the file appears whole or not at all.

    Args:
        header: The object.
        path: The file.

    Raises:
        ValueError: The folder cannot be made or written to.
    """
    with whole_file(path) as partial, quietly():
        header.save_as(partial, enforce_file_format=True)
