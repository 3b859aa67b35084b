"""Parts of a field of view, so that a network learns trunks, heads and whole bodies from the same patients."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["FieldWindows"]


class FieldWindows:
    """Draws the part of a field that a batch shows: as a camera stops at any height of the patient, and beside the arms or within them.

    Depth stays whole, for both views look through all of it. Across, the part lies about the middle, where the patient does.

    Args:
        smallest: Fewest voxels along x and z; the length drawn is uniform between that and the whole.
        whole: Share of the batches that show the whole field.
    """

    def __init__(self, *, smallest: Sequence[int], whole: float = 0.0) -> None:
        if len(smallest) != 2 or min(smallest) < 1:
            raise ValueError(f"smallest must hold two positive numbers of voxels, along x and z, got {list(smallest)}")
        if not 0 <= whole <= 1:
            raise ValueError(f"whole must lie between 0 and 1, got {whole}; it is a share of the batches")
        self.smallest = (int(smallest[0]), int(smallest[1]))
        self.whole = whole

    def draw(self, shape: Sequence[int], generator: torch.Generator) -> tuple[slice, slice]:
        """Voxels along x and along z.

        Args:
            shape: Voxels of the field along x, y, z.
            generator: Where it is drawn from.
        """
        chance, across, along, place = torch.rand(4, generator=generator).tolist()
        if chance < self.whole:
            return slice(0, shape[0]), slice(0, shape[2])
        x = _between(self.smallest[0], shape[0], across)
        z = _between(self.smallest[1], shape[2], along)
        first_x, first_z = (shape[0] - x) // 2, _between(0, shape[2] - z, place)
        return slice(first_x, first_x + x), slice(first_z, first_z + z)


def _between(low: int, high: int, share: float) -> int:
    """An integer of a range, the share from 0 to 1 going evenly over all of them; the upper end where the range is empty."""
    low = min(low, high)
    return low + min(int(share * (high - low + 1)), high - low)
