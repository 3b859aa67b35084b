"""Planar images and DICOM NM files made for the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from planar3d.io import PlanarImage

PATIENT = {"PatientName": "Muster^Erika", "PatientID": "ID-4711", "PatientBirthDate": "19500101"}


@pytest.fixture
def image() -> PlanarImage:
    """Views of which no two pixels agree, on unequal pixels and off centre."""
    counts = torch.arange(1, 2 * 7 * 11 + 1, dtype=torch.float32).reshape(1, 2, 7, 11)
    return PlanarImage(
        views=counts, pixel_mm=(4.0, 5.0), origin_mm=(-13.0, 21.0), isotope="Lu-177", camera="siemens-melp", dwell_time_s=120.0
    )


def code(meaning: str, value: str = "x", scheme: str = "SCT") -> Any:
    """One item of a DICOM code sequence."""
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def detector(view: str | None, orientation: list[float] | None = None, position: list[float] | None = None) -> Any:
    """One item of the detector information sequence."""
    from pydicom import Dataset

    item = Dataset()
    item.CollimatorGridName, item.CollimatorType, item.RadialPosition = "MELP", "PARA", 230 if view == "Anterior" else 250
    item.FieldOfViewDimensions = [533, 387]
    if view is not None:
        item.ViewCodeSequence = [code(view)]
    if orientation is not None:
        item.ImageOrientationPatient = orientation
    if position is not None:
        item.ImagePositionPatient = position
    return item


@pytest.fixture
def write_nm(tmp_path: Path) -> Callable[..., Path]:
    """Writes a DICOM NM file; keywords replace header elements, None removes them."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    def write(pixels: np.ndarray, *, name: str = "planar.dcm", views: tuple | None = ("Anterior", "Posterior"), **elements: Any) -> Path:
        header = Dataset()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.20"
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = generate_uid()
        nuclide, window, limits = Dataset(), Dataset(), Dataset()
        nuclide.RadionuclideCodeSequence = [code("^177^Lutetium", "447553000")]
        limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = 187.2, 228.8
        window.EnergyWindowRangeSequence = [limits]
        values = {
            "Modality": "NM", "ImageType": ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"], "Manufacturer": "SIEMENS NM",
            "PatientPosition": "HFS", "AcquisitionDate": "20250314", "AcquisitionTime": "103000.5", "ActualFrameDuration": 120000,
            "NumberOfFrames": len(pixels), "Rows": pixels.shape[1], "Columns": pixels.shape[2], "PixelSpacing": [5.0, 4.0],
            "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
            "PixelRepresentation": int(pixels.dtype == np.int16), "EnergyWindowVector": [1] * len(pixels),
            "DetectorVector": list(range(1, len(pixels) + 1)), "EnergyWindowInformationSequence": [window],
            "RadiopharmaceuticalInformationSequence": [nuclide],
            "DetectorInformationSequence": [detector(v) for v in views] if views is not None else None,
        }  # fmt: skip
        for keyword, value in (PATIENT | values | elements).items():
            if value is not None:
                setattr(header, keyword, value)
        header.PixelData = pixels.tobytes()
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        header.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def write_ct(tmp_path: Path) -> Callable[..., Path]:
    """Writes slices of a DICOM CT into a folder, and returns it; keywords replace header elements, None removes them."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    def write(folder: str = "ct", *, slices: int = 2, name: str = "slice", **elements: Any) -> Path:
        for k in range(slices):
            header = Dataset()
            header.file_meta = FileMetaDataset()
            header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = CTImageStorage
            header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = generate_uid()
            values = {
                "SpecificCharacterSet": "ISO_IR 100", "Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
                "PatientPosition": "HFS", "PatientSex": "F", "PatientWeight": 61.5, "SeriesDescription": "Abdomen ID-4711",
                "StudyInstanceUID": "1.2.826.4711.1", "StudyDate": "20260301", "StudyTime": "081500", "StudyDescription": "Therapie Muster",
                "AccessionNumber": "ACC-4711", "InstitutionName": "Klinikum Muster", "SeriesInstanceUID": "1.2.826.4711.2",
                "FrameOfReferenceUID": "1.2.826.4711.3", "PositionReferenceIndicator": "", "InstanceNumber": k + 1,
                "ImagePositionPatient": [0, 0, 5 * k], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1],
                "Rows": 2, "Columns": 2, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1,
                "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "PixelData": bytes(8),
            }  # fmt: skip
            for keyword, value in (PATIENT | values | elements).items():
                if value is not None:
                    setattr(header, keyword, value)
            path = tmp_path / folder / f"{name}_{k}.dcm"
            path.parent.mkdir(exist_ok=True)
            header.save_as(path, enforce_file_format=True)
        return tmp_path / folder

    return write


@pytest.fixture
def nm_detector() -> Callable[..., Any]:
    """Makes an item of the detector information sequence."""
    return detector


@pytest.fixture
def camera_frames() -> np.ndarray:
    """What the two cameras see, ``(2, row, column)``: a hot liver on the patient's right, above a bladder; brighter from the front."""
    frames = np.zeros((2, 12, 9), dtype=np.uint16)
    frames[0, 2, 1] = 500  # in front, the patient's right is on the image's left
    frames[1, 2, 7] = 300  # behind, on its right
    frames[:, 10, 4] = [80, 60]
    return frames
