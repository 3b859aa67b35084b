"""Effective half-times: log-normal between patients, cut at the physical half-life and below, of a given median.

``ln T = m + s n`` given ``T_min < T < T_phys``. The m of the whole distribution is solved such that the median of what is left is the one
asked for: ``2 Phi((ln T_med - m) / s) = Phi((ln T_min - m) / s) + Phi((ln T_phys - m) / s)``. Log-normal half-times: PMC8882881.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["EffectiveHalfTime"]

_STEPS = 60
_REACH_SD = 5.0


class EffectiveHalfTime:
    """Half-times of several tissues.

    Args:
        median_h: Medians, ``(tissues,)`` [h].
        log_sd: Standard deviations s of the logarithm before the cut, ``(tissues,)``.
        shortest_h: Shortest half-times, ``(tissues,)`` [h].
        limit_h: Physical half-life [h].
    """

    def __init__(self, *, median_h: Tensor, log_sd: Tensor, shortest_h: Tensor, limit_h: float) -> None:
        if not (median_h.min() > 0 and median_h.max() < limit_h):
            raise ValueError(f"half_time_h must lie between 0 and the physical half-life of {limit_h:g} h, got {median_h.tolist()}")
        if not (shortest_h < median_h).all():
            raise ValueError(f"shortest_half_time_h must lie below the median {median_h.tolist()} h, got {shortest_h.tolist()}")
        self.shortest = shortest_h.double().log()
        self.limit = torch.tensor(math.log(limit_h), dtype=torch.float64)
        self.sd = log_sd.double().clamp_min(1e-6)
        self.mean = self._mean(median_h.double().log())

    def __call__(self, normal: Tensor) -> Tensor:
        """Half-times of a patient, ``(tissues,)`` [h].

        Args:
            normal: A standard normal per tissue, ``(tissues,)``; high is slow, zero is the median.
        """
        below, upto = (torch.special.ndtr((end - self.mean) / self.sd) for end in (self.shortest, self.limit))
        tiny = torch.finfo(torch.float64).eps
        quantile = (below + torch.special.ndtr(normal.double()) * (upto - below)).clamp(tiny, 1.0 - tiny)
        log = (self.mean + self.sd * torch.special.ndtri(quantile)).minimum(self.limit).maximum(self.shortest)
        return log.exp().to(normal.dtype)

    def _mean(self, median: Tensor) -> Tensor:
        """m, by bisection some standard deviations about the median itself."""
        low, high = median - _REACH_SD * self.sd, median + _REACH_SD * self.sd
        for _ in range(_STEPS):
            middle = 0.5 * (low + high)
            below, half, upto = (torch.special.ndtr((end - middle) / self.sd) for end in (self.shortest, median, self.limit))
            is_low = 2.0 * half > below + upto  # the median of what is left lies below the one asked for
            low, high = torch.where(is_low, middle, low), torch.where(is_low, high, middle)
        return 0.5 * (low + high)
