"""What the commands write, and where."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from planar3d import simulate
from planar3d.anatomy import hu_to_mu
from planar3d.grid import Grid
from planar3d.organs import organ_id
from planar3d.physics import GammaCamera
from planar3d.physics.dead_time import DeadTime
from planar3d.physics.exposure import apply_dead_time
from planar3d.physics.sweep import WholeBodySweep

Run = Callable[..., None]
Given = Callable[..., list[str]]


def test_simulate_writes_what_reconstruct_reads(simulated: Path) -> None:
    assert {"planar.nii.gz", "planar.json", "ct.nii.gz", "labels.nii.gz", "truth.nii.gz", "truth_labels.nii.gz"} <= {
        path.name for path in simulated.iterdir()
    }
    assert nibabel.load(simulated / "planar.nii.gz").shape[1] == 2


@pytest.mark.filterwarnings("ignore:.*smaller than the logging interval")
@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_pet_guides_simulation_and_training(run: Run, simulated: Path) -> None:
    """The truth of one draw as PET of another, on a finer grid: organs keep its texture and get other levels."""
    truth = nibabel.load(simulated / "truth.nii.gz")
    fine = np.repeat(np.asarray(truth.dataobj), 2, axis=2)
    affine = truth.affine.copy()
    affine[2, 2] /= 2
    affine[2, 3] -= affine[2, 2] / 2
    nibabel.save(nibabel.Nifti1Image(fine, affine), "pet.nii.gz")
    patient = ["patient.spacing_mm=16.0", "patient.seed=3", "patient.pet=pet.nii.gz"]
    run("simulate", *patient, "phantom.deformation=null", "phantom.lesions=null", "seed=9", "output_dir=guided")
    guided, labels = (np.asarray(nibabel.load(f"guided/{name}.nii.gz").dataobj) for name in ("truth", "labels"))
    pet = np.asarray(truth.dataobj)
    levels = []
    for organ in ("liver", "spine", "kidney_right"):
        inside = labels == organ_id(organ)
        assert np.corrcoef(guided[inside], pet[inside])[0, 1] > 0.9
        levels.append(float(guided[inside].mean() / pet[inside].mean()))
    assert max(levels) > 1.1 * min(levels)
    assert "pet.nii.gz" not in Path("guided/config.yaml").read_text()
    small = ["data.batch_size=1", "data.samples_per_epoch=2", "data.validation_samples=1"]
    run("train", *patient, "+experiment=unet_ps", "+debug=smoke", *small, "output_dir=trained")
    assert Path("trained/weights.safetensors").is_file()
    assert "pet.nii.gz" not in Path("trained/weights.json").read_text()


@pytest.mark.parametrize("method", ["conjugate_view", "mlem", "qplanar", "qplanar_em"])
def test_reconstruct_writes_whole_results_in_the_space_of_the_ct(
    method: str, run: Run, given: Given, acquisition: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("reconstruct", *given(acquisition), f"method={method}")
    out = Path("out")
    activity, ct = nibabel.load(out / "activity.nii.gz"), nibabel.load(acquisition / "ct.nii.gz")
    assert activity.shape == ct.shape
    np.testing.assert_allclose(activity.affine, ct.affine, atol=1e-4)
    truth = np.asarray(nibabel.load(acquisition / "truth.nii.gz").dataobj)
    assert np.asarray(activity.dataobj).sum() == pytest.approx(truth.sum(), rel=0.5 if method == "conjugate_view" else 0.15)
    table = json.loads((out / "organs.json").read_text())
    assert table["units"]["activity_mbq"] == "MBq"
    with (out / "organs.csv").open(newline="") as stream:
        organs = [row["organ"] for row in csv.DictReader(stream)]
    assert "liver" in organs
    assert (out / "sheet.png").stat().st_size > 0
    assert "out/" in capsys.readouterr().out
    assert not list(out.parent.glob(".out*"))


def test_reconstruct_draws_from_the_posterior_unless_told_otherwise(
    run: Run, given: Given, acquisition: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("reconstruct", *given(acquisition), "method.samples=4")
    assert "trained on voxels of 8 mm and works on 16 mm" in " ".join(capsys.readouterr().out.split())  # those of 4.8 mm are further off
    assert nibabel.load("out/activity_std.nii.gz").shape == nibabel.load(acquisition / "ct.nii.gz").shape
    written = json.loads(Path("out/organs.json").read_text())
    truth = np.asarray(nibabel.load(acquisition / "truth.nii.gz").dataobj)
    found = np.asarray(nibabel.load("out/activity.nii.gz").dataobj)
    assert written["method"] == "diffusion"
    assert found.sum() / truth.sum() == pytest.approx(1.0, abs=0.1)
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.5


def test_the_organ_table_of_a_network_takes_back_what_lies_across_edges(run: Run, given: Given, acquisition: Path) -> None:
    tables = []
    for spill in ("0.0", "0.0625"):
        run("reconstruct", *given(acquisition, output_dir=f"out_{spill}"), "method=unet", f"method.edge_spill={spill}")
        rows = json.loads(Path(f"out_{spill}/organs.json").read_text())["organs"]
        tables.append({row["organ"]: row["activity_mbq"] for row in rows})
    plain, recovered = tables
    assert recovered["total"] == plain["total"]
    for organ in ("kidney_left", "kidney_right"):
        assert 1.05 < recovered[organ] / plain[organ] < 1.6  # an eighth and more on 16 mm


def test_reconstruct_keeps_the_space_of_a_ct_of_other_orientation(run: Run, given: Given, acquisition: Path) -> None:
    for name in ("ct", "labels"):
        image = nibabel.load(acquisition / f"{name}.nii.gz")
        turned = image.as_reoriented(np.array([[2, 1], [0, -1], [1, -1]]))
        nibabel.save(turned, acquisition / f"{name}.nii.gz")
    run("reconstruct", *given(acquisition), "method=qplanar_em")
    activity, ct = nibabel.load("out/activity.nii.gz"), nibabel.load(acquisition / "ct.nii.gz")
    assert activity.shape == ct.shape
    truth = np.asarray(nibabel.load(acquisition / "truth.nii.gz").dataobj)
    back = np.asarray(nibabel.as_closest_canonical(activity).dataobj)
    assert np.corrcoef(back.ravel(), truth.ravel())[0, 1] > 0.5


def test_reconstruct_is_the_same_from_finer_pixels(run: Run, given: Given, acquisition: Path) -> None:
    """Whole pixels are summed to the working grid: each pixel split in four gives the same counts there."""
    run("reconstruct", *given(acquisition), "method=qplanar_em")
    image = nibabel.load(acquisition / "planar.nii.gz")
    split = np.repeat(np.repeat(np.asarray(image.dataobj), 2, axis=0), 2, axis=2) / 4
    affine = image.affine.copy()
    affine[[0, 2], [0, 2]] /= 2
    affine[[0, 2], 3] -= np.abs(affine[[0, 2], [0, 2]]) / 2
    nibabel.save(nibabel.Nifti1Image(split, affine), acquisition / "planar.nii.gz")
    sidecar = acquisition / "planar.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"pixel_mm": [8.0, 8.0]}))
    run("reconstruct", *given(acquisition, output_dir="fine"), "method=qplanar_em", "spacing_mm=16.0")
    coarse, fine = (np.asarray(nibabel.load(f"{name}/activity.nii.gz").dataobj) for name in ("out", "fine"))
    np.testing.assert_allclose(fine, coarse, atol=1e-3 * coarse.max())


def test_evaluate_writes_a_row_per_case_and_method(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(
        "evaluate", "+benchmark=sim_paper_coarse", "benchmark.digital_seeds=[900000]", "benchmark.patients=[]",
        "benchmark.cases_per_anatomy=3", "benchmark.spacing_mm=16.0", "methods=[qplanar,qplanar_em]", "output_dir=out",
    )  # fmt: skip
    with Path("out/cases.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["case"], row["method"]) for row in rows] == [(str(k), m) for m in ("qplanar", "qplanar_em") for k in range(3)]
    assert all(0 < float(row["nmae"]) < 2 for row in rows)
    with Path("out/summary.csv").open(newline="") as stream:
        summary = {(row["method"], row["metric"]): row for row in csv.DictReader(stream)}
    mean = np.mean([float(row["nmae"]) for row in rows if row["method"] == "qplanar"])
    entry = summary["qplanar", "nmae"]
    assert float(entry["mean"]) == pytest.approx(mean, rel=1e-4)
    assert float(entry["low"]) <= mean <= float(entry["high"])
    assert float(entry["difference"]) == pytest.approx(mean - float(summary["qplanar_em", "nmae"]["mean"]), abs=1e-5)
    assert "sim_paper_coarse" in capsys.readouterr().out


def test_a_bug_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(simulate, "write_acquisition", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run("simulate", "patient.spacing_mm=16.0", "output_dir=out")
    assert not list(Path().iterdir())


def totals(folder: str) -> dict[str, float]:
    """Activity of each organ in a result [MBq]."""
    with (Path(folder) / "organs.csv").open(newline="") as stream:
        return {row["organ"]: float(row["activity_mbq"]) for row in csv.DictReader(stream)}


def test_scan_speed_gives_what_the_dwell_time_gives(run: Run, given: Given, acquisition: Path) -> None:
    run("reconstruct", *given(acquisition), "method=qplanar")
    run("reconstruct", *given(acquisition, output_dir="fast"), "method=qplanar", f"acquisition.scan_speed_mm_per_s={387.0 / 240.0}")
    assert totals("fast") == pytest.approx(totals("out"), rel=1e-4)


@pytest.fixture
def side_windows(acquisition: Path) -> list[str]:
    """Side windows of the acquisition's truth beside it, as arguments; counts without noise."""
    truth, ct = (nibabel.load(acquisition / f"{name}.nii.gz") for name in ("truth", "ct"))
    peak = nibabel.load(acquisition / "planar.nii.gz")
    spacing = (abs(float(truth.affine[0, 0])), abs(float(truth.affine[1, 1])), abs(float(truth.affine[2, 2])))
    grid = Grid(shape=truth.shape, spacing_mm=spacing, origin_mm=tuple(float(v) for v in truth.affine[:3, 3]))
    activity, hu = (torch.from_numpy(np.asarray(image.dataobj, dtype=np.float32))[None, None] for image in (truth, ct))
    told = json.loads((acquisition / "planar.json").read_text())
    for window in ("lower", "upper"):
        camera = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=told["dwell_time_s"], window=window)
        counts = camera(activity, hu_to_mu(hu, camera.energy_kev), grid)[0].permute(1, 0, 2).numpy()
        nibabel.save(nibabel.Nifti1Image(counts, peak.affine), acquisition / f"planar_{window}.nii.gz")
    return [f"planar_{window}={acquisition / f'planar_{window}.nii.gz'}" for window in ("lower", "upper")]


def test_scatter_from_side_windows_round_trip(run: Run, given: Given, acquisition: Path, side_windows: list[str]) -> None:
    run("reconstruct", *given(acquisition), "method=qplanar")
    run(
        "reconstruct", *given(acquisition, output_dir="tew"), "method=qplanar", *side_windows, "acquisition.scatter_correction=tew",
    )  # fmt: skip
    run("reconstruct", *given(acquisition, output_dir="none"), "method=qplanar", "acquisition.scatter_correction=none")
    model, estimated, ignored = (sum(totals(name).values()) for name in ("out", "tew", "none"))
    assert estimated == pytest.approx(model, rel=0.03)
    assert ignored > 1.2 * model
    assert str(acquisition) not in Path("tew/config.yaml").read_text()


def test_dead_time_of_a_scan_is_put_right_by_the_command(run: Run, given: Given, acquisition: Path) -> None:
    speed = f"acquisition.scan_speed_mm_per_s={387.0 / 240.0}"
    run("reconstruct", *given(acquisition), "method=qplanar")
    image = nibabel.load(acquisition / "planar.nii.gz")
    counts = np.asarray(image.dataobj).transpose(1, 0, 2)[None].astype(np.float64)
    z_mm = image.affine[2, 3] + image.affine[2, 2] * torch.arange(counts.shape[3], dtype=torch.float64)
    low, high = (float(z_mm[k]) + s * 0.5 * float(image.affine[2, 2]) for k, s in ((0, -1), (-1, 1)))
    sweep = WholeBodySweep(speed_mm_per_s=387.0 / 240.0, head_length_mm=387.0, start_mm=low, stop_mm=high)
    recorded = apply_dead_time(torch.from_numpy(counts), DeadTime(tau_s=1e-4), sweep.exposure(z_mm))[0].permute(1, 0, 2).numpy()
    assert recorded.sum() < 0.9 * counts.sum()
    nibabel.save(nibabel.Nifti1Image(recorded.astype(np.float32), image.affine), acquisition / "planar.nii.gz")
    run("reconstruct", *given(acquisition, output_dir="lost"), "method=qplanar", speed)
    run("reconstruct", *given(acquisition, output_dir="told"), "method=qplanar", speed, "acquisition.dead_time_s=1e-4")
    assert totals("told") == pytest.approx(totals("out"), rel=0.02, abs=1e-3 * sum(totals("out").values()))
    assert sum(totals("lost").values()) < 0.9 * sum(totals("out").values())
