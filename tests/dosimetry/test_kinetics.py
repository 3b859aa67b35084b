"""Fits find planted curves, know their errors, keep to what is possible and refuse what is not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from planar3d.dosimetry import EffectiveHalfLifePrior, TimeAxis, fit_kinetics
from planar3d.units import SECONDS_PER_HOUR

LN2 = math.log(2.0)
PHYSICAL_S = 159.5 * SECONDS_PER_HOUR
FOUR = TimeAxis.from_hours([4.0, 24.0, 72.0, 168.0])
SIX = TimeAxis.from_hours([1.0, 4.0, 24.0, 48.0, 96.0, 168.0])


def exponential(axis: TimeAxis, half_lives_h: list[float]) -> Tensor:
    """One exponential of unit activity at injection for each half-life, ``(n, t)``."""
    hours = torch.tensor(axis.hours, dtype=torch.float64)
    return torch.exp2(-hours / torch.tensor(half_lives_h, dtype=torch.float64)[:, None])


def integral(half_life_h: float) -> float:
    """Of one exponential [s]."""
    return half_life_h * SECONDS_PER_HOUR / LN2


def test_mono_exponentials_come_back() -> None:
    half_lives = [3.0, 10.0, 35.0, 90.0, 155.0]
    points = 1e8 * exponential(FOUR, half_lives)
    found = fit_kinetics(points, times=FOUR, half_life_s=PHYSICAL_S, standard_error_bq=0.02 * points + 1e3, model="mono_exponential")
    truth = torch.tensor([1e8 * integral(h) for h in half_lives], dtype=torch.float64)
    torch.testing.assert_close(found.value_bq_s, truth, rtol=1e-6, atol=0.0)
    torch.testing.assert_close(found.activity(FOUR.tensor(points)), points, rtol=1e-6, atol=1.0)
    tail = torch.exp2(-168.0 / torch.tensor(half_lives, dtype=torch.float64))
    torch.testing.assert_close(found.extrapolated_fraction, tail, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "coefficients"), [("mono_exponential", (1.0, 0.0)), ("bi_exponential", (1.0, 2.0)), ("uptake_washout", (1.0, -1.0))]
)
def test_aicc_picks_the_planted_model_and_its_integral(name: str, coefficients: tuple[float, float]) -> None:
    slow, fast = coefficients
    points = 1e7 * (slow * exponential(SIX, [60.0]) + fast * exponential(SIX, [3.0]))
    found = fit_kinetics(points, times=SIX, half_life_s=PHYSICAL_S, standard_error_bq=0.005 * points)
    assert found.methods == [name]
    assert float(found.value_bq_s) == pytest.approx(1e7 * (slow * integral(60.0) + fast * integral(3.0)), rel=1e-6)


def test_noise_does_not_lure_aicc_from_the_planted_model(generator: torch.Generator) -> None:
    truth = 1e7 * exponential(SIX, [50.0]).expand(200, -1)
    points = truth * (1.0 + 0.05 * torch.randn(truth.shape, generator=generator, dtype=torch.float64))
    found = fit_kinetics(points, times=SIX, half_life_s=PHYSICAL_S, standard_error_bq=0.05 * truth)
    assert found.methods.count("mono_exponential") > 180


@pytest.mark.parametrize("prior", [None, EffectiveHalfLifePrior(median_h=40.0, log_sd=0.4)])
def test_errors_are_the_spread_and_intervals_cover(prior: EffectiveHalfLifePrior | None, generator: torch.Generator) -> None:
    truth = 1e7 * exponential(FOUR, [40.0]).expand(1000, -1)
    error = 0.08 * truth
    points = (truth + error * torch.randn(truth.shape, generator=generator, dtype=torch.float64)).clamp(min=0.0)
    found = fit_kinetics(
        points, times=FOUR, half_life_s=PHYSICAL_S, standard_error_bq=error, model="mono_exponential", prior=prior, refuse_rising=False
    )
    apart = found.value_bq_s - 1e7 * integral(40.0)
    assert float(apart.std()) == pytest.approx(float(found.standard_error_bq_s.mean()), rel=0.1)
    assert float((apart.abs() < 1.6449 * found.standard_error_bq_s).double().mean()) == pytest.approx(0.9, abs=0.04)


def test_a_prior_helps_where_points_are_few(generator: torch.Generator) -> None:
    axis = TimeAxis.from_hours([24.0, 48.0])
    half_lives = (35.0 * torch.exp(0.3 * torch.randn(400, generator=generator, dtype=torch.float64))).tolist()
    truth = 1e7 * exponential(axis, half_lives)
    points = (truth * (1.0 + 0.2 * torch.randn(truth.shape, generator=generator, dtype=torch.float64))).clamp(min=0.0)
    wanted = torch.tensor([1e7 * integral(h) for h in half_lives], dtype=torch.float64)
    wrong = []
    for prior in (None, EffectiveHalfLifePrior(median_h=35.0, log_sd=0.3)):
        found = fit_kinetics(points, times=axis, half_life_s=PHYSICAL_S, standard_error_bq=0.2 * truth, prior=prior, refuse_rising=False)
        wrong.append(float((found.value_bq_s / wanted - 1.0).abs().mean()))
    assert wrong[1] < 0.9 * wrong[0]


def test_half_lives_never_pass_the_physical_one() -> None:
    points = exponential(FOUR, [159.5, 400.0, 1e9])
    found = fit_kinetics(points, times=FOUR, half_life_s=PHYSICAL_S, standard_error_bq=0.05 * points, model="mono_exponential")
    assert (found.half_life_s <= PHYSICAL_S).all()
    assert found.half_life_s[2] == pytest.approx(PHYSICAL_S, rel=1e-3)
    assert torch.isfinite(found.standard_error_bq_s).all()


def test_a_batch_is_its_elements_and_linear_in_activity(generator: torch.Generator) -> None:
    points = torch.rand(40, 4, generator=generator, dtype=torch.float64) + 3.0 * exponential(FOUR, [40.0])
    kwargs = {"times": FOUR, "half_life_s": PHYSICAL_S, "refuse_rising": False}
    batch = fit_kinetics(points, standard_error_bq=0.1 * points, **kwargs)
    for i in (0, 17):
        one = fit_kinetics(points[i : i + 1], standard_error_bq=0.1 * points[i : i + 1], **kwargs)
        assert float(one.value_bq_s) == pytest.approx(float(batch.value_bq_s[i]), rel=1e-6)
    scaled = fit_kinetics(1e9 * points, standard_error_bq=1e8 * points, **kwargs)
    torch.testing.assert_close(scaled.value_bq_s, 1e9 * batch.value_bq_s, rtol=1e-6, atol=0.0)
    torch.testing.assert_close(scaled.standard_error_bq_s, 1e9 * batch.standard_error_bq_s, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("model", ["mono_exponential", "uptake_washout", "trapezoid"])
def test_sensitivity_is_the_derivative_by_the_points(model: str) -> None:
    clean = exponential(FOUR, [40.0]) - 0.9 * exponential(FOUR, [3.0])
    points = 1e6 * clean * (1.0 + 0.03 * torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64))
    kwargs = {"times": FOUR, "half_life_s": PHYSICAL_S, "standard_error_bq": 0.05 * points, "model": model, "tail": "last"}
    found = fit_kinetics(points, **kwargs)
    for j in range(4):
        step = torch.zeros_like(points)
        step[0, j] = 1e-4 * points[0, j]
        up, down = (fit_kinetics(points + s, **kwargs).value_bq_s for s in (step, -step))
        # the Gauss-Newton matrix leaves out the curvature that small residuals give
        assert float((up - down) / (2.0 * step[0, j])) == pytest.approx(float(found.sensitivity_s[0, j]), rel=0.1, abs=500.0)


def test_covariance_between_curves_is_propagated(generator: torch.Generator) -> None:
    truth = 1e6 * exponential(FOUR, [30.0, 50.0])
    # the two organs exchange activity in every image: their errors are opposite
    error = 0.05 * truth.min(dim=0).values
    sign = torch.tensor([1.0, -0.8], dtype=torch.float64)
    covariance = torch.einsum("n,m,s,st->nsmt", sign, sign, error.square(), torch.eye(4, dtype=torch.float64))
    covariance = covariance + torch.einsum("ns,nm,st->nsmt", (0.01 * truth).square(), torch.eye(2).double(), torch.eye(4).double())
    found = fit_kinetics(truth, times=FOUR, half_life_s=PHYSICAL_S, covariance_bq2=covariance, model="mono_exponential")
    factor = torch.linalg.cholesky(covariance.reshape(8, 8))
    draws = truth.flatten() + torch.randn(2000, 8, generator=generator, dtype=torch.float64) @ factor.T
    own = covariance.diagonal(dim1=0, dim2=2).movedim(2, 0)
    values = fit_kinetics(
        draws.view(-1, 4).clamp(min=0.0),
        times=FOUR,
        half_life_s=PHYSICAL_S,
        covariance_bq2=own.repeat(2000, 1, 1),
        model="mono_exponential",
        refuse_rising=False,
    ).value_bq_s.view(2000, 2)
    assert found.covariance_bq2_s2 is not None
    assert found.covariance_bq2_s2[0, 1] < 0
    torch.testing.assert_close(values.T.cov(), found.covariance_bq2_s2, rtol=0.15, atol=0.0)
    torch.testing.assert_close(found.standard_error_bq_s, found.covariance_bq2_s2.diagonal().sqrt())


def test_errors_without_a_size_are_found_from_the_misfit(generator: torch.Generator) -> None:
    truth = 1e6 * exponential(SIX, [40.0]).expand(500, -1)
    points = truth * (1.0 + 0.04 * torch.randn(truth.shape, generator=generator, dtype=torch.float64))
    found = fit_kinetics(points, times=SIX, half_life_s=PHYSICAL_S, model="mono_exponential", refuse_rising=False)
    assert float(found.value_bq_s.std()) == pytest.approx(float(found.standard_error_bq_s.square().mean().sqrt()), rel=0.15)
    two = TimeAxis.from_hours([24.0, 72.0])
    assert fit_kinetics(exponential(two, [40.0]), times=two, half_life_s=PHYSICAL_S).standard_error_bq_s.isnan().all()


def test_model_misfit_widens_errors() -> None:
    points = exponential(FOUR, [40.0])
    errors = [
        float(
            fit_kinetics(points, times=FOUR, half_life_s=PHYSICAL_S, standard_error_bq=0.01 * points, model_log_sd=tau).standard_error_bq_s
        )
        for tau in (0.0, 0.05)
    ]
    assert errors[1] == pytest.approx(errors[0] * math.sqrt(26.0), rel=0.01)


def test_an_image_without_counts_counts_as_one_of_one_count_error() -> None:
    points = 1e6 * exponential(FOUR, [30.0])
    points[0, 3] = 0.0
    error = (2e4 * points).sqrt()
    values = []
    for last in (0.0, 2e4):
        error[0, 3] = last
        found = fit_kinetics(points, times=FOUR, half_life_s=PHYSICAL_S, standard_error_bq=error, model="mono_exponential")
        values.append(float(found.value_bq_s))
    assert values[0] == pytest.approx(values[1], rel=1e-6)
    assert values[0] == pytest.approx(1e6 * integral(30.0), rel=0.1)


def test_nothing_in_a_voxel_is_nothing_in_its_integral() -> None:
    found = fit_kinetics(torch.zeros(2, 4), times=FOUR, half_life_s=PHYSICAL_S, standard_error_bq=torch.ones(2, 4))
    assert (found.value_bq_s.abs() < 1e-3 * found.standard_error_bq_s).all()
    assert found.value_bq_s.dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"activity_bq": torch.tensor([[1.0, -2.0, 1.0, 0.5]])}, "curve 0 at time 2 is -2 Bq"),
        ({"activity_bq": torch.tensor([[1.0, float("nan"), 1.0, 0.5]])}, "zero or more"),
        ({"activity_bq": torch.ones(1, 3), "standard_error_bq": torch.ones(1, 3)}, "3 times and the time axis 4"),
        ({"activity_bq": torch.tensor([[4.0, 3.0, 1.0, 2.0]]), "model": "mono_exponential"}, "rises from 1 to 2"),
        ({"activity_bq": torch.tensor([[4.0, 3.0, 1.0, 2.0]])}, "rises from 1 to 2"),
        ({"prior": EffectiveHalfLifePrior(median_h=200.0, log_sd=0.3)}, "shorter than the physical"),
        ({"model": "tri_exponential"}, "known are auto"),
        ({"model": "single_time_point"}, "takes one time"),
        ({"model": "trapezoid", "tail": "flat"}, "known are physical, last"),
        ({"standard_error_bq": torch.full((1, 4), -1.0)}, "standard_error_bq"),
        ({"covariance_bq2": torch.eye(4)[None]}, "give one of them"),
        ({"standard_error_bq": None, "covariance_bq2": -torch.eye(4)[None]}, "positive definite"),
        ({"half_life_s": -1.0}, "half_life_s must be positive"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(change: dict[str, object], sentence: str) -> None:
    given: dict[str, object] = {
        "activity_bq": torch.tensor([[4.0, 3.0, 2.0, 1.0]]),
        "times": FOUR,
        "half_life_s": PHYSICAL_S,
        "standard_error_bq": torch.full((1, 4), 0.05),
    }
    with pytest.raises(ValueError, match=sentence) as refused:
        fit_kinetics(**(given | change))
    assert "\n" not in str(refused.value)


def test_too_few_points_for_a_model_are_refused_unless_a_prior_fills_in() -> None:
    axis = TimeAxis.from_hours([4.0, 24.0, 72.0])
    points = exponential(axis, [40.0]) + exponential(axis, [4.0])
    with pytest.raises(ValueError, match="4 parameters and there are 3 times"):
        fit_kinetics(points, times=axis, half_life_s=PHYSICAL_S, standard_error_bq=0.01 * points, model="bi_exponential")
    prior = EffectiveHalfLifePrior(median_h=40.0, log_sd=0.2)
    found = fit_kinetics(points, times=axis, half_life_s=PHYSICAL_S, standard_error_bq=0.01 * points, model="bi_exponential", prior=prior)
    assert float(found.value_bq_s) == pytest.approx(integral(40.0) + integral(4.0), rel=0.02)


def test_a_rise_within_the_noise_is_fitted_with_the_physical_half_life() -> None:
    points = torch.tensor([[1.0, 1.0, 1.0, 1.05]])
    found = fit_kinetics(points, times=FOUR, half_life_s=PHYSICAL_S, standard_error_bq=torch.full((1, 4), 0.05), model="mono_exponential")
    assert float(found.half_life_s) == pytest.approx(PHYSICAL_S, rel=1e-3)
