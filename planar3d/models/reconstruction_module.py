"""What the training of every reconstruction network shares: validation, optimiser and schedule.

A module says how it reconstructs a problem (`ReconstructionModule.estimate`) and what its training minimises; validation compares that
estimate, and the baseline that it has to beat, with the truth.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from planar3d.metrics.image import nmae, ssim3d
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.network_estimate import NetworkEstimate
from planar3d.reconstruction.posterior import Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.solved_problem import SolvedProblem

__all__ = ["ReconstructionModule"]


class ReconstructionModule(LightningModule):
    """A network that is trained to reconstruct.

    Args:
        net: What is trained, and written as weights.
        inputs: Makes the channels and the baseline.
        optimizer: Parameters to optimiser.
        scheduler: Optimiser and ``total_steps``, None where the steps do not end the training, to a schedule that advances once per step;
            None keeps the learning rate.
    """

    def __init__(
        self,
        *,
        net: nn.Module,
        inputs: PhysicsInputs,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.inputs = inputs
        self.optimizer = optimizer
        self.scheduler = scheduler

    @abstractmethod
    def estimate(self, problem: PlanarProblem) -> NetworkEstimate:
        """What the network makes of a problem in one go."""

    def reconstruct(self, batch: SolvedProblem) -> Posterior:
        """The estimate of a batch, as a reconstruction method gives it; nothing of the truth is used."""
        with torch.no_grad():
            made = self.estimate(batch.problem)
        return Posterior(mean=made.mean, std=made.std, expected_views=batch.problem.expected_counts(made.mean))

    def validation_step(self, batch: SolvedProblem, batch_idx: int) -> None:
        """Metrics of the estimate, and of the baseline that it has to beat."""
        self.log_metrics(self.estimate(batch.problem), batch)

    def log_metrics(self, made: NetworkEstimate, batch: SolvedProblem) -> None:
        """Log what an estimate and its baseline are worth.

        Args:
            made: The estimate.
            batch: What it was made of, with the truth.
        """
        x, truth, body = made.mean, batch.truth.activity, batch.truth.imaged_labels > 0
        with torch.autocast(truth.device.type, enabled=False):
            metrics = {
                "val/nmae": nmae(x, truth),
                "val/nmae_baseline": nmae(made.baseline, truth),
                "val/ssim_body": ssim3d(x, truth, body),
                "val/total_error": x.flatten(1).sum(dim=1) / truth.flatten(1).sum(dim=1) - 1,
            }
            if made.root_spread is not None:
                error = (made.inputs.root(truth) - made.inputs.root(x)).square() / made.root_spread.square()
                inside = made.inputs.mask.to(error)
                # one if the spread stated is that of the errors
                metrics["val/spread_ratio"] = torch.sqrt((error * inside).flatten(1).sum(dim=1) / inside.flatten(1).sum(dim=1))
        for name, values in metrics.items():
            self.log(name, values.mean(), prog_bar=name == "val/nmae", batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Optimiser and, if there is one, its schedule over all steps of the training."""
        optimizer = self.optimizer([p for p in self.parameters() if p.requires_grad])
        if self.scheduler is None:
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        schedule: Any = self.scheduler(optimizer, total_steps=int(steps) if math.isfinite(steps) else None)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
