"""Gaussian weights along each axis, applied one axis after another as matrix products.

``out[x, y, z] = sum_ijk X[x, i] Y[y, j] Z[z, k] volume[i, j, k]``. The same product blurs a mask (nodes are the voxels, rows of
weights sum to one) and interpolates noise from a coarse lattice (`planar3d.phantom.random_field`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.shapes import Volume

__all__ = ["blur", "centred_axis", "weigh_axes"]


def centred_axis(grid: Grid, axis: int, like: Tensor) -> Tensor:
    """Voxel centres along one axis from the middle of the grid, ``(n,)`` [mm].

    Args:
        grid: The grid.
        axis: 0 for x, 1 for y, 2 for z.
        like: Tensor whose device and floating-point type the result takes.
    """
    n = grid.shape[axis]
    index = torch.arange(n, device=like.device, dtype=like.dtype)
    return (index - 0.5 * (n - 1)) * grid.spacing_mm[axis]


def weigh_axes(volume: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Multiply each spatial axis by a matrix.

    Args:
        volume: ``(b, c, i, j, k)``.
        weights: Three matrices ``(x, i)``, ``(y, j)``, ``(z, k)``.

    Returns:
        ``(b, c, x, y, z)``.
    """
    along_x, along_y, along_z = weights
    out = volume @ along_z.T
    out = along_y @ out
    b, c, i, y, z = out.shape
    return (along_x @ out.reshape(b, c, i, y * z)).reshape(b, c, -1, y, z)


def blur(volume: Volume, sigma_mm: float, grid: Grid) -> Volume:
    """Gaussian blur; weights are renormalised at the borders, so that a constant stays constant.

    Args:
        volume: ``(b, 1, x, y, z)``.
        sigma_mm: Standard deviation [mm].
        grid: Grid of the volume.
    """
    weights = []
    for axis in range(3):
        position = centred_axis(grid, axis, volume)
        weight = torch.exp(-0.5 * ((position[:, None] - position) / sigma_mm).square())
        weights.append(weight / weight.sum(dim=1, keepdim=True))
    return weigh_axes(volume, weights)
