"""Straight lines between the points and an exponential tail: exact for curves that are so, and safe where no model fits.

``TIA = h + sum_i (a_i + a_(i+1)) (t_(i+1) - t_i) / 2 + a_n / lambda``. Before the first time the curve is constant (``h = a_1 t_1``) or
rises from zero in a line (``h = a_1 t_1 / 2``). The tail decays with the physical rate, an upper bound, or with that between the last two
points where it is faster.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.curve_model import LN2
from planar3d.dosimetry.time_integrated_activity import TRAPEZOID, TimeIntegratedActivity

__all__ = ["STARTS", "TAILS", "trapezoid"]

TAILS = ("physical", "last")
STARTS = ("constant", "zero")


def trapezoid(
    activity_bq: Float[Tensor, "n t"],
    covariance_bq2: Float[Tensor, "n t t"],
    *,
    times_s: Float[Tensor, " t"],
    half_life_s: float,
    tail: str = "physical",
    start: str = "constant",
) -> TimeIntegratedActivity:
    """Trapezoids of several curves.

    Args:
        activity_bq: ``(n, t)`` [Bq].
        covariance_bq2: Of each curve's points, ``(n, t, t)`` [Bq^2].
        times_s: After injection, ascending, ``(t,)`` [s].
        half_life_s: Physical half-life [s].
        tail: ``"physical"`` or ``"last"``.
        start: ``"constant"`` or ``"zero"``.

    Raises:
        ValueError: ``tail`` or ``start`` is not known.
    """
    for name, value, known in (("tail", tail, TAILS), ("start", start, STARTS)):
        if value not in known:
            raise ValueError(f"{name} {value!r} is not known; known are {', '.join(known)}")
    gaps = times_s.diff()
    weight = torch.zeros_like(times_s)
    weight[:-1] += 0.5 * gaps
    weight[1:] += 0.5 * gaps
    weight[0] += times_s[0] * (1.0 if start == "constant" else 0.5)
    last = activity_bq[:, -1]
    rate, rate_slope = _tail_rate(activity_bq, times_s, half_life_s, tail)
    gradient = weight.expand_as(activity_bq).clone()
    gradient[:, -1] += 1.0 / rate
    gradient -= (last / rate.square())[:, None] * rate_slope
    after = last / rate
    value = activity_bq @ weight + after
    variance = torch.einsum("ns,nst,nt->n", gradient, covariance_bq2, gradient)
    coefficient = last * torch.exp(rate * times_s[-1])
    return TimeIntegratedActivity(
        value_bq_s=value,
        standard_error_bq_s=variance.clamp(min=0.0).sqrt(),
        extrapolated_fraction=torch.where(value > 0, after / value, 0.0),
        method=torch.full_like(last, TRAPEZOID, dtype=torch.long),
        coefficients_bq=torch.stack([coefficient, torch.zeros_like(coefficient)], dim=1),
        rates_per_s=rate[:, None].expand(-1, 2).contiguous(),
        half_life_s=LN2 / rate,
        half_life_log_sd=torch.full_like(last, torch.nan),
        chi_square=torch.zeros_like(last),
        sensitivity_s=gradient,
        prior_variance_bq2_s2=torch.zeros_like(last),
        points_bq=activity_bq,
        times_s=times_s,
        start=start,
    )


def _tail_rate(activity: Tensor, times_s: Tensor, half_life_s: float, tail: str) -> tuple[Tensor, Tensor]:
    """Rate of the tail ``(n,)`` [1/s], and its derivative by each point, ``(n, t)``."""
    physical = torch.full_like(activity[:, 0], LN2 / half_life_s)
    slope = torch.zeros_like(activity)
    if tail == "physical" or len(times_s) < 2:
        return physical, slope
    gap = times_s[-1] - times_s[-2]
    before, last = activity[:, -2], activity[:, -1]
    known = (before > 0) & (last > 0)
    steeper = torch.where(known, torch.where(known, before / last, 1.0).log() / gap, 0.0)
    faster = steeper > physical
    slope[:, -2] = torch.where(faster, 1.0 / (gap * torch.where(known, before, 1.0)), 0.0)
    slope[:, -1] = torch.where(faster, -1.0 / (gap * torch.where(known, last, 1.0)), 0.0)
    return torch.where(faster, steeper, physical), slope
