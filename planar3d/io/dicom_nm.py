"""Planar images from DICOM NM: static or whole-body, both views in one file or one file per view, with their side windows if asked for.

This and `planar3d.io.nifti` are the only places where measured images are flipped into patient coordinates. Nothing that tells who the
patient is is read into a `PlanarImage` or put into a message.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from planar3d.io import dicom_header
from planar3d.io.dicom_views import Placement, frame_placement
from planar3d.io.metadata import SIDE_WINDOWS, VIEWS, merged
from planar3d.io.planar_image import PlanarImage

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["read_planar_dicom"]

ORIGIN_TOLERANCE = 0.5  # pixels by which the two views may lie apart and still count as opposed


@dataclass(frozen=True, kw_only=True, eq=False)
class _Frame:
    """One frame of a file, with where it lies."""

    header: Dataset
    index: int
    detector: int
    window: int
    placement: Placement


def read_planar_dicom(path: Path, overrides: dict[str, Any]) -> PlanarImage:
    """Read the photopeak image of both views.

    Args:
        path: A DICOM file, or a folder that holds one file per view.
        overrides: Metadata that stand above the header's, as `planar3d.io.parse_metadata` returns them; ``view_order`` names the views
            in the order of the frames where the header does not.

    Raises:
        ValueError: The file is no DICOM NM image of two opposed views, contradicts itself or lacks what is needed.
    """
    if named := [key for key in SIDE_WINDOWS if key in overrides]:
        raise ValueError(f"{named[0]} goes with a NIfTI image; a DICOM file holds its own energy windows: leave {named[0]} away")
    headers = _read_headers(path)
    nuclide = overrides.get("isotope") or dicom_header.isotope(headers[0]) if _counts_frames(headers) > 1 else ""
    frames = [
        f for h in headers for f in _photopeak_frames(h, nuclide, overrides.get("energy_kev"), single=len(headers) > 1, source=path.name)
    ]
    anterior, posterior = _opposed(frames, overrides.get("view_order"), path.name)
    pixel = _pixel_mm(anterior.header, overrides, path.name)
    if not np.allclose(pixel, _pixel_mm(posterior.header, overrides, path.name), rtol=1e-3):
        raise ValueError(f"the views in {path.name} have pixels of different size; give two views of one acquisition")
    views = [_in_patient_axes(frame, view) for frame, view in zip((anterior, posterior), VIEWS, strict=True)]
    shape = views[0].shape
    if views[1].shape != shape:
        raise ValueError(f"the views in {path.name} have different sizes, {shape} and {views[1].shape} pixels; give views of equal size")
    origin = overrides.get("origin_mm") or _origin(anterior, posterior, shape, pixel)
    header = anterior.header
    timed = "dwell_time_s" in overrides or "scan_speed_mm_per_s" in overrides
    told: dict[str, Any] = ({} if timed else dicom_header.timing(header)) | {
        "isotope": nuclide,
        "camera": overrides.get("camera") or dicom_header.camera(header),
        "acquired_at": dicom_header.acquired_at(header),
        "distance_mm": _distance(anterior, posterior),
    }
    if overrides.get("scatter_correction") in ("tew", "dew"):
        told |= _side_windows(anterior, posterior, nuclide)
    values = merged(told, {key: value for key, value in overrides.items() if key != "view_order"})
    values["pixel_mm"] = pixel
    values["origin_mm"] = origin or tuple(-0.5 * (n - 1) * p for n, p in zip(shape, pixel, strict=True))
    return PlanarImage(views=torch.from_numpy(np.stack(views))[None], origin_is_known=origin is not None, **values)


def _read_headers(path: Path) -> list[Dataset]:
    """The NM images of a file or a folder."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    headers = []
    for file in sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]:
        try:
            headers.append(dcmread(file))
        except (InvalidDicomError, EOFError, OSError) as error:
            if not path.is_dir():
                raise ValueError(f"{path} is neither a NIfTI nor a DICOM file; give .nii, .nii.gz or DICOM NM") from error
    images = [h for h in headers if h.get("Modality") == "NM" and "PixelData" in h]
    if not images:
        kinds = sorted({str(h.get("Modality", "unknown")) for h in headers}) or ["none"]
        raise ValueError(f"{path} holds no DICOM NM image (modality {', '.join(kinds)}); give the planar scintigram")
    return images


def _counts_frames(headers: list[Dataset]) -> int:
    """Frames in all files."""
    return sum(int(h.get("NumberOfFrames") or 1) for h in headers)


def _photopeak_frames(header: Dataset, nuclide: str, energy_kev: float | None, *, single: bool, source: str) -> list[_Frame]:
    """Frames of the energy window that holds the imaging line."""
    count = int(header.get("NumberOfFrames") or 1)
    detectors = dicom_header.frame_vector(header, "DetectorVector", count)
    windows = dicom_header.frame_vector(header, "EnergyWindowVector", count, default=1)
    single = single or count == 1
    wanted = dicom_header.energy_window(header, nuclide, energy_kev) if nuclide else windows[0]
    chosen = [k for k in range(count) if windows[k] == wanted]
    return [
        _Frame(
            header=header,
            index=k,
            detector=detectors[k],
            window=wanted,
            placement=frame_placement(header, detectors[k], first=k == chosen[0], single=single, source=f"{source}, frame {k + 1}"),
        )
        for k in chosen
    ]


def _side_windows(anterior: _Frame, posterior: _Frame, nuclide: str) -> dict[str, Any]:
    """Counts in the windows beside the peak, and the energies of all; nothing of a window that not both views have."""
    found: dict[str, Any] = {}
    numbers = dicom_header.side_windows(anterior.header, nuclide, anterior.window)
    for key, number in zip(("lower_views", "upper_views"), numbers, strict=True):
        beside = [_in_window(frame, number) for frame in (anterior, posterior)]
        if all(frame is not None for frame in beside):
            views = [_in_patient_axes(frame, view) for frame, view in zip(beside, VIEWS, strict=True) if frame is not None]
            found[key] = torch.from_numpy(np.stack(views))[None]
    if "lower_views" in found:
        order = (numbers[0], anterior.window, numbers[1] if "upper_views" in found else None)
        found["windows_kev"] = tuple(dicom_header.window_kev(anterior.header, number) for number in order if number is not None)
    return found


def _in_window(frame: _Frame, number: int | None) -> _Frame | None:
    """The frame of the same detector in another energy window."""
    count = int(frame.header.get("NumberOfFrames") or 1)
    detectors = dicom_header.frame_vector(frame.header, "DetectorVector", count)
    windows = dicom_header.frame_vector(frame.header, "EnergyWindowVector", count, default=1)
    same = [k for k in range(count) if (windows[k], detectors[k]) == (number, frame.detector)]
    return replace(frame, index=same[0]) if len(same) == 1 else None


def _opposed(frames: list[_Frame], order: tuple[str, str] | None, source: str) -> tuple[_Frame, _Frame]:
    """The anterior and the posterior frame."""
    named = [f.placement.view for f in frames]
    if len(frames) == 1:
        missing = "anterior" if named[0] == "posterior" else "posterior"
        raise ValueError(
            f"{source} holds one view: the {missing} view is missing; give a file with both views or a folder with one file each"
        )
    if len(frames) != 2:
        raise ValueError(
            f"{source} holds {len(frames)} frames of the photopeak; two are needed, one per view: export a static or whole-body scan"
        )
    if order is not None:
        if any(n is not None and n != o for n, o in zip(named, order, strict=True)):
            raise ValueError(f"view_order is {order} but the header of {source} names the views {tuple(named)}; leave view_order away")
        named = list(order)
    if named[0] is None and named[1] is None:
        if str(frames[0].header.get("PatientPosition", "HFS"))[2:] != "S":
            raise ValueError(f"the header of {source} names no views and the patient does not lie supine; pass view_order=[...]")
        warnings.warn(
            f"the header of {source} does not name the views: detector 1 is taken as anterior; pass view_order=[...] to say so",
            stacklevel=4,
        )
        named = list(VIEWS)
    first = named[0] or (VIEWS[0] if named[1] == VIEWS[1] else VIEWS[1])
    if named[1] == first:
        other = VIEWS[1] if first == VIEWS[0] else VIEWS[0]
        raise ValueError(f"both views in {source} are {first} by their header: the {other} view is missing; give two opposed views")
    return (frames[0], frames[1]) if first == VIEWS[0] else (frames[1], frames[0])


def _in_patient_axes(frame: _Frame, view: str) -> np.ndarray:
    """Counts ``(x, z)``, x toward the patient's right and z toward the head."""
    counts = dicom_header.counts(frame.header)[frame.index].T
    to_right = frame.placement.rows_to_right
    if to_right is None:  # what a camera on that side sees
        to_right = view == "posterior"
    if not to_right:
        counts = counts[::-1]
    if not frame.placement.columns_to_head:
        counts = counts[:, ::-1]
    return np.ascontiguousarray(counts, dtype=np.float32)


def _pixel_mm(header: Dataset, overrides: dict[str, Any], source: str) -> tuple[float, float]:
    """Pixel size along x and z [mm]; DICOM gives the spacing of rows first."""
    if "pixel_mm" in overrides:
        return overrides["pixel_mm"]
    spacing = header.get("PixelSpacing")
    if spacing is None or len(spacing) != 2:
        raise ValueError(f"{source} has no Pixel Spacing; pass pixel_mm=[x, z] in mm")
    return float(spacing[1]), float(spacing[0])


def _origin(anterior: _Frame, posterior: _Frame, shape: tuple[int, ...], pixel: tuple[float, float]) -> tuple[float, float] | None:
    """Centre of pixel (0, 0) [mm] where the header places both views, and at one place."""
    corners = []
    for frame in (anterior, posterior):
        place = frame.placement
        if place.first_pixel_mm is None:
            return None
        x = place.first_pixel_mm[0] - (0 if place.rows_to_right else (shape[0] - 1) * pixel[0])
        z = place.first_pixel_mm[1] - (0 if place.columns_to_head else (shape[1] - 1) * pixel[1])
        corners.append((x, z))
    apart = np.abs(np.subtract(*corners)) / pixel
    return corners[0] if (apart <= ORIGIN_TOLERANCE).all() else None


def _distance(anterior: _Frame, posterior: _Frame) -> tuple[float, float] | None:
    """Distances of the anterior and of the posterior head [mm]."""
    pair = [dicom_header.distance_mm(f.header, f.detector) for f in (anterior, posterior)]
    return None if pair[0] is None or pair[1] is None else (pair[0], pair[1])
