"""Samples keep their spread through kinetics to dose, and parametric causes are added in quadrature."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from planar3d.dosimetry.budget import UncertaintyBudget
from planar3d.dosimetry.dose_posterior import dose_posterior

CAUSES = ("volume", "counts", "calibration")


def _budget(volume: float = 0.0, counts: float = 0.0, calibration: float = 0.0) -> UncertaintyBudget:
    rows = torch.tensor([[volume] * 2, [counts] * 2, [calibration] * 2], dtype=torch.float64) ** 2
    return UncertaintyBudget(organs=("liver", "spleen"), causes=CAUSES, relative_variance=rows)


def _integrate(activity: Tensor) -> Tensor:
    return torch.trapezoid(activity, torch.tensor([0.0, 1.0, 3.0], dtype=activity.dtype), dim=1)


def _double(decays: Tensor) -> Tensor:
    return 2.0 * decays


def test_without_other_causes_the_samples_are_the_dose(generator: torch.Generator) -> None:
    activity = torch.rand(50, 3, 2, generator=generator, dtype=torch.float64)
    found = dose_posterior(activity, integrate=_integrate, dose=_double, budget=_budget(counts=0.3), generator=generator)
    torch.testing.assert_close(found.samples_gy, 2.0 * _integrate(activity))


def test_causes_add_in_quadrature_and_keep_the_mean(generator: torch.Generator) -> None:
    activity = (1.0 + 0.1 * torch.randn(40_000, 1, 2, generator=generator, dtype=torch.float64)).clamp(min=0.0).expand(-1, 3, -1)
    found = dose_posterior(activity, integrate=_integrate, dose=_double, budget=_budget(0.2, 0.5, 0.1), generator=generator)
    spread = found.sd_gy / found.mean_gy
    assert found.mean_gy.tolist() == pytest.approx([6.0, 6.0], rel=0.01)
    assert spread.tolist() == pytest.approx([math.sqrt(0.01 + 0.04 + 0.01)] * 2, rel=0.03)


def test_calibration_is_shared_and_volume_is_not(generator: torch.Generator) -> None:
    activity = torch.ones(20_000, 3, 2, dtype=torch.float64)
    correlations = []
    for budget in (_budget(calibration=0.1), _budget(volume=0.1)):
        samples = dose_posterior(activity, integrate=_integrate, dose=_double, budget=budget, generator=generator).samples_gy
        correlations.append(float(torch.corrcoef(samples.T)[0, 1]))
    assert correlations[0] == pytest.approx(1.0)
    assert abs(correlations[1]) < 0.03


def test_intervals_hold_their_share(generator: torch.Generator) -> None:
    activity = torch.ones(20_000, 3, 2, dtype=torch.float64)
    found = dose_posterior(activity, integrate=_integrate, dose=_double, budget=_budget(volume=0.15), generator=generator)
    low, high = found.interval_gy(0.9)
    inside = (found.samples_gy > low) & (found.samples_gy < high)
    assert inside.double().mean().item() == pytest.approx(0.9, abs=1e-3)
    # log-normal of relative deviation 0.15
    sigma = math.sqrt(math.log1p(0.15**2))
    assert (high / low)[0].item() == pytest.approx(math.exp(2.0 * 1.6449 * sigma), rel=0.02)


def test_refuses_bad_input(generator: torch.Generator) -> None:
    arguments = {"integrate": _integrate, "dose": _double, "budget": _budget(), "generator": generator}
    with pytest.raises(ValueError, match="activity_bq has 3 organs"):
        dose_posterior(torch.ones(4, 3, 3), **arguments)
    with pytest.raises(ValueError, match="negative draws"):
        dose_posterior(-torch.ones(4, 3, 2), **arguments)
    with pytest.raises(ValueError, match="level"):
        dose_posterior(torch.ones(4, 3, 2), **arguments).interval_gy(90.0)
