"""A wrong study of dosimetry gets one sentence on stderr, exit code 2, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from omegaconf import OmegaConf

from planar3d.absorbed_dose import open_study

Fails = Callable[..., str]
Study = dict[str, Any]

SHAPE, SPACING_MM = (12, 10, 14), 8.0
ORGANS = {2: "liver", 4: "kidney_left"}
HOURS = (4.0, 24.0, 72.0)
INJECTED = datetime.fromisoformat("2026-03-02T09:00+01:00")
HALF_LIFE_H = {2: 30.0, 4: 50.0}
FIRST_BQ_PER_ML = {2: 2e5, 4: 1e6}


def label_map() -> np.ndarray:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[1:-1, 1:-1] = 1
    labels[2:6, 3:7, 4:9] = 2
    labels[8:10, 3:6, 5:9] = 4
    return labels


def activity(time_h: float) -> np.ndarray:
    values = np.zeros(SHAPE, dtype=np.float32)
    for organ, half_life_h in HALF_LIFE_H.items():
        values[label_map() == organ] = FIRST_BQ_PER_ML[organ] * 2.0 ** (-time_h / half_life_h)
    return values


def save(path: Path, values: np.ndarray, *, shift_mm: float = 0.0) -> None:
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = shift_mm
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A box of tissue with two organs, and maps of three times, in files."""
    labels = label_map()
    save(tmp_path / "ct.nii.gz", np.where(labels > 0, 0.0, -1000.0).astype(np.float32))
    save(tmp_path / "labels.nii.gz", labels)
    for i, hours in enumerate(HOURS, start=1):
        save(tmp_path / f"map_{i}.nii.gz", activity(hours))
    return {
        "isotope": "Lu-177",
        "injection": {"time": INJECTED.isoformat(), "activity_bq": 7.4e9},
        "patient": {"ct": "ct.nii.gz", "labels": "labels.nii.gz", "label_scheme": {1: "body", **ORGANS}, "fill_from_ct": False},
        "images": [
            {"activity": f"map_{i}.nii.gz", "time": (INJECTED + timedelta(hours=hours)).isoformat()}
            for i, hours in enumerate(HOURS, start=1)
        ],
        "options": {"voxel_dose": "local", "density": "water"},
    }


def changed(study: Study, key: str, value: Any) -> Study:
    """A study with one value replaced; ``key`` is a path of dots, numbers being places in a list."""
    copy = json.loads(json.dumps({**study, "patient": None})) | {"patient": dict(study["patient"])}
    place: Any = copy
    *outer, last = key.split(".")
    for part in outer:
        place = place[int(part)] if part.isdigit() else place.setdefault(part, {})
    if value is None:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return copy


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("images.0.time", "2026-03-02T13:00", "no time zone"),
        ("images.0.time", None, "image 1 has no time"),
        ("injection.activity_bq", "7.4 GBq", "injection.activity_bq must be a number"),
        ("injection.activity_bq", -7.4e9, "injection.activity_bq must be positive"),
        ("isotope", "Xx-1", "Xx-1"),
        ("options.organs", ["heart_of_gold"], "heart_of_gold"),
        ("options.model", "spline", "spline"),
        ("options.kinetics", "pixel", "options.kinetics"),
        ("options.radiobiology", {"liver": {"alpha_beta_gy": -2.5, "repair_half_time_h": 2.0}}, "positive"),
        ("options.earlier_cycles", [{"liver": -1.0}], "zero or more Gy"),
        ("options.voxel_does", "kernel", "voxel_does"),
        ("images.0.tme", "now", "unknown key 'tme'"),
        ("injection.bq", 1.0, "unknown key 'bq'"),
        ("patient.mri", "mri.nii.gz", "unknown key 'mri'"),
        ("uncertainty.luck", 0.1, "unknown key 'luck'"),
        ("uncertainty.calibration", 5.0, "write 5 % as 0.05"),
        ("reconstruction.mehtod", "qplanar", "unknown key 'mehtod'"),
        ("reconstruction.method", "magic", "magic"),
        ("images.0.planar", "planar.nii.gz", "exactly one of planar and activity"),
        ("images.0", {"planar": "planar.nii.gz"}, "of another kind"),
        ("images", [], "at least one image"),
    ],
)
def test_a_study_that_says_what_cannot_be(key: str, value: Any, word: str, study: Study, tmp_path: Path) -> None:
    OmegaConf.save(OmegaConf.create(changed(study, key, value)), tmp_path / "study.yaml")
    with pytest.raises(ValueError, match=word):
        open_study(tmp_path / "study.yaml")[1].time_axis()


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("images.2.time", "2026-03-02T14:00+01:00", "times are out of order"),
        ("images.0.time", "2026-03-02T08:00+01:00", "before injection"),
        ("injection.activity_bq", None, "injection lacks activity_bq"),
        ("injection.activity_bq", 7.4, "are left then"),
        ("options.organs", ["spleen"], "spleen has no voxel"),
        ("options.priors", {"liver": {"median_h": 200.0, "log_sd": 0.3}}, "shorter than the physical half-life"),
        ("options.priors", "unobtainium", "unobtainium"),
        ("options.earlier_cycles", ["nowhere.json"], "nowhere.json"),
        ("colour", "red", "unknown key 'colour'"),
        ("images.0.activity", "nowhere.nii.gz", "nowhere.nii.gz"),
        ("patient.ct", "nowhere.nii.gz", "nowhere.nii.gz"),
    ],
)
def test_a_wrong_study_leaves_nothing(key: str, value: Any, word: str, fails: Fails, study: Study, tmp_path: Path) -> None:
    OmegaConf.save(OmegaConf.create(changed(study, key, value)), tmp_path / "study.yaml")
    assert word in fails("absorbed_dose", "study=study.yaml", "output_dir=out")


@pytest.mark.parametrize(
    ("values", "shift_mm", "sidecar", "word"),
    [
        (activity(2.0), 0.0, None, "curve of liver rises"),
        (-activity(72.0), 0.0, None, "negative"),
        (activity(72.0), 8.0, None, "different grids"),
        (activity(72.0)[1:], 0.0, None, "different grids"),
        (activity(72.0), 0.0, "I-131", "a study has one isotope"),
    ],
)
def test_a_wrong_map(
    values: np.ndarray, shift_mm: float, sidecar: str | None, word: str, fails: Fails, study: Study, tmp_path: Path
) -> None:
    save(tmp_path / "map_3.nii.gz", values, shift_mm=shift_mm)
    if sidecar is not None:
        (tmp_path / "map_3.json").write_text(json.dumps({"isotope": sidecar}))
    OmegaConf.save(OmegaConf.create(study), tmp_path / "study.yaml")
    assert word in fails("absorbed_dose", "study=study.yaml", "output_dir=out")


@pytest.mark.parametrize(("text", "word"), [("isotope: [", "no valid YAML"), ("just a text", "study"), ("[1, 2]", "must be a table")])
def test_a_file_that_is_no_study(text: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(ValueError, match=word):
        open_study(tmp_path / "study.yaml")


def test_no_study(fails: Fails) -> None:
    assert "study must be given" in fails("absorbed_dose")
    assert "nowhere.yaml" in fails("absorbed_dose", "study=nowhere.yaml")


def test_unwritable_output_folder(fails: Fails, study: Study, tmp_path: Path) -> None:
    OmegaConf.save(OmegaConf.create(study), tmp_path / "study.yaml")
    (tmp_path / "file").write_text("in the way")
    assert "file" in fails("absorbed_dose", "study=study.yaml", "output_dir=file/out")
