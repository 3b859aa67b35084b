"""Reinforcement by rounds: a patient's phantoms drawn again where the measured views say that the patient lies.

Round by round, (1) errors of an estimator of organ shares are measured on phantoms of the current proposal, QPlanar in the first round and
the network itself from then on; (2) its estimate of the measured views, with these errors inflated, makes the next proposal; (3) the
network learns on phantoms from there, each weighted by its importance, so that what it learns stays the posterior under the prior
(sequential neural posterior estimation: Papamakarios and Murray 2016, Lueckmann et al. 2017; the weights are those of
`planar3d.phantom.share_likelihood`). The inflation is the smallest that leaves the effective sample size asked for, as foreseen and then as
found on phantoms. Rounds end where none does, or where the proposal hardly changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from planar3d.data.measured_datamodule import MeasuredDataModule
from planar3d.metrics.image import nmae
from planar3d.models.reconstruction_module import ReconstructionModule
from planar3d.phantom.organ_share import OrganShares
from planar3d.phantom.proposal import effective_share
from planar3d.phantom.share_likelihood import ShareLikelihood
from planar3d.physics.likelihood import poisson_deviance
from planar3d.reconstruction.organ_estimate import OrganEstimate
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.shapes import Volume

__all__ = ["ReinforcementRound", "reinforce"]

INFLATIONS = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
FEWEST_PHANTOMS = 8
SEEDS_APART = 1 << 40  # training samples of one round and the next


@dataclass(frozen=True, kw_only=True)
class ReinforcementRound:
    """What a round came to.

    Attributes:
        round: 1 is the first; 0 is the network as it was.
        estimator: What made the proposal, ``qplanar`` or ``network``; empty in round 0.
        inflation: Factor on the covariance of its errors.
        surprise: How unusual the measurement is among the phantoms; about one where it is not.
        divergence: Kullback-Leibler divergence of the proposal from that of the round before [nats].
        effective_share: Effective sample size over number of samples, of the weights that the network learns with.
        effective_share_prior: The same of the ratio of prior and proposal alone.
        nmae_before: Mean NMAE on phantoms of the proposal before the round.
        nmae_after: The same phantoms after it.
        deviance: Poisson deviance per pixel of the measured views from those that the estimate re-projects to.
        seconds: What it took [s].
        told: Why no round followed, in the last one; empty before.
    """

    round: int
    estimator: str = ""
    inflation: float | None = None
    surprise: float | None = None
    divergence: float | None = None
    effective_share: float | None = None
    effective_share_prior: float | None = None
    nmae_before: float | None = None
    nmae_after: float | None = None
    deviance: float
    seconds: float
    told: str = ""


def reinforce(
    model: ReconstructionModule,
    data: MeasuredDataModule,
    *,
    trainer: Callable[[int], Trainer],
    rounds: int = 2,
    pool: int = 64,
    defence: float = 0.2,
    smallest_share: float = 0.3,
    smallest_change: float = 0.2,
    after: Callable[[ReinforcementRound], None] | None = None,
) -> list[ReinforcementRound]:
    """Train a network further for one measured patient, in place.

    Args:
        model: The network; a population's or the patient's own.
        data: The measurement, and phantoms of its patient.
        trainer: Makes a trainer for a round, which says for how many steps.
        rounds: At most how many.
        pool: Phantoms on which errors, effective sample sizes and NMAE are measured.
        defence: Share of the phantoms that stay those of the prior.
        smallest_share: Effective sample size over number of samples below which no proposal may go.
        smallest_change: Divergence between proposals below which there is no further round [nats].
        after: Called with what every round came to, the model then being that of the round.

    Returns:
        What each round came to, round 0 being the network as it was.
    """
    _require(rounds=rounds, pool=pool, smallest_share=smallest_share)
    data.setup("fit")
    problem, source = data.problem, data.simulator.synthesizer.biodistribution
    estimate = OrganEstimate(problem)
    shares = OrganShares(source=source, ids=estimate.ids, volumes_ml=estimate.volumes_ml)
    course: list[ReinforcementRound] = []

    def note(what: ReinforcementRound) -> None:
        course.append(what)
        if after is not None:
            after(what)

    started = time.monotonic()
    note(ReinforcementRound(round=0, deviance=_deviance(model, problem), seconds=time.monotonic() - started))
    for number in range(1, rounds + 1):
        started = time.monotonic()
        if number > 1:
            estimate = OrganEstimate(problem, method=_maps(deepcopy(model)))
        taken = _aimed(
            data, model, estimate, shares, pool=pool, defence=defence, smallest_share=smallest_share, smallest_change=smallest_change
        )
        if isinstance(taken, str):
            return _ended(course, taken)
        trainer(number).fit(model.train(), datamodule=data)
        model.trainer = None  # it goes with the round, and a copy of the model must not take it along
        note(
            ReinforcementRound(
                round=number, estimator="qplanar" if number == 1 else "network", **taken, nmae_after=_nmae(data, model, pool),
                deviance=_deviance(model, problem), seconds=time.monotonic() - started,
            )
        )  # fmt: skip
    return _ended(course, f"{rounds} rounds were asked for")


def _require(*, rounds: int, pool: int, smallest_share: float) -> None:
    """Raise if there is nothing to do or to measure by."""
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    if pool < FEWEST_PHANTOMS:
        raise ValueError(f"pool must be at least {FEWEST_PHANTOMS} phantoms, got {pool}; errors cannot be told from fewer")
    if not 0 < smallest_share < 1:
        raise ValueError(f"smallest_share must lie between 0 and 1, got {smallest_share}; it is a share of the samples")


def _ended(course: list[ReinforcementRound], why: str) -> list[ReinforcementRound]:
    """The rounds with why there are no more."""
    return [*course[:-1], replace(course[-1], told=why)]


def _aimed(
    data: MeasuredDataModule,
    model: ReconstructionModule,
    estimate: OrganEstimate,
    shares: OrganShares,
    *,
    pool: int,
    defence: float,
    smallest_share: float,
    smallest_change: float,
) -> dict[str, Any] | str:
    """Let the data be drawn from the narrowest proposal that keeps the effective share asked for; what it is like, or why there is none."""
    before, seed = data.proposal, data.seed + SEEDS_APART
    likelihood = _measured_errors(data, estimate, shares, pool)
    found = shares.of_activity(estimate(data.problem))[0]
    for inflation in INFLATIONS:
        proposal = likelihood.proposal(found, inflation=inflation, defence=defence)
        if likelihood.foreseen_share(proposal) < smallest_share:
            continue
        divergence = proposal.divergence(before)
        if divergence < smallest_change:
            return f"the proposal would change by {divergence:.2g} nats alone"
        data.aim(proposal, likelihood=likelihood, shares=shares, estimate=estimate, seed=seed)
        weights, nmae_before = _weights(data, model, estimate, pool)
        if effective_share(weights["local"]) >= smallest_share:
            return {
                "inflation": inflation,
                "surprise": likelihood.surprise(found),
                "divergence": divergence,
                "effective_share": effective_share(weights["local"]),
                "effective_share_prior": effective_share(weights["prior"]),
                "nmae_before": nmae_before,
            }
    return f"no proposal keeps an effective share of {smallest_share:g} of the samples"


def _measured_errors(data: MeasuredDataModule, estimate: OrganEstimate, shares: OrganShares, pool: int) -> ShareLikelihood:
    """Errors of an estimator on phantoms of the current proposal."""
    true, found = [], []
    for solved, seeds in data.pool(pool):
        true.append(shares.of_concentration(data.simulator.synthesizer.draw(seeds).concentration))
        found.append(shares.of_activity(estimate(solved.problem)).cpu())
    return ShareLikelihood(shares, true=torch.cat(true), found=torch.cat(found))


def _weights(data: MeasuredDataModule, model: ReconstructionModule, estimate: OrganEstimate, pool: int) -> tuple[dict[str, Tensor], float]:
    """Logarithms of both kinds of weights, and the mean NMAE, on phantoms of the current proposal."""
    maps, errors = _maps(model), []
    logs: dict[str, list[Tensor]] = {"local": [], "prior": []}
    for solved, seeds in data.pool(pool):
        found = estimate(solved.problem)
        for correction, values in logs.items():
            values.append(data.log_weight(found, seeds, correction=correction))
        errors.append(nmae(maps(solved.problem), solved.truth.activity))
    return {name: torch.cat(values) for name, values in logs.items()}, float(torch.cat(errors).mean())


def _nmae(data: MeasuredDataModule, model: ReconstructionModule, pool: int) -> float:
    """Mean NMAE on phantoms of the current proposal."""
    maps = _maps(model)
    return float(torch.cat([nmae(maps(s.problem), s.truth.activity) for s, _ in data.pool(pool)]).mean())


def _deviance(model: ReconstructionModule, problem: PlanarProblem) -> float:
    """Poisson deviance per pixel of the measured views."""
    expected = problem.expected_counts(_maps(model)(problem))
    return float(poisson_deviance(problem.views, expected.clamp(min=torch.finfo(expected.dtype).eps)))


def _maps(model: ReconstructionModule) -> Callable[[PlanarProblem], Volume]:
    """The estimates of a network as they are when asked for."""

    @torch.no_grad()
    def estimate(problem: PlanarProblem) -> Volume:
        return model.to(problem.views.device).eval().estimate(problem).mean

    return estimate
