"""One image: right on average with a prior, and the rule of Hänscheid where it holds."""

from __future__ import annotations

import math

import pytest
import torch

from planar3d.dosimetry import EffectiveHalfLifePrior, TimeAxis, TimeIntegratedActivity, fit_kinetics, haenscheid_half_lives_s
from planar3d.dosimetry.effective_half_life import HalfLifePriors
from planar3d.units import SECONDS_PER_HOUR

LN2 = math.log(2.0)
PHYSICAL_S = 159.5 * SECONDS_PER_HOUR
KIDNEY = EffectiveHalfLifePrior(median_h=35.5, log_sd=0.68)


def at(hour: float, half_lives_s: torch.Tensor, prior: EffectiveHalfLifePrior | None) -> TimeIntegratedActivity:
    """Estimate from the noiseless activity at one time of curves of unit integral."""
    axis = TimeAxis.from_hours([hour])
    activity = (LN2 / half_lives_s * torch.exp2(-hour * SECONDS_PER_HOUR / half_lives_s))[:, None]
    return fit_kinetics(activity, times=axis, half_life_s=PHYSICAL_S, standard_error_bq=1e-3 * activity, prior=prior)


def test_a_sure_half_life_gives_the_integral_of_its_curve() -> None:
    found = at(72.0, torch.tensor([35.5 * SECONDS_PER_HOUR], dtype=torch.float64), EffectiveHalfLifePrior(median_h=35.5, log_sd=1e-4))
    assert float(found.value_bq_s) == pytest.approx(1.0, rel=1e-3)
    assert float(found.standard_error_bq_s) == pytest.approx(1e-3, rel=0.1)
    assert float(found.extrapolated_fraction) == pytest.approx(2.0 ** (-72.0 / 35.5), rel=1e-3)


@pytest.mark.parametrize("hour", [48.0, 72.0, 96.0])
def test_intervals_cover_the_population_of_the_prior(hour: float, generator: torch.Generator) -> None:
    priors = HalfLifePriors.of(KIDNEY, n=1, half_life_s=PHYSICAL_S, like=torch.zeros(1))
    found = at(hour, priors.quantile(torch.rand(2000, generator=generator))[0], KIDNEY)
    covered = ((found.value_bq_s - 1.0).abs() < 1.6449 * found.standard_error_bq_s).double().mean()
    assert 0.85 < float(covered) < 0.97
    # the median: as many are too high as too low
    assert float((found.value_bq_s > 1.0).double().mean()) == pytest.approx(0.5, abs=0.2)


def test_the_rule_of_haenscheid_holds_in_its_range_and_not_beyond() -> None:
    shortest, longest = haenscheid_half_lives_s(96.0 * SECONDS_PER_HOUR)
    inside = at(96.0, torch.linspace(shortest, longest, 50, dtype=torch.float64), None)
    assert inside.methods[0] == "haenscheid"
    assert ((inside.value_bq_s - 1.0).abs() < 0.117).all()
    assert float((inside.value_bq_s - 1.0).square().mean().sqrt()) < 1.2 * float(inside.standard_error_bq_s.mean())
    assert float(at(96.0, torch.tensor([0.5 * shortest], dtype=torch.float64), None).value_bq_s) < 0.5


def test_the_rule_of_haenscheid_is_exact_for_one_and_two_half_lives() -> None:
    found = at(96.0, SECONDS_PER_HOUR * torch.tensor([48.0, 96.0], dtype=torch.float64), None)
    torch.testing.assert_close(found.value_bq_s, torch.ones(2, dtype=torch.float64))


def test_each_curve_has_its_own_prior() -> None:
    given = [KIDNEY, EffectiveHalfLifePrior(median_h=80.0, log_sd=0.3)]
    activity = torch.ones(2, 1, dtype=torch.float64)
    found = fit_kinetics(activity, times=TimeAxis.from_hours([24.0]), half_life_s=PHYSICAL_S, standard_error_bq=0.1 * activity, prior=given)
    assert found.value_bq_s[1] > 1.5 * found.value_bq_s[0]
    torch.testing.assert_close(found.half_life_s, SECONDS_PER_HOUR * torch.tensor([35.5, 80.0], dtype=torch.float64))


def test_a_prior_is_asked_for_and_a_late_time_is_refused() -> None:
    ones = torch.ones(1, 1)
    with pytest.raises(ValueError, match="needs prior"):
        fit_kinetics(ones, times=TimeAxis.from_hours([24.0]), half_life_s=PHYSICAL_S, model="single_time_point")
    with pytest.raises(ValueError, match="too late for the rule"):
        fit_kinetics(ones, times=TimeAxis.from_hours([500.0]), half_life_s=PHYSICAL_S)
