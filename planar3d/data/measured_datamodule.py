"""Training data of one measured patient: phantoms of that anatomy, as that acquisition would have imaged them.

The anatomy, the count level, what dead time takes and the known background are those of the measurement. Counts are drawn as
``Binomial(Poisson(A x), L) + Poisson(b)``, which is ``Poisson(L A x + b)``. Where `aim` has set a proposal, uptake is drawn from that, and
every sample carries its importance (`planar3d.phantom.share_likelihood`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from planar3d.data.anatomy_bank import AnatomyBank
from planar3d.data.phantom_datamodule import PhantomDataModule
from planar3d.phantom.organ_share import OrganShares
from planar3d.phantom.proposal import UptakeProposal
from planar3d.phantom.share_likelihood import ShareLikelihood
from planar3d.phantom.synthesis import PhantomSynthesizer
from planar3d.physics.noise import poisson
from planar3d.reconstruction.organ_estimate import OrganEstimate
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.solved_problem import SolvedProblem
from planar3d.shapes import ViewPair, Volume
from planar3d.simulation import PlanarSimulator

__all__ = ["CORRECTIONS", "MeasuredDataModule"]

CORRECTIONS = ("local", "prior", "none")
"""How samples of a proposal are weighted: by p / q over its mean for such images, by p / q alone, or not at all."""

COUNT_RANGE = (0.9, 1.1)  # of the counts measured
LARGEST_WEIGHT = 20.0  # truncated importance sampling (Ionides 2008)
POOL_STREAM = 1 << 20  # first index of the pool, beyond those of validation
RECORDING_STREAM = 0xDEAD  # keeps what dead time takes apart from the counts of the same seed


class MeasuredDataModule(PhantomDataModule):
    """Phantoms of one measured patient.

    Args:
        problem: The measurement, one patient.
        synthesizer: Draws and renders phantoms.
        pet: Pre-therapy PET on the grid of the problem, ``(1, 1, x, y, z)``; None where there is none.
        correction: One of `CORRECTIONS`.
        batch_size: Samples per step and device.
        samples_per_epoch: Samples of one epoch over all devices.
        validation_samples: Samples of one validation.
        seed: Fixes the training samples.
    """

    def __init__(
        self,
        *,
        problem: PlanarProblem,
        synthesizer: PhantomSynthesizer,
        pet: Volume | None = None,
        correction: str = "local",
        batch_size: int = 4,
        samples_per_epoch: int = 400,
        validation_samples: int = 16,
        seed: int = 0,
    ) -> None:
        if len(problem.views) != 1 or problem.camera is None:
            raise ValueError(f"problem must be one patient before a known camera, got {len(problem.views)}; make it by `pose`")
        if correction not in CORRECTIONS:
            raise ValueError(f"correction must be one of {', '.join(CORRECTIONS)}, got {correction!r}")
        counts = _anterior_counts(problem)
        simulator = PlanarSimulator(
            camera=problem.camera, synthesizer=synthesizer, anterior_counts=[counts * factor for factor in COUNT_RANGE]
        )
        super().__init__(
            simulator=simulator, patients=(), batch_size=batch_size, samples_per_epoch=samples_per_epoch,
            validation_samples=validation_samples, poor_share=0.0, seed=seed,
        )  # fmt: skip
        self.problem = problem
        self.pet = pet
        self.correction = correction
        self._aim: tuple[UptakeProposal, ShareLikelihood, OrganShares, OrganEstimate] | None = None

    def setup(self, stage: str) -> None:
        """Take the anatomy of the problem; once."""
        if not self._banks:
            given = self.problem
            mu_maps = {self.simulator.camera.energy_kev: given.mu_map}
            bank = AnatomyBank(grid=given.grid, mu_maps=mu_maps, labels=given.labels, pet=self.pet)
            self._banks = {True: bank, False: bank}

    @property
    def proposal(self) -> UptakeProposal | None:
        """Where uptake is drawn from; None for the prior."""
        return None if self._aim is None else self._aim[0]

    def aim(
        self, proposal: UptakeProposal, *, likelihood: ShareLikelihood, shares: OrganShares, estimate: OrganEstimate, seed: int
    ) -> None:
        """Draw from a proposal from now on.

        Args:
            proposal: Where from.
            likelihood: Errors of the estimator.
            shares: What it estimates.
            estimate: The estimator; it also judges which samples look like the measurement.
            seed: Fixes the training samples from now on.
        """
        simulator = self.simulator
        self._aim, self.seed = (proposal, likelihood, shares, estimate), seed
        self.simulator = PlanarSimulator(
            camera=simulator.camera, synthesizer=simulator.synthesizer.with_proposal(proposal), anterior_counts=simulator.anterior_counts
        )

    def synthesise(self, index: Integer[Tensor, " b"], *, epoch: int | None) -> SolvedProblem:
        """Imaged phantoms of the patient, weighted where they come from a proposal; see `PhantomDataModule.synthesise`."""
        made = super().synthesise(index, epoch=epoch)
        seeds = self.keys(index, epoch=epoch).seeds
        views, given = self._recorded(made.truth.views, seeds), self.problem
        background = None if given.background is None else given.background.to(views).expand_as(views)
        live = None if given.live_fraction is None else given.live_fraction.to(views)
        problem = replace(
            PlanarProblem.from_camera(
                self.simulator.camera, views=views, mu_map=made.problem.mu_map, labels=made.problem.labels, grid=given.grid,
                background=background, live_fraction=live,
            ),
            fitted_views=given.fitted_views,
        )  # fmt: skip
        solved = SolvedProblem(problem=problem, truth=replace(made.truth, views=views))
        return solved if epoch is None else replace(solved, weight=self._weight(problem, seeds))

    def pool(self, count: int) -> Iterator[tuple[SolvedProblem, Integer[Tensor, " b"]]]:
        """Phantoms that no training nor validation draws, batch by batch on the device of the problem, with their seeds; unweighted.

        Args:
            count: How many.
        """
        self.setup("fit")
        for index in torch.arange(POOL_STREAM, POOL_STREAM + count, device=self.problem.views.device).split(self.batch_size):
            yield self.synthesise(index, epoch=None), self.keys(index, epoch=None).seeds

    def log_weight(self, found: Float[Tensor, "b k"], seeds: Integer[Tensor, " b"], *, correction: str) -> Float[Tensor, " b"]:
        """Logarithm of the importance of samples, truncated, ``(b,)``.

        Args:
            found: Organ activities that the estimator finds in their images, ``(b, k)`` [Bq].
            seeds: Their seeds, ``(b,)``.
            correction: One of `CORRECTIONS`.
        """
        log_weight = None if self._aim is None else self.simulator.synthesizer.draw(seeds).uptake.log_weight
        if self._aim is None or log_weight is None or correction == "none":
            return torch.zeros(len(found), device=found.device, dtype=torch.float64)
        proposal, likelihood, shares, _ = self._aim
        log_weight = log_weight.to(found.device).double()
        gain = 0.0 if correction == "prior" else likelihood.log_gain(shares.of_activity(found), proposal)
        return (log_weight + gain).clamp(max=math.log(LARGEST_WEIGHT))

    def _weight(self, problem: PlanarProblem, seeds: Tensor) -> Tensor | None:
        """Importance of training samples; None where all count alike."""
        if self._aim is None or self.correction == "none":
            return None
        log_weight = self.log_weight(self._aim[3](problem), seeds, correction=self.correction)
        return log_weight.exp().to(problem.views)

    def _recorded(self, views: ViewPair, seeds: Tensor) -> ViewPair:
        """What the measurement would have recorded of counts, and counts of the known background with them."""
        live, background = self.problem.live_fraction, self.problem.background
        if live is None and background is None:
            return views
        recorded = []
        for counts, seed in zip(views, seeds.tolist(), strict=True):
            generator = torch.Generator(device=views.device).manual_seed(int(seed) ^ RECORDING_STREAM)
            if live is not None:
                counts = torch.binomial(counts, live.to(views)[:, None, :].expand_as(counts), generator=generator)
            if background is not None:
                counts = counts + poisson(background[0].to(views), generator)
            recorded.append(counts)
        return torch.stack(recorded)


def _anterior_counts(problem: PlanarProblem) -> float:
    """Expected counts in the anterior view from the activity alone, before dead time."""
    net = (problem.views - problem.known_counts)[0, 0]
    if problem.live_fraction is not None:
        net = net / problem.live_fraction[0].to(net)
    counts = float(net.sum())
    if not counts > 0:
        raise ValueError(f"views hold {counts:.0f} counts more in front than the known background; there is nothing to learn from")
    return counts
