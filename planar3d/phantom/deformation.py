"""Mismatch between the anatomy given and the anatomy imaged.

The imaged anatomy is the given one rotated by R about the middle of the grid, moved by +t and bent: a point p of the image shows

    q = R^T (p - t) - u(p),

with u a smooth random displacement, so that with u = 0 what lay at q comes to ``p = R q + t``. All lengths are mm, p and q from the
middle of the grid; a spacing that differs between axes needs no care. Outside the grid its border is repeated: a torso that the field
of view cuts goes on.

Convention: +x is the patient's right. A translation of one voxel along +x moves everything to the next higher index.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from planar3d.grid import Grid
from planar3d.phantom.gaussian import centred_axis
from planar3d.phantom.random_field import RandomField
from planar3d.phantom.record import TensorRecord
from planar3d.shapes import LabelMap, Volume

__all__ = ["Deformation", "DeformationRecord"]


@dataclass(frozen=True, kw_only=True)
class DeformationRecord(TensorRecord):
    """What was drawn.

    Attributes:
        translation_mm: t, ``(b, 3)`` [mm].
        rotation_rad: Axis times angle, right-handed, ``(b, 3)`` [rad].
        elastic_mm: White noise of u on its lattice, times its standard deviation, ``(b, 3, i, j, k)`` [mm].
    """

    translation_mm: Tensor
    rotation_rad: Tensor
    elastic_mm: Tensor


class Deformation:
    """Rigid and elastic mismatch.

    Args:
        translation_mm: Largest length of t; uniform up to it, in any direction [mm].
        rotation_deg: Largest angle; uniform up to it, about any axis [degree].
        elastic_mm: Root mean square length of u [mm].
        correlation_mm: Correlation length of u [mm].
    """

    def __init__(
        self, *, translation_mm: float = 10.0, rotation_deg: float = 3.0, elastic_mm: float = 4.0, correlation_mm: float = 50.0
    ) -> None:
        if min(translation_mm, rotation_deg, elastic_mm) < 0:
            raise ValueError(
                f"translation_mm, rotation_deg and elastic_mm must be zero or more, got {translation_mm}, {rotation_deg}, {elastic_mm}"
            )
        self.translation_mm = translation_mm
        self.rotation_rad = math.radians(rotation_deg)
        self.elastic_mm = elastic_mm
        self.field = RandomField(correlation_mm=correlation_mm, lattice=(16, 12, 20))

    def draw(self, generator: torch.Generator) -> DeformationRecord:
        """The mismatch of one sample."""
        direction = torch.nn.functional.normalize(torch.randn(2, 3, generator=generator), dim=1)
        length = torch.rand(2, 1, generator=generator) * torch.tensor([[self.translation_mm], [self.rotation_rad]])
        translation, rotation = direction * length
        elastic = self.field.draw(generator, channels=3) * (self.elastic_mm / math.sqrt(3.0))
        return DeformationRecord(translation_mm=translation, rotation_rad=rotation, elastic_mm=elastic)

    def render(
        self, record: DeformationRecord, activity: Volume, mu_map: Volume, labels: LabelMap, grid: Grid
    ) -> tuple[Volume, Volume, LabelMap]:
        """Bring activity, attenuation and labels to the position imaged; a sample of no displacement comes back as it was.

        Args:
            record: What `draw` gave, batched.
            activity: ``(b, 1, x, y, z)``, interpolated.
            mu_map: ``(b, 1, x, y, z)``, interpolated.
            labels: ``(b, 1, x, y, z)``, nearest voxel.
            grid: Grid of all three.
        """
        at = self._sampling_points(record, grid)
        still = torch.stack([v.flatten(1).eq(0).all(dim=1) for v in (record.translation_mm, record.rotation_rad, record.elastic_mm)])
        still = still.all(dim=0).view(-1, 1, 1, 1, 1)
        images = torch.cat([activity, mu_map], dim=1)
        images = torch.where(still, images, grid_sample(images, at, mode="bilinear", padding_mode="border", align_corners=False))
        moved = grid_sample(labels.to(at.dtype), at, mode="nearest", padding_mode="border", align_corners=False)
        return images[:, :1], images[:, 1:], torch.where(still, labels, moved.to(labels.dtype))

    def undone(self, record: DeformationRecord, labels: LabelMap, grid: Grid) -> LabelMap:
        """Labels of the position imaged brought back to the anatomy given, to within the change of u over its own length, about 1 mm.

        Args:
            record: What `draw` gave, batched.
            labels: In the position imaged, ``(b, 1, x, y, z)``, nearest voxel; zero comes in from outside.
            grid: Grid of the labels.
        """
        # p = R (q + u(p)) + t; u changes little over its own length, so u(q) may stand for u(p)
        line = [centred_axis(grid, axis, record.translation_mm) for axis in range(3)]
        u = self.field.render(record.elastic_mm, grid)
        q = torch.stack(torch.meshgrid(*line, indexing="ij")) + u
        p = torch.einsum("bij,bjxyz->bixyz", _rotation_matrix(record.rotation_rad), q) + record.translation_mm.view(-1, 3, 1, 1, 1)
        at = _as_sampled(p, grid)
        return grid_sample(labels.to(at.dtype), at, mode="nearest", padding_mode="zeros", align_corners=False).to(labels.dtype)

    def _sampling_points(self, record: DeformationRecord, grid: Grid) -> Float[Tensor, "b x y z 3"]:
        """q for every voxel, as `grid_sample` wants it."""
        shift = record.translation_mm[:, :, None]
        axes = [centred_axis(grid, axis, shift) - shift[:, axis] for axis in range(3)]  # (b, n)
        rotation = _rotation_matrix(record.rotation_rad)
        # (R^T p)_j = sum_i R_ij p_i: an axis at a time, so that the sum is over broadcast lines and not over a stack of points
        x, y, z = (rotation[:, axis, :, None] * line[:, None] for axis, line in enumerate(axes))  # (b, 3, n)
        source = x[..., None, None] + y[..., None, :, None] + z[..., None, None, :] - self.field.render(record.elastic_mm, grid)
        return _as_sampled(source, grid)


def _as_sampled(points: Float[Tensor, "b 3 x y z"], grid: Grid) -> Float[Tensor, "b x y z 3"]:
    """Points [mm] as `grid_sample` wants them: last axis z, y, x, from -1 to 1 between the outer faces of the grid."""
    extent = points.new_tensor(grid.extent_mm).view(3, 1, 1, 1)
    return (points * (2.0 / extent)).flip(1).permute(0, 2, 3, 4, 1)


def _rotation_matrix(rotation_rad: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
    """Matrix of axis times angle: the exponential of its cross-product matrix."""
    x, y, z = rotation_rad.unbind(dim=1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)
    return torch.linalg.matrix_exp(cross)
