"""Kinetics: from activities at one to six times after injection to time-integrated activity [Bq s], for any number of curves at once.

Models are those of `planar3d.dosimetry.curve_model`, a trapezoid (`planar3d.dosimetry.trapezoid`), and for one time a prior of the
half-life or the rule of Hänscheid (`planar3d.dosimetry.single_time_point`). With ``model="auto"`` each curve takes the model of least
``AICc = chi^2 + 2 k + 2 k (k + 1) / (n - k - 1)`` (Hurvich and Tsai, Biometrika 1989;76:297) among those for which n points define it
(n > k + 1), and a mono-exponential where they define none. Priors of the half-life make fits maximum a posteriori; they count neither as
points nor as parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.curve_data import CurveData
from planar3d.dosimetry.curve_fit import CurveFit, fit_curves
from planar3d.dosimetry.curve_model import BI_EXPONENTIAL, LN2, MONO_EXPONENTIAL, UPTAKE_WASHOUT, CurveModel
from planar3d.dosimetry.effective_half_life import EffectiveHalfLifePrior, HalfLifePriors
from planar3d.dosimetry.kinetic_points import KineticPoints
from planar3d.dosimetry.single_time_point import haenscheid, single_time_point
from planar3d.dosimetry.time_axis import TimeAxis
from planar3d.dosimetry.time_integrated_activity import METHODS, TimeIntegratedActivity
from planar3d.dosimetry.trapezoid import trapezoid

__all__ = ["MODELS", "fit_kinetics"]

_EXPONENTIALS: dict[str, CurveModel] = {m.name: m for m in (MONO_EXPONENTIAL, BI_EXPONENTIAL, UPTAKE_WASHOUT)}
_CURVES_AT_ONCE = {1: 2**15, 2: 2**12}

MODELS: tuple[str, ...] = ("auto", *METHODS)
"""Models that can be asked for."""


def fit_kinetics(
    activity_bq: Float[Tensor, "n t"],
    *,
    times: TimeAxis,
    half_life_s: float,
    standard_error_bq: Float[Tensor, "n t"] | None = None,
    covariance_bq2: Float[Tensor, "n t t"] | Float[Tensor, "n t n t"] | None = None,
    model: str = "auto",
    prior: EffectiveHalfLifePrior | Sequence[EffectiveHalfLifePrior] | HalfLifePriors | None = None,
    model_log_sd: float = 0.0,
    tail: str = "physical",
    start: str = "constant",
    refuse_rising: bool = True,
) -> TimeIntegratedActivity:
    """Time-integrated activity of every curve, in the type and on the device of the activities (float64 inside).

    Args:
        activity_bq: Activity of each organ, lesion or voxel at each time, as it was then (not corrected for decay), ``(n, t)`` [Bq].
        times: When the images were taken.
        half_life_s: Physical half-life [s].
        standard_error_bq: Of each activity, ``(n, t)`` [Bq]. Without it and a covariance, all points have the same relative error, found
            from what the fit leaves where there are more points than parameters, else unknown (NaN). No error counts as less than that of
            one count (`planar3d.dosimetry.one_count`).
        covariance_bq2: Instead of standard errors, ``(n, t, t)`` for independent curves, or ``(n, t, n, t)`` between all; then the result
            has a covariance between curves [Bq^2].
        model: One of `MODELS`; ``auto`` for one time is ``single_time_point`` with a prior and ``haenscheid`` without.
        prior: Of the effective half-life of the slowest phase, one for all or one for each curve; None for none.
        model_log_sd: Relative standard deviation of the truth about the model at each time, added to the errors.
        tail: Of the trapezoid, ``physical`` or ``last`` (two points).
        start: Of the trapezoid, ``constant`` or ``zero``.
        refuse_rising: Whether a curve that rises to the last time by more than three standard errors is an error for a model that cannot
            rise. For maps of noisy voxels turn it off: such a curve is then fitted with the physical half-life.

    Raises:
        ValueError: Activities are negative or not finite, shapes do not fit, the model is not known or has more parameters than there are
            points, a prior is longer than the physical half-life, or a curve rises at the end.
    """
    if model not in MODELS:
        raise ValueError(f"model {model!r} is not known; known are {', '.join(MODELS)}")
    points = KineticPoints.of(
        activity_bq,
        times=times,
        half_life_s=half_life_s,
        standard_error_bq=standard_error_bq,
        covariance_bq2=covariance_bq2,
        model_log_sd=model_log_sd,
    )
    if prior is None or isinstance(prior, HalfLifePriors):
        priors = prior
    else:
        priors = HalfLifePriors.of(prior, n=points.n, half_life_s=half_life_s, like=activity_bq)
    name = _chosen_name(model, points, priors)
    _require_known(name, points, priors)
    if refuse_rising and points.t > 1 and name != "trapezoid":
        _require_falling(name, points)
    found = _by_model(name, points, priors, tail=tail, start=start)
    if not points.errors_known and name in ("trapezoid", "single_time_point", "haenscheid"):
        found = replace(found, standard_error_bq_s=torch.full_like(found.value_bq_s, torch.nan))
    if points.between_curves is not None:
        found = found.with_covariance(points.between_curves)
    return points.in_type_of(found, activity_bq)


def _chosen_name(model: str, points: KineticPoints, priors: HalfLifePriors | None) -> str:
    """What auto means for one time."""
    if model != "auto" or points.t > 1:
        return model
    return "haenscheid" if priors is None else "single_time_point"


def _by_model(name: str, points: KineticPoints, priors: HalfLifePriors | None, *, tail: str, start: str) -> TimeIntegratedActivity:
    """The result of one model, or of the best of several."""
    if name == "trapezoid":
        return trapezoid(points.activity, points.covariance, times_s=points.times_s, half_life_s=points.half_life_s, tail=tail, start=start)
    if name in ("single_time_point", "haenscheid"):
        variance = points.covariance[:, 0, 0]
        time_s = float(points.times_s[0])
        if name == "haenscheid" or priors is None:
            return haenscheid(points.activity[:, 0], variance, time_s=time_s, half_life_s=points.half_life_s)
        return single_time_point(points.activity[:, 0], variance, time_s=time_s, half_life_s=points.half_life_s, priors=priors)
    if name != "auto":
        return _fitted(_EXPONENTIALS[name], points, priors)
    models = [m for m in _EXPONENTIALS.values() if points.t > m.n_parameters + 1] or [MONO_EXPONENTIAL]
    results = [_fitted(m, points, priors) for m in models]
    criteria = torch.stack([_aicc(r.chi_square, m.n_parameters, points.t) for r, m in zip(results, models, strict=True)])
    return TimeIntegratedActivity.picked(results, criteria.argmin(dim=0))


def _fitted(model: CurveModel, points: KineticPoints, priors: HalfLifePriors | None) -> TimeIntegratedActivity:
    """One model fitted to every curve, some curves at a time."""
    at_once = _CURVES_AT_ONCE[model.n_rates]
    parts = []
    for i in range(0, points.n, at_once):
        some = slice(i, i + at_once)
        data = CurveData.of(
            points.activity[some],
            points.covariance[some],
            times_s=points.times_s,
            physical_rate_per_s=LN2 / points.half_life_s,
            priors=None if priors is None else priors[some],
        )
        parts.append(_result(model, fit_curves(data, model), data, points, points.activity[some]))
    return TimeIntegratedActivity.joined(parts)


def _result(model: CurveModel, fit: CurveFit, data: CurveData, points: KineticPoints, activity: Tensor) -> TimeIntegratedActivity:
    """A fit in becquerels."""
    scale, free = data.scale, points.t - model.n_parameters
    coefficients, rates = fit.curves.coefficients * scale[:, None], fit.curves.rates_per_s
    missing = 2 - model.n_rates
    coefficients = torch.cat([coefficients, torch.zeros_like(coefficients[:, :missing])], dim=1)
    # errors known but for their size: what the fit leaves tells it
    dispersion = torch.ones_like(scale)
    if not points.errors_known:
        dispersion = fit.chi_square / free if free > 0 else torch.full_like(scale, torch.nan)
    return TimeIntegratedActivity(
        value_bq_s=fit.integral * scale,
        standard_error_bq_s=(fit.variance * dispersion).sqrt() * scale,
        extrapolated_fraction=(fit.tail / fit.integral).clamp(0.0, 1.0),
        method=torch.full_like(scale, METHODS.index(model.name), dtype=torch.long),
        coefficients_bq=coefficients,
        rates_per_s=torch.cat([rates, rates[:, :missing]], dim=1),
        half_life_s=LN2 / rates[:, 0],
        half_life_log_sd=fit.log_half_life_error * dispersion.sqrt(),
        chi_square=fit.chi_square,
        sensitivity_s=fit.sensitivity_s,
        prior_variance_bq2_s2=(fit.variance - fit.points_variance).clamp(min=0.0) * dispersion * scale.square(),
        points_bq=activity,
        times_s=points.times_s,
    )


def _aicc(chi_square: Tensor, k: int, n: int) -> Tensor:
    """AICc of each curve; without the correction where only one model is left."""
    correction = 2.0 * k * (k + 1) / (n - k - 1) if n > k + 1 else 0.0
    return chi_square + 2.0 * k + correction


def _require_known(name: str, points: KineticPoints, priors: HalfLifePriors | None) -> None:
    """Raise where the points do not define the model."""
    if name in ("single_time_point", "haenscheid"):
        if points.t != 1:
            raise ValueError(f"model {name} takes one time, got {points.t}; take another model, or give one time")
        if name == "single_time_point" and priors is None:
            raise ValueError("model single_time_point needs prior, the effective half-life in a population; give one, or take haenscheid")
        return
    needed = _EXPONENTIALS[name].n_parameters if name in _EXPONENTIALS else 2 if name == "auto" else 1
    if points.t + (priors is not None) < needed:
        raise ValueError(
            f"model {name} has {needed} parameters and there are {points.t} times{' and a prior' if priors is not None else ''}; give more "
            f"times, or take a simpler model"
        )


def _require_falling(name: str, points: KineticPoints) -> None:
    """Raise where a curve rises at the end and the model cannot."""
    if name == UPTAKE_WASHOUT.name or (name == "auto" and points.t > UPTAKE_WASHOUT.n_parameters + 1):
        return
    before, last = points.activity[:, -2], points.activity[:, -1]
    C = points.covariance[:, -2:, -2:]
    error = (C[:, 0, 0] + C[:, 1, 1] - 2.0 * C[:, 0, 1]).clamp(min=0.0).sqrt() if points.errors_known else 0.1 * before
    rising = ((last - before) > 3.0 * error).nonzero().flatten()
    if len(rising):
        i = int(rising[0])
        raise ValueError(
            f"curve {i} rises from {float(before[i]):g} to {float(last[i]):g} Bq between the last two times, which a {name} curve cannot; "
            f"take uptake_washout or trapezoid, or image later"
        )
