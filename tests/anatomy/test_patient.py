"""A patient from files: orientation, organs, body, attenuation, and what is refused."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from planar3d.anatomy import Patient
from planar3d.grid import Grid
from planar3d.materials import linear_attenuation
from planar3d.organs import BODY, organ_id

ENERGY_KEV = 208.37
TotalSegmentator = "totalsegmentator_example"


def _middle_mm(patient: Patient, organ: str) -> np.ndarray:
    """Centre of an organ in patient coordinates."""
    index = torch.nonzero(patient.labels[0] == organ_id(organ)).double().mean(dim=0).numpy()
    return patient.grid.affine[:3, :3] @ index + patient.grid.affine[:3, 3]


def _volume_ml(patient: Patient, organ: str) -> float:
    return float((patient.labels == organ_id(organ)).sum()) * patient.grid.voxel_volume_ml


def _store(path: Path, source: Path, codes: str) -> Path:
    """Copy of a file with its axes in another order and direction."""
    image = nib.load(source)
    wanted = nib.orientations.axcodes2ornt(codes)
    nib.save(image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), wanted)), path)
    return path


def test_a_patient_survives_the_way_through_files(digital: Patient, digital_files: tuple[Path, Path, Path]) -> None:
    ct, labels, ids = digital_files
    read = Patient.from_files(ct, labels, label_scheme=ids)
    assert read.grid.is_close(digital.grid)
    labelled = digital.labels > BODY
    assert torch.equal(read.labels[labelled], digital.labels[labelled])
    torch.testing.assert_close(read.ct_hu[labelled], digital.ct_hu[labelled])


@pytest.mark.parametrize("codes", ["LPS", "RAI", "PIR", "SAL"])
def test_orientation_of_the_files_does_not_matter(digital_files: tuple[Path, Path, Path], tmp_path: Path, codes: str) -> None:
    ct, labels, ids = digital_files
    straight = Patient.from_files(ct, labels, label_scheme=ids)
    turned = Patient.from_files(
        _store(tmp_path / "ct.nii.gz", ct, codes), _store(tmp_path / "labels.nii.gz", labels, "LPS"), label_scheme=ids
    )
    assert torch.equal(turned.labels, straight.labels)
    assert torch.equal(turned.ct_hu, straight.ct_hu)
    assert _middle_mm(turned, "liver")[0] > 20.0  # the liver is on the right, and x grows to the right
    assert _middle_mm(turned, "spleen")[0] < -40.0


def test_a_planted_flip_moves_the_liver(digital_files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    paths = []
    for source in digital_files[:2]:
        image = nib.load(source)
        paths.append(tmp_path / source.name)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::-1], image.affine), paths[-1])
    assert _middle_mm(Patient.from_files(*paths, label_scheme=digital_files[2]), "liver")[0] < -20.0


def test_an_oblique_scan_is_straightened(digital: Patient, digital_files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    angle = np.deg2rad(12.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0, 0], [np.sin(angle), np.cos(angle), 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    paths = []
    for source in digital_files[:2]:
        image = nib.load(source)
        paths.append(tmp_path / source.name)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), turn @ image.affine), paths[-1])
    patient = Patient.from_files(*paths, label_scheme=digital_files[2])
    for organ in ("liver", "spleen", "urinary_bladder", "kidney_left"):
        expected = turn[:3, :3] @ _middle_mm(digital, organ)
        np.testing.assert_allclose(_middle_mm(patient, organ), expected, atol=1.5)
        assert _volume_ml(patient, organ) == pytest.approx(_volume_ml(digital, organ), rel=0.08)


def test_the_mu_map_is_that_of_tissue_and_nothing_outside(digital: Patient) -> None:
    mu = digital.mu_map(ENERGY_KEV)
    assert (mu[~digital.body] == 0).all()
    liver = mu[digital.labels == organ_id("liver")].median()
    assert float(liver) == pytest.approx(linear_attenuation("muscle", ENERGY_KEV), rel=0.03)
    lung = float(mu[digital.labels == organ_id("lung_right")].median())
    assert 0.12 < lung / linear_attenuation("water", ENERGY_KEV) < 0.35


def test_resampling_keeps_volumes_attenuation_and_place(digital: Patient) -> None:
    fine = digital.resampled(5.0)
    assert fine.grid.spacing_mm == (5.0, 5.0, 5.0)
    for organ in ("liver", "lung_left", "heart"):
        assert _volume_ml(fine, organ) == pytest.approx(_volume_ml(digital, organ), rel=0.04)
        np.testing.assert_allclose(_middle_mm(fine, organ), _middle_mm(digital, organ), atol=1.5)
    coarse = digital.resampled((12.0, 12.0, 12.0))
    totals = [float(p.mu_map(ENERGY_KEV).sum()) * p.grid.voxel_volume_ml for p in (digital, coarse)]
    assert totals[1] == pytest.approx(totals[0], rel=0.03)
    other = Grid.centred((20, 18, 16), 9.0, (10.0, 5.0, -50.0))
    assert digital.resampled(other).grid == other
    assert digital.resampled(digital.grid) is digital


def test_organs_can_be_taken_away(digital: Patient) -> None:
    poor = digital.without(["colon", "small_bowel"])
    assert _volume_ml(poor, "colon") == 0
    assert torch.equal(poor.body, digital.body)
    assert _volume_ml(digital, "colon") > 0
    with pytest.raises(ValueError, match="organ 'gut' is not known"):
        digital.without(["gut"])


def test_the_real_dotatate_patient(sample_data: Path, dotatate_ids: Path) -> None:
    folder = sample_data / "lu177_dotatate_patient"
    patient = Patient.from_files(folder / "ct.nii.gz", folder / "labels.nii.gz", label_scheme=dotatate_ids)
    for organ, volume in (("liver", 1037), ("spleen", 104), ("kidney_left", 138), ("kidney_right", 168), ("lesion_1", 6.3)):
        assert _volume_ml(patient, organ) == pytest.approx(volume, rel=0.03)
    assert _middle_mm(patient, "kidney_right")[0] > _middle_mm(patient, "kidney_left")[0] + 80.0
    assert float(patient.ct_hu.max()) < 1900.0  # the couch of 2000 HU is gone
    depth_mm = patient.body[0].sum(dim=1).max() * patient.grid.spacing_mm[1]
    assert 180.0 < depth_mm < 280.0


def test_a_real_couch_is_removed_unlabelled(sample_data: Path, dotatate_ids: Path) -> None:
    folder = sample_data / "lu177_dotatate_patient"
    labelled = Patient.from_files(folder / "ct.nii.gz", folder / "labels.nii.gz", label_scheme=dotatate_ids, fill_from_ct=False)
    ct = torch.from_numpy(np.asarray(nib.load(folder / "ct.nii.gz").dataobj, dtype=np.float32))[None]
    alone = Patient.from_volumes(labelled.grid, ct, torch.zeros(ct.shape, dtype=torch.int64), fill_from_ct=False)
    assert int((alone.body ^ labelled.body).sum()) < 0.005 * int(labelled.body.sum())
    couch = torch.from_numpy(np.asarray(nib.load(folder / "labels.nii.gz").dataobj))[None] == 8
    assert int((alone.body & couch).sum()) < 0.005 * int(couch.sum())


@pytest.mark.parametrize(("ct", "labels"), [("ct", "labels_v1"), ("ct_30slices", "labels_v2_30slices")])
def test_real_segmentations_of_both_versions_are_recognised(sample_data: Path, ct: str, labels: str) -> None:
    folder = sample_data / TotalSegmentator
    patient = Patient.from_files(folder / f"{ct}.nii.gz", folder / f"{labels}.nii.gz")
    assert _volume_ml(patient, "liver") > 800.0
    assert _volume_ml(patient, "spine") > 100.0
    assert _middle_mm(patient, "liver")[0] > _middle_mm(patient, "spleen")[0] + 80.0
    assert _middle_mm(patient, "kidney_right")[0] > _middle_mm(patient, "kidney_left")[0] + 50.0


def test_version_2_is_recognised_without_its_names(sample_data: Path, tmp_path: Path) -> None:
    folder = sample_data / TotalSegmentator
    named = nib.load(folder / "labels_v2_30slices.nii.gz")
    nib.save(nib.Nifti1Image(np.asarray(named.dataobj), named.affine), tmp_path / "labels.nii.gz")
    patients = [
        Patient.from_files(folder / "ct_30slices.nii.gz", p) for p in (tmp_path / "labels.nii.gz", folder / "labels_v2_30slices.nii.gz")
    ]
    assert torch.equal(patients[0].labels, patients[1].labels)


def test_a_real_body_reaches_the_edges_of_a_narrow_field(sample_data: Path) -> None:
    folder = sample_data / TotalSegmentator
    patient = Patient.from_files(folder / "ct.nii.gz", folder / "labels_v1.nii.gz")
    hips = patient.body[0, :, :, :15]
    assert bool(hips[0].any())
    assert bool(hips[-1].any())
    raw = np.asarray(nib.load(folder / "ct.nii.gz").dataobj)[:, :3]  # rows that hold nothing but the couch
    assert (raw > -500).sum() > 1000
    assert not patient.body[0, :, :3].any()
    assert float(patient.ct_hu[0, :, :3].max()) < -500.0


def test_ids_that_mean_nothing_known_ask_the_user(sample_data: Path) -> None:
    folder = sample_data / "lu177_dotatate_patient"
    with pytest.raises(ValueError, match="say what they mean with label_scheme="):
        Patient.from_files(folder / "ct.nii.gz", folder / "labels.nii.gz")


def test_grids_that_differ_are_refused(digital_files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    ct, labels, ids = digital_files
    image = nib.load(labels)
    affine = image.affine.copy()
    affine[0, 3] += 4.0
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), tmp_path / "shifted.nii.gz")
    with pytest.raises(ValueError, match="ct and labels lie on different grids"):
        Patient.from_files(ct, tmp_path / "shifted.nii.gz", label_scheme=ids)


def test_nan_in_the_ct_is_refused(digital_files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    ct, labels, ids = digital_files
    image = nib.load(ct)
    data = np.asarray(image.dataobj).copy()
    data[3, 3, 3] = np.nan
    nib.save(nib.Nifti1Image(data, image.affine), tmp_path / "ct.nii.gz")
    with pytest.raises(ValueError, match="ct has 1 voxels that are NaN or infinite"):
        Patient.from_files(tmp_path / "ct.nii.gz", labels, label_scheme=ids)


def test_volumes_of_another_shape_are_refused(digital: Patient) -> None:
    with pytest.raises(ValueError, match="ct_hu has shape"):
        Patient(grid=digital.grid, ct_hu=digital.ct_hu[:, 1:], labels=digital.labels[:, 1:])
