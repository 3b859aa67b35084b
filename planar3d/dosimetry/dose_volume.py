"""Dose-volume histogram of a region.

    V(d) = share of the mass with a dose of at least d,    D_x = greatest d with V(d) >= x %

D2 is nearly the maximum, D98 nearly the minimum, D50 the median.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["DoseVolume"]


@dataclass(frozen=True, kw_only=True)
class DoseVolume:
    """Voxel doses of a region, from the least to the greatest.

    Attributes:
        dose_gy: Doses in rising order, ``(n,)`` [Gy].
        share: Share of the region's mass that each voxel has, ``(n,)``; adds up to 1.
    """

    dose_gy: Float[Tensor, " n"]
    share: Float[Tensor, " n"]

    @classmethod
    def of(
        cls,
        dose_gy: Float[Tensor, "*shape"],
        region: Bool[Tensor, "*shape"],
        *,
        density_g_per_ml: Float[Tensor, "*shape"] | None = None,
        name: str = "region",
    ) -> DoseVolume:
        """Histogram of the voxels in a region.

        Args:
            dose_gy: Dose map [Gy].
            region: Where the region is.
            density_g_per_ml: Mass density; None to weigh by volume [g/mL].
            name: What to call the region in an error.

        Raises:
            ValueError: The region has no voxel.
        """
        if not bool(region.any()):
            raise ValueError(f"{name} has no voxel; a dose-volume histogram needs at least one, check the labels")
        dose, order = dose_gy[region].sort()
        weight = torch.ones_like(dose) if density_g_per_ml is None else density_g_per_ml[region].to(dose)[order]
        return cls(dose_gy=dose, share=weight / weight.sum())

    @property
    def mean_gy(self) -> float:
        """Mean dose [Gy]."""
        return float((self.dose_gy * self.share).sum())

    def dose_to(self, percent: float) -> float:
        """D_x: the least dose that the hottest ``percent`` of the region has [Gy].

        Raises:
            ValueError: Not between 0 and 100.
        """
        if not 0.0 <= percent <= 100.0:
            raise ValueError(f"percent must lie between 0 and 100, got {percent}; D98 is dose_to(98)")
        below = self.share.cumsum(0) - self.share
        # half of one voxel's rounding, so that D100 is the minimum
        index = int((below <= 1.0 - percent / 100.0 + 1e-6).sum()) - 1
        return float(self.dose_gy[min(index, len(self.dose_gy) - 1)])

    def share_above(self, dose_gy: float) -> float:
        """V_x: share of the region with at least this dose."""
        return float(self.share[self.dose_gy >= dose_gy].sum())

    def curve(self, points: int = 200) -> tuple[Float[Tensor, " p"], Float[Tensor, " p"]]:
        """Cumulative histogram: doses from 0 to the maximum [Gy], and the share with at least each."""
        doses = torch.linspace(0.0, 1.0, points, dtype=self.dose_gy.dtype, device=self.dose_gy.device) * self.dose_gy[-1]
        above = torch.cat([self.share.flip(0).cumsum(0).flip(0), self.share.new_zeros(1)])
        return doses, above[torch.searchsorted(self.dose_gy, doses)]
