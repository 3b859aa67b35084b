"""A row of equal cells along one axis: voxels of a volume, or pixels of a detector."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Raster"]


@dataclass(frozen=True, kw_only=True)
class Raster:
    """Cells that touch, in order of their coordinate.

    Attributes:
        count: Number of cells.
        step_mm: Edge of a cell [mm].
        centre_mm: Coordinate of the middle of the row [mm].
    """

    count: int
    step_mm: float
    centre_mm: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 1 or not self.step_mm > 0:
            raise ValueError(f"a raster needs a positive count and step_mm, got count={self.count}, step_mm={self.step_mm}")

    @property
    def centres_mm(self) -> Tensor:
        """Coordinates of the cell centres, ``(count,)`` float64 [mm]."""
        index = torch.arange(self.count, dtype=torch.float64)
        return self.centre_mm + (index - 0.5 * (self.count - 1)) * self.step_mm

    def coarser(self, factor: int) -> Raster:
        """Cells ``factor`` times as wide whose centres span those of this row."""
        if factor < 1:
            raise ValueError(f"factor must be at least 1, got {factor}")
        return Raster(count=-(-(self.count - 1) // factor) + 1, step_mm=factor * self.step_mm, centre_mm=self.centre_mm)

    def sharing(self, factor: int) -> Tensor:
        """How each cell is shared out between the two coarser ones about its centre, ``(coarse, count)`` float64.

        Content and centre are kept exactly: a column sums to one, and times the coarser centres to the cell's own.
        """
        coarse = self.coarser(factor)
        apart = (coarse.centres_mm[:, None] - self.centres_mm[None, :]).abs() / coarse.step_mm
        return (1.0 - apart).clamp(min=0.0)
