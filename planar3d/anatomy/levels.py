"""The shift of each organ's wall that gives the organ the volume drawn for it.

Organs are cut from what the parts in front leave free. Large ones are solved on one fixed lattice over the trunk, or over the head;
small ones on a lattice of their own, fine enough to hold some thousand points. So the level does not depend on the grid that is
rendered.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from planar3d.anatomy.habitus import Habitus
from planar3d.anatomy.implicit import Field
from planar3d.anatomy.parts import Part
from planar3d.anatomy.place import BOW_REACH_MM, Place, place_of
from planar3d.grid import Grid

__all__ = ["solve_levels"]

_TRUNK_GRID = Grid.centred((52, 34, 90), 8.0, (0.0, 0.0, -40.0))
_HEAD_GRID = Grid.centred((30, 34, 50), 8.0, (0.0, 0.0, 472.0))
_SMALL_ML = 60.0
_POINTS_INSIDE = 1500.0
_MARGIN_MM = 16.0
_LEVEL_RANGE_MM = 24.0
_LIVER_LEVEL_RANGE_MM = 300.0


@dataclass(kw_only=True)
class _Lattice:
    """A solving grid and which of its places are still free."""

    grid: Grid
    at: Place
    free: torch.Tensor


def solve_levels(habitus: Habitus, parts: list[Part], device: torch.device | str = "cpu") -> list[float]:
    """Level of each part's wall, 0 where no volume is asked [mm].

    Args:
        habitus: The build.
        parts: In order of priority; those of the head may be missing.
        device: Where to compute.
    """
    regions = {False: _lattice(habitus, _TRUNK_GRID, device)}
    if any(p.is_of_head for p in parts):
        regions[True] = _lattice(habitus, _HEAD_GRID, device)
    levels: list[float] = []
    for index, part in enumerate(parts):
        region = regions[part.is_of_head]
        level = 0.0
        if part.is_sized:
            small = habitus.volumes_ml[part.organ] < _SMALL_ML
            where = _own_lattice(habitus, parts[:index], levels, part, device) if small else region
            level = _level(part, habitus.volumes_ml[part.organ], where)
        levels.append(level)
        if any(later.is_sized for later in parts[index + 1 :]):
            for lattice in regions.values():
                _occupy(lattice, part, level)
    return levels


def _lattice(habitus: Habitus, grid: Grid, device: torch.device | str) -> _Lattice:
    return _Lattice(grid=grid, at=place_of(habitus, grid, device), free=torch.ones(grid.shape, dtype=torch.bool, device=device))


def _own_lattice(habitus: Habitus, before: list[Part], levels: list[float], part: Part, device: torch.device | str) -> _Lattice:
    """A fine lattice about a small part, without what the parts in front take."""
    spacing = (1000.0 * habitus.volumes_ml[part.organ] / _POINTS_INSIDE) ** (1.0 / 3.0)
    corners = []
    for axis, (low, high) in enumerate(part.box):
        size = habitus.scale[axis] if axis == 2 else max(habitus.scale[axis], habitus.head_scale) * 1.06
        margin = _MARGIN_MM + (abs(habitus.bend_mm) if axis == 0 and part.box[2][0] < BOW_REACH_MM else 0.0)
        corners.append((min(low * size, low) - margin, max(high * size, high) + margin))
    shape = [round((high - low) / 4.0) for low, high in corners]
    coarse = Grid.centred(shape, 4.0, [0.5 * (low + high) for low, high in corners])
    at = place_of(habitus, coarse, device)
    # Where it is, found coarsely: twice its volume, and as much again about it.
    wall = part.solid(at) if part.clip is None else torch.maximum(part.solid(at), part.clip(at))
    count = max(1, round(2.0 * habitus.volumes_ml[part.organ] / coarse.voxel_volume_ml))
    near = torch.nonzero(wall <= wall.flatten().kthvalue(count).values)
    first, last = near.amin(dim=0).tolist(), near.amax(dim=0).tolist()
    low = [o + s * (i - 1.5) for o, s, i in zip(coarse.origin_mm, coarse.spacing_mm, first, strict=True)]
    high = [o + s * (i + 1.5) for o, s, i in zip(coarse.origin_mm, coarse.spacing_mm, last, strict=True)]
    shape = [max(2, round((b - a) / spacing)) for a, b in zip(low, high, strict=True)]
    fine = Grid.centred(shape, spacing, [0.5 * (a + b) for a, b in zip(low, high, strict=True)])
    lattice = _lattice(habitus, fine, device)
    for other, level in zip(before, levels, strict=True):
        _occupy(lattice, other, level)
    return lattice


def _occupy(lattice: _Lattice, part: Part, level: float) -> None:
    """Take a part's voxels out of what is free."""
    window = lattice.at.window(part.box)
    if window is not None:
        lattice.free[window] &= part.wall(lattice.at.cut(window), level) >= 0


def _level(part: Part, volume_ml: float, lattice: _Lattice) -> float:
    """Level at which the free places inside have a volume."""
    window = lattice.at.window(part.box)
    if window is None:
        return 0.0
    at, free = lattice.at.cut(window), lattice.free[window]
    values: Field = part.solid(at)[free if part.clip is None else free & (part.clip(at) < 0)]
    if len(values) == 0:
        return 0.0
    count = volume_ml / lattice.grid.voxel_volume_ml
    most = _LIVER_LEVEL_RANGE_MM if part.organ == "liver" else _LEVEL_RANGE_MM
    rank = max(1, min(round(count), len(values)))
    return max(-most, min(most, float(values.kthvalue(rank).values)))
