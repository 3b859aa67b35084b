"""What is known of an effective half-life before it is measured: log-normal between patients, cut at the physical half-life.

``ln T ~ N(m, s^2)`` given ``T < T_phys``. The m of the whole distribution is solved such that the median of what is left is the one asked
for: ``2 Phi((ln T_med - m) / s) = Phi((ln T_phys - m) / s)``. Half-times are log-normal between patients: PMC8882881.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.units import SECONDS_PER_HOUR

__all__ = ["EffectiveHalfLifePrior", "HalfLifePriors"]

_STEPS = 80
_REACH_SD = 5.0
_STANDARD = NormalDist()


@dataclass(frozen=True, kw_only=True)
class EffectiveHalfLifePrior:
    """Effective half-life of a tissue in a population.

    Attributes:
        median_h: Median [h].
        log_sd: Standard deviation of the logarithm before the cut at the physical half-life.
    """

    median_h: float
    log_sd: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.median_h) and self.median_h > 0):
            raise ValueError(f"median_h must be a positive half-life, got {self.median_h}")
        if not (math.isfinite(self.log_sd) and self.log_sd > 0):
            raise ValueError(f"log_sd must be positive, got {self.log_sd}; it is about the relative spread between patients")

    def location(self, half_life_s: float) -> float:
        """m, of the half-life in seconds.

        Args:
            half_life_s: Physical half-life [s].

        Raises:
            ValueError: The median is longer than the physical half-life.
        """
        if not self.median_h * SECONDS_PER_HOUR < half_life_s:
            raise ValueError(
                f"median_h must be shorter than the physical half-life of {half_life_s / SECONDS_PER_HOUR:g} h, got {self.median_h:g} h; "
                f"an effective half-life cannot be longer"
            )
        median, limit = math.log(self.median_h * SECONDS_PER_HOUR), math.log(half_life_s)
        low, high = median - _REACH_SD * self.log_sd, median + _REACH_SD * self.log_sd
        for _ in range(_STEPS):
            middle = 0.5 * (low + high)
            half, upto = (_STANDARD.cdf((end - middle) / self.log_sd) for end in (median, limit))
            # where the median of what is left lies below the one asked for, m is too small
            low, high = (middle, high) if 2.0 * half > upto else (low, middle)
        return 0.5 * (low + high)


@dataclass(frozen=True, kw_only=True, eq=False)
class HalfLifePriors:
    """The priors of several curves, as numbers.

    Attributes:
        location: m of each, of the half-life in seconds, ``(n,)``.
        log_sd: s of each, ``(n,)``.
        log_limit: Logarithm of the physical half-life in seconds.
    """

    location: Float[Tensor, " n"]
    log_sd: Float[Tensor, " n"]
    log_limit: float

    @classmethod
    def of(
        cls, prior: EffectiveHalfLifePrior | Sequence[EffectiveHalfLifePrior], *, n: int, half_life_s: float, like: Tensor
    ) -> HalfLifePriors:
        """Priors of ``n`` curves, in float64 on the device of ``like``.

        Args:
            prior: One for all, or one for each curve.
            n: Number of curves.
            half_life_s: Physical half-life [s].
            like: A tensor on the device wanted.

        Raises:
            ValueError: Their number is not that of the curves, or a median is longer than the physical half-life.
        """
        each = [prior] if isinstance(prior, EffectiveHalfLifePrior) else list(prior)
        if len(each) not in (1, n):
            raise ValueError(f"prior holds {len(each)} half-lives and there are {n} curves; give one for all or one for each")
        found = {p: p.location(half_life_s) for p in set(each)}
        numbers = torch.tensor([[found[p], p.log_sd] for p in each], dtype=torch.float64, device=like.device).expand(n, 2)
        return cls(location=numbers[:, 0], log_sd=numbers[:, 1], log_limit=math.log(half_life_s))

    def repeated(self, times: int) -> HalfLifePriors:
        """The same priors over and over, as of the organs of several patients."""
        return HalfLifePriors(location=self.location.repeat(times), log_sd=self.log_sd.repeat(times), log_limit=self.log_limit)

    def __len__(self) -> int:
        return len(self.location)

    def __getitem__(self, index: slice) -> HalfLifePriors:
        return HalfLifePriors(location=self.location[index], log_sd=self.log_sd[index], log_limit=self.log_limit)

    def quantile(self, p: Float[Tensor, " q"]) -> Float[Tensor, "n q"]:
        """Half-lives at quantiles of the distribution that is left, ``(n, q)`` [s]."""
        upto = torch.special.ndtr((self.log_limit - self.location) / self.log_sd)
        tiny = torch.finfo(torch.float64).tiny
        normal = torch.special.ndtri((p.to(self.location) * upto[:, None]).clamp(min=tiny))
        return (self.location[:, None] + self.log_sd[:, None] * normal).clamp(max=self.log_limit).exp()
