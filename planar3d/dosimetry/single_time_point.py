"""Time-integrated activity from one image, the effective half-life T known from a population or not at all.

With a prior: ``TIA = A(t) f(T)``, ``f = T / ln 2 * 2^(t / T)``, over the truncated log-normal prior of T. Reported is the median of f, as f
has no finite mean (half-lives far below t make it explode), and as standard error the one of which ``+- 1.645`` spans as much as the 5 and
95 % quantiles. One activity says nothing about T, so nothing is fitted.

Without one: the rule of Hänscheid et al. (J Nucl Med 2018;59:75, doi:10.2967/jnumed.117.193706), ``TIA = A(t) * 2 t / ln 2``, which is
exact for T = t and T = t / 2 and hardly hangs on T between: for ``0.75 T <= t <= 2.5 T`` it lies 12 % below to 6 % above the integral of a
mono-exponential (the paper says about 10 %), 5 % in root mean square. Outside of that range of T it fails.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.curve_model import LN2
from planar3d.dosimetry.effective_half_life import HalfLifePriors
from planar3d.dosimetry.time_integrated_activity import METHODS, TimeIntegratedActivity
from planar3d.units import SECONDS_PER_HOUR

__all__ = ["haenscheid", "haenscheid_half_lives_s", "single_time_point"]

_QUANTILES = 401
_SPREAD = (0.05, 0.5, 0.95)
_SPREAD_SD = 1.6448536  # standard deviations of a normal distribution between the median and its 95 % quantile
_CURVES_AT_ONCE = 2**14
_RULE_RANGE = (0.75, 2.5)  # of t / T
_RULE_ERROR = 0.053


def single_time_point(
    activity_bq: Float[Tensor, " n"], variance_bq2: Float[Tensor, " n"], *, time_s: float, half_life_s: float, priors: HalfLifePriors
) -> TimeIntegratedActivity:
    """One time and a prior of the half-life.

    Args:
        activity_bq: At the time, ``(n,)`` [Bq].
        variance_bq2: Of it, ``(n,)`` [Bq^2].
        time_s: After injection [s].
        half_life_s: Physical half-life [s].
        priors: Of the effective half-lives.
    """
    middle = (torch.arange(_QUANTILES, dtype=torch.float64, device=activity_bq.device) + 0.5) / _QUANTILES
    found = []
    for i in range(0, len(activity_bq), _CURVES_AT_ONCE):
        half_lives = priors[i : i + _CURVES_AT_ONCE].quantile(middle)
        factors = half_lives / LN2 * torch.exp2((time_s / half_lives).clamp(max=1000.0))
        found.append(torch.quantile(factors, factors.new_tensor(_SPREAD), dim=1))
    low, factor, high = torch.cat(found, dim=1)
    half = torch.tensor([0.5], dtype=torch.float64, device=activity_bq.device)
    # the half-life whose curve has the factor reported is one of two; the median of the prior tells which it stands for
    half_life = priors.quantile(half).squeeze(1).clamp(max=half_life_s)
    return _of_one(
        activity_bq,
        variance_bq2,
        factor,
        factor_error=0.5 * (high - low) / _SPREAD_SD,
        half_life_s=half_life,
        log_sd=priors.log_sd,
        time_s=time_s,
        method="single_time_point",
    )


def haenscheid(
    activity_bq: Float[Tensor, " n"], variance_bq2: Float[Tensor, " n"], *, time_s: float, half_life_s: float
) -> TimeIntegratedActivity:
    """The rule of Hänscheid; valid where the effective half-life lies within `haenscheid_half_lives_s`.

    Args:
        activity_bq: At the time, ``(n,)`` [Bq].
        variance_bq2: Of it, ``(n,)`` [Bq^2].
        time_s: After injection [s].
        half_life_s: Physical half-life [s].

    Raises:
        ValueError: Not even the physical half-life is long enough for the rule at this time.
    """
    shortest, _ = haenscheid_half_lives_s(time_s)
    if not shortest < half_life_s:
        raise ValueError(
            f"time_s of {time_s / SECONDS_PER_HOUR:g} h is too late for the rule of Hänscheid, which needs an effective half-life of at "
            f"least {shortest / SECONDS_PER_HOUR:g} h, above the physical one; give a prior instead"
        )
    factor = torch.full_like(activity_bq, 2.0 * time_s / LN2)
    return _of_one(
        activity_bq,
        variance_bq2,
        factor,
        factor_error=_RULE_ERROR * factor,
        half_life_s=torch.full_like(activity_bq, min(time_s, half_life_s)),
        log_sd=torch.full_like(activity_bq, torch.nan),
        time_s=time_s,
        method="haenscheid",
    )


def haenscheid_half_lives_s(time_s: float) -> tuple[float, float]:
    """Effective half-lives for which the rule of Hänscheid holds at a time, shortest and longest [s]."""
    return time_s / _RULE_RANGE[1], time_s / _RULE_RANGE[0]


def _of_one(
    activity: Tensor,
    variance: Tensor,
    factor: Tensor,
    *,
    factor_error: Tensor,
    half_life_s: Tensor,
    log_sd: Tensor,
    time_s: float,
    method: str,
) -> TimeIntegratedActivity:
    """Activity times a factor that is uncertain itself; the curve reported is that of the half-life reported, through the point."""
    prior_variance = (factor_error * activity).square()
    rate = LN2 / half_life_s
    tail = torch.exp2(-time_s / half_life_s)
    return TimeIntegratedActivity(
        value_bq_s=activity * factor,
        standard_error_bq_s=(factor.square() * variance + prior_variance).sqrt(),
        extrapolated_fraction=(1.0 / (rate * factor)).clamp(max=1.0),
        method=torch.full_like(activity, METHODS.index(method), dtype=torch.long),
        coefficients_bq=torch.stack([activity / tail, torch.zeros_like(activity)], dim=1),
        rates_per_s=rate[:, None].expand(-1, 2).contiguous(),
        half_life_s=half_life_s,
        half_life_log_sd=log_sd,
        chi_square=torch.zeros_like(activity),
        sensitivity_s=factor[:, None],
        prior_variance_bq2_s2=prior_variance,
        points_bq=activity[:, None],
        times_s=activity.new_tensor([time_s]),
    )
