"""A CT series in DICOM: which files it is made of, in which order, where it lies, and its CT numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from planar3d.anatomy.slice_stack import NEEDED, stack_slices
from planar3d.anatomy.space import LPS_TO_RAS, Space
from planar3d.dicom_files import damage, quietly, read_headers

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["DicomCt"]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MULTI_FRAME_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")  # enhanced, and converted to it
READ = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "FrameOfReferenceUID", "ImageType", "RescaleType",
    "NumberOfFrames", *NEEDED,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class DicomCt:
    """One CT series.

    Attributes:
        source: What to call it in messages.
        files: Its files, one per slice in the order of the last axis, or a single one with all slices.
        space: Where its voxels lie; axes are column, row and slice.
    """

    source: str
    files: tuple[Path, ...]
    space: Space

    @classmethod
    def open(cls, path: str | Path) -> DicomCt:
        """Find the one series of a folder and how its slices lie; pixels are not read.

        Args:
            path: Folder with the files of one CT series, in it or below it, or one multi-frame file. Scouts and other kinds of DICOM
                file are passed over; of two copies of a slice one is taken.

        Raises:
            ValueError: There is no CT or more than one, it does not say where it lies, or its slices are no even stack.
        """
        path = Path(path)
        source = f"ct {path}"
        series: dict[str, list[tuple[Path, Dataset]]] = {}
        for file, header in read_headers(path, READ):
            if _is_slice(header):
                series.setdefault(str(header.get("SeriesInstanceUID", "")), []).append((file, header))
        if not series:
            raise ValueError(f"{source} holds no DICOM CT image; give the folder of a CT series")
        if len(series) > 1:
            told = ", ".join(sorted(_told(slices) for slices in series.values()))
            raise ValueError(f"{source} holds {len(series)} CT series ({told}); give a folder that holds one of them alone")
        (slices,) = series.values()
        if slices[0][1].get("SOPClassUID") in MULTI_FRAME_CT:
            return cls._multi_frame(slices, source)
        slices = _without_copies(slices)
        order, space = stack_slices([header for _, header in slices], source)
        return cls(source=source, files=tuple(slices[k][0] for k in order), space=space)

    @classmethod
    def _multi_frame(cls, slices: list[tuple[Path, Dataset]], source: str) -> DicomCt:
        """A series of one file that holds all slices."""
        if len(slices) > 1:
            raise ValueError(f"{source} holds {len(slices)} multi-frame files of one CT series; give one of them alone")
        file = slices[0][0]
        geometry = _read_multi_frame(file, source, pixels=False)
        columns, rows, frames = (int(n) for n in reversed(geometry.spatial_shape))
        affine = LPS_TO_RAS @ geometry.affine[:, [2, 1, 0, 3]]
        return cls(
            source=source,
            files=(file,),
            space=Space(shape=(columns, rows, frames), affine=affine, frame_of_reference=geometry.frame_of_reference_uid),
        )

    def read_hu(self) -> np.ndarray:
        """CT numbers along the axes of `space`, ``(column, row, slice)`` float32 [HU].

        Raises:
            ValueError: Pixels are damaged, or compressed in a way that cannot be decoded.
        """
        if len(self.files) == 1:
            volume = _read_multi_frame(self.files[0], self.source, pixels=True)
            return np.ascontiguousarray(volume.array.transpose(2, 1, 0), dtype=np.float32)
        columns, rows, _ = self.space.shape
        hu = np.empty(self.space.shape, dtype=np.float32)
        with quietly():
            for k, file in enumerate(self.files):
                pixels = _slice_hu(file)
                if pixels is None or pixels.shape != (rows, columns):
                    raise ValueError(
                        f"{self.source} has pixels that cannot be decoded (slice {k + 1} of {len(self.files)}); export it "
                        f"again, uncompressed"
                    )
                hu[..., k] = pixels.T
        return hu


def _is_slice(header: Dataset) -> bool:
    """Whether a file is of a CT and no scout."""
    kinds = [str(kind).upper() for kind in header.get("ImageType") or []]
    return header.get("SOPClassUID") in (CT_IMAGE, *MULTI_FRAME_CT) and "LOCALIZER" not in kinds


def _told(slices: list[tuple[Path, Dataset]]) -> str:
    """A series by its number and its slices, for messages: descriptions may name the patient."""
    number = slices[0][1].get("SeriesNumber")
    count = sum(int(header.get("NumberOfFrames") or 1) for _, header in slices)
    return f"{'one' if number is None else f'series {int(number)}'} of {count} slices"


def _without_copies(slices: list[tuple[Path, Dataset]]) -> list[tuple[Path, Dataset]]:
    """Slices less those of which a file with the same identity at the same place came before."""
    kept = {(str(h.get("SOPInstanceUID", file)), str(h.get("ImagePositionPatient"))): (file, h) for file, h in reversed(slices)}
    return list(reversed(kept.values()))


def _slice_hu(file: Path) -> np.ndarray | None:
    """CT numbers of one slice ``(row, column)`` [HU]; None if its pixels cannot be decoded."""
    from pydicom import dcmread

    packed = False
    try:
        header = dcmread(file)
        packed = header.file_meta.TransferSyntaxUID.is_compressed
        return header.pixel_array.astype(np.float32) * float(header.RescaleSlope) + float(header.RescaleIntercept)
    except damage():
        return _slice_hu_by_gdcm(file) if packed else None  # it would fill up a file that was cut short


def _slice_hu_by_gdcm(file: Path) -> np.ndarray | None:
    """The same by a library that decodes lossless JPEG, in which many archives keep CT, without further packages."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        values = sitk.GetArrayFromImage(reader.Execute())  # rescaled already
    except RuntimeError:
        return None
    return values[0].astype(np.float32) if values.ndim == 3 and len(values) == 1 else None


def _read_multi_frame(file: Path, source: str, *, pixels: bool) -> Any:
    """Volume of a multi-frame file, or its geometry alone."""
    from highdicom import imread

    with quietly():
        try:
            image = imread(file, lazy_frame_retrieval=not pixels)
            geometry = image.get_volume_geometry(allow_missing_positions=False, allow_duplicate_positions=False)
            if geometry is None:
                raise ValueError("no even stack")
            if not pixels:
                return geometry
            return image.get_volume(dtype=np.float64, apply_real_world_transform=False, apply_modality_transform=True)
        except damage() as error:
            what = "with pixels that cannot be decoded" if pixels else "whose slices are no even stack, or do not say where they lie"
            raise ValueError(f"{source} is a multi-frame CT {what}; export it as one file per slice, uncompressed") from error
