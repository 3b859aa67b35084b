"""Paralysable dead time of a camera head.

Each event keeps the head busy for ``tau``, and an event in that time prolongs it, so of a true rate ``n`` [cps] it records

``m = n exp(-k n tau)``,  live fraction ``exp(-k n tau)``,  largest recorded rate ``1 / (e k tau)`` at ``n = 1 / (k tau)``.

``n`` and ``m`` are rates in the energy window that is imaged. ``tau`` belongs to the rate it was measured with: where that is another one,
as the full spectrum or the unscattered photons of the peak, ``k`` is that rate per count in the imaged window, taken as the same all over
the patient. Below the maximum the inversion is exact through the principal branch of Lambert's W,

``n = -W0(-k m tau) / (k tau)``

(Heemskerk and Defrise, EJNMMI Physics 7 (2020), doi:10.1186/s40658-020-00296-w). Two true rates give one recorded rate; this is the
lower one, and the error of a rate grows by ``1 / (1 - k n tau)`` on the way back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from planar3d.units import SECONDS_PER_MICROSECOND

__all__ = ["DeadTime", "lambert_w0"]

# Symbia T, medium energy collimator, bottle in a water cylinder, up to 9.12 GBq of 177Lu: dead times [us] driven by the scatter-corrected
# rate of unscattered photons in a 20 % window (Uribe et al., EJNMMI Physics 5 (2018), doi:10.1186/s40658-017-0202-7). Its full-spectrum
# figure, (0.19 +- 0.18) us, is left out: it is not different from zero, and the authors advise against correcting a window with it.
PUBLISHED_US = {"symbia-t-lu177-208": 4.60, "symbia-t-lu177-113": 5.99}

HALLEY_STEPS = 6


@dataclass(frozen=True, kw_only=True)
class DeadTime:
    """Paralysable dead time of one head.

    Attributes:
        tau_s: Dead time [s] that belongs to the rate named by ``reference``.
        reference: In words, the rate that ``tau_s`` was measured with.
        rate_per_window_count: That rate per true count in the imaged window: 1 where it is the rate of the window itself, above 1 for the
            full spectrum, the unscattered share for the rate of unscattered photons.

    Raises:
        ValueError: A figure is not possible.
    """

    tau_s: float
    reference: str = "imaged window"
    rate_per_window_count: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.tau_s) and self.tau_s >= 0):
            raise ValueError(f"tau_s must be non-negative and finite, got {self.tau_s}; give the dead time in seconds, 0 for none")
        if not (math.isfinite(self.rate_per_window_count) and self.rate_per_window_count > 0):
            raise ValueError(
                f"rate_per_window_count must be positive and finite, got {self.rate_per_window_count}; "
                f"give the rate that drives the dead time per count in the imaged window, 1 where it is the same"
            )

    @classmethod
    def from_name(cls, name: str, *, unscattered_fraction: float) -> DeadTime:
        """A published dead time.

        Args:
            name: ``symbia-t-lu177-208`` or ``symbia-t-lu177-113``: Siemens Symbia T, 177Lu, 20 % window at 208 or 113 keV.
            unscattered_fraction: Share of the window's counts that are unscattered, in (0, 1]; the figures belong to their rate.

        Raises:
            ValueError: The name is not known, or the share is not possible.
        """
        if name not in PUBLISHED_US:
            raise ValueError(f"dead time {name!r} is not known; known are {', '.join(PUBLISHED_US)}; or give DeadTime(tau_s=...)")
        if not 0 < unscattered_fraction <= 1:
            raise ValueError(f"unscattered_fraction must lie in (0, 1], got {unscattered_fraction}; give one minus the scatter fraction")
        reference = f"unscattered photons, {name}"
        tau_s = PUBLISHED_US[name] * SECONDS_PER_MICROSECOND
        return cls(tau_s=tau_s, reference=reference, rate_per_window_count=unscattered_fraction)

    @property
    def window_tau_s(self) -> float:
        """Dead time per count in the imaged window, ``k tau`` [s]."""
        return self.tau_s * self.rate_per_window_count

    @property
    def max_observed_rate(self) -> float:
        """Largest rate that the head records [cps]."""
        return math.inf if self.window_tau_s == 0 else 1.0 / (math.e * self.window_tau_s)

    def live_fraction(self, n: Tensor) -> Tensor:
        """Share of the events that is recorded.

        Args:
            n: True rate of the whole head in the imaged window, any shape [cps].
        """
        return torch.exp(-self.window_tau_s * n.to(torch.float64)).to(n.dtype)

    def observed_rate(self, n: Tensor) -> Tensor:
        """Recorded rate [cps] of a true rate ``n`` [cps], both of the whole head in the imaged window."""
        exact = n.to(torch.float64)
        return (exact * torch.exp(-self.window_tau_s * exact)).to(n.dtype)

    def true_rate(self, m: Tensor) -> Tensor:
        """True rate [cps] of a recorded rate ``m`` [cps], the lower of the two that there are.

        Raises:
            ValueError: A rate is negative, not finite or above what the head can record.
        """
        known = m.detach()
        if not ((known >= 0) & torch.isfinite(known)).all():
            raise ValueError("m must be non-negative and finite; give recorded rates in cps")
        if self.window_tau_s == 0:
            return m
        # what rounding alone adds at the maximum
        highest = float(known.max()) if known.numel() else 0.0
        if highest > self.max_observed_rate * (1.0 + 4.0 * torch.finfo(m.dtype).eps):
            raise ValueError(
                f"m reaches {highest:g} cps and a dead time of {self.window_tau_s:g} s per window count lets at most "
                f"{self.max_observed_rate:g} cps through; check tau_s, rate_per_window_count and the unit of the rate"
            )
        x = (-self.window_tau_s * m.to(torch.float64)).clamp(min=-1.0 / math.e)
        return (-lambert_w0(x) / self.window_tau_s).to(m.dtype)


def lambert_w0(x: Tensor) -> Tensor:
    """Principal branch of Lambert's W, ``w exp(w) = x`` with ``w >= -1``, where its argument is not positive; differentiable.

    Args:
        x: Arguments in [-1/e, 0], any shape; outside the result is not a number. The derivative at -1/e is infinite.
    """
    return _LambertW0.apply(x)  # pyright: ignore[reportReturnType]


class _LambertW0(torch.autograd.Function):
    """Halley's iteration, and the derivative ``1 / (exp(w) (1 + w))`` in place of that of the iteration."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        exact = x.to(torch.float64)
        exact = torch.where(exact <= 0, exact, torch.nan)
        # distance from the branch point, and W's series in it
        p = torch.sqrt(2.0 * (1.0 + math.e * exact).clamp(min=0.0) + torch.where(1.0 + math.e * exact < -1e-12, torch.nan, 0.0))
        series = -1.0 + p * (1.0 - p * (1.0 / 3.0 - p * (11.0 / 72.0)))
        w = torch.where(exact > -0.2, exact * (1.0 - exact), series)
        for _ in range(HALLEY_STEPS):
            power = torch.exp(w)
            gap = w * power - exact
            slope = power * (w + 1.0) - 0.5 * (w + 2.0) * gap / (w + 1.0)
            w = w - gap / slope
        # too near the branch point to divide by 1 + w; the series is exact to rounding there
        w = torch.where(p < 1e-4, series, w).to(x.dtype)
        ctx.save_for_backward(w)
        return w

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        (w,) = ctx.saved_tensors
        return grad_outputs[0] * torch.exp(-w) / (1.0 + w)
