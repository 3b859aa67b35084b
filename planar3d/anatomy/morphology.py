"""Operations on binary volumes ``(x, y, z)`` that the body mask and the CT's segmentation share."""

from __future__ import annotations

from typing import cast

import numpy as np
from scipy import ndimage

__all__ = ["axial_disc", "ball", "connected_parts", "fill_slices", "volumes_of_parts"]


def axial_disc(radius_mm: float, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Disc in the axial plane as a structuring element, at least one voxel in radius."""
    whole = ball(radius_mm, spacing_mm)
    middle = whole.shape[2] // 2
    return whole[..., middle : middle + 1]


def ball(radius_mm: float, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Ball as a structuring element, at least one voxel in radius along each axis."""
    reach = [max(1, round(radius_mm / s)) for s in spacing_mm]
    x, y, z = np.ogrid[tuple(slice(-r, r + 1) for r in reach)]
    return (x / reach[0]) ** 2 + (y / reach[1]) ** 2 + (z / reach[2]) ** 2 <= 1.0


def connected_parts(mask: np.ndarray, *, by_corners: bool = False) -> np.ndarray:
    """Number of the connected part of each voxel, 0 outside the mask.

    Args:
        mask: Boolean volume.
        by_corners: Whether voxels that share only a corner are connected.
    """
    result = ndimage.label(mask, ndimage.generate_binary_structure(3, 3 if by_corners else 1))
    return cast(tuple[np.ndarray, int], result)[0]


def volumes_of_parts(parts: np.ndarray) -> np.ndarray:
    """Voxels in each part by its number; the outside counts as 0."""
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return sizes


def fill_slices(mask: np.ndarray) -> np.ndarray:
    """Mask with the holes of each axial slice filled."""
    slices = [cast(np.ndarray, ndimage.binary_fill_holes(mask[..., k])) for k in range(mask.shape[-1])]
    return np.stack(slices, axis=-1)
