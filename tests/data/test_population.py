"""Populations: digital patients that keep their hands off the benchmark's, and real anatomies made many."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from planar3d.benchmark import FIRST_PHANTOM_SEED, RESERVED_PATIENT_SEEDS, SEEDS_PER_ANATOMY, FilePatient
from planar3d.data import digital_population, phantom_datamodule
from planar3d.data.population import warped_population
from planar3d.organs import organ_id


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


def test_a_whole_body_has_what_its_trunk_has_and_a_head() -> None:
    trunk, whole = (digital_population(count=1, first_seed=3, spacing_mm=16.0, field=field)[0] for field in ("torso", "whole_body"))
    parotid, liver = organ_id("parotid_left"), organ_id("liver")
    assert (whole.labels == parotid).any()
    assert not (trunk.labels == parotid).any()
    volumes = [float((p.labels == liver).sum()) for p in (trunk, whole)]
    assert volumes[1] == pytest.approx(volumes[0], rel=0.1)
    with pytest.raises(ValueError, match="field must be one of torso, whole_body"):
        digital_population(count=1, field="head")


@pytest.mark.slow
def test_more_processes_render_the_same_patients() -> None:
    alone, shared = (digital_population(count=3, first_seed=3, spacing_mm=32.0, workers=workers) for workers in (1, 2))
    for one, other in zip(alone, shared, strict=True):
        assert (one.name, one.grid) == (other.name, other.grid)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.ct_hu, other.ct_hu)
    with pytest.raises(ValueError, match="workers must be at least 1"):
        digital_population(count=1, workers=0)


def test_an_empty_population_is_told() -> None:
    with pytest.raises(ValueError, match="count must be at least 1"):
        digital_population(count=0)


def source(folder: Path) -> FilePatient:
    return FilePatient(
        name="totalsegmentator_example",
        ct=str(folder / "totalsegmentator_example" / "ct.nii.gz"),
        labels=str(folder / "totalsegmentator_example" / "labels_v1.nii.gz"),
        label_scheme="totalsegmentator_v1",
    )


def test_a_real_anatomy_is_made_many(sample_data: Path) -> None:
    one, other = warped_population(sources=[source(sample_data)], count=2, spacing_mm=16.0)
    again = warped_population(sources=[source(sample_data)], count=1, first_seed=2, spacing_mm=16.0)[0]
    assert one.grid.spacing_mm == other.grid.spacing_mm
    assert one.labels.shape != other.labels.shape or not torch.equal(one.labels, other.labels)
    assert torch.equal(again.labels, other.labels)


def test_a_missing_anatomy_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="totalsegmentator_example missing; set PLANAR3D_DATA"):
        warped_population(sources=[source(tmp_path)], count=2)
    with pytest.raises(ValueError, match="got count=2 and 0 sources"):
        warped_population(sources=[], count=2)
