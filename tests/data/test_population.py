"""The population keeps its hands off the benchmark's patients."""

from __future__ import annotations

import pytest
import torch

from planar3d.benchmark import FIRST_PHANTOM_SEED, RESERVED_PATIENT_SEEDS, SEEDS_PER_ANATOMY
from planar3d.data import digital_population, phantom_datamodule


@pytest.mark.parametrize("first", [RESERVED_PATIENT_SEEDS.start - 1, RESERVED_PATIENT_SEEDS.start, RESERVED_PATIENT_SEEDS.stop - 1])
def test_reserved_seeds_are_refused(first: int) -> None:
    with pytest.raises(ValueError, match="the benchmark reserves"):
        digital_population(count=2, first_seed=first)


def test_training_and_benchmark_phantoms_differ_in_the_bits_that_a_generator_uses() -> None:
    assert phantom_datamodule.PHANTOM_SEEDS <= FIRST_PHANTOM_SEED
    assert FIRST_PHANTOM_SEED + 1000 * SEEDS_PER_ANATOMY < 2**32


def test_patients_of_a_population_differ() -> None:
    one, other = digital_population(count=2, first_seed=3, spacing_mm=32.0)
    assert not torch.equal(one.labels, other.labels)


def test_an_empty_population_is_told() -> None:
    with pytest.raises(ValueError, match="count must be at least 1"):
        digital_population(count=0)
