"""The training command: every experiment runs, starts from weights, resumes, and leaves whole files that hold no private path."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

from planar3d import train
from planar3d.config import CONFIG_DIR
from planar3d.models import load_checkpoint_into, load_weights, save_weights
from planar3d.nn import CorrectionUNet
from planar3d.trained import open_diffusion, open_unet

Run = Callable[..., Path]

SMALL = ["+debug=smoke", "patient.spacing_mm=40.0", "data.batch_size=1", "data.samples_per_epoch=2", "data.validation_samples=1"]
POPULATION = [f"{key}.{name}" for key in ("data.patients", "data.validation_patients") for name in ("count=1", "spacing_mm=40.0")]
SCORED = [*POPULATION, "trainer.max_epochs=1", "model.sample_score.samples=2"]
MORE = {"unet_population": POPULATION, "diffusion_population": POPULATION, "diffusion_scored": SCORED}
BESIDE = {"diffusion_scored": {"train/sample_score", "val/sample_score"}}  # what is learned beside the denoiser; otherwise the estimator
SAMPLER = ["model.sampler.evaluations=2"]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),
]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Trains as the shell would, in an empty folder, and returns the folder written."""
    monkeypatch.chdir(tmp_path)

    def call(name: str, *arguments: str, small: Sequence[str] = SMALL) -> Path:
        GlobalHydra.instance().clear()
        folder = tmp_path / name
        monkeypatch.setattr(sys, "argv", ["planar3d.train", *small, f"output_dir={folder}", f"hydra.run.dir={folder}", *arguments])
        train.main()
        return folder

    return call


def logged(folder: Path) -> list[dict[str, str]]:
    """Rows of the course of the metrics."""
    return list(csv.DictReader((folder / "metrics.csv").read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (CONFIG_DIR / "experiment").glob("unet_*.yaml")))
def test_every_experiment_trains_and_leaves_weights_that_reconstruct(experiment: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run("out", f"+experiment={experiment}", "checkpoint=null", "trainer.log_every_n_steps=1", *MORE.get(experiment, []))
    told = capsys.readouterr().out.splitlines()
    assert {"weights.safetensors", "weights.json", "metrics.csv", "checkpoints"} <= {path.name for path in folder.iterdir()}
    assert "Validation NMAE" in told[-2]
    assert told[-1].startswith("Wrote ")
    assert str(folder) in told[-1]
    assert open_unet(checkpoint=str(folder / "weights.safetensors")).name == "unet"
    assert {"train/loss", "val/nmae", "val/nmae_baseline", "val/ssim_body"} <= set(logged(folder)[0])


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (CONFIG_DIR / "experiment").glob("diffusion_*.yaml")))
def test_every_diffusion_experiment_leaves_weights_that_sample(experiment: str, run: Run) -> None:
    small = ["+debug=smoke_diffusion", *SMALL[1:], *SAMPLER, *MORE.get(experiment, [])]
    folder = run("out", f"+experiment={experiment}", "checkpoint=null", "trainer.log_every_n_steps=1", small=small)
    weights = str(folder / "weights.safetensors")
    assert open_diffusion(checkpoint=weights).name == "diffusion"
    assert open_unet(checkpoint=weights).name == "unet"
    assert {"train/denoising", "val/denoising", "val/nmae"} | BESIDE.get(experiment, {"train/loss"}) <= set(logged(folder)[0])


def test_training_goes_on_from_weights_and_from_a_checkpoint(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    first = run("first", "weights_dtype=bfloat16")
    assert all(t.dtype == torch.bfloat16 for t in load_weights(first / "weights.safetensors")[0].values())
    second = run("second", f"checkpoint={first / 'weights.safetensors'}", "optimizer.lr=0.0", "model.scheduler=null")
    for name, value in load_weights(second / "weights.safetensors")[0].items():
        torch.testing.assert_close(value, load_weights(first / "weights.safetensors")[0][name].float(), rtol=1e-5, atol=1e-8, msg=name)
    capsys.readouterr()
    third = run("third", f"resume={first / 'checkpoints' / 'last.ckpt'}", "trainer.max_epochs=2", "trainer.log_every_n_steps=1")
    assert max(int(row["epoch"]) for row in logged(third) if row["train/loss"]) == 1


def test_a_network_is_as_wide_as_the_weights_it_starts_from_and_says_so(run: Run) -> None:
    first = run("first", "checkpoint=null", "net.width=16") / "weights.safetensors"
    small = [argument for argument in SMALL if argument != "+debug=smoke"]
    second = run("second", f"checkpoint={first}", "net.blocks_down=[1,1]", "trainer.max_epochs=1", small=small) / "weights.safetensors"
    tensors, described = load_weights(second)
    assert described["model"]["net"]["width"] == 16
    assert described["checkpoint"] is None
    assert {name: value.shape for name, value in tensors.items()} == {name: value.shape for name, value in load_weights(first)[0].items()}
    assert open_unet(checkpoint=str(second)).name == "unet"


def test_shipped_weights_are_those_for_the_voxels_trained_on() -> None:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        for experiment in ("unet_ps", "diffusion_ps"):
            fine = compose("train", [f"+experiment={experiment}", "patient.spacing_mm=4.8", "output_dir=out"])
            coarse = compose("train", [f"+experiment={experiment}", "output_dir=out"])
            assert fine.checkpoint.endswith("_4.8mm")
            assert coarse.checkpoint.endswith("_8mm")
            for cfg in (fine, coarse):
                described = train.exported_config(cfg)
                assert described["checkpoint"] == cfg.checkpoint
                load_checkpoint_into(instantiate(described["net"], _convert_="all"), cfg.checkpoint)


def test_a_run_that_no_longer_improves_goes_on_where_it_ended(run: Run) -> None:
    still = ["optimizer.lr=0.0", "model.scheduler=null", "trainer.log_every_n_steps=1"]
    last = run("first", "trainer.max_epochs=3", *still) / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["epoch"] == 2
    second = run("second", f"resume={last}", "trainer.max_epochs=4", *still)
    assert {int(row["epoch"]) for row in logged(second) if row["train/loss"]} == {3}
    assert {path.name for path in last.parent.iterdir()} == {"best.ckpt", "last.ckpt"}


def test_a_training_may_be_given_a_time_instead_of_steps(run: Run) -> None:
    timed = ["scheduler=timed", "+trainer.max_time.seconds=2", "trainer.max_epochs=-1", "trainer.log_every_n_steps=1"]
    steps = [row for row in logged(run("out", *timed)) if row["train/loss"]]
    assert len(steps) > 2  # more than the one epoch of the smoke test
    with pytest.raises(SystemExit):
        run("endless", "trainer.max_epochs=-1")


def test_an_estimator_may_be_exchanged_beside_a_trained_denoiser(run: Run, tmp_path: Path) -> None:
    small = ["+debug=smoke_diffusion", *SMALL[1:], *SAMPLER]
    first = run("first", "+experiment=diffusion_ps", "checkpoint=null", small=small) / "weights.safetensors"
    described = load_weights(first)[1]["net"]["estimator"]
    net = CorrectionUNet(in_channels=25, out_channels=2, **described)
    torch.nn.init.normal_(next(net.parameters()))
    save_weights(tmp_path / "other.safetensors", net, {})
    given = [f"checkpoint={first}", f"estimator_checkpoint={tmp_path / 'other.safetensors'}", "model.train_estimator=false"]
    second = run("second", "+experiment=diffusion_ps", *given, "optimizer.lr=0.0", "model.scheduler=null", small=small)
    before, after = (load_weights(folder)[0] for folder in (first, second / "weights.safetensors"))
    for name, value in after.items():
        expected = net.state_dict()[name.removeprefix("estimator.")] if name.startswith("estimator.") else before[name]
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7, msg=name)


def test_the_exported_configuration_holds_no_path(tmp_path: Path) -> None:
    secret = str(tmp_path / "MILLER_JANE.nii.gz")
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        given = [f"patient.ct={secret}", f"patient.labels={secret}", f"patient.label_scheme={secret}", f"checkpoint={secret}"]
        given.append(f"estimator_checkpoint={secret}")
        cfg = compose("train", ["+experiment=unet_ps", f"output_dir={tmp_path}", *given])
    text = json.dumps(train.exported_config(cfg))
    assert "MILLER" not in text
    assert str(tmp_path) not in text
    assert cfg.patient.ct == secret


@pytest.mark.parametrize(
    ("argument", "word"),
    [
        ("checkpoint=nowhere.safetensors", "nowhere.safetensors"),
        ("resume=nowhere.ckpt", "nowhere.ckpt"),
        ("checkpoint=other.safetensors", "another architecture"),
        ("weights_dtype=int8", "weights_dtype"),
        ("data.batch_size=0", "batch_size"),
        ("estimator_checkpoint=other.safetensors", "estimator_checkpoint is for a diffusion model"),
    ],
)
def test_a_wrong_input_is_told_and_leaves_nothing(
    argument: str, word: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_weights(tmp_path / "other.safetensors", CorrectionUNet(in_channels=25, width=16), {})
    before = sorted(tmp_path.rglob("*"))
    GlobalHydra.instance().clear()
    monkeypatch.setattr(sys, "argv", ["planar3d.train", "+experiment=unet_ps", *SMALL, argument])
    with pytest.raises(SystemExit) as ended:
        train.main()
    assert ended.value.code == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert word in told[0]
    assert sorted(tmp_path.rglob("*")) == before
