"""The coarse grid on which what is blurred by centimetres is computed: object scatter and the tails of the collimator.

Each voxel is shared out linearly among the coarse nodes about it, which keeps its content and its centre. A node's water-equivalent depth
is ``tau / mu_water`` with the optical depth ``tau`` from the node to the edge of the grid, through the mean attenuation of the columns
that are shared with it, but for those that hold nothing but air.
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
    def of(cls, rasters: tuple[Raster, Raster, Raster], edges_mm: tuple[float, float, float]) -> CoarseGrid:
        """Nodes at most so far apart along each axis, and at least one voxel."""
        a, b, c = (max(1, int(edge / r.step_mm + 1e-6)) for r, edge in zip(rasters, edges_mm, strict=True))
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
    ) -> tuple[Tensor, Tensor]:
        """Water-equivalent depth of each node, and thickness of the patient there.

        Args:
            mu: Linear attenuation, ``(p, x, y, z)`` [1/mm], zero outside the rows and planes given.
            mu_water: Linear attenuation of water [1/mm].
            sides: For each view, 1 where its head stands at the upper end of depth and -1 at the lower.
            rows: Which of the voxels along the first axis ``mu`` holds.
            planes: Which along depth.

        Returns:
            Depth, ``(p, view, x, y, z)`` [mm], and thickness along the line of sight, ``(p, 1, x, 1, z)`` [mm].
        """
        a, c = self.sharing(0)[:, rows].to(mu), self.sharing(2).to(mu)
        columns = torch.einsum("ax,pxz->paz", a, (mu.detach() > 0).any(dim=2).to(mu) @ c.T).unsqueeze(2)
        total = torch.einsum("ax,pxyz->payz", a, mu @ c.T)
        # a plane of air on either side stands for all that lies beyond the planes given
        mean = torch.nn.functional.pad(total / columns.clamp(min=torch.finfo(mu.dtype).tiny), (0, 0, 1, 1))
        own = mean * self.rasters[1].step_mm
        at_nodes = self._at_slabs(planes).to(mu)
        depth = torch.stack([at_nodes @ (tau + 0.5 * own) for tau in in_front(own, 2, sides)], dim=1)
        return depth / mu_water, own.sum(dim=2)[:, None, :, None] / mu_water

    def _at_slabs(self, planes: slice) -> Tensor:
        """Linear interpolation to the slabs from some of the planes and one on either side of them, ``(slab, plane + 2)``."""
        raster = self.rasters[1]
        known = raster.centres_mm[planes]
        place = ((self.slabs.centres_mm - known[0]) / raster.step_mm + 1.0).clamp(0.0, len(known) + 1.0)
        apart = (place[:, None] - torch.arange(len(known) + 2, dtype=torch.float64)[None, :]).abs()
        return (1.0 - apart).clamp(min=0.0)
