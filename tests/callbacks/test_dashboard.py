"""Every logger gets what it can show, of the averaged weights, and nothing that names a patient, a path or a machine."""

from __future__ import annotations

import csv
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from planar3d.callbacks import Dashboard, Throughput, log_run, version
from planar3d.data import PhantomDataModule

from .conftest import ScaledTruth

MakeTrainer = Callable[..., Trainer]
MACHINE = [name for name in [socket.gethostname()] if len(name) > 4]  # a shorter one stands in pictures by chance
FIGURES = {"panel/case_0", "panel/case_1", "panel/organs", "panel/calibration", "panel/trajectory"}
SCALARS = {
    "panel/nmae",
    "panel/nmae/anatomy_0",
    "panel/nmae/anatomy_1",
    "panel/ssim_body",
    "panel/organ_error_median",
    "panel/coverage_90_organs",
}

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]


@pytest.fixture(scope="module", autouse=True)
def quiet_tensorboard() -> None:
    """TensorBoard's own imports warn."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch.utils.tensorboard  # noqa: F401


def rows(folder: Path) -> list[dict[str, str]]:
    """What CSV got."""
    return list(csv.DictReader((folder / "metrics.csv").read_text(encoding="utf-8").splitlines()))


def shown(folder: Path, name: str) -> list[tuple[int, float]]:
    """Steps and values of a scalar in the CSV."""
    return [(int(row["step"]), float(row[name])) for row in rows(folder) if row.get(name)]


def test_csv_gets_the_scalars_before_during_and_after(data: PhantomDataModule, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer, module = make_trainer(Dashboard(cases=3), Throughput(every_n_steps=1), logger=CSVLogger(tmp_path, "", "")), ScaledTruth()
    trainer.validate(module, datamodule=data, verbose=False)
    trainer.fit(module, datamodule=data)
    trainer.validate(module, datamodule=data, verbose=False)
    assert SCALARS | {"speed/samples_per_s", "speed/data_share", "memory/peak_gib"} <= set(rows(tmp_path)[0])
    course = shown(tmp_path, "panel/nmae")
    assert course[0] == (0, pytest.approx(0.1, rel=1e-3))
    assert {step for step, _ in course} == {0, 2, 4}
    assert course[-1][1] == pytest.approx(abs(1 - float(module.factor.detach())), rel=1e-3)
    assert all(0 < share < 1 for _, share in shown(tmp_path, "speed/data_share"))
    assert all(0.01 < gib < 1000 for _, gib in shown(tmp_path, "memory/peak_gib"))


def test_only_the_epochs_asked_for_are_shown(data: PhantomDataModule, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    make_trainer(Dashboard(cases=1, every_n_epochs=3), logger=CSVLogger(tmp_path, "", ""), epochs=4).fit(ScaledTruth(), datamodule=data)
    assert [step for step, _ in shown(tmp_path, "panel/nmae")] == [6]


def test_figures_are_drawn_only_for_loggers_that_show_them(
    data: PhantomDataModule, make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a figure was drawn")

    monkeypatch.setattr("planar3d.callbacks.dashboard.rendered", refused)
    make_trainer(Dashboard(), logger=CSVLogger(tmp_path, "", ""), epochs=1).fit(ScaledTruth(), datamodule=data)
    with pytest.raises(AssertionError, match="a figure was drawn"):
        make_trainer(Dashboard(), logger=TensorBoardLogger(tmp_path), epochs=1).fit(ScaledTruth(), datamodule=data)


def test_tensorboard_gets_figures_and_scalars(data: PhantomDataModule, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    make_trainer(Dashboard(cases=3), logger=TensorBoardLogger(tmp_path, "", ""), epochs=1).fit(ScaledTruth(), datamodule=data)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert set(events.Tags()["images"]) == FIGURES
    assert SCALARS <= set(events.Tags()["scalars"])
    image = events.Images("panel/case_0")[0]
    assert image.width > 400
    assert image.encoded_image_string.startswith(b"\x89PNG")


def test_weights_shown_are_the_averaged_ones(data: PhantomDataModule, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    """An average that stays as the first step left it shows the error of that step, whatever has been learned since."""
    module = ScaledTruth(0.9)
    trainer = make_trainer(EMAWeightAveraging(decay=1.0), Dashboard(cases=1), logger=CSVLogger(tmp_path, "", ""))
    trainer.fit(module, datamodule=data)
    after_one_step = 0.1 * (1 - 2 * 0.1)  # of gradient descent on the squared error at a rate of 0.1
    assert [value for _, value in shown(tmp_path, "panel/nmae")] == pytest.approx([after_one_step] * 2, rel=1e-3)


def test_random_numbers_and_gradients_of_the_training_are_left_alone(
    data: PhantomDataModule, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    class Draws(ScaledTruth):
        def on_train_epoch_start(self) -> None:
            drawn.append(float(torch.rand(())))

        def reconstruct(self, batch: Any) -> Any:
            noise.append(float(torch.rand(())))
            with torch.enable_grad():  # as a method that follows the likelihood does
                (slope,) = torch.autograd.grad((batch.problem.expected_counts(batch.truth.activity * self.factor)).sum(), self.factor)
            assert slope > 0
            return super().reconstruct(batch)

    draws: list[list[float]] = []
    for name, callbacks in (("without", ()), ("with", (Dashboard(cases=1, trajectory=False),))):
        drawn: list[float] = []
        noise: list[float] = []
        torch.manual_seed(0)
        make_trainer(*callbacks, logger=CSVLogger(tmp_path / name, "", "")).fit(Draws(), datamodule=data)
        draws.append(drawn)
    assert draws[0] == draws[1]
    assert len(noise) == 2
    assert len(set(noise)) == 1


def wandb_run(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Path:
    """Trains as the shell would with Weights & Biases offline, on a machine of a telling name; the folder of its run."""
    from hydra.core.global_hydra import GlobalHydra

    from planar3d import train

    small = ["+debug=smoke", "patient.spacing_mm=40.0", "data.batch_size=1", "data.samples_per_epoch=2", "data.validation_samples=2"]
    place = [f"output_dir={folder}", f"hydra.run.dir={folder}", "trainer.log_every_n_steps=1", "callbacks.throughput.every_n_steps=1"]
    GlobalHydra.instance().clear()
    monkeypatch.setattr(socket, "gethostname", lambda: "WARD-SEVEN")
    monkeypatch.setattr("sys.argv", ["planar3d.train", "+experiment=unet_ps", "logger=wandb", *small, *place, *arguments])
    train.main()
    (run,) = (folder / "wandb").glob("offline-run-*")
    return run


def recorded(run: Path) -> bytes:
    """All that would be sent: the logs stay. Its own process writes the record to its end a moment after the run has ended."""
    size, began = -1, time.monotonic()
    while time.monotonic() - began < 20:
        time.sleep(0.3)
        (record,) = run.glob("*.wandb")
        if record.stat().st_size == size > 100:
            break
        size = record.stat().st_size
    return b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file() and path.parent.name != "logs")


@pytest.mark.filterwarnings("ignore")
def test_wandb_gets_everything_but_who_and_where(simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.chdir(tmp_path)
    given = []
    for name in ("ct", "labels"):
        shutil.copy(simulated / f"{name}.nii.gz", tmp_path / f"MILLER_JANE_{name}.nii.gz")
        given.append(f"patient.{name}=MILLER_JANE_{name}.nii.gz")
    run = wandb_run(tmp_path / "MILLER" / "out", monkeypatch, *given, "callbacks.dashboard.cases=2", "callbacks.dashboard.figures=1")
    assert wandb.run is None  # the next training of this process has a run of its own
    record = recorded(run)
    names = " ".join(path.relative_to(run).as_posix() for path in run.rglob("*"))
    keys = ("train/loss", "val/nmae", "panel/nmae/anatomy_0", "panel/organs", "speed/samples_per_s", "memory/peak_gib", "samples_per_epoch")
    for key in keys:
        assert key.encode() in record, key
    assert version.code_version()["planar3d"].encode() in record
    assert "media/images/panel/case_0_" in names
    assert "media/html/panel/organ_table_" in names
    for word in ("MILLER", str(tmp_path), str(Path.home()), "WARD-SEVEN", *MACHINE):
        assert word.encode() not in record, word
        assert word not in names, word


@pytest.mark.filterwarnings("ignore")
def test_a_sweep_gathers_in_one_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from planar3d.callbacks import log_sweep

    monkeypatch.setattr(socket, "gethostname", lambda: "WARD-SEVEN")
    log_sweep([{"job": "0", "mean": "0.25"}], name="counts", folder=tmp_path, project="planar3d")
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    record = recorded(run)
    for word in ("counts", "<td>0.25</td>", "planar3d"):
        assert word.encode() in record, word
    for word in (str(tmp_path), str(Path.home()), "WARD-SEVEN"):
        assert word.encode() not in record, word


def test_the_run_is_told_with_the_version_of_the_code(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, "", "")
    log_run([logger], {"seed": 7, "camera": {"name": "siemens-melp"}})
    logger.save()
    told = (tmp_path / "hparams.yaml").read_text(encoding="utf-8")
    assert "seed: 7" in told
    assert "siemens-melp" in told
    assert f"planar3d: {version.code_version()['planar3d']}" in told


def test_the_version_names_the_commit_in_a_checkout_and_not_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "CHECKOUT", tmp_path)
    assert list(version.code_version()) == ["planar3d"]
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    assert list(version.code_version()) == ["planar3d"]  # no commit yet
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert commit.startswith(version.code_version()["git"])


@pytest.mark.parametrize(("name", "value"), [("cases", 0), ("figures", -1), ("every_n_epochs", 0), ("dpi", 0)])
def test_wrong_options_are_told(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        Dashboard(**{name: value})
