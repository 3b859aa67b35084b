"""A CT series in DICOM: which files it is made of, in which order, where it lies, and its CT numbers.

Slices are ordered along their normal n = (row direction) x (column direction), whatever their files are called or their instance numbers
say. The voxel (column i, row j, slice k) lies at ``p + i d_c r + j d_r c + k d n``, with p the position of the first slice, r and c the
directions of rows and columns, and distances d; DICOM's coordinates are LPS and become RAS.

What would put voxels at wrong places is refused: missing, doubled or unevenly spaced slices, slices of different size or direction, and
slices that slide sideways, as those of a tilted gantry.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from planar3d.anatomy.dicom_files import quietly, read_headers
from planar3d.anatomy.space import LPS_TO_RAS, Space

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["DicomCt"]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MULTI_FRAME_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")  # enhanced, and converted to it
NEEDED = ("Rows", "Columns", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept")
READ = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "FrameOfReferenceUID", "ImageType", "RescaleType",
    "NumberOfFrames", *NEEDED,
)  # fmt: skip
HOUNSFIELD = ("HU", "HU_MOD", "US", "")  # US says that nothing is said
TOLERANCE = 0.1  # of a voxel, by which a slice may lie beside its place
SAME_PLACE_MM = 0.01
GAP = 1.9  # steps


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
        _require_alike([header for _, header in slices], source)
        order, space = _stack([header for _, header in slices], source)
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


def _require_alike(headers: list[Dataset], source: str) -> None:
    """Raise unless slices say where they lie and what their values are, and are alike but for their place."""
    for header in headers:
        if missing := [keyword for keyword in NEEDED if header.get(keyword) in (None, "")]:
            raise ValueError(f"{source} lacks {', '.join(missing)} in its headers; export it again as a DICOM CT with axial slices")
        if (kind := str(header.get("RescaleType") or "").upper()) not in HOUNSFIELD:
            raise ValueError(f"{source} holds values of the type {kind[:16]} and not Hounsfield units; give the CT in Hounsfield units")
    first = headers[0]
    for what, keyword in (
        ("sizes", "Rows"),
        ("sizes", "Columns"),
        ("pixel spacings", "PixelSpacing"),
        ("directions", "ImageOrientationPatient"),
    ):
        reference = np.asarray(first.get(keyword), dtype=np.float64)
        if any(not np.allclose(np.asarray(h.get(keyword), dtype=np.float64), reference, atol=1e-3) for h in headers):
            raise ValueError(f"{source} has slices of different {what}; give a series of parallel slices of one size")
    if len({str(h.get("FrameOfReferenceUID", "")) for h in headers}) > 1:
        raise ValueError(f"{source} has slices in different frames of reference; give slices of one scan")


def _stack(headers: list[Dataset], source: str) -> tuple[list[int], Space]:
    """Order of the slices along their normal, and where their voxels lie."""
    first = headers[0]
    turn = np.asarray(first.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    if not np.allclose(turn @ turn.T, np.eye(2), atol=1e-3):
        raise ValueError(f"{source} has an Image Orientation of no two unit vectors at right angles; export it again")
    along_row = turn[0] / np.linalg.norm(turn[0])
    normal = np.cross(along_row, turn[1]) / np.linalg.norm(np.cross(along_row, turn[1]))
    along_column = np.cross(normal, along_row)
    places = np.asarray([h.ImagePositionPatient for h in headers], dtype=np.float64)
    order = np.argsort(places @ normal, kind="stable")
    places = places[order]
    heights = places @ normal
    step = _even_step(heights, source)
    between_rows, between_columns = (float(s) for s in first.PixelSpacing)
    aside = np.linalg.norm(places - places[0] - np.outer(heights - heights[0], normal), axis=1).max()
    if aside > TOLERANCE * min(between_rows, between_columns):
        raise ValueError(
            f"{source} has slices that slide sideways by up to {aside:.1f} mm, as with a tilted gantry; export it resampled to "
            f"slices at right angles to its axis"
        )
    affine = np.eye(4)
    affine[:3, :3] = np.stack([along_row * between_columns, along_column * between_rows, normal * step], axis=1)
    affine[:3, 3] = places[0]
    frame = str(first.get("FrameOfReferenceUID") or "") or None
    shape = (int(first.Columns), int(first.Rows), len(headers))
    return order.tolist(), Space(shape=shape, affine=LPS_TO_RAS @ affine, frame_of_reference=frame)


def _even_step(heights: np.ndarray, source: str) -> float:
    """Distance of slices that lie at these places, in order [mm]."""
    if len(heights) < 2:
        raise ValueError(f"{source} is a single slice; give the folder of the whole CT series")
    steps = np.diff(heights)
    if doubled := int((steps < SAME_PLACE_MM).sum()):
        raise ValueError(
            f"{source} has {doubled} slices at places where it has one already, as a series of several phases has; give a folder with "
            f"one image per place"
        )
    usual = float(steps.min())
    gaps = np.flatnonzero(steps > GAP * usual)
    if len(gaps):
        at = gaps[0]
        more = f" ({len(gaps)} such gaps in all)" if len(gaps) > 1 else ""
        raise ValueError(
            f"{source} misses slices: between {heights[at]:.1f} and {heights[at + 1]:.1f} mm along its axis lie {steps[at]:.1f} mm, where "
            f"slices lie {usual:.2f} mm apart{more}; export the whole series"
        )
    beside = np.abs(heights - np.linspace(heights[0], heights[-1], len(heights))).max()
    if beside > TOLERANCE * usual:
        raise ValueError(
            f"{source} has slices that are spaced unevenly, {steps.min():.2f} to {steps.max():.2f} mm; export it with even spacing"
        )
    return float((heights[-1] - heights[0]) / (len(heights) - 1))


def _slice_hu(file: Path) -> np.ndarray | None:
    """CT numbers of one slice ``(row, column)`` [HU]; None if its pixels cannot be decoded."""
    from pydicom import dcmread

    try:
        header = dcmread(file)
        return header.pixel_array.astype(np.float32) * float(header.RescaleSlope) + float(header.RescaleIntercept)
    except (AttributeError, NotImplementedError, RuntimeError, ValueError, EOFError, OSError):
        return _slice_hu_by_gdcm(file)


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
        except (AttributeError, KeyError, IndexError, NotImplementedError, RuntimeError, TypeError, ValueError, OSError) as error:
            what = "with pixels that cannot be decoded" if pixels else "whose slices are no even stack, or do not say where they lie"
            raise ValueError(f"{source} is a multi-frame CT {what}; export it as one file per slice, uncompressed") from error
