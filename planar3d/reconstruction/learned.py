"""Reconstruction by a trained network: the baseline, corrected.

``x_hat = EM(s (sqrt(x0 / s) + net(channels))^2)`` within a slightly grown body, with the channels, baseline ``x0``, scale ``s`` and
number of EM steps of `PhysicsInputs`.
"""

from __future__ import annotations

import torch
from torch import nn

from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.network_estimate import apply_network
from planar3d.reconstruction.posterior import Posterior
from planar3d.reconstruction.problem import PlanarProblem

__all__ = ["UNetReconstruction"]


class UNetReconstruction:
    """A trained correction network as a reconstruction method.

    Args:
        net: Channels to residual, as `planar3d.nn.CorrectionUNet`; put into evaluation mode.
        inputs: Makes the channels as in training.
        passes: How often the network goes over its estimate, as in training.
        edge_spill: Share of a voxel that an organ table takes back across edges of organs (`planar3d.reconstruction.partial_volume`).
    """

    name = "unet"

    def __init__(self, *, net: nn.Module, inputs: PhysicsInputs, passes: int = 1, edge_spill: float = 0.0) -> None:
        self.net = net.eval()
        self.inputs = inputs
        self.passes = passes
        self.edge_spill = edge_spill

    @torch.no_grad()
    def __call__(self, problem: PlanarProblem) -> Posterior:
        """Reconstruct a batch, on its device."""
        self.net.to(problem.views.device)
        made = apply_network(self.net, self.inputs, problem, passes=self.passes)
        return Posterior(mean=made.mean, std=made.std, expected_views=problem.expected_counts(made.mean))
