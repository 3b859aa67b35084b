"""Lungs and skeleton found in a CT are where a segmentation has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from planar3d.anatomy import Patient, digital_patient
from planar3d.anatomy.segmentation import fill_from_ct
from planar3d.organs import BODY, GROUPS, organ_id

FILLED = (*GROUPS["lungs"], *GROUPS["skeleton"])


def _ids(names: tuple[str, ...]) -> Tensor:
    return torch.tensor([organ_id(n) for n in names])


def _overlap(found: Tensor, truth: Tensor, name: str) -> float:
    """Dice coefficient of one organ."""
    a, b = found == organ_id(name), truth == organ_id(name)
    return float(2.0 * (a & b).sum() / (a.sum() + b.sum()))


def test_lungs_and_bones_of_a_digital_patient_are_found_again() -> None:
    digital = digital_patient(3, 4.8)  # a CT's resolution: ribs thinner than a voxel have no threshold
    bare = digital.without(FILLED)
    found = fill_from_ct(bare.ct_hu, bare.labels, bare.grid)
    for name, least in (("lung_left", 0.9), ("lung_right", 0.9), ("spine", 0.75), ("ribs", 0.6), ("pelvis", 0.7)):
        assert _overlap(found, digital.labels, name) > least, name


def test_what_is_labelled_stays(digital: Patient) -> None:
    bare = digital.without(FILLED)
    found = fill_from_ct(bare.ct_hu, bare.labels, bare.grid)
    labelled = bare.labels != BODY
    assert torch.equal(found[labelled], bare.labels[labelled])
    assert torch.equal(fill_from_ct(digital.ct_hu, digital.labels, digital.grid), digital.labels)


def test_left_and_right_follow_the_patient(digital: Patient) -> None:
    bare = digital.without(FILLED)
    found = fill_from_ct(bare.ct_hu.flip(1), bare.labels.flip(1), bare.grid).flip(1)
    assert _overlap(found, digital.labels, "lung_left") < 0.2


def test_gas_in_the_bowel_is_no_lung(digital: Patient) -> None:
    ct_hu, labels = digital.ct_hu.clone(), digital.without(FILLED).labels
    belly = (slice(None), slice(20, 26), slice(18, 24), slice(14, 20))
    ct_hu[belly] = -995.0
    labels[belly] = BODY
    found = fill_from_ct(ct_hu, labels, digital.grid)
    assert not torch.isin(found[belly], _ids(GROUPS["lungs"])).any()


def test_a_real_ct_gives_the_skeleton_of_its_segmentation(sample_data: Path) -> None:
    folder = sample_data / "totalsegmentator_example"
    truth = Patient.from_files(folder / "ct.nii.gz", folder / "labels_v1.nii.gz", label_scheme="totalsegmentator_v1")
    bare = replace(truth, labels=truth.without(FILLED).labels)
    found = fill_from_ct(bare.ct_hu, bare.labels, bare.grid)
    for name, least in (("lung_left", 0.9), ("lung_right", 0.9), ("spine", 0.65), ("ribs", 0.6), ("pelvis", 0.75)):
        assert _overlap(found, truth.labels, name) > least, name


def test_the_lumbar_spine_of_a_real_patient_is_spine(sample_data: Path, dotatate_ids: Path) -> None:
    folder = sample_data / "lu177_dotatate_patient"
    patient = Patient.from_files(folder / "ct.nii.gz", folder / "labels.nii.gz", label_scheme=dotatate_ids)
    volumes = {n: float((patient.labels == organ_id(n)).sum()) * patient.grid.voxel_volume_ml for n in FILLED}
    assert volumes["lung_right"] > volumes["lung_left"] > 300.0
    assert 300.0 < volumes["spine"] < 900.0
    assert volumes["ribs"] > 100.0
    assert volumes["pelvis"] > 200.0
    heights = torch.nonzero(patient.labels[0] == organ_id("pelvis"))[:, 2]
    assert int(heights.max()) < patient.grid.shape[2] // 2


@pytest.mark.parametrize("group", ["lungs", "skeleton"])
def test_an_empty_field_stays_empty(digital: Patient, group: str) -> None:
    soft = torch.full_like(digital.ct_hu, 40.0)
    labels = torch.full_like(digital.labels, BODY)
    assert not torch.isin(fill_from_ct(soft, labels, digital.grid), _ids(GROUPS[group])).any()
