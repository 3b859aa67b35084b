"""The commands: what they write, and that a wrong input gets one sentence, exit code 2 and leaves nothing behind."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra

from planar3d import evaluate, reconstruct, simulate, train

COMMANDS = {"simulate": simulate.main, "reconstruct": reconstruct.main, "evaluate": evaluate.main, "train": train.main}

Run = Callable[..., None]
Fails = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command as the shell would, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(name: str, *arguments: str) -> None:
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", [f"planar3d.{name}", *arguments])
        COMMANDS[name]()

    return call


@pytest.fixture
def fails(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Fails:
    """Runs a command that must end with exit code 2, one sentence on stderr and no file; returns the sentence."""

    def call(name: str, *arguments: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(name, *arguments)
        told = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        assert ended.value.code == 2
        assert len(told) == 1, told
        assert told[0].startswith("error: ")
        assert sorted(tmp_path.rglob("*")) == before
        return told[0]

    return call


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An acquisition of a coarse digital patient."""
    folder = tmp_path_factory.mktemp("simulated") / "acquisition"
    with pytest.MonkeyPatch.context() as patch:
        GlobalHydra.instance().clear()
        patch.setattr(sys, "argv", ["planar3d.simulate", f"output_dir={folder}", "patient.spacing_mm=16.0", "patient.seed=3"])
        simulate.main()
    return folder


@pytest.fixture
def acquisition(simulated: Path, tmp_path: Path) -> Path:
    """A copy of the acquisition that a test may spoil."""
    return Path(shutil.copytree(simulated, tmp_path / "acquisition"))


def given(folder: Path, **changes: str) -> list[str]:
    """Arguments of reconstruct for an acquisition."""
    values = {
        "planar": folder / "planar.nii.gz",
        "patient.ct": folder / "ct.nii.gz",
        "patient.labels": folder / "labels.nii.gz",
        "output_dir": "out",
    }
    return [f"{key}={value}" for key, value in (values | changes).items()]


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray], *, shift_mm: float = 0.0) -> None:
    """Change the values of a NIfTI file, and where it lies."""
    image = nibabel.load(path)
    affine = image.affine.copy()
    affine[:3, 3] += shift_mm
    nibabel.save(nibabel.Nifti1Image(change(np.asarray(image.dataobj)), affine), path)


def edit_sidecar(folder: Path, **changes: object) -> None:
    """Change keys of the sidecar."""
    path = folder / "planar.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_simulate_writes_what_reconstruct_reads(simulated: Path) -> None:
    assert {"planar.nii.gz", "planar.json", "ct.nii.gz", "labels.nii.gz", "truth.nii.gz", "truth_labels.nii.gz"} <= {
        path.name for path in simulated.iterdir()
    }
    assert nibabel.load(simulated / "planar.nii.gz").shape[1] == 2


@pytest.mark.parametrize("method", ["conjugate_view", "mlem", "qplanar", "qplanar_em"])
def test_reconstruct_writes_whole_results_in_the_space_of_the_ct(
    method: str, run: Run, acquisition: Path, capsys: pytest.CaptureFixture[str]
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


def test_reconstruct_keeps_the_space_of_a_ct_of_other_orientation(run: Run, acquisition: Path) -> None:
    for name in ("ct", "labels"):
        image = nibabel.load(acquisition / f"{name}.nii.gz")
        turned = image.as_reoriented(np.array([[2, 1], [0, -1], [1, -1]]))
        nibabel.save(turned, acquisition / f"{name}.nii.gz")
    run("reconstruct", *given(acquisition))
    activity, ct = nibabel.load("out/activity.nii.gz"), nibabel.load(acquisition / "ct.nii.gz")
    assert activity.shape == ct.shape
    truth = np.asarray(nibabel.load(acquisition / "truth.nii.gz").dataobj)
    back = np.asarray(nibabel.as_closest_canonical(activity).dataobj)
    assert np.corrcoef(back.ravel(), truth.ravel())[0, 1] > 0.5


def test_reconstruct_is_the_same_from_finer_pixels(run: Run, acquisition: Path) -> None:
    """Whole pixels are summed to the working grid: each pixel split in four gives the same counts there."""
    run("reconstruct", *given(acquisition))
    image = nibabel.load(acquisition / "planar.nii.gz")
    split = np.repeat(np.repeat(np.asarray(image.dataobj), 2, axis=0), 2, axis=2) / 4
    affine = image.affine.copy()
    affine[[0, 2], [0, 2]] /= 2
    affine[[0, 2], 3] -= np.abs(affine[[0, 2], [0, 2]]) / 2
    nibabel.save(nibabel.Nifti1Image(split, affine), acquisition / "planar.nii.gz")
    edit_sidecar(acquisition, pixel_mm=[8.0, 8.0])
    run("reconstruct", *given(acquisition, output_dir="fine"), "spacing_mm=16.0")
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


def test_missing_posterior_view(fails: Fails, acquisition: Path) -> None:
    rewrite(acquisition / "planar.nii.gz", lambda counts: counts[:, :1])
    assert "posterior view is missing" in fails("reconstruct", *given(acquisition))


@pytest.mark.parametrize(("value", "word"), [(-1.0, "negative"), (float("nan"), "finite"), (float("inf"), "finite")])
def test_impossible_counts(value: float, word: str, fails: Fails, acquisition: Path) -> None:
    def spoil(counts: np.ndarray) -> np.ndarray:
        counts = counts.copy()
        counts[3, 0, 4] = value
        return counts

    rewrite(acquisition / "planar.nii.gz", spoil)
    assert word in fails("reconstruct", *given(acquisition))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda counts: counts[:, ::-1], "swapped"),
        (lambda counts: np.stack([counts[:, 0], counts[::-1, 1]], axis=1), "mirrored left to right in the posterior view"),
        (lambda counts: counts[::-1], "mirrored left to right"),
    ],
)
def test_views_that_lie_wrongly(change: Callable[[np.ndarray], np.ndarray], word: str, fails: Fails, run: Run, acquisition: Path) -> None:
    rewrite(acquisition / "planar.nii.gz", change)
    sentence = fails("reconstruct", *given(acquisition))
    assert word in sentence
    assert "check_arrangement=false" in sentence
    run("reconstruct", *given(acquisition), "check_arrangement=false")
    assert Path("out/activity.nii.gz").is_file()


def test_label_map_on_another_grid(fails: Fails, acquisition: Path) -> None:
    rewrite(acquisition / "labels.nii.gz", lambda labels: labels, shift_mm=30.0)
    assert "different grids" in fails("reconstruct", *given(acquisition))


def test_view_beside_the_patient(fails: Fails, acquisition: Path) -> None:
    rewrite(acquisition / "planar.nii.gz", lambda counts: counts, shift_mm=2000.0)
    assert "does not overlap" in fails("reconstruct", *given(acquisition))


def test_unknown_label_ids(fails: Fails, acquisition: Path) -> None:
    scheme = acquisition / "scheme.json"
    scheme.write_text('{"1": "liver"}')
    assert "ids" in fails("reconstruct", *given(acquisition), f"patient.label_scheme={scheme}")


@pytest.mark.parametrize(("key", "value"), [("isotope", "Xx-123"), ("camera", "acme-lehr")])
def test_unknown_isotope_and_camera(key: str, value: str, fails: Fails, acquisition: Path) -> None:
    edit_sidecar(acquisition, **{key: value})
    sentence = fails("reconstruct", *given(acquisition))
    assert value in sentence
    assert "known are" in sentence


def test_nan_in_the_ct(fails: Fails, acquisition: Path) -> None:
    def spoil(ct: np.ndarray) -> np.ndarray:
        ct = ct.copy()
        ct[5, 5, 5] = np.nan
        return ct

    rewrite(acquisition / "ct.nii.gz", spoil)
    assert "ct has 1 voxels that are NaN" in fails("reconstruct", *given(acquisition))


@pytest.mark.parametrize("key", ["planar", "patient.ct", "patient.labels"])
def test_file_of_no_image_format(key: str, fails: Fails, acquisition: Path) -> None:
    for name in ("notes.txt", "notes.nii.gz"):
        (acquisition / name).write_text("not an image")
        assert name in fails("reconstruct", *given(acquisition, **{key: str(acquisition / name)}))


@pytest.mark.parametrize("key", ["planar", "patient.ct", "patient.labels"])
def test_missing_file(key: str, fails: Fails, acquisition: Path) -> None:
    assert "nowhere.nii.gz" in fails("reconstruct", *given(acquisition, **{key: "nowhere.nii.gz"}))


@pytest.mark.parametrize("name", ["simulate", "reconstruct", "evaluate", "train"])
def test_unwritable_output_folder(name: str, fails: Fails, acquisition: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    arguments = {
        "simulate": ["patient.spacing_mm=32.0"],
        "reconstruct": [a for a in given(acquisition) if not a.startswith("output_dir")],
        "evaluate": ["+benchmark=sim_paper_coarse"],
        "train": ["+experiment=unet_ps", "+debug=smoke"],
    }
    assert "file" in fails(name, *arguments[name], "output_dir=file/out")


def test_checkpoint_of_another_architecture(fails: Fails, run: Run, acquisition: Path, tmp_path: Path) -> None:
    from planar3d.models import save_weights
    from planar3d.nn import CorrectionUNet

    net = {"_target_": "planar3d.nn.unet.CorrectionUNet", "in_channels": 25, "width": 16}
    config = {"model": {"net": net, "inputs": {"_target_": "planar3d.reconstruction.features.PhysicsInputs"}}}
    other = save_weights(tmp_path / "other.safetensors", CorrectionUNet(in_channels=25, width=8), config)
    assert "another architecture" in fails("reconstruct", *given(acquisition), "method=unet", f"checkpoint={other}")


def test_checkpoint_that_would_run_foreign_code(fails: Fails, acquisition: Path, tmp_path: Path) -> None:
    from planar3d.models import save_weights
    from planar3d.nn import CorrectionUNet

    inputs = {"_target_": "planar3d.reconstruction.features.PhysicsInputs", "baseline": {"_target_": "os.mkdir", "path": "made"}}
    config = {"model": {"net": {"_target_": "planar3d.nn.unet.CorrectionUNet", "in_channels": 25}, "inputs": inputs}}
    path = save_weights(tmp_path / "foreign.safetensors", CorrectionUNet(in_channels=25, width=8), config)
    assert "does not describe" in fails("reconstruct", *given(acquisition), "method=unet", f"checkpoint={path}")


@pytest.mark.parametrize(
    ("name", "arguments", "word"),
    [
        ("simulate", ["sed=1"], "sed"),
        ("simulate", ["camera=acme"], "acme"),
        ("simulate", ["camera.name=acme"], "acme"),
        ("simulate", ["camera.isotope=Xx-1"], "Xx-1"),
        ("simulate", ["+camera.colour=red"], "colour"),
        ("simulate", ["phantom.biodistribution.name=water"], "water"),
        ("simulate", ["anterior_counts=-5.0"], "anterior_counts"),
        ("simulate", ["patient.ct=ct.nii.gz"], "patient.labels"),
        ("simulate", ["seed=[1"], "[1"),
        ("reconstruct", ["planar=planar.nii.gz"], "patient.ct"),
        ("reconstruct", ["method=magic"], "magic"),
        ("evaluate", [], "benchmark"),
        ("evaluate", ["+benchmark=sim_v9"], "sim_v9"),
        ("evaluate", ["+benchmark=sim_v1_coarse", "methods=[magic]"], "magic"),
        (
            "evaluate",
            ["+benchmark=sim_v1_coarse", "methods=[unet]", "benchmark.patients=[]", "benchmark.spacing_mm=32.0"],
            "checkpoint",
        ),
        ("train", ["+experiment=nothing"], "nothing"),
        ("train", ["trainer.max_epoch=3"], "max_epoch"),
    ],
)
def test_wrong_argument(name: str, arguments: list[str], word: str, fails: Fails) -> None:
    assert word in fails(name, *arguments)


def test_a_bug_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(simulate, "write_acquisition", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run("simulate", "patient.spacing_mm=16.0", "output_dir=out")
    assert not list(Path().iterdir())
