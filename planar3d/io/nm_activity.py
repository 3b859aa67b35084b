"""Activity concentration as DICOM NM image (PS3.3 A.5), a reconstructed tomogram of many frames.

NM and not PET Image Storage: the latter holds one slice per file and is for coincidences, of which readers expect a positron emitter and
decay correction; this came from a gamma camera. Readers built on GDCM, as 3D Slicer and SimpleITK are, apply Rescale Slope to NM but not
Real World Value Mapping, which Hermes writes; so both are there and agree. Rescale Slope, Units, Decay Correction and half-life are
borrowed from the PET modules, which a Standard Extended SOP Class may.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from planar3d.grid import Grid
from planar3d.io.dicom_out import ORIENTATION, decimal, first_centre_lps_mm, new_object, save_object, set_pixels
from planar3d.radionuclide import Radionuclide

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["ISOTOPE_CODES", "write_nm_activity"]

BITS, HIGHEST = 16, 2**16 - 1  # NM has no more

ISOTOPE_CODES = {
    "Lu-177": ("447553000", "^177^Lutetium"),
    "I-131": ("1368003", "^131^Iodine"),
    "Tc-99m": ("72454006", "^99m^Technetium"),
    "In-111": ("56609000", "^111^Indium"),
    "I-123": ("21572004", "^123^Iodine"),
}
"""SNOMED CT code and meaning of each radionuclide (PS3.16, context group 18)."""


def write_nm_activity(
    path: str | Path,
    activity_bq_per_ml: Tensor,
    grid: Grid,
    *,
    reference: Dataset,
    acquired_at: datetime,
    isotope: str,
    window_kev: tuple[float, float] | None = None,
    description: str = "planar3d activity",
) -> None:
    """Write an activity map as one file of many frames; it appears whole or not at all.

    Args:
        path: The file.
        activity_bq_per_ml: Concentration at the time of the acquisition, ``(1, 1, x, y, z)`` or ``(x, y, z)`` [Bq/mL].
        grid: Where it lies; it need not be that of the CT.
        reference: Header of the CT, as `planar3d.io.read_reference` gives it: patient, study and frame of reference are its own.
        acquired_at: When the acquisition began.
        isotope: Radionuclide, as in ``"Lu-177"``.
        window_kev: Lowest and highest energy of the imaged window; None where it is not known [keV].
        description: Of the series; ASCII, at most 64 characters.

    Raises:
        ValueError: Activity is negative or not finite, does not lie on the grid, or cannot be written; or the reference lacks a UID.
    """
    from pydicom import Dataset
    from pydicom.uid import NuclearMedicineImageStorage

    header = new_object(reference, NuclearMedicineImageStorage, modality="NM", description=description)
    header.ImageType = ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"]
    if reference.get("PatientPosition"):
        header.PatientPosition = reference.PatientPosition
    header.PatientOrientationCodeSequence, header.PatientGantryRelationshipCodeSequence = [], []  # how he lay is with the CT
    _set_time(header, acquired_at)
    _set_scale(header, float(set_pixels(header, activity_bq_per_ml, grid, bits=BITS, highest=HIGHEST)))
    header.CountsAccumulated = None
    header.SpacingBetweenSlices = decimal(grid.spacing_mm[2])
    header.FrameIncrementPointer = 0x00540080  # Slice Vector
    header.NumberOfSlices, header.SliceVector = grid.shape[2], list(range(1, grid.shape[2] + 1))
    header.NumberOfEnergyWindows = header.NumberOfDetectors = 1
    header.RotationInformationSequence = []  # no head went round
    detector = Dataset()
    detector.CollimatorType, detector.FocalDistance = "PARA", None
    detector.ImagePositionPatient, detector.ImageOrientationPatient = first_centre_lps_mm(grid), ORIENTATION
    header.DetectorInformationSequence = [detector]
    header.RadiopharmaceuticalInformationSequence = [_isotope(isotope)]
    header.EnergyWindowInformationSequence = [] if window_kev is None else [_window(window_kev)]
    save_object(header, path)


def _set_time(header: Dataset, acquired_at: datetime) -> None:
    """Date and time by the clock of the camera, and its zone where that is known."""
    header.AcquisitionDate = header.SeriesDate = acquired_at.strftime("%Y%m%d")
    header.AcquisitionTime = header.SeriesTime = acquired_at.strftime("%H%M%S.%f")
    header.AcquisitionDateTime = acquired_at.strftime("%Y%m%d%H%M%S.%f%z")


def _set_scale(header: Dataset, bq_per_ml: float) -> None:
    """What a step is worth [Bq/mL], said in both ways that readers know."""
    from pydicom import Dataset

    header.RescaleSlope, header.RescaleIntercept, header.RescaleType = decimal(bq_per_ml), 0, "BQML"
    header.Units, header.DecayCorrection = "BQML", "NONE"
    mapping = Dataset()
    mapping.LUTExplanation = mapping.LUTLabel = "Bq/ml"
    mapping.MeasurementUnitsCodeSequence = [_code("Bq/ml", "UCUM", "Becquerels/milliliter")]
    mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, HIGHEST
    mapping.RealWorldValueIntercept, mapping.RealWorldValueSlope = 0.0, bq_per_ml
    header.RealWorldValueMappingSequence = [mapping]


def _isotope(name: str) -> Dataset:
    """An item of Radiopharmaceutical Information Sequence."""
    from pydicom import Dataset

    nuclide = Radionuclide.from_name(name)
    code, meaning = ISOTOPE_CODES[nuclide.name]
    item = Dataset()
    item.RadionuclideCodeSequence = [_code(code, "SCT", meaning)]
    item.RadionuclideHalfLife = decimal(nuclide.half_life_s)
    return item


def _window(limits_kev: tuple[float, float]) -> Dataset:
    """An item of Energy Window Information Sequence."""
    from pydicom import Dataset

    limits, item = Dataset(), Dataset()
    limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = (decimal(edge) for edge in limits_kev)
    item.EnergyWindowRangeSequence = [limits]
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
