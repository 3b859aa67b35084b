"""Activities of any method, brought onto curves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from planar3d.dosimetry import EffectiveHalfLifePrior, TimeAxis, fit_kinetics
from planar3d.reconstruction import OrganActivities, couple, organ_activities_of_samples
from planar3d.units import SECONDS_PER_HOUR

LN2 = 0.6931471805599453
PHYSICAL_S = 159.5 * SECONDS_PER_HOUR
AXIS = TimeAxis.from_hours([4.0, 24.0, 72.0, 168.0])
IDS = torch.tensor([2, 4, 5])
HALF_LIVES_S = SECONDS_PER_HOUR * torch.tensor([23.0, 36.0, 70.0], dtype=torch.float64)
AT_INJECTION = torch.tensor([2e9, 5e8, 4e8], dtype=torch.float64)
TRUTH = AT_INJECTION * torch.exp2(-AXIS.tensor(AT_INJECTION)[:, None] / HALF_LIVES_S)
INTEGRAL = AT_INJECTION * HALF_LIVES_S / LN2


def noisy(relative: float, draws: int, generator: torch.Generator) -> list[OrganActivities]:
    """Activities with relative errors at each time."""
    wrong = 1.0 + relative * torch.randn(4, draws, 3, generator=generator, dtype=torch.float64)
    return [
        OrganActivities(ids=IDS, activity_bq=(a * w).clamp(min=0.0), standard_error_bq=(relative * a).expand(draws, 3))
        for a, w in zip(TRUTH, wrong, strict=True)
    ]


def errors(activity: Tensor) -> float:
    """Mean relative error of activities ``(b, t, k)``."""
    return float((activity / TRUTH - 1.0).abs().mean())


def test_activities_on_curves_stay() -> None:
    given = [OrganActivities(ids=IDS, activity_bq=a[None], standard_error_bq=0.05 * a[None]) for a in TRUTH]
    found = couple(given, AXIS, half_life_s=PHYSICAL_S)
    torch.testing.assert_close(found.scale, torch.ones(1, 4, 3, dtype=torch.float64), rtol=0.0, atol=1e-4)
    torch.testing.assert_close(found.kinetics.time_integrated_bq_s[0], INTEGRAL, rtol=1e-4, atol=0.0)


def test_activities_come_nearer_to_the_truth_and_errors_are_honest(generator: torch.Generator) -> None:
    given = noisy(0.15, 200, generator)
    prior = {"liver": EffectiveHalfLifePrior(median_h=25.0, log_sd=0.4)}
    found = couple(given, AXIS, half_life_s=PHYSICAL_S, prior=prior, deviation_log_sd=0.0).kinetics
    assert errors(found.activity_bq) < 0.85 * errors(torch.stack([g.activity_bq for g in given], dim=1))
    covered = ((found.time_integrated_bq_s - INTEGRAL).abs() < 1.6449 * found.time_integrated_error_bq_s).double().mean()
    assert float(covered) == pytest.approx(0.9, abs=0.04)
    inside = ((found.activity_bq - TRUTH).abs() < 1.6449 * found.standard_error_bq).double().mean()
    assert float(inside) == pytest.approx(0.9, abs=0.04)


def test_without_deviations_it_is_the_fit_of_each_curve(generator: torch.Generator) -> None:
    given = noisy(0.05, 5, generator)
    found = couple(given, AXIS, half_life_s=PHYSICAL_S, deviation_log_sd=0.0).kinetics
    activity, error = (torch.stack([getattr(g, n) for g in given], dim=2).flatten(0, 1) for n in ("activity_bq", "standard_error_bq"))
    fit = fit_kinetics(activity, times=AXIS, half_life_s=PHYSICAL_S, standard_error_bq=error, model="mono_exponential")
    torch.testing.assert_close(found.time_integrated_bq_s, fit.value_bq_s.view(5, 3), rtol=1e-3, atol=0.0)


def test_the_trade_between_two_organs_is_undone_by_their_covariance(generator: torch.Generator) -> None:
    traded = 0.5 * TRUTH[:, 1:].min(dim=1).values * torch.randn(100, 4, generator=generator, dtype=torch.float64)
    sign = torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64)
    own = torch.diag((0.02 * torch.ones(3, dtype=torch.float64)).square())
    given, blind = [], []
    for i, a in enumerate(TRUTH):
        activity = (a + traded[:, i, None] * sign).clamp(min=0.0)
        shared = (0.5 * a[1:].min()).square() * torch.outer(sign, sign)
        covariance = (own * torch.outer(a, a) + shared).expand(100, 3, 3)
        given.append(OrganActivities(ids=IDS, activity_bq=activity, covariance_bq2=covariance))
        blind.append(OrganActivities(ids=IDS, activity_bq=activity, standard_error_bq=covariance.diagonal(dim1=1, dim2=2).sqrt()))
    # one of the two is known to wash out as it does, so what it gains or loses in an image is the other's
    prior = {"kidney_left": EffectiveHalfLifePrior(median_h=36.0, log_sd=0.02)}
    wrong = [
        float((couple(g, AXIS, half_life_s=PHYSICAL_S, prior=prior).kinetics.half_life_s[:, 2] / HALF_LIVES_S[2]).log().std())
        for g in (given, blind)
    ]
    assert wrong[0] < 0.8 * wrong[1]


def test_nothing_found_once_does_not_end_a_curve() -> None:
    given = [OrganActivities(ids=IDS, activity_bq=a[None], standard_error_bq=0.05 * a[None]) for a in TRUTH]
    empty = given[3].activity_bq.clone()
    empty[0, 0] = 0.0
    error = torch.where(empty > 0, 0.05 * empty, 1e-10)
    given[3] = OrganActivities(ids=IDS, activity_bq=empty, standard_error_bq=error)
    found = couple(given, AXIS, half_life_s=PHYSICAL_S)
    assert float(found.kinetics.time_integrated_bq_s[0, 0]) == pytest.approx(float(INTEGRAL[0]), rel=0.1)
    assert float(found.scale[0, 3, 0]) == 1.0


def test_samples_give_mean_error_and_covariance(generator: torch.Generator) -> None:
    samples = 100.0 + torch.randn(4000, 2, 3, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 2.0, 3.0])
    samples[..., 1] -= samples[..., 0] - 100.0
    found = organ_activities_of_samples(samples, IDS)
    assert found.standard_error_bq is not None
    assert found.covariance_bq2 is not None
    torch.testing.assert_close(found.covariance_bq2[0, 0, 1], torch.tensor(-1.0, dtype=torch.float64), rtol=0.0, atol=0.15)
    torch.testing.assert_close(found.covariance_bq2.diagonal(dim1=1, dim2=2).sqrt(), found.standard_error_bq)
    assert organ_activities_of_samples(samples[:8], IDS).covariance_bq2 is None


def test_maps_follow_their_organs() -> None:
    given = [OrganActivities(ids=IDS, activity_bq=a[None], standard_error_bq=0.05 * a[None]) for a in TRUTH]
    given[1] = OrganActivities(ids=IDS, activity_bq=1.3 * TRUTH[1:2], standard_error_bq=0.3 * TRUTH[1:2])
    found = couple(given, AXIS, half_life_s=PHYSICAL_S)
    labels = torch.tensor([0, 1, 2, 4, 5]).view(1, 1, 5, 1, 1)
    scaled = found.scaled(torch.full((1, 1, 5, 1, 1), 10.0), labels, 1).flatten()
    torch.testing.assert_close(scaled[:2], torch.full((2,), 10.0))
    torch.testing.assert_close(scaled[2:].double(), 10.0 * found.scale[0, 1])
    assert (scaled[2:] < 9.0).all()


def test_what_cannot_be_coupled_is_refused() -> None:
    given = [OrganActivities(ids=IDS, activity_bq=a[None], standard_error_bq=0.05 * a[None]) for a in TRUTH]
    with pytest.raises(ValueError, match="3 times and the time axis 4"):
        couple(given[:3], AXIS, half_life_s=PHYSICAL_S)
    with pytest.raises(ValueError, match="no standard errors"):
        couple([*given[:3], OrganActivities(ids=IDS, activity_bq=TRUTH[3:])], AXIS, half_life_s=PHYSICAL_S)
    shifted = OrganActivities(ids=IDS + 1, activity_bq=TRUTH[1:2], standard_error_bq=TRUTH[1:2])
    with pytest.raises(ValueError, match="organs of time 2"):
        couple([given[0], shifted, *given[2:]], AXIS, half_life_s=PHYSICAL_S)
    with pytest.raises(ValueError, match="two at least"):
        organ_activities_of_samples(torch.ones(1, 1, 3), IDS)
