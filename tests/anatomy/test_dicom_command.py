"""Anatomy in DICOM through the command line: results of NIfTI in the space of the series, one sentence for what is wrong, no names."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from omegaconf import OmegaConf

from planar3d.grid import Grid
from planar3d.organs import ORGANS
from tests.dicom_anatomy import SECRETS, contours_of, write_ct, write_seg, write_structures
from tests.dosimetry_box import label_map, make_study

Run = Callable[..., None]
Given = Callable[..., list[str]]
Fails = Callable[..., str]


@pytest.fixture
def masks(acquisition: Path) -> dict[str, np.ndarray]:
    """The patient's organs by name."""
    labels = np.asarray(nib.load(acquisition / "labels.nii.gz").dataobj)
    return {ORGANS[i]: labels == i for i in np.unique(labels) if i > 0}


@pytest.fixture
def series(acquisition: Path) -> Path:
    """The patient's CT as a DICOM series, and the same CT numbers in NIfTI."""
    image = nib.load(acquisition / "ct.nii.gz")
    hu = np.rint(np.asarray(image.dataobj) * 16.0) / 16.0
    nib.save(nib.Nifti1Image(hu.astype(np.float32), image.affine), acquisition / "ct.nii.gz")
    return write_ct(acquisition / "ct", hu, Grid.from_affine(hu.shape, image.affine))


@pytest.fixture
def structures(acquisition: Path, masks: dict[str, np.ndarray]) -> Path:
    """The patient's organs as an RT structure set."""
    image = nib.load(acquisition / "ct.nii.gz")
    grid = Grid.from_affine(image.shape, image.affine)
    return write_structures(acquisition / "rs.dcm", {name: contours_of(mask, grid) for name, mask in masks.items()})


def in_ras(path: Path) -> nib.Nifti1Image:
    return nib.as_closest_canonical(nib.load(path))


def test_dicom_and_nifti_give_the_same_activity(
    run: Run, given: Given, acquisition: Path, series: Path, masks: dict[str, np.ndarray], structures: Path
) -> None:
    seg = write_seg(acquisition / "seg.dcm", series, masks)
    run("reconstruct", *given(acquisition, output_dir="nifti"), "method=qplanar_em")
    for name, labels in (("seg", seg), ("rtstruct", structures)):
        changes = {"patient.ct": str(series), "patient.labels": str(labels), "output_dir": name}
        run("reconstruct", *given(acquisition, **changes), "method=qplanar_em")
        found, expected = in_ras(Path(name) / "activity.nii.gz"), in_ras(Path("nifti/activity.nii.gz"))
        np.testing.assert_allclose(found.affine, expected.affine, atol=1e-3)
        np.testing.assert_allclose(found.get_fdata(), expected.get_fdata(), rtol=1e-4, atol=1e-5 * expected.get_fdata().max())
        assert nib.aff2axcodes(nib.load(f"{name}/activity.nii.gz").affine) == ("L", "P", "S")  # the space of the series


def test_no_name_of_a_patient_or_structure_is_written(
    run: Run, given: Given, acquisition: Path, series: Path, masks: dict[str, np.ndarray], capfd: pytest.CaptureFixture[str]
) -> None:
    masks["Muster Herd"] = masks.pop("spleen")
    seg = write_seg(acquisition / "seg.dcm", series, masks)
    changes = {"patient.ct": str(series), "patient.labels": str(seg), "patient.label_scheme": "{Muster Herd:spleen}"}
    run("reconstruct", *given(acquisition, **changes), "method=qplanar_em")
    told = capfd.readouterr()
    files = [path for path in Path("out").rglob("*") if path.is_file()]
    contents = [gzip.decompress(f.read_bytes()) if f.suffix == ".gz" else f.read_bytes() for f in files]
    for text in (told.out.encode(), told.err.encode(), *contents, *(str(f).encode() for f in files)):
        assert not any(secret.encode() in text for secret in (*SECRETS[:4], "Herd"))
    assert OmegaConf.load("out/config.yaml").patient.label_scheme is None
    assert b"spleen" in Path("out/organs.csv").read_bytes()


def test_a_table_of_ids_is_kept_with_the_results(run: Run, given: Given, acquisition: Path) -> None:
    table = {i: name for i, name in enumerate(ORGANS) if i > 0}
    text = ",".join(f"{i}:{name}" for i, name in table.items())
    run("reconstruct", *given(acquisition), f"patient.label_scheme={{{text}}}", "method=qplanar_em")
    assert dict(OmegaConf.load("out/config.yaml").patient.label_scheme) == table


def test_wrong_dicom_is_told_in_one_sentence(
    fails: Fails, given: Given, acquisition: Path, series: Path, masks: dict[str, np.ndarray]
) -> None:
    odd = write_seg(acquisition / "odd.dcm", series, {"liver": masks["liver"], "PTV 60": masks["spleen"]})
    both = {"patient.ct": str(series), "patient.labels": str(odd)}
    sentence = fails("reconstruct", *given(acquisition, **both))
    assert "names say no organ: 'PTV 60'" in sentence
    assert "patient.label_scheme=scheme.json" in sentence
    next(series.glob("*-005.dcm")).unlink()
    assert "misses slices" in fails("reconstruct", *given(acquisition, **both))
    shutil.rmtree(series)
    series.mkdir()
    assert "holds no DICOM CT image" in fails("reconstruct", *given(acquisition, **both))
    assert not Path("out").exists()


def test_dose_goes_into_the_space_of_a_series(run: Run, tmp_path: Path) -> None:
    content = make_study(tmp_path)
    OmegaConf.save(OmegaConf.create(content), tmp_path / "nifti.yaml")
    run("absorbed_dose", "study=nifti.yaml", "output_dir=nifti")
    image = nib.load(tmp_path / "ct.nii.gz")
    series = write_ct(tmp_path / "ct", np.asarray(image.dataobj), Grid.from_affine(image.shape, image.affine))
    names = {1: "Haut", 2: "Liver", 4: "Kidney_L"}
    write_seg(tmp_path / "seg.dcm", series, {name: label_map() == i for i, name in names.items()})
    content["patient"] |= {"ct": "ct", "labels": "seg.dcm", "label_scheme": {"Haut": "body"}}
    OmegaConf.save(OmegaConf.create(content), tmp_path / "dicom.yaml")
    run("absorbed_dose", "study=dicom.yaml", "output_dir=dicom")
    found, expected = in_ras(tmp_path / "dicom/dose.nii.gz"), in_ras(tmp_path / "nifti/dose.nii.gz")
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-4)
    np.testing.assert_allclose(found.get_fdata(), expected.get_fdata(), rtol=1e-5, atol=1e-9)
    assert b"Haut" not in (tmp_path / "dicom/config.yaml").read_bytes()
