"""Planar images from DICOM NM: static or whole-body, both views in one file or one file per view, with their side windows if asked for.

Of a SPECT acquisition the views from the front and from behind are taken, which lets a planar estimate be held against the SPECT of the
same patient. Nothing that tells who the patient is is read into a `PlanarImage` or put into a message.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from planar3d.io import dicom_header
from planar3d.io.dicom_frame import Frame, photopeak_frames
from planar3d.io.metadata import SIDE_WINDOWS, VIEWS, merged
from planar3d.io.planar_image import PlanarImage

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["read_planar_dicom"]

ORIGIN_TOLERANCE = 0.5  # pixels by which the two views may lie apart and still count as opposed


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
        f for h in headers for f in photopeak_frames(h, nuclide, overrides.get("energy_kev"), single=len(headers) > 1, source=path.name)
    ]
    anterior, posterior = _opposed(frames, overrides.get("view_order"), path.name)
    pixel = _pixel_mm(anterior.header, overrides, path.name)
    if not np.allclose(pixel, _pixel_mm(posterior.header, overrides, path.name), rtol=1e-3):
        raise ValueError(f"the views in {path.name} have pixels of different size; give two views of one acquisition")
    views = [frame.counts(view) for frame, view in zip((anterior, posterior), VIEWS, strict=True)]
    shape = views[0].shape
    if views[1].shape != shape:
        raise ValueError(f"the views in {path.name} have different sizes, {shape} and {views[1].shape} pixels; give views of equal size")
    origin = overrides.get("origin_mm") or _origin(anterior, posterior, shape, pixel)
    header = anterior.header
    timed = "dwell_time_s" in overrides or "scan_speed_mm_per_s" in overrides
    told: dict[str, Any] = ({} if timed else anterior.timing()) | {
        "isotope": nuclide,
        "camera": overrides.get("camera") or dicom_header.camera(header),
        "acquired_at": dicom_header.acquired_at(header),
        "distance_mm": _distances(anterior, posterior),
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


def _side_windows(anterior: Frame, posterior: Frame, nuclide: str) -> dict[str, Any]:
    """Counts in the windows beside the peak, and the energies of all; nothing of a window that not both views have."""
    found: dict[str, Any] = {}
    numbers = dicom_header.side_windows(anterior.header, nuclide, anterior.window)
    for key, number in zip(("lower_views", "upper_views"), numbers, strict=True):
        beside = [frame.in_window(number) for frame in (anterior, posterior)]
        if all(frame is not None for frame in beside):
            views = [frame.counts(view) for frame, view in zip(beside, VIEWS, strict=True) if frame is not None]
            found[key] = torch.from_numpy(np.stack(views))[None]
    if "lower_views" in found:
        order = (numbers[0], anterior.window, numbers[1] if "upper_views" in found else None)
        found["windows_kev"] = tuple(dicom_header.window_kev(anterior.header, number) for number in order if number is not None)
    return found


def _opposed(frames: list[Frame], order: tuple[str, str] | None, source: str) -> tuple[Frame, Frame]:
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


def _pixel_mm(header: Dataset, overrides: dict[str, Any], source: str) -> tuple[float, float]:
    """Pixel size along x and z [mm]; DICOM gives the spacing of rows first."""
    if "pixel_mm" in overrides:
        return overrides["pixel_mm"]
    spacing = header.get("PixelSpacing")
    if spacing is None or len(spacing) != 2:
        raise ValueError(f"{source} has no Pixel Spacing; pass pixel_mm=[x, z] in mm")
    return float(spacing[1]), float(spacing[0])


def _origin(anterior: Frame, posterior: Frame, shape: tuple[int, ...], pixel: tuple[float, float]) -> tuple[float, float] | None:
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


def _distances(anterior: Frame, posterior: Frame) -> tuple[float, float] | None:
    """Distances of the anterior and of the posterior head [mm]; of a SPECT to its axis, near which the middle of the patient lies."""
    if anterior.distance_mm is None or posterior.distance_mm is None:
        return None
    return anterior.distance_mm, posterior.distance_mm
