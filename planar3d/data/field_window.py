"""Parts of a field of view, so that a network learns trunks, heads and whole bodies from the same patients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from planar3d.anatomy.field import TORSO
from planar3d.grid import Grid

__all__ = ["FieldWindows"]

_ROUNDING = 1e-6  # of a voxel: fields that share their edges shall do so in floating point too


class FieldWindows:
    """Draws the part of a field that a batch shows: as a camera stops at any height of the patient, and beside the arms or within them.

    Depth stays whole, for both views look through all of it. Across, the part lies about the middle, where the patient does.

    Args:
        smallest: Fewest voxels along x and z; the length drawn is uniform between that and the whole.
        whole: Share of the batches that show the whole field.
        torso: Share of the batches that show the trunk alone, `planar3d.anatomy.field.TORSO`.
    """

    def __init__(self, *, smallest: Sequence[int], whole: float = 0.0, torso: float = 0.0) -> None:
        if len(smallest) != 2 or min(smallest) < 1:
            raise ValueError(f"smallest must hold two positive numbers of voxels, along x and z, got {list(smallest)}")
        if not 0 <= whole <= 1:
            raise ValueError(f"whole must lie between 0 and 1, got {whole}; it is a share of the batches")
        if not 0 <= torso <= 1 - whole:
            raise ValueError(f"torso must lie between 0 and 1 - whole = {1 - whole:g}, got {torso}; both are shares of the batches")
        self.smallest = (int(smallest[0]), int(smallest[1]))
        self.whole = whole
        self.torso = torso

    def draw(self, grid: Grid, generator: torch.Generator) -> tuple[slice, slice]:
        """Voxels along x and along z.

        Args:
            grid: The field.
            generator: Where it is drawn from.
        """
        chance, across, along, place = torch.rand(4, generator=generator).tolist()
        shape = grid.shape
        if chance < self.whole:
            return slice(0, shape[0]), slice(0, shape[2])
        if chance < self.whole + self.torso:
            return _within(grid, TORSO, 0), _within(grid, TORSO, 2)
        x = _between(self.smallest[0], shape[0], across)
        z = _between(self.smallest[1], shape[2], along)
        first_x, first_z = (shape[0] - x) // 2, _between(0, shape[2] - z, place)
        return slice(first_x, first_x + x), slice(first_z, first_z + z)


def _within(grid: Grid, part: Grid, axis: int) -> slice:
    """Voxels of a grid whose middles lie in another one, along an axis."""
    start = part.origin_mm[axis] - 0.5 * part.spacing_mm[axis]
    ends = (start, start + part.shape[axis] * part.spacing_mm[axis])
    first, stop = (math.ceil((end - grid.origin_mm[axis]) / grid.spacing_mm[axis] - _ROUNDING) for end in ends)
    return slice(max(first, 0), min(stop, grid.shape[axis]))


def _between(low: int, high: int, share: float) -> int:
    """An integer of a range, the share from 0 to 1 going evenly over all of them; the upper end where the range is empty."""
    low = min(low, high)
    return low + min(int(share * (high - low + 1)), high - low)
