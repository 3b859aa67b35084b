"""Everything that widens the image of a voxel: collimator and detector, tails of the collimator, object scatter.

A voxel at distance r from the face of a head and under d mm of water gives, relative to its unscattered counts,

``primary_share K(0)  +  sum_c R_c(d) K(s_c(d)^2)``  with  ``K(v) = (1 - sum_k tau_k) G(v + sigma(r)^2) + sum_k tau_k G(v + t_k(r)^2)``,

the core ``sigma`` and the tails ``tau_k, t_k`` of the collimator-detector response and the components ``R_c, s_c`` of object scatter, which
crosses the collimator as what did not scatter does.
Each Gaussian is shared out among width nodes (`planar3d.physics.width_nodes`): the core plane by plane among narrow nodes, tails and
scatter voxel by voxel, on a coarse grid, among wide ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from planar3d.physics.blur import blur_matrix
from planar3d.physics.collimator import CollimatorResponse
from planar3d.physics.raster import Raster
from planar3d.physics.scatter import BEHIND_MM, ObjectScatter
from planar3d.physics.view_blur import ViewBlur, WideBlur
from planar3d.physics.width_nodes import node_weights, variance_nodes

__all__ = ["SystemResponse", "added_variance"]

CORE_GROWTH = 1.15
"""Ratio of neighbouring node variances; an image then differs by about 0.2 % from one blurred plane by plane."""
WIDE_GROWTH = 2.2
NARROWEST_WIDE_MM = 4.0
DEEPEST_MM = 400.0
DEPTH_STEP_MM = 4.0
LEAST_SIGMA_MM = 1e-3


@dataclass(frozen=True, kw_only=True)
class SystemResponse:
    """Response of a camera over a range of distances.

    Attributes:
        response: Collimator-detector response.
        scatter: Object scatter; None for none.
        primary_share: Unscattered counts in the window imaged, relative to those in the photopeak window.
        distances_mm: Smallest and largest distance of a voxel from the face of a head [mm].
        coarse_variance: By how much the coarse grid spreads what is wide, and which is taken off again [mm^2].
    """

    response: CollimatorResponse
    scatter: ObjectScatter | None
    primary_share: float
    distances_mm: tuple[float, float]
    coarse_variance: float = 0.0

    @property
    def is_wide(self) -> bool:
        """Whether there is anything beside the core."""
        return self.scatter is not None or bool(self.response.tail)

    @cached_property
    def core_nodes(self) -> Tensor:
        """Variances of the core's nodes, ``(node,)`` [mm^2]."""
        lowest, highest = (float(v) for v in self._core_variance(torch.tensor(self.distances_mm, dtype=torch.float64)))
        return variance_nodes(max(lowest, LEAST_SIGMA_MM**2), max(highest, LEAST_SIGMA_MM**2), CORE_GROWTH)

    @cached_property
    def wide_nodes(self) -> Tensor:
        """Variances of the wide nodes, less what the coarse grid adds, from zero on; ``(node,)`` [mm^2]."""
        nearest, farthest = torch.tensor(self.distances_mm, dtype=torch.float64)
        widths = [t.sigma_mm(d) for t in self.response.tail for d in (nearest, farthest)]
        if self.scatter is not None:
            shallow = self._core_variance(nearest)
            deep = max(float(v) for *_, v in self.scatter.components(torch.tensor(DEEPEST_MM, dtype=torch.float64)))
            widths += [torch.sqrt(shallow), *(torch.sqrt(deep + variance) for _, variance in self._collimator(farthest))]
        variances = [max(float(w) ** 2 - self.coarse_variance, NARROWEST_WIDE_MM**2) for w in widths]
        return torch.cat([torch.zeros(1, dtype=torch.float64), variance_nodes(min(variances), max(variances), WIDE_GROWTH)])

    def mixing(self, distance_mm: Tensor, sharing_y: Tensor | None) -> Tensor:
        """How planes at their distances ``(view, y)`` are mixed: core nodes, then coarse slabs; ``(view, j, y)``."""
        share, variance = self._collimator(distance_mm)[0]
        core = self.primary_share * share * node_weights(variance, self.core_nodes).transpose(0, 1)
        if sharing_y is None:
            return core
        return torch.cat([core, sharing_y.to(core).expand(len(core), *sharing_y.shape)], dim=1)

    def tail_weights(self, slabs_mm: Tensor) -> Tensor | None:
        """How coarse nodes are shared out among the wide width nodes by the tails, ``(view, 1, y, 1, node, 1)``; None without tails.

        Args:
            slabs_mm: Distance of the nodes from the face, ``(view, y)`` [mm].
        """
        if not self.response.tail:
            return None
        shared = [self.primary_share * share * self._wide(variance) for share, variance in self._collimator(slabs_mm)[1:]]
        return torch.stack(shared).sum(dim=0).permute(1, 2, 0)[:, None, :, None, :, None]

    def wide_weights(self, depth_mm: Tensor, thickness_mm: Tensor, slabs_mm: Tensor) -> Tensor:
        """The same by tails and object scatter, ``(view, x, y, p, node, z)``.

        Args:
            depth_mm: Water-equivalent depth of the nodes, ``(p, view, x, y, z)`` [mm].
            thickness_mm: Water-equivalent thickness of the patient along the line of sight, ``(p, 1, x, 1, z)`` [mm].
            slabs_mm: Distance of the nodes from the face, ``(view, y)`` [mm].

        What depends on depth is interpolated in a table per slab; that is differentiable with respect to depth.
        """
        table = self._scatter_table(slabs_mm).to(depth_mm)
        (_, slabs, bins, nodes), table = table.shape, table.flatten(0, 2)
        depth = depth_mm.permute(1, 2, 3, 0, 4)  # (view, x, y, p, z)
        position = (depth / DEPTH_STEP_MM).clamp(0.0, bins - 1.0)
        lower = position.detach().floor().clamp(max=bins - 2.0)
        slab = torch.arange(slabs, device=depth.device).view(*slabs_mm.shape, 1, 1).unsqueeze(1)
        index = (slab * bins + lower.long()).flatten()
        beyond = (position - lower).flatten()
        around = (1.0 - torch.exp(-thickness_mm / BEHIND_MM)).permute(1, 2, 3, 0, 4).expand(depth.shape).flatten()
        entries = [index, index + 1, index + slabs * bins, index + slabs * bins + 1]
        shares = [1.0 - beyond, beyond, around * (1.0 - beyond), around * beyond]
        shared = torch.nn.functional.embedding_bag(
            torch.stack(entries, dim=1), table, per_sample_weights=torch.stack(shares, dim=1), mode="sum"
        )
        scatter = shared.view(*depth.shape, nodes).transpose(4, 5)
        tails = self.tail_weights(slabs_mm)
        return scatter.contiguous() if tails is None else scatter + tails.to(scatter)

    def _scatter_table(self, slabs_mm: Tensor) -> Tensor:
        """Shares of the wide width nodes in object scatter for every slab at every depth in steps, ``(2, slab, depth, node)``.

        First what tissue in front of the source makes, then what tissue all around it does.
        """
        if self.scatter is None:
            raise ValueError("wide_weights needs object scatter; without it there are the tails alone (tail_weights)")
        depth = torch.arange(0.0, DEEPEST_MM + DEPTH_STEP_MM, DEPTH_STEP_MM, dtype=torch.float64)
        seen = [
            (share * ahead[None], share * about[None], scattered + collimator[:, None])
            for share, collimator in self._collimator(slabs_mm.flatten().to(depth))
            for ahead, about, scattered in self.scatter.components(depth)
        ]
        in_front, around, variance = (torch.stack(column) for column in zip(*seen, strict=True))
        strength = in_front + around
        left = variance - self.coarse_variance
        # what is narrower than the coarse grid can show is made up for by the others, so that the width of all scatter is right
        missing, positive = ((strength * part.clamp(min=0.0)).sum(dim=0) for part in (-left, left))
        kept = (1.0 - missing / positive.clamp(min=torch.finfo(positive.dtype).tiny)).clamp(min=0.0)
        weights = node_weights(left.clamp(min=0.0) * kept, self.wide_nodes)
        return torch.stack([(part * weights).sum(dim=1).permute(1, 2, 0) for part in (in_front, around)]).contiguous()

    def _wide(self, variance: Tensor) -> Tensor:
        """Shares of the wide nodes in a Gaussian, ``(node, ...)``."""
        return node_weights((variance - self.coarse_variance).clamp(min=0.0), self.wide_nodes)

    def blur(self, voxels: tuple[Raster, Raster], pixels: tuple[Raster, Raster], splat_mm: float, factors: tuple[int, int]) -> ViewBlur:
        """Matrices of all nodes.

        Args:
            voxels: Voxels along x and z.
            pixels: Pixels along u and w.
            splat_mm: Edge of the cells to which rotated activity was shared out linearly; zero without rotation [mm].
            factors: How many voxels a coarse one holds along x and z.
        """
        # sharing out among neighbours has spread activity by 1/6 of a cell's square on average; it is taken off again
        across = torch.sqrt((self.core_nodes - splat_mm**2 / 6.0).clamp(min=0.0))
        wide = None
        if self.is_wide:
            coarse = [v.coarser(f) for v, f in zip(voxels, factors, strict=True)]
            # along an axis on which the coarse grid spreads less than was taken off, the rest is put back
            rest = [max(0.0, self.coarse_variance - added_variance(v, f)) for v, f in zip(voxels, factors, strict=True)]
            kernels = [blur_matrix(torch.sqrt(self.wide_nodes + r), c, p) for r, c, p in zip(rest, coarse, pixels, strict=True)]
            shares = [v.sharing(f) for v, f in zip(voxels, factors, strict=True)]
            wide = WideBlur(share_x=shares[0], share_z=shares[1], along_x=kernels[0], along_z=kernels[1])
        return ViewBlur(
            along_x=blur_matrix(across, voxels[0], pixels[0]),
            along_z=blur_matrix(torch.sqrt(self.core_nodes), voxels[1], pixels[1]),
            wide=wide,
        )

    def _collimator(self, distance_mm: Tensor) -> list[tuple[float, Tensor]]:
        """Share and variance [mm^2] of the core, and after it of each tail, at a distance [mm]."""
        tails = [(t.share, t.sigma_mm(distance_mm) ** 2) for t in self.response.tail]
        return [(1.0 - self.response.tail_share, self._core_variance(distance_mm)), *tails]

    def _core_variance(self, distance_mm: Tensor) -> Tensor:
        """Variance of the core at a distance [mm^2]."""
        return self.response.sigma_mm(distance_mm) ** 2


def added_variance(voxels: Raster, factor: int) -> float:
    """By how much a coarse grid spreads activity along an axis [mm^2].

    A node is as wide as its step V where a voxel was v wide, ``(V^2 - v^2) / 12``, and sharing out among two nodes adds
    ``(V^2 - v^2) / 6`` on average.
    """
    return (voxels.coarser(factor).step_mm ** 2 - voxels.step_mm**2) / 4.0
