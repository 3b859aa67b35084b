"""Bootstrap intervals: as wide as theory says, paired where cases are, and reproducible."""

from __future__ import annotations

import pytest
import torch

from planar3d.metrics import bootstrap_mean, paired_difference


def test_interval_is_that_of_the_standard_error(generator: torch.Generator) -> None:
    values = torch.randn(400, generator=generator)
    interval = bootstrap_mean(values, generator=generator)
    half_width = 1.96 * values.std(correction=0).item() / 20.0
    assert interval.mean == pytest.approx(values.mean().item(), abs=1e-6)
    assert interval.high - interval.mean == pytest.approx(half_width, rel=0.1)
    assert interval.mean - interval.low == pytest.approx(half_width, rel=0.1)
    assert interval.cases == 400


def test_interval_covers_the_expectation_as_often_as_it_says(generator: torch.Generator) -> None:
    intervals = [bootstrap_mean(torch.randn(50, generator=generator), generator=generator, resamples=500) for _ in range(300)]
    covered = sum(i.low <= 0 <= i.high for i in intervals) / 300
    assert covered == pytest.approx(0.95, abs=0.05)


def test_pairing_sees_a_small_difference_between_unlike_cases(generator: torch.Generator) -> None:
    reference = 10.0 * torch.rand(40, generator=generator)
    values = reference - 0.1 + 0.05 * torch.randn(40, generator=generator)
    difference = paired_difference(values, reference, generator=generator)
    assert difference.high < 0
    assert difference.mean == pytest.approx(-0.1, abs=0.03)
    apart = bootstrap_mean(values, generator=generator)
    assert apart.high - apart.low > 10 * (difference.high - difference.low)


def test_one_case_has_no_width(generator: torch.Generator) -> None:
    interval = bootstrap_mean(torch.tensor([0.3]), generator=generator)
    assert interval.low == interval.high == pytest.approx(0.3)


def test_same_generator_same_interval() -> None:
    values = torch.arange(10.0)
    first, second = (bootstrap_mean(values, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("values", [torch.zeros(0), torch.tensor([1.0, float("nan")])])
def test_refuses_missing_values(values: torch.Tensor, generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match="values must be finite"):
        bootstrap_mean(values, generator=generator)


def test_refuses_unpaired_cases(generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match="same cases"):
        paired_difference(torch.zeros(3), torch.zeros(4), generator=generator)


def test_cases_of_few_patients_have_wider_intervals(generator: torch.Generator) -> None:
    """Ten cases of each of eight patients who differ: as wide as the means of eight patients allow, not as eighty cases would."""
    patients = torch.randn(8, generator=generator, dtype=torch.float64)
    values = (patients[:, None] + 0.1 * torch.randn(8, 10, generator=generator, dtype=torch.float64)).flatten()
    groups = torch.arange(8).repeat_interleave(10)
    together = bootstrap_mean(values, generator=torch.Generator().manual_seed(1), groups=groups)
    apart = bootstrap_mean(values, generator=torch.Generator().manual_seed(1))
    of_means = bootstrap_mean(values.view(8, 10).mean(dim=1), generator=torch.Generator().manual_seed(1))
    assert together.mean == apart.mean
    assert together.high - together.low == pytest.approx(of_means.high - of_means.low, rel=0.1)
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_groups_of_unequal_size_keep_their_weight() -> None:
    values, groups = torch.tensor([0.0, 0.0, 0.0, 4.0]), torch.tensor([0, 0, 0, 7])
    interval = bootstrap_mean(values, generator=torch.Generator().manual_seed(1), groups=groups)
    assert interval.mean == 1.0
    assert (interval.low, interval.high) == (0.0, 4.0)
