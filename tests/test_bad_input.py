"""A wrong input gets one sentence on stderr, exit code 2, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

Run = Callable[..., None]
Given = Callable[..., list[str]]
Fails = Callable[..., str]


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


def test_missing_posterior_view(fails: Fails, given: Given, acquisition: Path) -> None:
    rewrite(acquisition / "planar.nii.gz", lambda counts: counts[:, :1])
    assert "posterior view is missing" in fails("reconstruct", *given(acquisition))


@pytest.mark.parametrize(("value", "word"), [(-1.0, "negative"), (float("nan"), "finite"), (float("inf"), "finite")])
def test_impossible_counts(value: float, word: str, fails: Fails, given: Given, acquisition: Path) -> None:
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
def test_views_that_lie_wrongly(
    change: Callable[[np.ndarray], np.ndarray], word: str, fails: Fails, run: Run, given: Given, acquisition: Path
) -> None:
    rewrite(acquisition / "planar.nii.gz", change)
    sentence = fails("reconstruct", *given(acquisition))
    assert word in sentence
    assert "check_arrangement=false" in sentence
    run("reconstruct", *given(acquisition), "method=qplanar_em", "check_arrangement=false")
    assert Path("out/activity.nii.gz").is_file()


def test_label_map_on_another_grid(fails: Fails, given: Given, acquisition: Path) -> None:
    rewrite(acquisition / "labels.nii.gz", lambda labels: labels, shift_mm=30.0)
    assert "different grids" in fails("reconstruct", *given(acquisition))


def test_view_beside_the_patient(fails: Fails, given: Given, acquisition: Path) -> None:
    rewrite(acquisition / "planar.nii.gz", lambda counts: counts, shift_mm=2000.0)
    assert "does not overlap" in fails("reconstruct", *given(acquisition))


def test_unknown_label_ids(fails: Fails, given: Given, acquisition: Path) -> None:
    scheme = acquisition / "scheme.json"
    scheme.write_text('{"1": "liver"}')
    assert "ids" in fails("reconstruct", *given(acquisition), f"patient.label_scheme={scheme}")


@pytest.mark.parametrize(("key", "value"), [("isotope", "Xx-123"), ("camera", "acme-lehr")])
def test_unknown_isotope_and_camera(key: str, value: str, fails: Fails, given: Given, acquisition: Path) -> None:
    edit_sidecar(acquisition, **{key: value})
    sentence = fails("reconstruct", *given(acquisition))
    assert value in sentence
    assert "known are" in sentence


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["acquisition.dwell_time_s=240", "acquisition.scan_speed_mm_per_s=1.6"], "give exactly one of them"),
        (["acquisition.scan_speed_mm_per_s=1.6", "acquisition.dead_time_s=3e-4"], "no true rate below saturation"),
        (["acquisition.dead_time_s=3e-6"], "give scan_speed_mm_per_s"),
        (["acquisition.dead_time_s=4.6"], "give seconds"),
        (["acquisition.scatter_correction=tew"], "planar_lower"),
        (["acquisition.scatter_correction=tew", "planar_lower={folder}/planar.nii.gz"], "planar_upper"),
        (["acquisition.scatter_correction=dew", "planar_lower=nowhere.nii.gz"], "nowhere.nii.gz"),
        (["acquisition.scatter_correction=esse"], "model, tew, dew, none"),
        (["acquisition.energy_kev=140"], "is no line of Lu-177"),
        (["acquisition.background_cps=some"], "background_cps in the arguments must be one or two numbers"),
        (["acquisition.windows_kev=[1,2]"], "windows_kev in the arguments must be [low, high]"),
    ],
)
def test_impossible_counting_physics(arguments: list[str], word: str, fails: Fails, given: Given, acquisition: Path) -> None:
    assert word in fails("reconstruct", *given(acquisition), *(a.format(folder=acquisition) for a in arguments))


def test_dwell_time_and_scan_speed_in_one_sidecar(fails: Fails, given: Given, acquisition: Path) -> None:
    edit_sidecar(acquisition, scan_speed_mm_per_s=1.6)
    assert "give exactly one of them" in fails("reconstruct", *given(acquisition))


def test_nan_in_the_ct(fails: Fails, given: Given, acquisition: Path) -> None:
    def spoil(ct: np.ndarray) -> np.ndarray:
        ct = ct.copy()
        ct[5, 5, 5] = np.nan
        return ct

    rewrite(acquisition / "ct.nii.gz", spoil)
    assert "ct has 1 voxels that are NaN" in fails("reconstruct", *given(acquisition))


@pytest.mark.parametrize("key", ["planar", "patient.ct", "patient.labels"])
def test_file_of_no_image_format(key: str, fails: Fails, given: Given, acquisition: Path) -> None:
    for name in ("notes.txt", "notes.nii.gz"):
        (acquisition / name).write_text("not an image")
        assert name in fails("reconstruct", *given(acquisition, **{key: str(acquisition / name)}))


@pytest.mark.parametrize(
    ("shift_mm", "sign", "more", "word"),
    [
        (2000.0, 1.0, [], "shows 0 % of the patient"),
        (0.0, -1.0, [], "negative"),
        (0.0, 1.0, ["phantom.pet=null"], "no guide for a PET"),
    ],
)
def test_a_pet_that_cannot_be_used(shift_mm: float, sign: float, more: list[str], word: str, fails: Fails, acquisition: Path) -> None:
    rewrite(acquisition / "truth.nii.gz", lambda pet: sign * pet, shift_mm=shift_mm)
    given = ["patient.seed=3", "patient.spacing_mm=16.0", f"patient.pet={acquisition}/truth.nii.gz"]
    assert word in fails("simulate", *given, *more)


@pytest.mark.parametrize("key", ["planar", "patient.ct", "patient.labels"])
def test_missing_file(key: str, fails: Fails, given: Given, acquisition: Path) -> None:
    assert "nowhere.nii.gz" in fails("reconstruct", *given(acquisition, **{key: "nowhere.nii.gz"}))


@pytest.mark.parametrize("name", ["simulate", "reconstruct", "evaluate", "train"])
def test_unwritable_output_folder(name: str, fails: Fails, given: Given, acquisition: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    arguments = {
        "simulate": ["patient.spacing_mm=32.0"],
        "reconstruct": [a for a in given(acquisition) if not a.startswith("output_dir")],
        "evaluate": ["+benchmark=sim_paper_coarse"],
        "train": ["+experiment=unet_ps", "+debug=smoke"],
    }
    assert "file" in fails(name, *arguments[name], "output_dir=file/out")


def test_checkpoint_of_another_architecture(fails: Fails, run: Run, given: Given, acquisition: Path, tmp_path: Path) -> None:
    from planar3d.models import save_weights
    from planar3d.nn import CorrectionUNet

    net = {"_target_": "planar3d.nn.unet.CorrectionUNet", "in_channels": 25, "width": 16}
    config = {"model": {"net": net, "inputs": {"_target_": "planar3d.reconstruction.features.PhysicsInputs"}}}
    other = save_weights(tmp_path / "other.safetensors", CorrectionUNet(in_channels=25, width=8), config)
    assert "another architecture" in fails("reconstruct", *given(acquisition), "method=unet", f"checkpoint={other}")


def test_checkpoint_that_would_run_foreign_code(fails: Fails, given: Given, acquisition: Path, tmp_path: Path) -> None:
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
            ["+benchmark=sim_v1_coarse", "methods=[unet]", "benchmark.patients=[]", "benchmark.spacing_mm=32.0", "checkpoint=no.ckpt"],
            "checkpoint no.ckpt",
        ),
        ("train", ["+experiment=nothing"], "nothing"),
        ("train", ["trainer.max_epoch=3"], "max_epoch"),
    ],
)
def test_wrong_argument(name: str, arguments: list[str], word: str, fails: Fails) -> None:
    assert word in fails(name, *arguments)
