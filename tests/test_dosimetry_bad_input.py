"""A wrong study of dosimetry gets one sentence on stderr, exit code 2, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from planar3d.absorbed_dose import open_study
from tests.dosimetry_box import Study, activity, make_study, save

Fails = Callable[..., str]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A box of tissue with two organs, and maps of three times, in files."""
    return make_study(tmp_path)


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
