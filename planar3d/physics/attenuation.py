"""Attenuation on the way from a voxel to a view.

With ``tau(x, y, z)`` the optical depth between a voxel and the edge of the grid along +y (anterior view) or -y (posterior view),
a photon leaves unscattered with probability ``exp(-tau)``. A voxel is a box of uniform activity and attenuation, so the mean over
its own thickness ``m = mu dy`` is ``(1 - exp(-m)) / m``; this makes a slab of any number of voxels exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from planar3d.shapes import Volume

__all__ = ["in_front", "transmission", "transmission_of_rows"]


def transmission(mu_map: Volume, spacing_y_mm: float) -> Tensor:
    """Probability that a photon emitted toward a view leaves the patient unscattered, ``(b, view, x, y, z)``.

    Args:
        mu_map: Linear attenuation coefficient, ``(b, 1, x, y, z)`` [1/mm].
        spacing_y_mm: Voxel edge along y [mm].
    """
    own = mu_map * spacing_y_mm
    return torch.cat([torch.exp(-tau) for tau in in_front(own, 3, (1, -1))], dim=1) * _within(own)


def transmission_of_rows(mu: Tensor, step_mm: float, sides: Sequence[int]) -> list[Tensor]:
    """The same for rows of columns, depth second.

    Args:
        mu: Linear attenuation coefficient, ``(row, depth, ...)`` [1/mm].
        step_mm: Length of a voxel along depth [mm].
        sides: For each view, 1 where its head stands at the upper end of depth and -1 at the lower.

    Returns:
        For each view, of the shape of ``mu``.
    """
    own = mu * step_mm
    within = _within(own)
    return [torch.exp(-tau) * within for tau in in_front(own, 1, sides)]


def in_front(own: Tensor, axis: int, sides: Sequence[int]) -> list[Tensor]:
    """Optical depth between the near face of each voxel and the edge of the grid.

    Args:
        own: Optical depth of each voxel itself.
        axis: Axis along which the views look.
        sides: For each view, 1 where its head stands at the upper end of the axis and -1 at the lower.

    Returns:
        For each view, of the shape of ``own``.
    """
    inclusive = own.cumsum(dim=axis)
    whole = inclusive.narrow(axis, own.shape[axis] - 1, 1)
    return [whole - inclusive if side > 0 else inclusive - own for side in sides]


def _within(own: Tensor) -> Tensor:
    """``(1 - exp(-m)) / m``; its series where m is too small to divide by."""
    small = own.abs() < 1e-4
    safe = torch.where(small, torch.ones_like(own), own)
    return torch.where(small, 1.0 - own / 2.0, -torch.expm1(-safe) / safe)
