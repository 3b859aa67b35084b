"""A sweep leaves one table, made of files alone, that names no path."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn
from omegaconf import OmegaConf

from planar3d.ablation import GatherSweep, gather

Run = Callable[..., None]

SMALL = (
    "+benchmark=sim_paper_coarse", "benchmark.digital_seeds=[900000]", "benchmark.patients=[]", "benchmark.cases_per_anatomy=1",
    "benchmark.spacing_mm=20.0", "methods=[qplanar]",
)  # fmt: skip


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def job(folder: Path, overrides: dict[str, str | None], rows: str) -> None:
    """A job that ended well."""
    folder.mkdir(parents=True)
    (folder / "overrides.json").write_text(json.dumps(overrides))
    (folder / "summary.csv").write_text(rows)


@pytest.mark.filterwarnings("ignore")
def test_a_sweep_of_evaluations_gathers_itself(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("evaluate", "+ablation=mu_error", *SMALL)
    (made,) = Path("outputs/ablation/mu_error").iterdir()
    rows = table(made / "ablation.csv")
    key = "benchmark.simulator.synthesizer.mu_error.log_sd"
    assert list(rows[0])[:3] == ["job", key, "subset"]
    nmae = {row[key]: float(row["mean"]) for row in rows if (row["method"], row["metric"]) == ("qplanar", "nmae")}
    assert list(nmae) == ["0.0", "0.05", "0.1"]
    assert len(set(nmae.values())) == 3
    assert nmae["0.0"] == pytest.approx(float(table(made / "0" / "summary.csv")[0]["mean"]))
    assert "Wrote ablation.csv of 3 jobs" in capsys.readouterr().out.splitlines()[-1]
    assert not (made / "multirun.yaml").exists()
    (made / "ablation.csv").unlink()
    run("ablation", f"folder={made}")
    assert table(made / "ablation.csv") == rows


def test_the_table_holds_the_jobs_in_order_and_what_differs_between_them(tmp_path: Path) -> None:
    for k in (10, 9, 0):
        job(tmp_path / str(k), {"seed": str(k), "methods": "[qplanar]"}, f"metric,mean\nnmae,0.{k}\n")
    job(tmp_path / "11", {"seed": "11", "methods": "[qplanar]", "extra": "1"}, "metric,mean,low\nnmae,0.5,0.4\nssim,0.9,0.8\n")
    (tmp_path / "12").mkdir()  # broken off
    (tmp_path / "12" / "overrides.json").write_text("{}")
    rows = gather(tmp_path)
    assert rows == table(tmp_path / "ablation.csv")
    assert list(rows[0]) == ["job", "seed", "extra", "metric", "mean", "low"]
    assert [row["job"] for row in rows] == ["0", "9", "10", "11", "11"]
    assert [row["extra"] for row in rows] == ["", "", "", "1", "1"]


def test_the_table_of_one_job_holds_all_that_was_asked_for(tmp_path: Path) -> None:
    job(tmp_path / "0", {"seed": "3"}, "metric,mean\nnmae,0.1\n")
    assert gather(tmp_path)[0]["seed"] == "3"


def test_overrides_that_may_be_paths_are_not_kept(tmp_path: Path) -> None:
    given = [
        "+experiment=unet_ps", "seed=3", "model.inputs.views=[0]", "checkpoint=null", "+ablation/lesions=absent",
        "patient.ct=MILLER.nii.gz", "checkpoint_of=x/MILLER", "regimes.checkpoints=MILLER", "patient.label_scheme=MILLER.json",
        "name=${oc.env:MILLER}",
    ]  # fmt: skip
    (tmp_path / "summary.csv").write_text("metric,mean\nnmae,0.1\n")
    hydra = {"runtime": {"output_dir": str(tmp_path)}, "overrides": {"task": given}}
    GatherSweep().on_job_end(OmegaConf.create({"hydra": hydra}), job_return=JobReturn())
    text = (tmp_path / "overrides.json").read_text()
    assert "MILLER" not in text
    kept = {name: value for name, value in json.loads(text).items() if value is not None}
    assert kept == {"experiment": "unet_ps", "seed": "3", "model.inputs.views": "[0]", "checkpoint": "null", "ablation/lesions": "absent"}


def test_a_job_that_failed_leaves_no_overrides(tmp_path: Path) -> None:
    hydra = {"runtime": {"output_dir": str(tmp_path)}, "overrides": {"task": ["seed=3"]}}
    GatherSweep().on_job_end(OmegaConf.create({"hydra": hydra}), job_return=JobReturn())
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_sweep_is_told(fails: Callable[..., str], tmp_path: Path) -> None:
    assert "holds no job of a sweep" in fails("ablation", f"folder={tmp_path / 'nowhere'}")
    assert "folder must be given" in fails("ablation")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("key", ["output_dir", "++output_dir"])
def test_one_folder_for_all_jobs_of_a_sweep_is_told(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, key: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run("evaluate", "+ablation=mu_error", *SMALL, f"{key}=mine")
    assert ended.value.code == 2
    assert "give hydra.sweep.dir" in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()
