"""The trapezoid is exact where curves are straight lines with an exponential tail."""

from __future__ import annotations

import math

import pytest
import torch

from planar3d.dosimetry import TimeAxis, fit_kinetics

LN2 = math.log(2.0)
AXIS = TimeAxis(times_s=(10.0, 20.0, 50.0))
POINTS = torch.tensor([[2.0, 6.0, 3.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
KNOWN = 40.0 + 135.0  # of the first curve, between the first and the last time


def fit(points: torch.Tensor = POINTS, **options: str) -> torch.Tensor:
    """Integrals."""
    return fit_kinetics(points, times=AXIS, half_life_s=100.0, standard_error_bq=0.1 * points, model="trapezoid", **options).value_bq_s


@pytest.mark.parametrize(("start", "before"), [("constant", 20.0), ("zero", 10.0)])
def test_lines_and_a_physical_tail_are_exact(start: str, before: float) -> None:
    assert float(fit(start=start)[0]) == pytest.approx(before + KNOWN + 3.0 * 100.0 / LN2, rel=1e-12)


def test_a_tail_by_the_last_points_is_as_fast_as_they_are_and_never_slower_than_decay() -> None:
    values = fit(tail="last")
    assert float(values[0]) == pytest.approx(20.0 + KNOWN + 3.0 * 30.0 / LN2, rel=1e-12)  # halved in 30 s
    assert float(values[1]) == pytest.approx(50.0 + 100.0 / LN2, rel=1e-12)


def test_error_is_that_of_a_weighted_sum() -> None:
    found = fit_kinetics(POINTS, times=AXIS, half_life_s=100.0, standard_error_bq=0.1 * POINTS, model="trapezoid")
    weights = torch.tensor([10.0 + 5.0, 5.0 + 15.0, 15.0 + 100.0 / LN2], dtype=torch.float64)
    torch.testing.assert_close(found.sensitivity_s, weights.expand(2, -1))
    torch.testing.assert_close(found.standard_error_bq_s, (0.1 * POINTS * weights).norm(dim=1))


def test_the_curve_passes_through_the_points_and_integrates_to_the_value() -> None:
    found = fit_kinetics(POINTS, times=AXIS, half_life_s=100.0, standard_error_bq=0.1 * POINTS, model="trapezoid", start="zero")
    torch.testing.assert_close(found.activity(torch.tensor(AXIS.times_s, dtype=torch.float64)), POINTS)
    times = torch.linspace(0.0, 4000.0, 400_001, dtype=torch.float64)
    torch.testing.assert_close(torch.trapezoid(found.activity(times), times, dim=1), found.value_bq_s, rtol=1e-5, atol=0.0)


def test_a_rising_curve_is_no_trouble() -> None:
    assert torch.isfinite(fit(POINTS.flip(1))).all()
