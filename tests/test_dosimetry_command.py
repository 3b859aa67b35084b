"""The command of dosimetry: closed forms on activity maps of a small box of tissue."""

from __future__ import annotations

import csv
import importlib
import json
import math
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from omegaconf import OmegaConf

from planar3d.absorbed_dose import open_study
from planar3d.dosimetry import Emissions
from planar3d.dosimetry.voxel_dose import GRAY_PER_KEV_PER_G
from planar3d.radionuclide import Radionuclide
from tests.dosimetry_box import (
    FIRST_BQ_PER_ML,
    HALF_LIFE_H,
    HOURS,
    INJECTED,
    ORGANS,
    SHAPE,
    SPACING_MM,
    Study,
    activity,
    label_map,
    make_study,
    save,
)

Run = Callable[..., None]

LU177 = Radionuclide.from_name("Lu-177")
VOXEL_ML = SPACING_MM**3 / 1000.0


def decays_bq_s(organ: int) -> float:
    """Per mL."""
    return FIRST_BQ_PER_ML[organ] * HALF_LIFE_H[organ] * 3600.0 / math.log(2.0)


def local_gy(organ: int) -> float:
    return decays_bq_s(organ) * Emissions.of("Lu-177").electron_kev * GRAY_PER_KEV_PER_G


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A box of tissue with two organs, and maps of three times, in files."""
    return make_study(tmp_path)


@pytest.fixture
def dose(run: Run, tmp_path: Path) -> Callable[..., dict[str, dict[str, Any]]]:
    """Runs the command on a study; returns its rows by organ."""

    def call(content: Study, out: str = "out") -> dict[str, dict[str, Any]]:
        OmegaConf.save(OmegaConf.create(content), tmp_path / "study.yaml")
        run("absorbed_dose", "study=study.yaml", f"output_dir={out}")
        return {row["organ"]: row for row in json.loads((tmp_path / out / "organs.json").read_text())["organs"]}

    return call


def test_the_package_runs_the_command() -> None:
    inner = importlib.import_module("planar3d.dosimetry.__main__")
    assert inner.main is importlib.import_module("planar3d.absorbed_dose").main


def test_a_mono_exponential_gives_its_closed_form(dose: Callable, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = dose(study)
    volume = np.asarray(nibabel.load(tmp_path / "out/dose.nii.gz").dataobj)
    for organ, name in ORGANS.items():
        count = int((label_map() == organ).sum())
        row = rows[name]
        assert row["mean_dose_gy"] == pytest.approx(local_gy(organ), rel=1e-4)
        assert row["mean_dose_gy_per_gbq"] == pytest.approx(local_gy(organ) / 7.4, rel=1e-4)
        assert row["mass_g"] == pytest.approx(count * VOXEL_ML, rel=1e-6)
        assert row["decays_mbq_h"] == pytest.approx(decays_bq_s(organ) * count * VOXEL_ML / 3.6e9, rel=1e-4)
        assert row["effective_half_life_h"] == pytest.approx(HALF_LIFE_H[organ], rel=1e-3)
        assert row["extrapolated_fraction"] == pytest.approx(2.0 ** (-HOURS[-1] / HALF_LIFE_H[organ]), rel=1e-3)
        assert row["curve"] == "mono_exponential"
        assert row["d2_gy"] == pytest.approx(row["d98_gy"], rel=1e-4)
        np.testing.assert_allclose(volume[label_map() == organ], local_gy(organ), rtol=1e-4)
    assert volume[label_map() < 2].max() < 1e-9 * volume.max()
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"budget.csv", "config.yaml", "curves.png", "dose.nii.gz", "dvh.png", "organs.csv", "organs.json"}
    assert "organs.csv" in capsys.readouterr().out


def test_bed_of_a_kidney_is_that_of_its_own_half_life(dose: Callable, study: Study) -> None:
    row = dose(study)["kidney_left"]
    repair_h, ratio_gy = 2.8, 2.6
    expected = local_gy(4) * (1.0 + repair_h / (repair_h + HALF_LIFE_H[4]) * local_gy(4) / ratio_gy)
    assert row["bed_gy"] == pytest.approx(expected, rel=1e-3)
    assert dose(study, "again")["liver"]["bed_gy"] is None


def test_every_figure_has_a_unit_and_every_row_its_methods(dose: Callable, study: Study, tmp_path: Path) -> None:
    dose(study)
    table = json.loads((tmp_path / "out/organs.json").read_text())
    for row in table["organs"]:
        assert {key for key, value in row.items() if isinstance(value, int | float)} <= set(table["units"])
        assert all(row[key] for key in ("activity_method", "kinetics_method", "dose_method"))
    assert table["hours_after_injection"] == list(HOURS)
    with (tmp_path / "out/organs.csv").open(newline="") as stream:
        assert {row["organ"] for row in csv.DictReader(stream)} == {row["organ"] for row in table["organs"]}
    with (tmp_path / "out/budget.csv").open(newline="") as stream:
        budget = {row["organ"]: row for row in csv.DictReader(stream)}
    assert set(ORGANS.values()) <= set(budget)
    for row in budget.values():
        parts = [float(value) ** 2 for key, value in row.items() if key.endswith("_percent") and key != "uncertainty_percent"]
        assert float(row["uncertainty_percent"]) == pytest.approx(math.sqrt(sum(parts)), rel=1e-4)


def test_voxel_kinetics_of_even_organs_are_those_of_organs(dose: Callable, study: Study) -> None:
    by_organ = dose(study)
    by_voxel = dose(study | {"options": {**study["options"], "kinetics": "voxel"}}, "voxel")
    for name in ORGANS.values():
        assert by_voxel[name]["mean_dose_gy"] == pytest.approx(by_organ[name]["mean_dose_gy"], rel=1e-4)
        assert by_voxel[name]["kinetics_method"] != by_organ[name]["kinetics_method"]


def test_kernel_dose_is_less_inside_and_more_outside_than_local(dose: Callable, study: Study) -> None:
    local = dose(study)
    kernel = dose(study | {"options": {"density": "water"}}, "kernel")
    assert local["body"]["mean_dose_gy"] < 1e-9 * kernel["body"]["mean_dose_gy"]
    assert 0.8 * local["kidney_left"]["mean_dose_gy"] < kernel["kidney_left"]["mean_dose_gy"] < 1.05 * local["kidney_left"]["mean_dose_gy"]


def test_uneven_uptake_stays_uneven(dose: Callable, study: Study, tmp_path: Path) -> None:
    hot = np.zeros(SHAPE, dtype=bool)
    hot[8, 3:6, 5:9] = True
    for i, hours in enumerate(HOURS, start=1):
        save(tmp_path / f"map_{i}.nii.gz", activity(hours) * np.where(hot, 1.5, 1.0).astype(np.float32))
    dose(study)
    volume = np.asarray(nibabel.load(tmp_path / "out/dose.nii.gz").dataobj)
    assert volume[hot].mean() == pytest.approx(1.5 * local_gy(4), rel=1e-3)
    assert volume[(label_map() == 4) & ~hot].mean() == pytest.approx(local_gy(4), rel=1e-3)


def test_activity_measured_before_injection_is_decayed_to_it(dose: Callable, study: Study) -> None:
    before = INJECTED - timedelta(seconds=LU177.half_life_s)
    early = study | {"injection": {**study["injection"], "activity_bq": 14.8e9, "activity_at": before.isoformat()}}
    assert dose(early)["liver"]["mean_dose_gy_per_gbq"] == pytest.approx(dose(study, "plain")["liver"]["mean_dose_gy_per_gbq"], rel=1e-6)


def test_times_of_a_named_zone_are_those_of_their_offset(dose: Callable, study: Study) -> None:
    berlin = json.loads(json.dumps(study | {"patient": None}).replace("+01:00", "")) | {
        "patient": study["patient"],
        "zone": "Europe/Berlin",
    }
    assert dose(berlin)["liver"]["decays_mbq_h"] == pytest.approx(dose(study, "plain")["liver"]["decays_mbq_h"], rel=1e-9)


def test_known_errors_give_intervals_and_unknown_ones_none(dose: Callable, study: Study) -> None:
    two = study | {"images": study["images"][:2]}
    unknown = dose(two)["kidney_left"]
    assert unknown["interval_low_gy"] is None
    assert unknown["uncertainty_percent"] is None
    small, large = (dose(study | {"uncertainty": {"activity": u, "calibration": 0.05}}, f"u{u}")["kidney_left"] for u in (0.02, 0.1))
    for row in (small, large):
        assert row["interval_low_gy"] < row["mean_dose_gy"] < row["interval_high_gy"]
    assert large["interval_high_gy"] - large["interval_low_gy"] > small["interval_high_gy"] - small["interval_low_gy"]
    assert large["decays_standard_error_mbq_h"] == pytest.approx(5.0 * small["decays_standard_error_mbq_h"], rel=0.05)


def test_dose_rates_are_those_of_each_map(dose: Callable, study: Study, tmp_path: Path) -> None:
    dose(study | {"options": {**study["options"], "dose_rates": True}})
    for i, hours in enumerate(HOURS, start=1):
        rate = np.asarray(nibabel.load(tmp_path / f"out/dose_rate_{i}.nii.gz").dataobj)
        per_hour = local_gy(2) * math.log(2.0) / HALF_LIFE_H[2] * 2.0 ** (-hours / HALF_LIFE_H[2])
        np.testing.assert_allclose(rate[label_map() == 2], 1e3 * per_hour, rtol=1e-4)


def test_cycles_add_up(dose: Callable, study: Study) -> None:
    first = dose(study)
    second = dose(study | {"options": {**study["options"], "earlier_cycles": ["out/organs.json", {"kidney_left": 1.5}]}}, "second")
    assert second["kidney_left"]["cumulative_dose_gy"] == pytest.approx(2.0 * first["kidney_left"]["mean_dose_gy"] + 1.5, rel=1e-6)
    assert second["liver"]["cumulative_dose_gy"] is None


def test_dose_lies_in_the_space_of_the_ct(dose: Callable, study: Study, tmp_path: Path) -> None:
    for name in ("ct", "labels"):
        image = nibabel.load(tmp_path / f"{name}.nii.gz")
        nibabel.save(image.as_reoriented(np.array([[2, 1], [0, -1], [1, -1]])), tmp_path / f"{name}.nii.gz")
    dose(study)
    ct, found = (nibabel.load(tmp_path / name) for name in ("ct.nii.gz", "out/dose.nii.gz"))
    assert found.shape == ct.shape
    back = np.asarray(nibabel.as_closest_canonical(found).dataobj)
    np.testing.assert_allclose(back[label_map() == 4], local_gy(4), rtol=1e-3)


def test_no_path_is_kept(dose: Callable, study: Study, tmp_path: Path) -> None:
    dose(study)
    kept = (tmp_path / "out/config.yaml").read_text()
    assert "nii" not in kept
    assert "study.yaml" not in kept
    assert "voxel_dose: local" in kept


def test_a_rising_curve_may_be_a_trapezoid(dose: Callable, study: Study, tmp_path: Path) -> None:
    save(tmp_path / "map_3.nii.gz", activity(2.0))
    rows = dose(study | {"options": {**study["options"], "model": {"liver": "trapezoid", "kidney_left": "trapezoid"}}})
    assert rows["liver"]["curve"] == "trapezoid"
    assert rows["liver"]["effective_half_life_h"] == pytest.approx(LU177.half_life_s / 3600.0)


def test_the_example_of_the_readme_is_a_study(repository: Path, tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(isotope: .*?)```", (repository / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "study.yaml").write_text(block)
    study = open_study(tmp_path / "study.yaml")[1]
    assert study.time_axis().hours == (4.0, 24.0, 72.0)
    assert study.options.models["urinary_bladder"] == "trapezoid"
