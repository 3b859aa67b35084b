"""The CT that results in DICOM refer to: whose they are, in which study, and in which coordinates. Of its files nothing else is read.

What identifies the patient goes from here into the DICOM files that a user asked for and nowhere else: not into a message either.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from planar3d.dicom_files import read_headers
from planar3d.io.nifti import is_nifti

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["PATIENT", "STUDY", "read_reference", "reference_for"]

# DICOM PS3.3 C.7.1.1 Patient, C.7.2.1 General Study, C.7.2.2 Patient Study, less histories, visits and the staff's names
PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "OtherPatientIDsSequence",
           "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence", "PatientAge", "PatientSize",
           "PatientWeight")  # fmt: skip
STUDY = ("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription")
SPACE = ("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition")

REQUIRED = {"StudyInstanceUID": "Study Instance UID", "FrameOfReferenceUID": "Frame of Reference UID"}
SAME = ("PatientID", *REQUIRED)
"""What all slices of a CT have in common, so that the first may stand for them."""


def reference_for(ct: str | Path, *, wanted: object, given: str | Path | None) -> Dataset | None:
    """The reference that a command shall use; None where it writes no DICOM.

    Args:
        ct: File or folder of the patient's CT.
        wanted: Whether DICOM is asked for, ``dicom`` of the configuration.
        given: ``dicom_reference`` of the configuration; None for the CT itself.

    Raises:
        ValueError: DICOM is wanted and there is no CT in DICOM to refer to, or the other way round.
    """
    if not isinstance(wanted, bool):
        raise ValueError(f"dicom must be true or false, got {wanted!r}; to name the CT in DICOM, add dicom_reference=...")
    if not wanted:
        if given is not None:
            raise ValueError("dicom_reference is given and dicom is false; add dicom=true to write DICOM, or leave dicom_reference away")
        return None
    if given is None and is_nifti(Path(ct)):
        raise ValueError(
            "dicom=true needs the CT in DICOM, whose patient, study and frame of reference the results get, and the CT given is NIfTI; add "
            "dicom_reference=..., a DICOM file or folder of that CT"
        )
    return read_reference(ct if given is None else given)


def read_reference(path: str | Path) -> Dataset:
    """Patient, study and frame of reference of a CT, from its first image in the order of file names; localizers are passed over.

    Args:
        path: A DICOM file, or a folder that holds one CT.

    Raises:
        ValueError: There is no CT image, several CTs lie in the folder, or no header says in which study or frame of reference it is.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise ValueError(f"there is no file or folder {path} to take as dicom_reference; check the path")
    headers = [header for _, header in read_headers(path, ("Modality", "ImageType", *PATIENT, *STUDY, *SPACE)) if _is_ct(header)]
    if not headers:
        raise ValueError(f"{path} holds no DICOM CT image to take as dicom_reference; give a DICOM file or folder of the CT")
    first = headers[0]
    for keyword, name in REQUIRED.items():
        if not first.get(keyword):
            raise ValueError(
                f"the CT in {path} has no {name}, without which results cannot lie beside it; export the CT again, or give another as "
                f"dicom_reference=..."
            )
    if any(str(header.get(key)) != str(first.get(key)) for header in headers for key in SAME):
        raise ValueError(
            f"{path} holds CT images of more than one patient, study or frame of reference; give a folder of one CT, or one of its files, "
            f"as dicom_reference=..."
        )
    return first


def _is_ct(header: Dataset) -> bool:
    """Whether a header is that of a slice of a CT."""
    return header.get("Modality") == "CT" and "LOCALIZER" not in (header.get("ImageType") or [])
