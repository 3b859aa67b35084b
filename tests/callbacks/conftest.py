"""A data module of two made-up patients and a module that answers without a network, so that what callbacks do is all there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from planar3d.anatomy.patient import Patient
from planar3d.data import PhantomDataModule
from planar3d.grid import Grid
from planar3d.organs import organ_id
from planar3d.phantom import Biodistribution, Deformation, PhantomSynthesizer
from planar3d.physics import GammaCamera
from planar3d.reconstruction.posterior import Posterior
from planar3d.reconstruction.solved_problem import SolvedProblem
from planar3d.simulation import PlanarSimulator


def made_up_patient(shape: tuple[int, int, int]) -> Patient:
    """A box of tissue with a liver and a kidney, on 20 mm voxels."""
    grid = Grid.centred(shape, 20.0)
    labels = torch.zeros(1, *shape, dtype=torch.int64)
    labels[:, 2:-2, 2:-2] = organ_id("body")
    labels[:, 8:12, 3:7, 6:10] = organ_id("liver")
    labels[:, 4:6, 3:5, 3:7] = organ_id("kidney_left")
    return Patient(grid=grid, ct_hu=torch.where(labels > 0, 20.0, -1000.0), labels=labels)


@pytest.fixture
def data() -> PhantomDataModule:
    """Four training samples and three to validate on, of two anatomies."""
    biodistribution = Biodistribution.from_name("psma617", time_s=86400.0, administered_bq=7.4e9)
    simulator = PlanarSimulator(
        camera=GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=240.0, scatter=False),
        synthesizer=PhantomSynthesizer(biodistribution=biodistribution, deformation=Deformation()),
    )
    patients = [made_up_patient((15, 10, 12)), made_up_patient((14, 11, 13))]
    return PhantomDataModule(simulator=simulator, patients=patients, batch_size=2, samples_per_epoch=4, validation_samples=3)


class ScaledTruth(LightningModule):
    """Answers with the truth times a learned factor, so that every figure of merit is known; its samples lie about that."""

    def __init__(self, factor: float = 0.9, *, spread: float = 0.2) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))
        self.spread = spread

    def training_step(self, batch: SolvedProblem, batch_idx: int) -> torch.Tensor:
        return (self.factor - 1.0).square()

    def validation_step(self, batch: SolvedProblem, batch_idx: int) -> None:
        self.log("val/nmae", (self.factor - 1.0).abs(), batch_size=len(batch))

    def reconstruct(self, batch: SolvedProblem) -> Posterior:
        mean = self.factor * batch.truth.activity
        samples = torch.stack([mean * level for level in torch.linspace(1 - self.spread, 1 + self.spread, 5)])
        return Posterior(mean=mean, samples=samples)

    def trajectory(self, batch: SolvedProblem) -> tuple[list[tuple[float, torch.Tensor]], torch.Tensor]:
        mean = self.reconstruct(batch).mean
        return [(level, mean + level) for level in (80.0, 1.0, 0.1)], mean[None]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def make_trainer(tmp_path: Path) -> Callable[..., Trainer]:
    """Makes a quiet trainer of two epochs with these callbacks and loggers."""

    def make(*callbacks: Callback, logger: Any = False, epochs: int = 2) -> Trainer:
        return Trainer(
            default_root_dir=tmp_path,
            accelerator="cpu",
            max_epochs=epochs,
            logger=logger,
            callbacks=list(callbacks),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )

    return make
