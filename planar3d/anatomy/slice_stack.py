"""The slices of a CT series as one even stack of voxels.

Slices are ordered along their normal n = (row direction) x (column direction), whatever their files are called or their instance numbers
say. The voxel (column i, row j, slice k) lies at ``p + i d_c r + j d_r c + k d n``, with p the position of the first slice, r and c the
directions of rows and columns, and distances d; DICOM's coordinates are LPS and become RAS.

What would put voxels at wrong places is refused: missing, doubled or unevenly spaced slices, slices of different size or direction, and
slices that slide sideways, as those of a tilted gantry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from planar3d.anatomy.space import LPS_TO_RAS, Space

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["NEEDED", "stack_slices"]

NEEDED = {
    "Rows": 1, "Columns": 1, "PixelSpacing": 2, "ImagePositionPatient": 3, "ImageOrientationPatient": 6, "RescaleSlope": 1,
    "RescaleIntercept": 1,
}  # fmt: skip
"""Elements without which a slice cannot be used, and how many numbers each holds."""

HOUNSFIELD = ("HU", "HU_MOD", "US", "")  # US says that nothing is said
TOLERANCE = 0.1  # of a voxel, by which a slice may lie beside its place
SAME_PLACE_MM = 0.01
GAP = 1.9  # steps


def stack_slices(headers: list[Dataset], source: str) -> tuple[list[int], Space]:
    """Order of slices, and where their voxels lie.

    Args:
        headers: Of the slices, in any order.
        source: What to call the series in messages.

    Returns:
        Numbers of the slices in their order along the normal, and the space of column, row and slice.

    Raises:
        ValueError: They are no even stack of like slices in Hounsfield units.
    """
    _require_alike(headers, source)
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


def _require_alike(headers: list[Dataset], source: str) -> None:
    """Raise unless slices say where they lie and what their values are, and are alike but for their place."""
    for header in headers:
        if missing := [keyword for keyword, count in NEEDED.items() if len(_numbers(header, keyword)) != count]:
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
        if any(not np.allclose(_numbers(h, keyword), _numbers(first, keyword), atol=1e-3) for h in headers):
            raise ValueError(f"{source} has slices of different {what}; give a series of parallel slices of one size")
    if len({str(h.get("FrameOfReferenceUID", "")) for h in headers}) > 1:
        raise ValueError(f"{source} has slices in different frames of reference; give slices of one scan")


def _numbers(header: Dataset, keyword: str) -> np.ndarray:
    """Numbers of an element, none if it is missing or holds what no slice can have."""
    try:
        values = np.atleast_1d(np.asarray(header.get(keyword), dtype=np.float64))
    except (TypeError, ValueError):
        return np.empty(0)
    possible = np.isfinite(values).all() and (keyword not in ("Rows", "Columns", "PixelSpacing") or (values > 0).all())
    return values if possible else np.empty(0)


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
