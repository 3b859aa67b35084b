"""Coverage is nominal where uncertainty is true, and says so where it is not."""

from __future__ import annotations

import pytest
import torch

from planar3d.metrics import interval_coverage, sample_coverage


def test_true_standard_errors_cover_nominally(generator: torch.Generator) -> None:
    error = 0.5 + torch.rand(200, 100, generator=generator)
    truth = torch.randn(200, 100, generator=generator)
    estimate = truth + error * torch.randn(200, 100, generator=generator)
    assert interval_coverage(estimate, error, truth).tolist() == pytest.approx([0.5, 0.9, 0.95], abs=0.01)


def test_halved_standard_errors_are_found_out(generator: torch.Generator) -> None:
    truth, noise = torch.zeros(20_000), torch.randn(20_000, generator=generator)
    # P(|z| < 1.96 / 2) = 0.673
    assert interval_coverage(noise, torch.full_like(truth, 0.5), truth, levels=(0.95,)).item() == pytest.approx(0.673, abs=0.01)


def test_unknown_entries_are_left_out() -> None:
    nan = float("nan")
    estimate, error, truth = torch.tensor([0.0, 5.0, nan]), torch.tensor([1.0, nan, 1.0]), torch.zeros(3)
    assert interval_coverage(estimate, error, truth, levels=(0.9,)).tolist() == [1.0]


def test_samples_of_the_truth_cover_nominally(generator: torch.Generator) -> None:
    centre = torch.randn(4000, generator=generator)
    samples = centre + torch.randn(200, 4000, generator=generator)
    truth = centre + torch.randn(4000, generator=generator)
    assert sample_coverage(samples, truth).tolist() == pytest.approx([0.5, 0.9, 0.95], abs=0.02)


def test_collapsed_samples_cover_nothing(generator: torch.Generator) -> None:
    truth = torch.randn(50, generator=generator)
    assert sample_coverage(torch.zeros(20, 50), truth).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_refuses_levels_that_are_no_probability(level: float) -> None:
    with pytest.raises(ValueError, match="levels"):
        interval_coverage(torch.zeros(2), torch.ones(2), torch.zeros(2), levels=(level,))
