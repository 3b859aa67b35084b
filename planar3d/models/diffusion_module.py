"""Training of a diffusion model: a denoiser around the estimate of a network, which may be trained along.

``min E w |D(r + sigma n; sigma, m, tau, c) - r|^2 / c_out^2`` over phantoms, noise levels sigma and noise n, with ``r`` the root of
the relative true activity, ``m`` and ``tau`` the estimate and its spread, and weight ``w = tau / mean tau``: errors count where there
is something to be uncertain of, and the best denoiser is the same for any weight. In a share of the samples the measurement is withheld,
which teaches the prior over activity in an anatomy (Ho and Salimans 2022). Samples drawn by the model itself may be scored too
(`planar3d.models.SampleScore`), once it draws fair ones: it costs ten times as much a step.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from planar3d.diffusion import NoiseField, NoiseLevels, Sampler
from planar3d.models.reconstruction_module import ReconstructionModule
from planar3d.models.sample_score import SampleScore
from planar3d.models.unet_module import regression_loss
from planar3d.nn.denoiser import PreconditionedDenoiser
from planar3d.nn.posterior_net import PosteriorNet
from planar3d.reconstruction.conditional_denoiser import Condition
from planar3d.reconstruction.diffusion import draw_samples, posterior_of_samples
from planar3d.reconstruction.ensemble import about_both, require_move
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.network_estimate import NetworkEstimate, apply_network
from planar3d.reconstruction.posterior import Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.solved_problem import SolvedProblem
from planar3d.shapes import Volume

__all__ = ["DiffusionModule"]

VALIDATION_STREAM = 1 << 40  # keeps the noise of validation apart from that of any training step
VALIDATION_SAMPLES = 4


class DiffusionModule(ReconstructionModule):
    """Fits a denoiser, and if asked for the estimator beside it.

    Args:
        net: Estimator and denoiser.
        inputs: Makes the channels and the baseline.
        loss: Loss of the estimator, as `planar3d.nn.ActivityLoss`.
        optimizer: Parameters to optimiser.
        scheduler: Optimiser and ``total_steps`` to a schedule that advances once per step; None keeps the learning rate.
        noise: The noise to learn on.
        levels: Its levels.
        sampler: Draws samples for `reconstruct`.
        estimator_share: Weight of the estimate in the mean of those samples, and
        em_steps: EM steps that follow, as `planar3d.reconstruction.DiffusionReconstruction` takes them.
        passes: How often the estimator goes over its estimate.
        spread: Weight of the loss of the estimator's spread.
        train_estimator: Whether the estimator is trained along, or stays as it is.
        withheld: Share of the samples whose measurement is withheld from the denoiser.
        noise_draws: Noise levels per phantom and step; a phantom costs more than a noise level.
        sample_score: Score of samples drawn in training, beside the loss of the denoiser; None draws none.
        seed: Fixes the noise.
    """

    net: PosteriorNet

    def __init__(
        self,
        *,
        net: PosteriorNet,
        inputs: PhysicsInputs,
        loss: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        noise: NoiseField | None = None,
        levels: NoiseLevels | None = None,
        sampler: Sampler | None = None,
        estimator_share: float = 0.0,
        em_steps: int = 0,
        passes: int = 1,
        spread: float = 0.05,
        train_estimator: bool = True,
        withheld: float = 0.1,
        noise_draws: int = 2,
        sample_score: SampleScore | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(net=net, inputs=inputs, optimizer=optimizer, scheduler=scheduler)
        if not 0 <= withheld < 1:
            raise ValueError(f"withheld must lie in [0, 1), got {withheld}; it is a share of the samples")
        require_move(estimator_share, em_steps)
        if noise_draws < 1:
            raise ValueError(f"noise_draws must be at least 1, got {noise_draws}")
        self.save_hyperparameters(ignore=["net", "inputs", "loss", "optimizer", "scheduler", "noise", "levels", "sampler", "sample_score"])
        self.loss = loss
        self.noise = noise or NoiseField()
        self.levels = levels or NoiseLevels()
        self.sampler = sampler or Sampler()
        self.estimator_share = estimator_share
        self.em_steps = em_steps
        self.passes = passes
        self.spread = spread
        self.train_estimator = train_estimator
        self.withheld = withheld
        self.noise_draws = noise_draws
        self.sample_score = sample_score
        self.seed = seed
        net.estimator.requires_grad_(train_estimator)

    def estimate(self, problem: PlanarProblem) -> NetworkEstimate:
        """What the estimator makes of a problem; the samples lie around it."""
        return apply_network(self.net.estimator, self.inputs, problem, passes=self.passes)

    def reconstruct(self, batch: SolvedProblem) -> Posterior:
        """A few samples of a batch; nothing of the truth is used."""
        return posterior_of_samples(self._samples(batch), batch.problem)

    def trajectory(self, batch: SolvedProblem) -> tuple[list[tuple[float, Volume]], Tensor]:
        """Denoised activities of the first sample of each patient along the sampling, and the samples as `reconstruct` has them [Bq/mL].

        Returns:
            Noise levels with ``(b, 1, x, y, z)``, and ``(sample, b, 1, x, y, z)``.
        """
        seen: list[tuple[float, Volume]] = []
        samples = self._samples(batch, watch=lambda sigma, activity: seen.append((sigma, activity[::VALIDATION_SAMPLES])))
        return seen, samples

    def _samples(self, batch: SolvedProblem, watch: Callable[[float, Volume], None] | None = None) -> Tensor:
        """A few samples of each patient, ``(sample, b, 1, x, y, z)`` [Bq/mL]."""
        with torch.no_grad():
            made = self.estimate(batch.problem)
            samples = draw_samples(self.net, made, self.sampler, self.noise, copies=VALIDATION_SAMPLES, seed=self.seed, watch=watch)
            return about_both(samples, made, share=self.estimator_share, em_steps=self.em_steps)

    def training_step(self, batch: SolvedProblem, batch_idx: int) -> Tensor:
        """Loss of a batch."""
        with torch.set_grad_enabled(self.train_estimator):
            made = self.estimate(batch.problem)
        denoising = self._denoising(made, batch, self._generator(self.global_step, device=self.device))
        self.log("train/denoising", denoising, prog_bar=True, batch_size=len(batch))
        total = denoising
        if self.sample_score is not None:
            score = self._score(made, batch, self.global_step, self.sample_score)
            self.log("train/sample_score", score, prog_bar=True, batch_size=len(batch))
            total = total + score
        if self.train_estimator:
            regression = regression_loss(made, batch, self.loss, spread=self.spread)
            self.log("train/loss", regression, prog_bar=True, batch_size=len(batch))
            total = total + regression
        return total

    def validation_step(self, batch: SolvedProblem, batch_idx: int) -> None:
        """Metrics of the estimate, and the loss of the denoiser on noise that is always the same."""
        made = self.estimate(batch.problem)
        self.log_metrics(made, batch)
        denoising = self._denoising(made, batch, self._generator(VALIDATION_STREAM + batch_idx))
        self.log("val/denoising", denoising, batch_size=len(batch), sync_dist=True)
        if self.sample_score is not None:
            score = self._score(made, batch, VALIDATION_STREAM + batch_idx, self.sample_score)
            self.log("val/sample_score", score, batch_size=len(batch), sync_dist=True)

    def _denoising(self, made: NetworkEstimate, batch: SolvedProblem, generator: torch.Generator) -> Tensor:
        """Loss of the denoiser."""
        draws, n = self.noise_draws, len(batch) * self.noise_draws
        device = made.mean.device
        known = torch.rand(n, generator=generator, device=generator.device).to(device) >= self.withheld
        condition = Condition.of_estimate(made.detached(), known, copies=draws)
        truth = made.inputs.root(batch.truth.activity).repeat_interleave(draws, dim=0)
        sigma = self.levels.draw(n, generator).to(device)
        noise = self.noise.draw(batch.problem.grid, [generator] * n, device)
        inside = condition.mask.to(truth)
        noisy = (truth + sigma.view(-1, 1, 1, 1, 1) * noise) * inside
        denoised = self.net.denoiser(noisy, sigma, mean=condition.mean, spread=condition.spread, condition=condition.channels)
        _, out, _, _ = PreconditionedDenoiser.factors(sigma, condition.spread)
        error = ((denoised - truth) / out).square() * inside * condition.spread
        weight = (inside * condition.spread).flatten(1).sum(dim=1)
        per_sample = error.flatten(1).sum(dim=1) / weight.clamp(min=torch.finfo(weight.dtype).tiny)
        return per_sample.mean() if batch.weight is None else (per_sample * batch.weight.repeat_interleave(draws)).mean()

    def _score(self, made: NetworkEstimate, batch: SolvedProblem, step: int, score: SampleScore) -> Tensor:
        """Score of samples of a batch, drawn with the randomness of a step."""
        samples = draw_samples(
            self.net, made.detached(), self.sampler, self.noise,
            copies=score.samples, seed=self._stream(step) % (1 << 32), differentiable=score.differentiable,
        )  # fmt: skip
        return score(samples, batch.truth.activity, batch.truth.imaged_labels, batch.weight)

    def _generator(self, step: int, *, device: torch.device | str = "cpu") -> torch.Generator:
        """Randomness of one step; of validation on the CPU, so that runs on other devices can be compared."""
        return torch.Generator(device=device).manual_seed(self._stream(step))

    def _stream(self, step: int) -> int:
        """Number of the randomness of a step, the same however often the run was interrupted and different on every device."""
        return (self.seed + 1) * 1_000_003 + step * 4099 + self.global_rank
