"""Time-activity curves as sums of decaying exponentials, never slower than physical decay.

``A(t) = sum_r c_r exp(-lambda_r t)``, ``lambda_r = lambda_phys + e^(u_1) + ... + e^(u_r)``, so the first is the slowest, and its
coefficients follow from amplitudes: one exponential ``c = (a)``, two ``c = (a_1, a_2)``, uptake and washout ``c = (a, -a)``, zero at
injection. Parameters are ``theta = (ln a_1, ..., u_1, ...)``: amplitudes are positive and clearance is at least the physical one, whatever
theta. The integral from t_0 on is ``sum_r c_r exp(-lambda_r t_0) / lambda_r``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["BI_EXPONENTIAL", "MONO_EXPONENTIAL", "UPTAKE_WASHOUT", "CurveModel", "Exponentials"]

LN2 = math.log(2.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Exponentials:
    """Curves of one model.

    Attributes:
        amplitudes: ``(n, amplitude)``.
        steps_per_s: ``e^u``, by which each rate exceeds the one before, ``(n, rate)`` [1/s].
        mixing: Coefficient of each exponential per amplitude, ``(amplitude, rate)``.
        physical_rate_per_s: Decay constant [1/s].
    """

    amplitudes: Float[Tensor, "n a"]
    steps_per_s: Float[Tensor, "n r"]
    mixing: Float[Tensor, "a r"]
    physical_rate_per_s: float

    @property
    def rates_per_s(self) -> Float[Tensor, "n r"]:
        """Rates, slowest first [1/s]."""
        return self.physical_rate_per_s + self.steps_per_s.cumsum(dim=1)

    @property
    def coefficients(self) -> Float[Tensor, "n r"]:
        """Coefficient of each exponential, in the unit of the amplitudes."""
        return self.amplitudes @ self.mixing

    def activity(self, times_s: Float[Tensor, " t"]) -> Float[Tensor, "n t"]:
        """Activity at times after injection, ``(n, t)``."""
        return torch.einsum("nr,nrt->nt", self.coefficients, self._decayed(times_s))

    def activity_slope(self, times_s: Float[Tensor, " t"]) -> Float[Tensor, "n t p"]:
        """Derivative of `activity` by theta, ``(n, t, p)``."""
        decayed = self._decayed(times_s)
        by_amplitude = torch.einsum("na,ar,nrt->nta", self.amplitudes, self.mixing, decayed)
        by_rate = -times_s[None, :, None] * (self.coefficients[:, None] * decayed.mT)
        return torch.cat([by_amplitude, _summed_from(by_rate) * self.steps_per_s[:, None]], dim=2)

    def integral(self, from_s: float = 0.0) -> Float[Tensor, " n"]:
        """Integral from a time to infinity, ``(n,)``."""
        rates = self.rates_per_s
        return (self.coefficients * torch.exp(-rates * from_s) / rates).sum(dim=1)

    def integral_slope(self, from_s: float = 0.0) -> Float[Tensor, "n p"]:
        """Derivative of `integral` by theta, ``(n, p)``."""
        rates = self.rates_per_s
        tail = torch.exp(-rates * from_s) / rates
        by_rate = -self.coefficients * tail * (1.0 / rates + from_s)
        return torch.cat([self.amplitudes * (tail @ self.mixing.T), _summed_from(by_rate) * self.steps_per_s], dim=1)

    def _decayed(self, times_s: Tensor) -> Tensor:
        """``exp(-lambda t)``, ``(n, r, t)``."""
        return torch.exp(-self.rates_per_s[:, :, None] * times_s)


@dataclass(frozen=True, kw_only=True)
class CurveModel:
    """A kind of curve.

    Attributes:
        name: What it is called.
        mixing: Coefficient of each exponential per amplitude.
        can_rise: Whether it can rise towards the end.
    """

    name: str
    mixing: tuple[tuple[float, ...], ...]
    can_rise: bool = False

    @property
    def n_amplitudes(self) -> int:
        """Number of amplitudes."""
        return len(self.mixing)

    @property
    def n_rates(self) -> int:
        """Number of exponentials."""
        return len(self.mixing[0])

    @property
    def n_parameters(self) -> int:
        """Length of theta."""
        return self.n_amplitudes + self.n_rates

    def curves(self, theta: Float[Tensor, "n p"], physical_rate_per_s: float) -> Exponentials:
        """The curves of parameters ``(n, p)``."""
        return Exponentials(
            amplitudes=theta[:, : self.n_amplitudes].exp(),
            steps_per_s=theta[:, self.n_amplitudes :].exp(),
            mixing=theta.new_tensor(self.mixing),
            physical_rate_per_s=physical_rate_per_s,
        )


def _summed_from(by_rate: Tensor) -> Tensor:
    """A step moves its own rate and all faster ones: sums over r and above along the last axis."""
    return by_rate.flip(-1).cumsum(dim=-1).flip(-1)


MONO_EXPONENTIAL = CurveModel(name="mono_exponential", mixing=((1.0,),))
"""One washout."""
BI_EXPONENTIAL = CurveModel(name="bi_exponential", mixing=((1.0, 0.0), (0.0, 1.0)))
"""A slow and a fast washout."""
UPTAKE_WASHOUT = CurveModel(name="uptake_washout", mixing=((1.0, -1.0),), can_rise=True)
"""Uptake from zero at injection, and one washout."""
