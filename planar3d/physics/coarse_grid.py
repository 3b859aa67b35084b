"""The coarse grid on which what is blurred by centimetres is computed: object scatter and the tails of the collimator.

Each voxel is shared out linearly among the coarse nodes about it, which keeps its content and its centre. A node's water-equivalent depth,
``(tau + mu dy / 2) / mu_water`` with the optical depth ``tau`` in front of a voxel, is the mean of its voxels' by the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from planar3d.physics.attenuation import in_front
from planar3d.physics.raster import Raster

__all__ = ["CoarseGrid"]


@dataclass(frozen=True, kw_only=True)
class CoarseGrid:
    """Nodes some voxels apart.

    Attributes:
        rasters: Voxels along the image's first axis, depth and z.
        factors: How many of them lie from node to node.
    """

    rasters: tuple[Raster, Raster, Raster]
    factors: tuple[int, int, int]

    @classmethod
    def of(cls, rasters: tuple[Raster, Raster, Raster], edge_mm: float) -> CoarseGrid:
        """Nodes at most an edge apart, and at least one voxel."""
        a, b, c = (max(1, int(edge_mm / r.step_mm + 1e-6)) for r in rasters)
        return cls(rasters=rasters, factors=(a, b, c))

    @property
    def slabs(self) -> Raster:
        """The nodes along depth."""
        return self.rasters[1].coarser(self.factors[1])

    def sharing(self, axis: int) -> Tensor:
        """How voxels are shared out among nodes along an axis, ``(node, voxel)``."""
        return self.rasters[axis].sharing(self.factors[axis])

    def depth_mm(
        self,
        mu: Tensor,
        mu_water: float,
        sides: Sequence[int],
        rows: slice = slice(None),
        planes: slice = slice(None),
    ) -> Tensor:
        """Water-equivalent depth of each node, ``(p, view, x, y, z)`` [mm].

        Args:
            mu: Linear attenuation, ``(p, x, y, z)`` [1/mm], zero outside the rows and planes given.
            mu_water: Linear attenuation of water [1/mm].
            sides: For each view, 1 where its head stands at the upper end of depth and -1 at the lower.
            rows: Which of the voxels along the first axis ``mu`` holds.
            planes: Which along depth.
        """
        a, b, c = (_mean(self.sharing(axis)[:, part]).to(mu) for axis, part in enumerate((rows, planes, slice(None))))
        own = torch.einsum("ax,pxyz->payz", a, mu @ c.T) * self.rasters[1].step_mm
        return torch.stack([b @ (tau + 0.5 * own) for tau in in_front(own, 2, sides)], dim=1) / mu_water


def _mean(sharing: Tensor) -> Tensor:
    """Weights that sum to one for each node; none for a node without voxels."""
    return sharing / sharing.sum(dim=1, keepdim=True).clamp(min=torch.finfo(sharing.dtype).tiny)
