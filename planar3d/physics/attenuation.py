"""Attenuation on the way from a voxel to an opposed view.

With ``tau(x, y, z)`` the optical depth between a voxel and the edge of the grid along +y (anterior view) or -y (posterior view),
a photon leaves unscattered with probability ``exp(-tau)``. A voxel is a box of uniform activity and attenuation, so the mean over
its own thickness ``m = mu dy`` is ``(1 - exp(-m)) / m``; this makes a slab of any number of voxels exact.
"""

from __future__ import annotations

import torch
from torch import Tensor

from planar3d.shapes import Volume

__all__ = ["optical_depth", "transmission"]


def optical_depth(mu_map: Volume, spacing_y_mm: float) -> tuple[Tensor, Tensor]:
    """Optical depth in front of each voxel, and of the voxel itself.

    Args:
        mu_map: Linear attenuation coefficient, ``(b, 1, x, y, z)`` [1/mm].
        spacing_y_mm: Voxel edge along y [mm].

    Returns:
        Depth from the voxel's near face to the edge of the grid, ``(b, view, x, y, z)``, view 0 toward +y; and the voxel's own
        ``mu dy``, ``(b, 1, x, y, z)``.
    """
    own = mu_map * spacing_y_mm
    inclusive = own.cumsum(dim=3)
    posterior = inclusive - own
    anterior = inclusive[:, :, :, -1:] - inclusive
    return torch.cat([anterior, posterior], dim=1), own


def transmission(mu_map: Volume, spacing_y_mm: float) -> Tensor:
    """Probability that a photon emitted toward a view leaves the patient unscattered, ``(b, view, x, y, z)``.

    Args:
        mu_map: Linear attenuation coefficient, ``(b, 1, x, y, z)`` [1/mm].
        spacing_y_mm: Voxel edge along y [mm].
    """
    in_front, own = optical_depth(mu_map, spacing_y_mm)
    # (1 - exp(-m)) / m; its series where m is too small to divide by
    small = own.abs() < 1e-4
    safe = torch.where(small, torch.ones_like(own), own)
    within = torch.where(small, 1.0 - own / 2.0, -torch.expm1(-safe) / safe)
    return torch.exp(-in_front) * within
