"""Ranks are uniform for a true posterior, and the score is best for it."""

from __future__ import annotations

import pytest
import torch

from planar3d.metrics import crps, sample_ranks

SAMPLES = 9


def test_ranks_of_a_true_posterior_are_uniform(generator: torch.Generator) -> None:
    truth, samples = torch.randn(20_000, generator=generator), torch.randn(SAMPLES, 20_000, generator=generator)
    shares = torch.bincount(sample_ranks(samples, truth), minlength=SAMPLES + 1) / 20_000
    assert shares.tolist() == pytest.approx([0.1] * (SAMPLES + 1), abs=0.01)


def test_a_posterior_that_is_too_narrow_heaps_ranks_at_both_ends(generator: torch.Generator) -> None:
    truth, samples = torch.randn(5000, generator=generator), 0.3 * torch.randn(SAMPLES, 5000, generator=generator)
    shares = torch.bincount(sample_ranks(samples, truth), minlength=SAMPLES + 1) / 5000
    assert shares[0] > 0.25
    assert shares[-1] > 0.25


def test_equals_are_spread_evenly(generator: torch.Generator) -> None:
    zero = torch.zeros(20_000)
    assert not sample_ranks(zero.expand(SAMPLES, -1), zero).any()
    shares = torch.bincount(sample_ranks(zero.expand(SAMPLES, -1), zero, generator), minlength=SAMPLES + 1) / 20_000
    assert shares.tolist() == pytest.approx([0.1] * (SAMPLES + 1), abs=0.01)


@pytest.mark.parametrize("samples", [2, 40])
def test_the_score_of_a_normal_posterior_is_that_of_the_formula(samples: int, generator: torch.Generator) -> None:
    """Of a standard normal at its centre: 2 phi(0) - 1 / sqrt(pi) = 0.2337, however few samples."""
    drawn = torch.randn(samples, 40_000, generator=generator)
    assert float(crps(drawn, torch.zeros(40_000)).mean()) == pytest.approx(0.2337, abs=0.01)


def test_the_score_is_best_for_the_true_spread(generator: torch.Generator) -> None:
    truth, noise = torch.randn(20_000, generator=generator), torch.randn(16, 20_000, generator=generator)
    scores = {spread: float(crps(spread * noise, truth).mean()) for spread in (0.6, 1.0, 1.6)}
    assert min(scores, key=scores.__getitem__) == 1.0


def test_a_single_sample_is_told() -> None:
    with pytest.raises(ValueError, match="at least two"):
        crps(torch.zeros(1, 3), torch.zeros(3))
