"""Priors of the half-life keep their median and end at the physical half-life."""

from __future__ import annotations

import pytest
import torch

from planar3d.dosimetry import EffectiveHalfLifePrior
from planar3d.dosimetry.effective_half_life import HalfLifePriors
from planar3d.units import SECONDS_PER_HOUR

PHYSICAL_S = 160.0 * SECONDS_PER_HOUR
LIKE = torch.zeros(1)


@pytest.mark.parametrize(("median_h", "log_sd"), [(35.5, 0.68), (120.0, 0.6), (10.8, 0.3), (150.0, 0.3)])
def test_median_is_kept_and_no_quantile_is_above_physical(median_h: float, log_sd: float) -> None:
    priors = HalfLifePriors.of(EffectiveHalfLifePrior(median_h=median_h, log_sd=log_sd), n=2, half_life_s=PHYSICAL_S, like=LIKE)
    low, median, high = priors.quantile(torch.tensor([1e-4, 0.5, 1.0 - 1e-9]))[1].tolist()
    assert median == pytest.approx(median_h * SECONDS_PER_HOUR, rel=1e-6)
    assert 0 < low < median < high <= PHYSICAL_S


def test_far_below_the_physical_half_life_it_is_log_normal() -> None:
    prior = EffectiveHalfLifePrior(median_h=5.0, log_sd=0.3)
    quantiles = HalfLifePriors.of(prior, n=1, half_life_s=PHYSICAL_S, like=LIKE).quantile(torch.tensor([0.15865525, 0.84134475]))[0]
    assert float((quantiles[1] / quantiles[0]).log()) == pytest.approx(0.6, rel=1e-5)


def test_each_curve_has_its_own() -> None:
    given = [EffectiveHalfLifePrior(median_h=m, log_sd=0.4) for m in (10.0, 80.0)]
    medians = HalfLifePriors.of(given, n=2, half_life_s=PHYSICAL_S, like=LIKE).quantile(torch.tensor([0.5]))[:, 0]
    torch.testing.assert_close(medians, SECONDS_PER_HOUR * torch.tensor([10.0, 80.0], dtype=torch.float64))


def test_bad_priors_are_refused() -> None:
    with pytest.raises(ValueError, match="median_h"):
        EffectiveHalfLifePrior(median_h=-1.0, log_sd=0.3)
    with pytest.raises(ValueError, match="log_sd"):
        EffectiveHalfLifePrior(median_h=10.0, log_sd=0.0)
    with pytest.raises(ValueError, match="longer"):
        EffectiveHalfLifePrior(median_h=170.0, log_sd=0.3).location(PHYSICAL_S)
    with pytest.raises(ValueError, match="one for all or one for each"):
        HalfLifePriors.of([EffectiveHalfLifePrior(median_h=10.0, log_sd=0.3)] * 2, n=3, half_life_s=PHYSICAL_S, like=LIKE)
