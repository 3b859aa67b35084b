"""Rigid offset between the patient in the CT and the patient imaged.

A point p of the CT lies at ``R (p - c) + c + t`` when imaged, c the middle of the grid, ``R = Rz Ry Rx``. A moved volume is read at
``R^T (p - c - t) + c`` by trilinear interpolation, differentiable with respect to volume, t and R; past the edge of the grid the
outermost voxel goes on, as a patient does who is longer than the field of view.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from planar3d.grid import Grid

__all__ = ["RigidOffset"]


@dataclass(frozen=True, kw_only=True)
class RigidOffset:
    """How the patient imaged lay relative to the CT: rotated about the middle of the grid, then moved.

    Attributes:
        translation_mm: Along x, y, z, ``(b, 3)`` [mm].
        rotation_deg: About x, then y, then z, ``(b, 3)`` [degree].
        translation_error_mm: Standard errors, ``(b, 3)`` [mm]; None where unknown.
        rotation_error_deg: Standard errors, ``(b, 3)`` [degree]; None where unknown.
    """

    translation_mm: Float[Tensor, "b 3"]
    rotation_deg: Float[Tensor, "b 3"]
    translation_error_mm: Float[Tensor, "b 3"] | None = None
    rotation_error_deg: Float[Tensor, "b 3"] | None = None

    def move(self, volumes: Float[Tensor, "b c x y z"], grid: Grid) -> Float[Tensor, "b c x y z"]:
        """Volumes of the CT in the position imaged.

        Args:
            volumes: Any number of volumes per sample, ``(b, c, x, y, z)``.
            grid: Where they lie.
        """
        return self._sample(volumes, grid, "bilinear")

    def move_labels(self, labels: Tensor, grid: Grid) -> Tensor:
        """Labels of the CT in the position imaged, by the nearest voxel, ``(b, 1, x, y, z)``."""
        return self._sample(labels.to(self.translation_mm.dtype), grid, "nearest").round().to(labels.dtype)

    def _sample(self, volumes: Tensor, grid: Grid, mode: str) -> Tensor:
        """Read volumes at the positions that this offset brings to each voxel."""
        spacing = volumes.new_tensor(grid.spacing_mm)
        count = volumes.new_tensor(grid.shape)
        axes = [torch.arange(n, dtype=volumes.dtype, device=volumes.device) for n in grid.shape]
        index = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        from_middle = (index - 0.5 * (count - 1)) * spacing - self.translation_mm[:, None, None, None]
        # row vectors: p^T R is R^T p
        source = torch.einsum("bxyzi,bij->bxyzj", from_middle, _rotation(self.rotation_deg)) / spacing + 0.5 * (count - 1)
        # grid_sample with align_corners=False: index i lies at (2 i + 1) / n - 1, and the last axis of the volume comes first
        position = ((2.0 * source + 1.0) / count - 1.0).flip(-1)
        return F.grid_sample(volumes, position, mode=mode, padding_mode="border", align_corners=False)


def _rotation(angles_deg: Tensor) -> Tensor:
    """``Rz Ry Rx``, ``(b, 3, 3)``."""
    (cx, cy, cz), (sx, sy, sz) = torch.deg2rad(angles_deg).cos().unbind(1), torch.deg2rad(angles_deg).sin().unbind(1)
    rows = [
        torch.stack([cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx], dim=1),
        torch.stack([sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx], dim=1),
        torch.stack([-sy, cy * sx, cy * cx], dim=1),
    ]
    return torch.stack(rows, dim=1)
