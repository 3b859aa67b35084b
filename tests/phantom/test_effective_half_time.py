"""Properties of effective half-times."""

from __future__ import annotations

import pytest
import torch

from planar3d.phantom.effective_half_time import EffectiveHalfTime


def half_times(median_h: float, log_sd: float, shortest_h: float = 0.0, limit_h: float = 160.0) -> torch.Tensor:
    """Many patients' half-times of one tissue."""
    columns = [torch.full((20000,), value) for value in (median_h, log_sd, shortest_h)]
    source = EffectiveHalfTime(median_h=columns[0], log_sd=columns[1], shortest_h=columns[2], limit_h=limit_h)
    return source(torch.randn(20000, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(("median_h", "log_sd", "shortest_h"), [(32.0, 0.89, 5.9), (120.0, 0.6, 0.0), (16.8, 0.74, 9.3), (150.0, 0.3, 0.0)])
def test_the_median_is_kept_and_the_ends_are_not_passed(median_h: float, log_sd: float, shortest_h: float) -> None:
    drawn = half_times(median_h, log_sd, shortest_h)
    assert float(drawn.median()) == pytest.approx(median_h, rel=0.03)
    assert float(drawn.max()) <= 160.0 * (1 + 1e-6)
    assert float(drawn.min()) >= shortest_h * (1 - 1e-6)


def test_far_from_the_ends_it_is_log_normal() -> None:
    log = half_times(20.0, 0.3).log()
    assert float(log.std()) == pytest.approx(0.3, rel=0.03)


def test_no_spread_gives_the_median() -> None:
    torch.testing.assert_close(half_times(50.0, 0.0), torch.full((20000,), 50.0), rtol=1e-4, atol=0.0)


def test_medians_outside_the_ends_are_refused() -> None:
    with pytest.raises(ValueError, match="physical half-life"):
        half_times(170.0, 0.3)
    with pytest.raises(ValueError, match="shortest_half_time_h"):
        half_times(30.0, 0.3, 40.0)
