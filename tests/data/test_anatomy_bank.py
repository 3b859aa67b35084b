"""Patients on a common grid: nothing is lost, moved off the middle or mixed up."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from planar3d.anatomy.patient import Patient
from planar3d.data import AnatomyBank
from planar3d.data.segmented_organs import segmented_organs
from planar3d.grid import Grid
from planar3d.organs import BODY, organ_id

ENERGY_KEV = 208.0


def test_padding_keeps_each_patient_whole_and_in_the_middle(patients: list[Patient]) -> None:
    bank = AnatomyBank.from_patients(patients, energies_kev=[ENERGY_KEV])
    assert bank.grid.shape == (16, 11, 15)
    for k, patient in enumerate(patients):
        margin = [(n - m) // 2 for n, m in zip(bank.grid.shape, patient.grid.shape, strict=True)]
        inner = (..., *(slice(b, b + m) for b, m in zip(margin, patient.grid.shape, strict=True)))
        assert torch.equal(bank.labels[k][inner].long(), patient.labels)
        assert torch.equal(bank.mu_maps[ENERGY_KEV][k][inner], patient.mu_map(ENERGY_KEV))
        assert (bank.labels[k] > 0).sum() == (patient.labels > 0).sum()


def test_every_energy_has_its_mu_map_and_the_labels_are_shared(patients: list[Patient]) -> None:
    bank = AnatomyBank.from_patients(patients, energies_kev=[140.5, 364.5]).to("cpu")
    index, held = torch.tensor([1]), segmented_organs(poor=False)[None]
    soft, hard = (bank.select(index, held, energy_kev=e) for e in (140.5, 364.5))
    assert torch.equal(soft[0], hard[0])
    assert soft[2].max() == patients[1].mu_map(140.5).max()
    assert hard[2].max() == patients[1].mu_map(364.5).max()
    assert soft[2].max() > 1.2 * hard[2].max()


def test_poor_labels_lack_vessels_alone_here(patients: list[Patient]) -> None:
    bank = AnatomyBank.from_patients(patients, energies_kev=[ENERGY_KEV])
    held = torch.stack([segmented_organs(poor=poor) for poor in (False, True, True)])
    labels, given, mu_map = bank.select(torch.tensor([1, 1, 0]), held, energy_kev=ENERGY_KEV)
    vessels = labels == organ_id("vessels")
    assert torch.equal(given[0], labels[0])
    assert (given[1:][vessels[1:]] == BODY).all()
    assert torch.equal(given[~vessels], labels[~vessels])
    assert torch.equal(labels[2], bank.labels[0].long())
    assert torch.equal(mu_map[0], bank.mu_maps[ENERGY_KEV][1])


def test_a_pet_is_padded_as_the_labels_are_and_some_alone_are_told(patients: list[Patient]) -> None:
    with_pet = [replace(p, pet=(p.labels == organ_id("liver")).float()) for p in patients]
    bank = AnatomyBank.from_patients(with_pet, energies_kev=[ENERGY_KEV])
    index = torch.tensor([1, 0, 1])
    pets = bank.pets(index)
    assert pets is not None
    assert torch.equal(pets > 0, bank.labels[index] == organ_id("liver"))
    assert AnatomyBank.from_patients(patients, energies_kev=[ENERGY_KEV]).pets(index) is None
    with pytest.raises(ValueError, match="must have a PET, or none"):
        AnatomyBank.from_patients([with_pet[0], patients[1]], energies_kev=[ENERGY_KEV])


def test_different_spacings_are_told(patients: list[Patient]) -> None:
    grid = patients[0].grid
    other = replace(patients[0], grid=Grid.centred(grid.shape, 10.0))
    with pytest.raises(ValueError, match="one voxel spacing"):
        AnatomyBank.from_patients([patients[0], other], energies_kev=[ENERGY_KEV])


def test_no_patient_is_told() -> None:
    with pytest.raises(ValueError, match="patients is empty"):
        AnatomyBank.from_patients([], energies_kev=[ENERGY_KEV])
