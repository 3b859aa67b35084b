"""CT series, SEG files and RT structure sets in DICOM, made from volumes on a grid for the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from planar3d.grid import Grid

PATIENT = {"PatientName": "Muster^Erika", "PatientID": "ID-4711", "PatientBirthDate": "19500101", "PatientSex": "F"}
SECRETS = ("Muster", "Erika", "4711", "19500101", "1.2.3.4", "1.2.826")
FRAME = "1.2.826.0.1.3680043.8.498.77"
STUDY = "1.2.826.0.1.3680043.8.498.88"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
SLOPE, INTERCEPT = 0.0625, 0.0


def lps(points: np.ndarray, turn: np.ndarray | None = None) -> np.ndarray:
    """Points ``(n, 3)`` in RAS+, turned if asked, as DICOM has them [mm]."""
    turned = np.asarray(points, dtype=float) @ (np.eye(3) if turn is None else turn).T
    return turned * (-1.0, -1.0, 1.0)


def header(sop_class: str, modality: str, series: str, number: int, **elements: Any) -> Any:
    """What all files of one patient share."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = sop_class
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    values = {
        "Modality": modality, "SeriesInstanceUID": series, "SeriesNumber": number, "StudyInstanceUID": STUDY, "StudyID": "1",
        "StudyDate": "20260301", "StudyTime": "090000", "AccessionNumber": "", "ReferringPhysicianName": "", "Manufacturer": "planar3d",
        "FrameOfReferenceUID": FRAME, "PositionReferenceIndicator": "", "SpecificCharacterSet": "ISO_IR 100",
        "SeriesDescription": "Muster Erika abdomen",
    }  # fmt: skip
    for keyword, value in (values | PATIENT | elements).items():
        if value is not None:
            setattr(made, keyword, value)
    return made


def write_ct(
    folder: Path, hu: np.ndarray, grid: Grid, *, turn: np.ndarray | None = None, order: Sequence[int] | None = None,
    series: str = "1.2.3.4", number: int = 2, **elements: Any,
) -> Path:  # fmt: skip
    """Write a CT series.

    Args:
        folder: Where to, made if need be.
        hu: CT numbers on the grid, ``(x, y, z)`` [HU].
        grid: Where they lie.
        turn: Rotation of the patient about the origin, ``(3, 3)`` in RAS+.
        order: Numbers of the slices that are written, in the order of the files' names.
        series: Identity of the series.
        number: Its number.
        **elements: Header elements instead of the usual ones; None removes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored = np.rint((hu - INTERCEPT) / SLOPE).astype(np.int16)
    far = np.array(grid.origin_mm) + (np.array(grid.shape) - 1) * grid.spacing_mm
    directions = lps(np.array([[-1.0, 0, 0], [0, -1.0, 0]]), turn).ravel()
    for at, k in enumerate(range(grid.shape[2]) if order is None else order):
        first_pixel = np.array([far[0], far[1], grid.origin_mm[2] + k * grid.spacing_mm[2]])
        image = header(CT_IMAGE, "CT", series, number)
        values = {
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "InstanceNumber": at + 1, "Rows": grid.shape[1], "Columns": grid.shape[0],
            "PixelSpacing": [grid.spacing_mm[1], grid.spacing_mm[0]], "SliceThickness": grid.spacing_mm[2],
            "ImagePositionPatient": [float(f"{v:.6f}") for v in lps(first_pixel[None], turn)[0]],
            "ImageOrientationPatient": [float(f"{v:.8f}") for v in directions], "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1,
            "RescaleSlope": SLOPE, "RescaleIntercept": INTERCEPT, "RescaleType": "HU", "PixelData": stored[::-1, ::-1, k].T.tobytes(),
        }  # fmt: skip
        for keyword, value in (values | elements).items():
            if value is not None:
                setattr(image, keyword, value)
            elif keyword in image:
                delattr(image, keyword)
        image.save_as(folder / f"{number}-{at:03d}.dcm", enforce_file_format=True)
    return folder


def write_multi_frame(path: Path, hu: np.ndarray, grid: Grid, order: Sequence[int]) -> Path:
    """Write slices of a CT as one enhanced CT file, in an order of their own."""
    from pydicom.uid import generate_uid

    stored = np.rint((hu - INTERCEPT) / SLOPE).astype(np.int16)
    far = np.array(grid.origin_mm) + (np.array(grid.shape) - 1) * grid.spacing_mm
    places = [lps(np.array([[far[0], far[1], grid.origin_mm[2] + k * grid.spacing_mm[2]]]))[0].tolist() for k in order]
    shared = _item(
        PixelMeasuresSequence=[_item(PixelSpacing=[grid.spacing_mm[1], grid.spacing_mm[0]], SliceThickness=grid.spacing_mm[2])],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelValueTransformationSequence=[_item(RescaleSlope=SLOPE, RescaleIntercept=INTERCEPT, RescaleType="HU")],
    )
    frames = [
        _item(PlanePositionSequence=[_item(ImagePositionPatient=place)], FrameContentSequence=[_item(DimensionIndexValues=[k + 1])])
        for k, place in enumerate(places)
    ]
    organization = generate_uid()
    index = _item(DimensionOrganizationUID=organization, DimensionIndexPointer=0x00200032, FunctionalGroupPointer=0x00209113)
    elements = {
        "NumberOfFrames": len(frames), "Rows": grid.shape[1], "Columns": grid.shape[0],
        "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
        "PixelRepresentation": 1, "SharedFunctionalGroupsSequence": [shared], "PerFrameFunctionalGroupsSequence": frames,
        "DimensionOrganizationSequence": [_item(DimensionOrganizationUID=organization)], "DimensionIndexSequence": [index],
        "PixelData": b"".join(stored[::-1, ::-1, k].T.tobytes() for k in order),
    }  # fmt: skip
    header("1.2.840.10008.5.1.4.1.1.2.1", "CT", "1.2.3.4", 2, **elements).save_as(path, enforce_file_format=True)
    return path


def write_seg(
    path: Path, ct: Path, masks: Mapping[str, np.ndarray], *, slices: slice = slice(None), sides: Sequence[str] = (), kind: str = "BINARY"
) -> Path:
    """Write segments on slices of a CT series.

    Args:
        path: File to write.
        ct: Folder of the series.
        masks: Segments by their label, ``(x, y, z)`` on the CT's grid.
        slices: Which slices of the CT the file knows of.
        sides: Coded side of each segment, where there is one.
        kind: BINARY, FRACTIONAL (voxels are four fifths full) or LABELMAP.
    """
    import highdicom
    from pydicom import dcmread
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    sources = sorted((dcmread(file) for file in ct.glob("*.dcm")), key=lambda h: np.dot(h.ImagePositionPatient, _normal(h)))[slices]
    described = [
        highdicom.seg.SegmentDescription(
            segment_number=i, segment_label=name, segmented_property_category=codes.SCT.Organ, segmented_property_type=codes.SCT.Kidney,
            algorithm_type="MANUAL",
        )
        for i, name in enumerate(masks, start=1)
    ]  # fmt: skip
    for item, side in zip(described, sides, strict=False):
        code = highdicom.sr.CodedConcept("7771000" if side == "Left" else "24028007", "SCT", side)
        item.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [code]
    pixels = np.stack([mask[::-1, ::-1, slices].transpose(2, 1, 0) for mask in masks.values()], axis=-1).astype(np.uint8)
    if kind == "LABELMAP":
        pixels = (pixels * np.arange(1, len(masks) + 1, dtype=np.uint8)).max(axis=-1)
    elif kind == "FRACTIONAL":
        pixels = pixels.astype(np.float32) * 0.8
    content = highdicom.seg.Segmentation(
        source_images=sources, pixel_array=pixels, segmentation_type=kind, segment_descriptions=described,
        series_instance_uid=generate_uid(), series_number=9, sop_instance_uid=generate_uid(), instance_number=1, manufacturer="planar3d",
        manufacturer_model_name="tests", software_versions="1", device_serial_number="1",
    )  # fmt: skip
    content.save_as(path)
    return path


def write_structures(
    path: Path, contours: Mapping[str, Sequence[np.ndarray]], *, frame: str | None = FRAME, kind: str = "CLOSED_PLANAR"
) -> Path:
    """Write an RT structure set.

    Args:
        path: File to write.
        contours: Contours of each structure by its name, ``(n, 3)`` as `lps` returns them [mm].
        frame: Frame of reference; None for none.
        kind: Geometric type of the contours.
    """
    content = header(RTSTRUCT, "RTSTRUCT", "1.2.3.9", 9, StructureSetLabel="Muster", FrameOfReferenceUID=frame)
    content.StructureSetROISequence, content.ROIContourSequence = [], []
    for number, (name, parts) in enumerate(contours.items(), start=5):
        roi, item = _item(ROINumber=number, ROIName=name), _item(ReferencedROINumber=number, ContourSequence=[])
        if frame is not None:
            roi.ReferencedFrameOfReferenceUID = frame
        for points in parts:
            data = [f"{v:.4f}" for v in np.ravel(points)]
            item.ContourSequence.append(_item(ContourGeometricType=kind, NumberOfContourPoints=len(points), ContourData=data))
        content.StructureSetROISequence.append(roi)
        content.ROIContourSequence.append(item)
    content.save_as(path, enforce_file_format=True)
    return path


def contours_of(mask: np.ndarray, grid: Grid, *, turn: np.ndarray | None = None, every: int = 1) -> list[np.ndarray]:
    """Contours half way between the outermost voxels of a mask and the next, holes as contours of their own.

    Args:
        mask: ``(x, y, z)``.
        grid: Where it lies.
        turn: Rotation of the patient, as in `write_ct`.
        every: Step between the slices that get contours.
    """
    from contourpy import contour_generator

    found = []
    for k in range(0, mask.shape[2], every):
        for line in contour_generator(z=np.pad(mask[..., k], 1).astype(float).T).lines(0.5):
            index = np.column_stack([line[:-1] - 1.0, np.full(len(line) - 1, float(k))])
            found.append(lps(index * grid.spacing_mm + grid.origin_mm, turn))
    return found


def _item(**elements: Any) -> Any:
    """One item of a sequence."""
    from pydicom import Dataset

    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def _normal(image: Any) -> np.ndarray:
    """Direction in which slices are stacked."""
    return np.cross(image.ImageOrientationPatient[:3], image.ImageOrientationPatient[3:])
