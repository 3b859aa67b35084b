"""Turning a volume about z so that a view looks along one axis of the turned grid.

Activity is shared out: each voxel gives its content to the four cells about its centre, in proportion to closeness. So every voxel keeps
its activity and its centre exactly, whatever the angle. The transpose, by which views are brought back, is bilinear interpolation, and
the same interpolation turns the attenuation map, so that what is uniform stays uniform. All three are tables of at most four neighbours,
applied to rows of voxels along z at once.

Convention: the turned axes are u (first) and depth (second), ``u = x cos t - y sin t``, ``depth = x sin t + y cos t``, about the axis
through the middle of the grid; the head of a view stands at the upper end of depth, or at the lower end for the opposed view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.physics.raster import Raster

__all__ = ["NeighbourTable", "Rotation", "turned_rasters"]


@dataclass(frozen=True, kw_only=True)
class NeighbourTable:
    """A sparse matrix by rows: ``out[i] = sum_k weight[k] rows[index[k]]`` for k from ``start[i]`` to ``start[i + 1]``.

    Attributes:
        index: Row read, ``(entry,)``.
        weight: Its weight, ``(entry,)``.
        start: First entry of each row written, and the number of entries, ``(row + 1,)``.
    """

    index: Tensor
    weight: Tensor
    start: Tensor

    @classmethod
    def from_triplets(cls, row: Tensor, column: Tensor, weight: Tensor, rows: int) -> NeighbourTable:
        """Table of a matrix given entry by entry; entries of no weight are left out."""
        kept = weight != 0
        row, column, weight = row[kept], column[kept], weight[kept]
        order = torch.argsort(row, stable=True)
        start = torch.zeros(rows + 1, dtype=torch.int64)
        torch.cumsum(torch.bincount(row, minlength=rows), 0, out=start[1:])
        return cls(index=column[order], weight=weight[order], start=start)

    def to(self, like: Tensor) -> NeighbourTable:
        """Weights in the dtype, and all on the device, of a tensor."""
        device = like.device
        return NeighbourTable(index=self.index.to(device), weight=self.weight.to(like), start=self.start.to(device))

    def apply(self, table: Tensor, first: int, last: int, bounds: tuple[int, int]) -> Tensor:
        """Rows ``first`` to ``last`` of the product with ``(row, content)``.

        Args:
            table: What is read.
            first: First row written.
            last: Row after the last one written.
            bounds: ``start[first]`` and ``start[last]`` as numbers, so that nothing waits for the device.
        """
        low, high = bounds
        return torch.nn.functional.embedding_bag(
            self.index[low:high],
            table,
            self.start[first:last] - low,
            mode="sum",
            per_sample_weights=self.weight[low:high],
        )


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """The tables of one angle, over the block of turned cells that anything reaches.

    Attributes:
        share: From voxels to the cells of the block, keeping activity.
        collect: Its transpose, from cells to voxels.
        interpolate: From voxels to the cells of the block, keeping values.
        u: Which of the turned cells along u the block holds.
        depth: The same along depth.
    """

    share: NeighbourTable
    collect: NeighbourTable
    interpolate: NeighbourTable
    u: slice
    depth: slice

    @classmethod
    def of(cls, grid: Grid, angle_deg: float, rasters: tuple[Raster, Raster], support: Tensor | None = None) -> Rotation:
        """Tables that turn a grid by an angle.

        Args:
            grid: Where the volumes lie.
            angle_deg: Where the head stands [degree].
            rasters: Turned cells along u and depth, as `turned_rasters` makes them.
            support: Voxels that are turned, ``(x, y)``; None for all. Activity elsewhere is not seen.
        """
        cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
        across, ahead = _centred(grid, 0), _centred(grid, 1)
        x, y = _plane(across.centres_mm, ahead.centres_mm)
        turned = torch.arange(len(x)) if support is None else support.flatten().nonzero().flatten()
        cell, weight = _neighbours(x[turned] * cos - y[turned] * sin, x[turned] * sin + y[turned] * cos, *rasters)
        reached = cell[:, weight > 0]
        u, depth = (slice(int(c.min()), int(c.max()) + 1) for c in reached)
        columns = depth.stop - depth.start
        cells = (u.stop - u.start) * columns
        # a neighbour of no weight may lie beyond the block; it is left out with its weight
        flat = ((cell[0] - u.start) * columns + cell[1] - depth.start).clamp(0, cells - 1).flatten()
        voxel = turned.expand(4, -1).flatten()
        a, d = _plane(rasters[0].centres_mm[u], rasters[1].centres_mm[depth])
        source, near = _neighbours(a * cos + d * sin, d * cos - a * sin, across, ahead)
        beyond = ((source < 0) | (source >= torch.tensor(grid.shape[:2])[:, None, None])).any(dim=0)
        origin = (source[0] * grid.shape[1] + source[1]).masked_fill(beyond, 0).flatten()
        near = near.masked_fill(beyond, 0.0)
        target = torch.arange(cells).expand(4, -1).flatten()
        return cls(
            share=NeighbourTable.from_triplets(flat, voxel, weight.flatten(), cells),
            collect=NeighbourTable.from_triplets(voxel, flat, weight.flatten(), len(x)),
            interpolate=NeighbourTable.from_triplets(target, origin, near.flatten(), cells),
            u=u,
            depth=depth,
        )

    @property
    def is_exact(self) -> bool:
        """Whether every voxel falls onto a cell, so that nothing is spread."""
        return len(self.share.weight) == int((self.collect.start.diff() > 0).sum())

    def to(self, like: Tensor) -> Rotation:
        """Weights in the dtype, and all on the device, of a tensor."""
        tables = {name: getattr(self, name).to(like) for name in ("share", "collect", "interpolate")}
        return Rotation(**tables, u=self.u, depth=self.depth)


def turned_rasters(grid: Grid) -> tuple[Raster, Raster]:
    """Cells along u and depth that hold every voxel of a grid at any angle; unturned, they fall onto the voxels."""
    step = math.sqrt(grid.spacing_mm[0] * grid.spacing_mm[1])
    reach = math.hypot(*((n - 1) * s for n, s in zip(grid.shape[:2], grid.spacing_mm[:2], strict=True)))
    fewest = math.ceil(reach / step) + 2
    u, depth = (Raster(count=fewest + (fewest - n) % 2, step_mm=step) for n in grid.shape[:2])
    return u, depth


def _centred(grid: Grid, axis: int) -> Raster:
    """Voxels along an axis, about the middle of the grid."""
    return Raster(count=grid.shape[axis], step_mm=grid.spacing_mm[axis])


def _plane(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates of all pairs, flat, the second running fastest."""
    a, b = torch.meshgrid(first, second, indexing="ij")
    return a.flatten(), b.flatten()


def _neighbours(p: Tensor, q: Tensor, first: Raster, second: Raster) -> tuple[Tensor, Tensor]:
    """The four cells about points, ``(axis, 4, point)``, whether they exist or not, and their weights, ``(4, point)``."""
    pairs = []
    for value, raster in ((p, first), (q, second)):
        position = value / raster.step_mm + 0.5 * (raster.count - 1)
        # what lies on a centre but for round-off belongs to it alone
        position = torch.where((position - position.round()).abs() < 1e-9, position.round(), position)
        lower = position.floor()
        pairs.append((torch.stack([lower, lower + 1.0]).long(), torch.stack([1.0 - (position - lower), position - lower])))
    (i, wi), (j, wj) = pairs
    cells = torch.stack([i.repeat_interleave(2, dim=0), j.repeat(2, 1)])
    return cells, wi.repeat_interleave(2, dim=0) * wj.repeat(2, 1)
