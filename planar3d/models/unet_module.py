"""Training of a correction network: regression of the activity from imaged synthetic patients.

``min_theta E loss(x, x_hat)`` with ``x_hat = EM(s (sqrt(x0 / s) + net_theta(c))^2)`` over phantoms x, channels c, baseline x0 and scale s
of `PhysicsInputs`; the loss is `planar3d.nn.ActivityLoss`, averaged over the passes of the network. A network with a second answer also
learns the spread of its errors (`planar3d.nn.spread_loss`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from planar3d.models.reconstruction_module import ReconstructionModule
from planar3d.nn.spread_loss import spread_loss
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.network_estimate import NetworkEstimate, apply_network
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.solved_problem import SolvedProblem

__all__ = ["UNetModule", "regression_loss"]


class UNetModule(ReconstructionModule):
    """Fits a network that corrects a baseline.

    Args:
        net: Channels to residual, and if it has two answers its spread, as `planar3d.nn.CorrectionUNet`.
        inputs: Makes the channels and the baseline.
        loss: Estimate, truth, labels and importance to a scalar, as `planar3d.nn.ActivityLoss`.
        optimizer: Parameters to optimiser.
        scheduler: Optimiser and ``total_steps`` to a schedule that advances once per step; None keeps the learning rate.
        passes: How often the network goes over its estimate.
        spread: Weight of the loss of the spread.
    """

    def __init__(
        self,
        *,
        net: nn.Module,
        inputs: PhysicsInputs,
        loss: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        passes: int = 1,
        spread: float = 0.05,
    ) -> None:
        super().__init__(net=net, inputs=inputs, optimizer=optimizer, scheduler=scheduler)
        self.save_hyperparameters(ignore=["net", "inputs", "loss", "optimizer", "scheduler"])
        self.loss = loss
        self.passes = passes
        self.spread = spread

    def estimate(self, problem: PlanarProblem) -> NetworkEstimate:
        """What the network makes of a problem."""
        return apply_network(self.net, self.inputs, problem, passes=self.passes)

    def training_step(self, batch: SolvedProblem, batch_idx: int) -> Tensor:
        """Loss of a batch."""
        loss = regression_loss(self.estimate(batch.problem), batch, self.loss, spread=self.spread)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch))
        return loss


def regression_loss(made: NetworkEstimate, batch: SolvedProblem, loss: nn.Module, *, spread: float) -> Tensor:
    """Loss of an estimate: of the activity over all passes, and of the spread where one is stated.

    Args:
        made: The estimate.
        batch: What it was made of, with the truth.
        loss: As `UNetModule` takes it.
        spread: Weight of the loss of the spread.
    """
    truth, labels = batch.truth.activity, batch.truth.imaged_labels
    total = torch.stack([loss(x, truth, labels, batch.weight) for x in made.passes]).mean()
    if made.root_spread is None or spread == 0:
        return total
    error = made.inputs.root(truth) - made.inputs.root(made.mean).detach()
    return total + spread * spread_loss(error, made.root_spread, made.inputs.mask, batch.weight)
