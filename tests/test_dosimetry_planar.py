"""Dosimetry of planar images: a simulated patient at several times, end to end."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from planar3d import simulate

Run = Callable[..., None]
Fails = Callable[..., str]


@pytest.fixture(scope="module")
def times(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One coarse digital patient at three times."""
    folder = tmp_path_factory.mktemp("times") / "patient"
    with pytest.MonkeyPatch.context() as patch:
        GlobalHydra.instance().clear()
        arguments = ["patient.spacing_mm=24.0", "patient.seed=3", "times_h=[4,24,72]", f"output_dir={folder}"]
        patch.setattr(sys, "argv", ["planar3d.simulate", *arguments])
        simulate.main()
    return folder


def rows_of(folder: str) -> dict[str, dict[str, Any]]:
    return {row["organ"]: row for row in json.loads((Path(folder) / "organs.json").read_text())["organs"]}


def test_times_of_a_simulated_patient_have_one_scale(times: Path, run: Run) -> None:
    """Image 2 is the one that is made without times; the others are the same patient, whose organs lose activity."""
    run("simulate", "patient.spacing_mm=24.0", "patient.seed=3", "output_dir=one")
    one = np.asarray(nibabel.load("one/truth.nii.gz").dataobj)
    truth = [np.asarray(nibabel.load(times / f"truth_{i}.nii.gz").dataobj) for i in (1, 2, 3)]
    np.testing.assert_allclose(truth[1], one, rtol=1e-5)
    assert truth[0].sum() > truth[1].sum() > truth[2].sum()
    counts = [np.asarray(nibabel.load(times / f"planar_{i}.nii.gz").dataobj)[:, 0].sum() for i in (1, 2, 3)]
    assert counts[1] == pytest.approx(7e5, rel=0.01)
    for i in (0, 2):
        assert counts[i] / counts[1] == pytest.approx(truth[i].sum() / truth[1].sum(), rel=0.2)


def test_impossible_times_of_a_simulation(fails: Fails) -> None:
    assert "times_h" in fails("simulate", "patient.spacing_mm=32.0", "times_h=[24,4]", "output_dir=out")


@pytest.mark.parametrize(("method", "joint"), [("qplanar", True), ("qplanar", False), ("qplanar_em", True)])
def test_planar_images_end_to_end(method: str, joint: bool, times: Path, run: Run, tmp_path: Path) -> None:
    study = OmegaConf.load(times / "study.yaml")
    study.reconstruction = {"method": method, "joint": joint, "spacing_mm": 24.0}
    study.options = {"voxel_dose": "local", "priors": "psma617", "model": {"default": "mono_exponential" if joint else "trapezoid"}}
    for image in study.images:
        image.planar = str(times / image.planar)
    study.patient = {key: str(times / name) for key, name in study.patient.items()}
    OmegaConf.save(study, tmp_path / "study.yaml")
    run("absorbed_dose", "study=study.yaml", "output_dir=out")
    rows = rows_of("out")
    truth = sum(np.asarray(nibabel.load(times / f"truth_{i}.nii.gz").dataobj).sum() * w for i, w in ((1, 14.0), (2, 34.0), (3, 24.0)))
    measured = sum((row["decays_mbq_h"] or 0.0) * (1.0 - (row["extrapolated_fraction"] or 0.0)) for row in rows.values())
    assert measured == pytest.approx(truth * 24.0**3 / 1e3 / 1e6, rel=0.25)
    assert all(row["interval_low_gy"] <= row["interval_high_gy"] for row in rows.values() if row["interval_low_gy"] is not None)
    assert rows["liver"]["interval_low_gy"] < rows["liver"]["mean_dose_gy"] < rows["liver"]["interval_high_gy"]
    assert ("joint" in rows["liver"]["kinetics_method"]) == joint
    assert method in rows["liver"]["activity_method"]
    assert rows["red_marrow"]["mean_dose_gy"] > 0.0
    assert nibabel.load("out/dose.nii.gz").shape == nibabel.load(times / "ct.nii.gz").shape


def test_planar_image_of_another_isotope(times: Path, fails: Fails, tmp_path: Path) -> None:
    for path in times.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    sidecar = tmp_path / "planar_2.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"isotope": "I-131", "energy_kev": 364.49}))
    assert "image 2 is of I-131 and the study of Lu-177" in fails("absorbed_dose", "study=study.yaml", "output_dir=out")


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("options.model", "bi_exponential", "does not go with reconstruction.joint"),
        ("reconstruction", {"method": "unet", "checkpoint": "nowhere.safetensors"}, "nowhere.safetensors"),
    ],
)
def test_planar_study_that_cannot_be_done(key: str, value: Any, word: str, times: Path, fails: Fails, tmp_path: Path) -> None:
    for path in times.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    study = OmegaConf.load(tmp_path / "study.yaml")
    OmegaConf.update(study, key, value, force_add=True)
    OmegaConf.save(study, tmp_path / "study.yaml")
    assert word in fails("absorbed_dose", "study=study.yaml", "output_dir=out")
