"""Training of a correction network: regression of the activity from imaged synthetic patients.

``min_theta E loss(x, x_hat)`` with ``x_hat = EM(s (sqrt(x0 / s) + net_theta(c))^2)`` over phantoms x, channels c, baseline x0 and scale s
of `PhysicsInputs`; the loss is `planar3d.nn.ActivityLoss`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from planar3d.metrics.image import nmae, ssim3d
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.solved_problem import SolvedProblem
from planar3d.shapes import Volume

__all__ = ["UNetModule"]


class UNetModule(LightningModule):
    """Fits a network that corrects a baseline.

    Args:
        net: Channels to residual, as `planar3d.nn.CorrectionUNet`.
        inputs: Makes the channels and the baseline.
        loss: Estimate, truth and labels to a scalar, as `planar3d.nn.ActivityLoss`.
        optimizer: Parameters to optimiser.
        scheduler: Optimiser and ``total_steps`` to a schedule that advances once per step; None keeps the learning rate.
    """

    def __init__(
        self,
        *,
        net: nn.Module,
        inputs: PhysicsInputs,
        loss: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["net", "inputs", "loss", "optimizer", "scheduler"])
        self.net = net
        self.inputs = inputs
        self.loss = loss
        self.optimizer = optimizer
        self.scheduler = scheduler

    def forward(self, batch: SolvedProblem) -> tuple[Volume, Volume]:
        """Estimate and baseline of a batch, ``(b, 1, x, y, z)`` [Bq/mL]."""
        with torch.no_grad():
            inputs = self.inputs(batch.problem)
        return inputs.estimate(self.net(inputs.channels)), inputs.baseline

    def training_step(self, batch: SolvedProblem, batch_idx: int) -> Tensor:
        """Loss of a batch."""
        estimate, _ = self(batch)
        loss = self.loss(estimate, batch.truth.activity, batch.truth.imaged_labels, batch.weight)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: SolvedProblem, batch_idx: int) -> None:
        """Metrics of the estimate, and of the baseline that it has to beat."""
        estimate, baseline = self(batch)
        truth, body = batch.truth.activity, batch.truth.imaged_labels > 0
        with torch.autocast(truth.device.type, enabled=False):
            metrics = {
                "val/nmae": nmae(estimate, truth),
                "val/nmae_baseline": nmae(baseline, truth),
                "val/ssim_body": ssim3d(estimate, truth, body),
                "val/total_error": estimate.flatten(1).sum(dim=1) / truth.flatten(1).sum(dim=1) - 1,
            }
        for name, values in metrics.items():
            self.log(name, values.mean(), prog_bar=name == "val/nmae", batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Optimiser and, if there is one, its schedule over all steps of the training."""
        optimizer = self.optimizer(self.parameters())
        if self.scheduler is None:
            return optimizer
        schedule: Any = self.scheduler(optimizer, total_steps=int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
