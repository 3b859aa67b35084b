"""Time-integrated activities of curves, with what they came from: ``TIA = integral of A(t) from injection to infinity`` [Bq s].

Its variance has a part by the points, ``g C g^T`` with ``g`` the derivative of TIA by each point, and a part by what the points do not say
and a prior does. The first carries over to curves that share noise (organs seen in one image): ``cov_kl = g_k C_kl g_l^T``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float, Integer
from torch import Tensor

__all__ = ["METHODS", "TRAPEZOID", "TimeIntegratedActivity"]

METHODS: tuple[str, ...] = ("mono_exponential", "bi_exponential", "uptake_washout", "trapezoid", "single_time_point", "haenscheid")
"""Name of each method that gives a time-integrated activity: ``METHODS[method]``."""

TRAPEZOID = METHODS.index("trapezoid")


@dataclass(frozen=True, kw_only=True, eq=False)
class TimeIntegratedActivity:
    """Of several curves: organs, lesions or voxels. Where activities are concentrations [Bq/mL], read Bq s/mL for Bq s.

    Attributes:
        value_bq_s: ``(n,)`` [Bq s].
        standard_error_bq_s: ``(n,)`` [Bq s]; NaN where the errors of the points were not known and too few to be found.
        extrapolated_fraction: Share of it after the last time, ``(n,)``.
        method: Index into `METHODS`, ``(n,)``.
        coefficients_bq: Coefficients of the exponentials, zero for one that a curve lacks, ``(n, 2)`` [Bq]; those of the tail alone for
            the trapezoid.
        rates_per_s: Their rates, ``(n, 2)`` [1/s].
        half_life_s: Effective half-life of the slowest exponential, ``(n,)`` [s].
        half_life_log_sd: Standard error of its logarithm, ``(n,)``; NaN where it was not estimated.
        chi_square: Weighted squares left, ``(n,)``.
        sensitivity_s: Derivative by the activity at each time, ``(n, t)`` [s].
        prior_variance_bq2_s2: Variance that the points do not account for, ``(n,)`` [Bq^2 s^2].
        points_bq: What was measured, ``(n, t)`` [Bq].
        times_s: When, after injection, ``(t,)`` [s].
        start: Activity between injection and the first time, for the trapezoid alone.
        covariance_bq2_s2: Between curves, ``(n, n)`` [Bq^2 s^2]; None where no covariance between them was given.
    """

    value_bq_s: Float[Tensor, " n"]
    standard_error_bq_s: Float[Tensor, " n"]
    extrapolated_fraction: Float[Tensor, " n"]
    method: Integer[Tensor, " n"]
    coefficients_bq: Float[Tensor, "n 2"]
    rates_per_s: Float[Tensor, "n 2"]
    half_life_s: Float[Tensor, " n"]
    half_life_log_sd: Float[Tensor, " n"]
    chi_square: Float[Tensor, " n"]
    sensitivity_s: Float[Tensor, "n t"]
    prior_variance_bq2_s2: Float[Tensor, " n"]
    points_bq: Float[Tensor, "n t"]
    times_s: Float[Tensor, " t"]
    start: str = "constant"
    covariance_bq2_s2: Float[Tensor, "n n"] | None = None

    @classmethod
    def joined(cls, parts: Sequence[TimeIntegratedActivity]) -> TimeIntegratedActivity:
        """Curves of several results, one after the other; they share times and have no covariance between them."""
        return replace(parts[0], **{name: torch.cat([getattr(p, name) for p in parts]) for name in cls._of_each_curve()})

    @classmethod
    def picked(cls, results: Sequence[TimeIntegratedActivity], index: Integer[Tensor, " n"]) -> TimeIntegratedActivity:
        """Each curve from one of several results of the same curves.

        Args:
            results: The results.
            index: Which of them, ``(n,)``.
        """
        row = torch.arange(len(index), device=index.device)
        return replace(results[0], **{name: torch.stack([getattr(r, name) for r in results])[index, row] for name in cls._of_each_curve()})

    @classmethod
    def _of_each_curve(cls) -> list[str]:
        """Names of what every curve has of its own."""
        return [f.name for f in fields(cls) if f.name not in ("times_s", "start", "covariance_bq2_s2")]

    @property
    def methods(self) -> list[str]:
        """Name of the method of each curve."""
        return [METHODS[i] for i in self.method.tolist()]

    def activity(self, times_s: Float[Tensor, " m"]) -> Float[Tensor, "n m"]:
        """Activity on the curves at any times after injection, ``(n, m)`` [Bq].

        Args:
            times_s: ``(m,)`` [s].
        """
        decayed = torch.exp(-self.rates_per_s[:, :, None] * times_s)
        smooth = torch.einsum("nr,nrm->nm", self.coefficients_bq, decayed)
        broken = (self.method == TRAPEZOID)[:, None] & (times_s <= self.times_s[-1])[None]
        return torch.where(broken, self._interpolated(times_s), smooth)

    def with_covariance(self, covariance_bq2: Float[Tensor, "n t n t"]) -> TimeIntegratedActivity:
        """The same curves with a covariance between them, by the law of propagation.

        Args:
            covariance_bq2: Of all points of all curves, ``(n, t, n, t)`` [Bq^2].
        """
        g = self.sensitivity_s
        by_points = torch.einsum("ns,nsmt,mt->nm", g, covariance_bq2.to(g), g)
        covariance = by_points + torch.diag(self.prior_variance_bq2_s2)
        return replace(self, covariance_bq2_s2=covariance, standard_error_bq_s=covariance.diagonal().clamp(min=0.0).sqrt())

    def _interpolated(self, times_s: Tensor) -> Tensor:
        """Straight lines between the points, ``(n, m)``."""
        first = self.points_bq[:, :1] if self.start == "constant" else torch.zeros_like(self.points_bq[:, :1])
        knots = torch.cat([self.times_s.new_zeros(1), self.times_s])
        values = torch.cat([first, self.points_bq], dim=1)
        right = torch.searchsorted(knots, times_s.contiguous(), right=True).clamp(1, len(knots) - 1)
        gap = (knots[right] - knots[right - 1]).clamp(min=torch.finfo(knots.dtype).tiny)
        share = ((times_s - knots[right - 1]) / gap).clamp(0.0, 1.0)
        return values[:, right - 1] * (1.0 - share) + values[:, right] * share
