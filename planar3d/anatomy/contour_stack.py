"""A volume from closed contours in parallel planes.

A slice on a plane takes its contours. One between two neighbouring planes takes the shape between theirs, by interpolation of signed
distances to the edge: contours drawn on every other slice, or on another scan of the same coordinates, are filled up. Planes that
lie farther apart than is usual for the structure are parts with a gap between, which stays empty. Beyond its outermost planes a structure
goes on for less than half their distance.

Convention: heights and contours are in voxels of the CT, whole numbers at centres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from planar3d.anatomy.contour import fill_contours

__all__ = ["ContourPlane", "fill_stack", "planes_of"]

ON_PLANE = 0.1  # slices
GAP = 1.5  # usual distances of planes
EVEN_MM = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class ContourPlane:
    """Contours in one plane.

    Attributes:
        height: Of the plane [slices].
        contours: Corners of each, ``(n, 2)`` [pixels].
    """

    height: float
    contours: tuple[np.ndarray, ...]


def planes_of(heights: Sequence[float], contours: Sequence[np.ndarray]) -> list[ContourPlane]:
    """Contours gathered by plane, in the order of heights.

    Args:
        heights: Of each contour [slices].
        contours: Corners of each, ``(n, 2)`` [pixels].
    """
    groups: list[list[int]] = []
    for k in np.argsort(heights, kind="stable"):
        if groups and heights[k] - heights[groups[-1][0]] < ON_PLANE:
            groups[-1].append(int(k))
        else:
            groups.append([int(k)])
    return [ContourPlane(height=float(np.mean([heights[k] for k in g])), contours=tuple(contours[k] for k in g)) for g in groups]


def fill_stack(planes: Sequence[ContourPlane], shape: tuple[int, int], spacing_mm: tuple[float, float]) -> tuple[int, np.ndarray]:
    """Voxels within a structure.

    Args:
        planes: Its contours in the order of their heights, at least one plane.
        shape: Pixels of a slice.
        spacing_mm: Distance of pixels [mm].

    Returns:
        Number of the first slice and the mask of it and those after it, ``(*shape, slice)``.
    """
    heights = np.array([plane.height for plane in planes])
    step = float(np.median(np.diff(heights))) if len(planes) > 1 else 0.0
    reach = max(0.5, step / 2)
    first, last = math.ceil(heights[0] - reach), math.floor(heights[-1] + reach)
    mask = np.zeros((*shape, last - first + 1), dtype=bool)
    filled = lru_cache(maxsize=2)(lambda k: fill_contours(planes[k].contours, shape))
    for z in range(first, last + 1):
        nearest, above = int(np.abs(heights - z).argmin()), int(np.searchsorted(heights, z))
        height = heights[nearest]
        if abs(height - z) < ON_PLANE:
            mask[..., z - first] = filled(nearest)
        elif 0 < above < len(planes) and heights[above] - heights[above - 1] <= GAP * step:
            part = (z - heights[above - 1]) / (heights[above] - heights[above - 1])
            mask[..., z - first] = _between(filled(above - 1), filled(above), part, spacing_mm)
        elif math.floor(height + 0.5) == z or abs(height - z) < step / 2 - ON_PLANE:
            mask[..., z - first] = filled(nearest)
    return first, mask


def _between(below: np.ndarray, above: np.ndarray, part: float, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Shape between two, at a part of the way from the one below."""
    distance = (1.0 - part) * _depth_mm(below, spacing_mm) + part * _depth_mm(above, spacing_mm)
    # ties would make a structure larger, or smaller, at both ends: they go to the shape below, which is the larger at one end
    return (distance > EVEN_MM) | ((np.abs(distance) <= EVEN_MM) & below)


def _depth_mm(mask: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Distance from the edge of a shape, positive within [mm]."""
    if not mask.any() or mask.all():
        return np.full(mask.shape, np.inf if mask.any() else -sum(mask.shape) * max(spacing_mm))
    inside: np.ndarray = ndimage.distance_transform_edt(mask, sampling=spacing_mm)  # pyright: ignore[reportAssignmentType]
    outside: np.ndarray = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)  # pyright: ignore[reportAssignmentType]
    return inside - outside
