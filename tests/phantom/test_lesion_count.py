"""Properties of the number of lesions."""

from __future__ import annotations

import pytest
import torch

from planar3d.phantom import LesionCount


@pytest.mark.parametrize(("mean", "dispersion", "fewest", "most"), [(12.0, 0.8, 1, 60), (8.0, 0.6, 0, 60), (40.0, 20.0, 30, 60)])
def test_the_mean_is_the_one_asked_for_and_bounds_hold(mean: float, dispersion: float, fewest: int, most: int) -> None:
    count = LesionCount(mean=mean, dispersion=dispersion, fewest=fewest, most=most)
    n = torch.arange(fewest, most + 1, dtype=torch.float64)
    assert float((count.probability * n).sum()) == pytest.approx(mean, rel=1e-6)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.tensor([count.draw(generator) for _ in range(2000)])
    assert fewest <= int(drawn.min())
    assert int(drawn.max()) <= most
    running = torch.bincount(drawn, minlength=most + 1)[fewest:].cumsum(0) / len(drawn)
    assert (running - count.probability.cumsum(0)).abs().max() < 1.36 / 2000**0.5  # Kolmogorov-Smirnov, 5 %


def test_the_tail_is_heavy() -> None:
    probability = LesionCount().probability
    assert float(probability[39:].sum()) > 0.03  # forty or more
    assert float(probability[:4].sum()) > 0.25


def test_a_mean_out_of_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="mean"):
        LesionCount(mean=70.0)
    with pytest.raises(ValueError, match="dispersion"):
        LesionCount(dispersion=0.0)
