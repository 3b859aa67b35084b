"""The patients that a population model learns from: digital ones, or real ones warped.

No training draws a digital patient that the benchmark has reserved.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import torch
from numpy.typing import NDArray

from planar3d.anatomy.digital import digital_patient
from planar3d.anatomy.field import field_named
from planar3d.anatomy.patient import Patient
from planar3d.anatomy.warp import draw_warp, warp_patient
from planar3d.benchmark import RESERVED_PATIENT_SEEDS, FilePatient
from planar3d.grid import Grid

__all__ = ["digital_population", "warped_population"]


def digital_population(
    *, count: int, first_seed: int = 1, spacing_mm: float = 8.0, field: str = "torso", workers: int = 1
) -> list[Patient]:
    """Digital patients of consecutive seeds.

    Args:
        count: How many.
        first_seed: Seed of the first.
        spacing_mm: Voxel edge [mm].
        field: What of them, ``"torso"`` or ``"whole_body"``.
        workers: Processes that render them; 1 renders in this one. A whole body of 4.8 mm takes a core four seconds.

    Raises:
        ValueError: A seed is reserved for the benchmark, or there is no such field.
    """
    for name, number in (("count", count), ("workers", workers)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    taken = RESERVED_PATIENT_SEEDS
    if first_seed < taken.stop and first_seed + count > taken.start:
        raise ValueError(
            f"first_seed {first_seed} and count {count} reach into {taken.start} to {taken.stop - 1}, which the benchmark reserves; take "
            f"other seeds"
        )
    seeds = range(first_seed, first_seed + count)
    shown = field_named(field)
    if workers == 1:
        return [digital_patient(seed, spacing_mm, shown) for seed in seeds]
    spawned = multiprocessing.get_context("spawn")  # a process forked after CUDA has begun cannot use it
    with ProcessPoolExecutor(min(workers, count), mp_context=spawned, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        made, grid = pool.map(partial(_rendered, spacing_mm=spacing_mm, field=shown), seeds), shown.resampled(spacing_mm)
        return [
            Patient(grid=grid, ct_hu=torch.from_numpy(ct_hu), labels=torch.from_numpy(labels), name=f"digital_{seed}")
            for seed, (ct_hu, labels) in zip(seeds, made, strict=True)
        ]


def _rendered(seed: int, *, spacing_mm: float, field: Grid) -> tuple[NDArray, NDArray]:
    """CT and labels of a digital patient as arrays: tensors would each keep a file open on their way between processes."""
    patient = digital_patient(seed, spacing_mm, field)
    return patient.ct_hu.numpy(), patient.labels.numpy()


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
