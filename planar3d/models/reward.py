"""Reinforcement by reward: the likelihood of the measured counts, differentiated through the camera, tunes the denoiser to one measurement.

``min  E max(d(y, A x_theta) - d*, 0) / 2  +  lambda E |(D_theta - D_0) / c_out|^2``

over samples ``x_theta`` drawn by the model itself, with ``d`` the Poisson deviance per pixel, which is about ``d* = 1`` for the true
activity: more agreement than that would be with the noise. The gradient goes back through the last evaluations of the sampler alone
(DRaFT-K, Clark et al. 2024, arXiv:2309.17400); the second term keeps the denoiser near the one it started from, along its own samples.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from planar3d.diffusion import NoiseField, Sampler
from planar3d.nn.denoiser import PreconditionedDenoiser
from planar3d.nn.posterior_net import PosteriorNet
from planar3d.physics.likelihood import poisson_deviance
from planar3d.reconstruction.conditional_denoiser import Condition, ConditionalDenoiser
from planar3d.reconstruction.diffusion import sample_seeds
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.network_estimate import NetworkEstimate, apply_network
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.root_measurement import RootMeasurement

__all__ = ["RewardStep", "RewardTuning"]


@dataclass(frozen=True, kw_only=True)
class RewardStep:
    """What a step found.

    Attributes:
        deviance: Poisson deviance per pixel of the samples drawn.
        distance: Mean square distance of the denoiser from its start, in units of what it has to answer.
    """

    deviance: float
    distance: float


class RewardTuning:
    """Tunes the denoiser of a diffusion model to one measurement.

    Args:
        sampler: Draws the samples, with the consistency that will be used afterwards.
        noise: The noise that the denoiser was trained with.
        steps: Gradient steps.
        samples: Samples drawn per step.
        differentiable: Evaluations at the end of the sampling through which the gradient goes.
        lr: Learning rate.
        penalty: Weight lambda of the distance from the start.
        target: Deviance per pixel below which more agreement earns nothing.
        passes: How often the estimator goes over its estimate, as in training.
        seed: Fixes the samples.
    """

    def __init__(
        self,
        *,
        sampler: Sampler | None = None,
        noise: NoiseField | None = None,
        steps: int = 20,
        samples: int = 2,
        differentiable: int = 2,
        lr: float = 2e-4,
        penalty: float = 1.0,
        target: float = 1.0,
        passes: int = 1,
        seed: int = 0,
    ) -> None:
        self.sampler = sampler or Sampler()
        self.noise = noise or NoiseField()
        if steps < 1 or samples < 1:
            raise ValueError(f"steps and samples must be at least 1, got {steps} and {samples}")
        if not 1 <= differentiable <= self.sampler.evaluations:
            raise ValueError(f"differentiable must lie between 1 and the {self.sampler.evaluations} evaluations, got {differentiable}")
        if penalty < 0:
            raise ValueError(f"penalty must not be negative, got {penalty}")
        self.steps = steps
        self.samples = samples
        self.differentiable = differentiable
        self.lr = lr
        self.penalty = penalty
        self.target = target
        self.passes = passes
        self.seed = seed

    def __call__(self, net: PosteriorNet, inputs: PhysicsInputs, problem: PlanarProblem) -> tuple[PosteriorNet, list[RewardStep]]:
        """A tuned copy of a network, and the course of the tuning.

        Args:
            net: Where to start; it is not changed.
            inputs: Makes the channels as in training.
            problem: The measurement.
        """
        tuned = copy.deepcopy(net).eval()
        with torch.no_grad():
            made = apply_network(net.estimator, inputs, problem, passes=self.passes)
        return tuned, list(self._run(net.eval(), tuned, made))

    def _run(self, start: PosteriorNet, tuned: PosteriorNet, made: NetworkEstimate) -> Iterator[RewardStep]:
        """The steps, one after another."""
        patients, copies, device, grid = len(made.mean), self.samples, made.mean.device, made.inputs.problem.grid
        condition = Condition.of_estimate(made, torch.ones(patients * copies, dtype=torch.bool, device=device), copies=copies)
        measurement = RootMeasurement(made.inputs, copies=copies)
        counts = made.inputs.problem.views.repeat_interleave(copies, dim=0)
        optimizer = torch.optim.Adam(tuned.denoiser.parameters(), lr=self.lr)
        denoise, before = ConditionalDenoiser(tuned.denoiser, condition), ConditionalDenoiser(start.denoiser, condition)
        for step in range(self.steps):
            distances: list[Tensor] = []

            def watched(noisy: Tensor, sigma: Tensor, distances: list[Tensor] = distances) -> Tensor:
                denoised = denoise(noisy, sigma)
                if torch.is_grad_enabled():
                    with torch.no_grad():
                        original = before(noisy, sigma)
                    _, out, _, _ = PreconditionedDenoiser.factors(sigma, condition.spread)
                    distances.append(((denoised - original) / out)[condition.mask].square().mean())
                return denoised

            seeds = sample_seeds(self.seed, patients, copies, first=step * copies)
            field = self.noise.start(grid, [torch.Generator().manual_seed(s) for s in seeds], device)
            root = self.sampler(
                watched,
                measurement,
                condition.mean + self.sampler.sigma_max * field,
                correlate=lambda volume: self.noise.correlate(volume, grid),
                differentiable=self.differentiable,
            )
            expected = made.inputs.problem.expected_counts(measurement.activity(root))
            # an empty pixel with an expectation of nothing has no derivative
            deviance = poisson_deviance(counts, expected.clamp(min=1e-3))
            distance = torch.stack(distances).mean()
            loss = 0.5 * (deviance - self.target).clamp(min=0).mean() + self.penalty * distance
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(tuned.denoiser.parameters(), 1.0)
            optimizer.step()
            yield RewardStep(deviance=float(deviance.detach().mean()), distance=float(distance.detach()))
