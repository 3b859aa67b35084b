"""Reconstruction by a diffusion model: samples from the posterior over activity maps, and from them mean and spread.

Each sample starts as noise around the estimate of the network that the denoiser was trained beside and is denoised in a few evaluations
(`planar3d.diffusion.Sampler`), kept to the measured counts by the sampler's consistency.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from planar3d.diffusion import NoiseField, Sampler
from planar3d.nn.posterior_net import PosteriorNet
from planar3d.organ_sums import organ_sums
from planar3d.reconstruction.conditional_denoiser import Condition, ConditionalDenoiser
from planar3d.reconstruction.ensemble import about_both, require_move
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.network_estimate import NetworkEstimate, apply_network
from planar3d.reconstruction.posterior import OrganActivities, Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.root_measurement import RootMeasurement
from planar3d.shapes import LabelMap, Volume

__all__ = ["DiffusionReconstruction", "draw_samples", "posterior_of_samples", "sample_seeds"]

# voxels of samples drawn at the same time: a trunk of 4.8 mm in 16 samples at once takes 8 GB, in four 2 GB and no longer
_VOXELS_AT_ONCE = 2_000_000
_VOXELS_AT_ONCE_ELSEWHERE = 20_000_000


class DiffusionReconstruction:
    """A trained diffusion model as a reconstruction method.

    Args:
        net: Estimator and denoiser; put into evaluation mode.
        inputs: Makes the channels as in training.
        sampler: Draws the samples.
        noise: The noise that the denoiser was trained with.
        samples: Samples of each patient.
        passes: How often the estimator goes over its estimate, as in training.
        guidance: 1 samples the conditional model; 0 the prior of the anatomy, to which the sampler's consistency alone brings the
            measurement; see `ConditionalDenoiser`.
        estimator_share: Weight of the estimate of the network beside the denoiser in the mean of the samples (`about_both`); none where the
            prior alone is sampled, as that estimate knows the measurement.
        em_steps: EM steps of every sample that follow.
        organ_widen: Factor on the standard deviation of organ activities over samples.
        organ_error: Relative standard error of organ activities that the samples do not show, as of a patient who has moved. Both are found
            on phantoms that the model was not trained on.
        edge_spill: Share of a voxel that an organ table takes back across edges of organs (`planar3d.reconstruction.partial_volume`).
        together: Samples that are drawn at the same time, over all patients; the memory goes with it. None takes as many as hold two
            million voxels, and ten times as many on a GPU: more are no faster.
        keep_samples: Whether the posterior holds the samples themselves.
        seed: Fixes the samples.
    """

    name = "diffusion"

    def __init__(
        self,
        *,
        net: PosteriorNet,
        inputs: PhysicsInputs,
        sampler: Sampler | None = None,
        noise: NoiseField | None = None,
        samples: int = 16,
        passes: int = 1,
        guidance: float = 1.0,
        estimator_share: float = 0.0,
        em_steps: int = 0,
        organ_widen: float = 1.0,
        organ_error: float = 0.0,
        edge_spill: float = 0.0,
        together: int | None = None,
        keep_samples: bool = True,
        seed: int = 0,
    ) -> None:
        if samples < 2 or (together is not None and together < 1):
            raise ValueError(f"samples must be at least 2 and together at least 1, got {samples} and {together}")
        if not (organ_widen > 0 and organ_error >= 0):
            raise ValueError(f"organ_widen must be positive and organ_error not negative, got {organ_widen} and {organ_error}")
        require_move(estimator_share, em_steps)
        self.net = net.eval()
        self.inputs = inputs
        self.sampler = sampler or Sampler()
        self.noise = noise or NoiseField()
        self.samples = samples
        self.passes = passes
        self.guidance = guidance
        self.estimator_share = estimator_share
        self.em_steps = em_steps
        self.organ_widen = organ_widen
        self.organ_error = organ_error
        self.edge_spill = edge_spill
        self.together = together
        self.keep_samples = keep_samples
        self.seed = seed

    @torch.no_grad()
    def __call__(self, problem: PlanarProblem) -> Posterior:
        """Reconstruct a batch, on its device."""
        self.net.to(problem.views.device)
        made = apply_network(self.net.estimator, self.inputs, problem, passes=self.passes)
        drawn = [
            draw_samples(self.net, made, self.sampler, self.noise, copies=n, first=first, guidance=self.guidance, seed=self.seed)
            for first, n in self._shares(problem)
        ]
        share, em_steps = (0.0, 0) if self.guidance == 0 else (self.estimator_share, self.em_steps)
        samples = about_both(torch.cat(drawn), made, share=share, em_steps=em_steps)
        posterior = posterior_of_samples(samples, problem, keep=self.keep_samples)
        assert posterior.organs is not None
        return replace(posterior, organs=widened(posterior.organs, self.organ_widen, self.organ_error))

    def _shares(self, problem: PlanarProblem) -> Iterator[tuple[int, int]]:
        """First sample and number of samples that are drawn at a time."""
        voxels = _VOXELS_AT_ONCE if problem.views.device.type == "cpu" else _VOXELS_AT_ONCE_ELSEWHERE
        together = math.ceil(voxels / math.prod(problem.grid.shape)) if self.together is None else self.together
        at_once = max(1, together // len(problem.views))
        for first in range(0, self.samples, at_once):
            yield first, min(at_once, self.samples - first)


def draw_samples(
    net: PosteriorNet,
    made: NetworkEstimate,
    sampler: Sampler,
    noise: NoiseField,
    *,
    copies: int,
    first: int = 0,
    guidance: float = 1.0,
    seed: int = 0,
    watch: Callable[[float, Volume], None] | None = None,
    differentiable: int = 0,
) -> Tensor:
    """Samples of the activity of each patient, ``(sample, b, 1, x, y, z)`` [Bq/mL].

    Args:
        net: Holds the denoiser.
        made: The estimate of the patients.
        sampler: Draws the samples.
        noise: The noise that the denoiser was trained with.
        copies: Samples of each patient.
        first: Number of the first of them; sample k is the same however many are drawn.
        guidance: See `ConditionalDenoiser`.
        seed: Fixes the samples.
        watch: As `Sampler` takes it, with activities [Bq/mL].
        differentiable: As `Sampler` takes it.
    """
    patients, device = len(made.mean), made.mean.device
    known = torch.ones(patients * copies, dtype=torch.bool, device=device)
    condition = Condition.of_estimate(made, known, copies=copies)
    prior = None if guidance == 1.0 else Condition.of_estimate(made, ~known, copies=copies)
    measurement = RootMeasurement(made.inputs, copies=copies)
    around = condition if prior is None or guidance != 0 else prior
    grid, seeds = made.inputs.problem.grid, sample_seeds(seed, patients, copies, first)
    generators = [torch.Generator().manual_seed(s) for s in seeds]
    root = sampler(
        ConditionalDenoiser(net.denoiser, condition, prior=prior, guidance=guidance),
        measurement,
        around.mean + sampler.sigma_max * noise.start(grid, generators, device),
        correlate=lambda volume: noise.correlate(volume, grid),
        watch=None if watch is None else lambda sigma, volume: watch(sigma, measurement.activity(volume)),
        differentiable=differentiable,
    )
    return measurement.activity(root).unflatten(0, (patients, copies)).movedim(1, 0)


def widened(organs: OrganActivities, factor: float, relative: float) -> OrganActivities:
    """Organ activities of larger standard error, ``sqrt((k sd)^2 + (e a)^2)``.

    Args:
        organs: With a covariance.
        factor: k, on every standard deviation.
        relative: e, of the activity, independent between organs.
    """
    assert organs.covariance_bq2 is not None
    covariance = factor**2 * organs.covariance_bq2 + torch.diag_embed((relative * organs.activity_bq).square())
    return replace(organs, covariance_bq2=covariance, standard_error_bq=covariance.diagonal(dim1=1, dim2=2).sqrt())


def sample_seeds(seed: int, patients: int, copies: int, first: int = 0) -> list[int]:
    """A seed for each sample of each patient, those of a patient in a row.

    Args:
        seed: Fixes all of them.
        patients: Number of patients.
        copies: Samples of each.
        first: Number of the first sample.
    """
    return [seed * 1_000_003 + 1009 * b + first + k for b in range(patients) for k in range(copies)]


def posterior_of_samples(samples: Tensor, problem: PlanarProblem, *, keep: bool = True) -> Posterior:
    """Mean, spread and organ activities of samples.

    Args:
        samples: ``(sample, b, 1, x, y, z)`` [Bq/mL].
        problem: What they were made from.
        keep: Whether the posterior holds the samples themselves.
    """
    mean = samples.mean(dim=0)
    return Posterior(
        mean=mean,
        std=samples.std(dim=0),
        samples=samples if keep else None,
        organs=organ_activities(samples, problem.organ_labels, problem.grid.voxel_volume_ml),
        expected_views=problem.expected_counts(mean),
    )


def organ_activities(samples: Tensor, labels: LabelMap, voxel_volume_ml: float) -> OrganActivities:
    """Mean, standard deviation and covariance of organ activities over samples.

    Args:
        samples: ``(sample, b, 1, x, y, z)`` [Bq/mL].
        labels: Organ ids, ``(b, 1, x, y, z)``.
        voxel_volume_ml: Volume of a voxel [mL].
    """
    ids = labels.unique()
    return OrganActivities.of_samples(organ_sums(samples, labels)[..., ids.long()] * voxel_volume_ml, ids)
