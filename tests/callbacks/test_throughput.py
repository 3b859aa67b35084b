"""Time is told apart into that of the data and that of the step."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger

from planar3d.callbacks.throughput import Throughput, peak_memory_gib
from planar3d.data import PhantomDataModule
from planar3d.reconstruction.solved_problem import SolvedProblem

from .conftest import ScaledTruth

DATA_S, STEP_S = 0.15, 0.05


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_shares_are_those_of_the_time_spent(
    data: PhantomDataModule, make_trainer: Callable[..., Trainer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(ScaledTruth):
        def training_step(self, batch: SolvedProblem, batch_idx: int) -> torch.Tensor:
            time.sleep(STEP_S)
            return super().training_step(batch, batch_idx)

    def slow(index: torch.Tensor, *, epoch: int | None, made: SolvedProblem) -> SolvedProblem:
        time.sleep(DATA_S)
        return made

    data.setup("fit")
    made = data.synthesise(torch.arange(2), epoch=None)
    monkeypatch.setattr(data, "synthesise", lambda index, *, epoch: slow(index, epoch=epoch, made=made))
    data.samples_per_epoch = 8
    trainer = make_trainer(Throughput(every_n_steps=1), logger=CSVLogger(tmp_path, "", ""), epochs=1)
    trainer.fit(Slow(), datamodule=data)
    told = list(csv.DictReader((tmp_path / "metrics.csv").read_text(encoding="utf-8").splitlines()))
    (row,) = [r for r in told if r.get("speed/data_share")]
    assert float(row["speed/data_share"]) == pytest.approx(DATA_S / (DATA_S + STEP_S), abs=0.15)
    assert float(row["speed/samples_per_s"]) < 2 / (DATA_S + STEP_S)


def test_memory_grows_by_what_is_taken() -> None:
    before = peak_memory_gib(torch.device("cpu"))
    held = torch.ones(int((before + 0.3) * 2**30 / 4))  # past the highest there has been
    assert peak_memory_gib(torch.device("cpu")) > before + 0.2
    assert held[-1] == 1.0


def test_every_n_steps_must_be_positive() -> None:
    with pytest.raises(ValueError, match="every_n_steps must be at least 1, got 0"):
        Throughput(every_n_steps=0)
