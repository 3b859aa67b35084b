"""Curves have the integrals and slopes that they say."""

from __future__ import annotations

import pytest
import torch

from planar3d.dosimetry.curve_model import BI_EXPONENTIAL, LN2, MONO_EXPONENTIAL, UPTAKE_WASHOUT, CurveModel

MODELS = [MONO_EXPONENTIAL, BI_EXPONENTIAL, UPTAKE_WASHOUT]
PHYSICAL = LN2 / 160.0


def theta(model: CurveModel, generator: torch.Generator) -> torch.Tensor:
    """Parameters of three curves."""
    amplitudes = torch.randn(3, model.n_amplitudes, generator=generator, dtype=torch.float64)
    steps = torch.randn(3, model.n_rates, generator=generator, dtype=torch.float64) - 3.0
    return torch.cat([amplitudes, steps], dim=1)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_slopes_are_the_derivatives(model: CurveModel, generator: torch.Generator) -> None:
    given = theta(model, generator)
    times = torch.tensor([0.0, 3.0, 50.0], dtype=torch.float64)
    curves = model.curves(given, PHYSICAL)
    by_theta = torch.func.vmap(torch.func.jacrev(lambda p: model.curves(p[None], PHYSICAL).activity(times)[0]))(given)
    torch.testing.assert_close(curves.activity_slope(times), by_theta)
    for start in (0.0, 20.0):
        by_theta = torch.func.vmap(torch.func.jacrev(lambda p, s=start: model.curves(p[None], PHYSICAL).integral(s)[0]))(given)
        torch.testing.assert_close(curves.integral_slope(start), by_theta)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_integral_is_that_of_the_activity(model: CurveModel, generator: torch.Generator) -> None:
    curves = model.curves(theta(model, generator), PHYSICAL)
    times = torch.linspace(20.0, 8000.0, 400_001, dtype=torch.float64)
    summed = torch.trapezoid(curves.activity(times), times, dim=1)
    torch.testing.assert_close(curves.integral(20.0), summed, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_no_curve_is_slower_than_decay_or_negative(model: CurveModel, generator: torch.Generator) -> None:
    curves = model.curves(10.0 * theta(model, generator), PHYSICAL)
    assert (curves.rates_per_s >= PHYSICAL).all()
    assert (curves.activity(torch.linspace(0.0, 500.0, 50, dtype=torch.float64)) >= 0).all()


def test_uptake_starts_from_nothing(generator: torch.Generator) -> None:
    curves = UPTAKE_WASHOUT.curves(theta(UPTAKE_WASHOUT, generator), PHYSICAL)
    assert (curves.activity(torch.zeros(1, dtype=torch.float64)) == 0).all()
