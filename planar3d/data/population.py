"""The digital patients that a population model learns from. No training draws a seed that the benchmark has reserved."""

from __future__ import annotations

from planar3d.anatomy.digital import digital_patient
from planar3d.anatomy.patient import Patient
from planar3d.benchmark import RESERVED_PATIENT_SEEDS

__all__ = ["digital_population"]


def digital_population(*, count: int, first_seed: int = 1, spacing_mm: float = 8.0) -> list[Patient]:
    """Digital patients of consecutive seeds.

    Args:
        count: How many.
        first_seed: Seed of the first.
        spacing_mm: Voxel edge [mm].

    Raises:
        ValueError: A seed is reserved for the benchmark.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    taken = RESERVED_PATIENT_SEEDS
    if first_seed < taken.stop and first_seed + count > taken.start:
        raise ValueError(
            f"first_seed {first_seed} and count {count} reach into {taken.start} to {taken.stop - 1}, which the benchmark reserves; take "
            f"other seeds"
        )
    return [digital_patient(seed, spacing_mm=spacing_mm) for seed in range(first_seed, first_seed + count)]
