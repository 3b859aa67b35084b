"""The patients that a population model learns from: digital ones, or real ones warped.

No training draws a digital patient that the benchmark has reserved.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from planar3d.anatomy.digital import digital_patient
from planar3d.anatomy.field import field_named
from planar3d.anatomy.patient import Patient
from planar3d.anatomy.warp import draw_warp, warp_patient
from planar3d.benchmark import RESERVED_PATIENT_SEEDS, FilePatient

__all__ = ["digital_population", "warped_population"]


def digital_population(*, count: int, first_seed: int = 1, spacing_mm: float = 8.0, field: str = "torso") -> list[Patient]:
    """Digital patients of consecutive seeds.

    Args:
        count: How many.
        first_seed: Seed of the first.
        spacing_mm: Voxel edge [mm].
        field: What of them, ``"torso"`` or ``"whole_body"``.

    Raises:
        ValueError: A seed is reserved for the benchmark, or there is no such field.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    taken = RESERVED_PATIENT_SEEDS
    if first_seed < taken.stop and first_seed + count > taken.start:
        raise ValueError(
            f"first_seed {first_seed} and count {count} reach into {taken.start} to {taken.stop - 1}, which the benchmark reserves; take "
            f"other seeds"
        )
    grid = field_named(field)
    return [digital_patient(seed, spacing_mm, grid) for seed in range(first_seed, first_seed + count)]


def warped_population(*, sources: Sequence[FilePatient], count: int, first_seed: int = 1, spacing_mm: float = 8.0) -> list[Patient]:
    """Real anatomies made many: each in turn under warps of consecutive seeds.

    Args:
        sources: Where the anatomies lie.
        count: How many patients in all.
        first_seed: Seed of the first warp.
        spacing_mm: Voxel edge [mm].

    Raises:
        ValueError: There is no source, or a file is not there.
    """
    missing = [source.name for source in sources if not source.available]
    if missing or not sources or count < 1:
        told = f"{', '.join(missing)} missing" if missing else f"{len(sources)} sources"
        raise ValueError(
            f"warped_population needs a positive count and the files of at least one source, got count={count} and {told}; set "
            f"PLANAR3D_DATA to the folder that holds them"
        )
    anatomies = [
        Patient.from_files(source.ct, source.labels, label_scheme=source.label_scheme, spacing_mm=spacing_mm, name=source.name)
        for source in sources
    ]
    return [warp_patient(anatomies[k % len(anatomies)], draw_warp(torch.Generator().manual_seed(first_seed + k))) for k in range(count)]
