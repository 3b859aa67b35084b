"""Planar acquisitions of several times to activity over time, by any method, each alone or all together
(`planar3d.reconstruction.joint_qplanar`, `planar3d.reconstruction.couple`).

A method that states no errors of organ activities has those of its samples, else those of QPlanar on the same counts. Where a method's map
holds less than its organs do because their edges cross voxels (``edge_spill``), organ activities are corrected for that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry import METHODS, EffectiveHalfLifePrior, TimeAxis, TimeIntegratedActivity
from planar3d.dosimetry.activity_series import ActivitySeries, activity_in
from planar3d.reconstruction.couple import couple, organ_activities_of_samples
from planar3d.reconstruction.joint_qplanar import JointQPlanar
from planar3d.reconstruction.kinetic_activities import KineticActivities
from planar3d.reconstruction.margin import between_margins, with_spill_known
from planar3d.reconstruction.partial_volume import edge_recovered
from planar3d.reconstruction.posterior import OrganActivities, Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.qplanar import QPlanar
from planar3d.reconstruction.voi import organ_masks
from planar3d.shapes import Volume

__all__ = ["reconstruct_series"]

LN2 = math.log(2.0)


def reconstruct_series(
    problems: Sequence[PlanarProblem],
    times: TimeAxis,
    *,
    method: Callable[[PlanarProblem], Posterior],
    name: str,
    joint: bool,
    half_life_s: float,
    priors: Mapping[str, EffectiveHalfLifePrior] | None = None,
    deviation_log_sd: Mapping[str, float] | float = 0.1,
) -> ActivitySeries:
    """Activity over time of one patient.

    Args:
        problems: One for each time, of one patient and grid; activity is told of what the CT shows.
        times: When.
        method: Reconstructs one.
        name: What it is called.
        joint: Whether organ activities shall lie on curves at all times together; one time alone is never joint.
        half_life_s: Physical half-life [s].
        priors: Effective half-life by organ.
        deviation_log_sd: By how much activities may miss their curve, as for `JointQPlanar`.

    Raises:
        ValueError: Problems are of different patients, or do not go with the times.
    """
    joint = joint and len(problems) > 1
    prior = dict(priors) if priors else None
    if joint:  # curves are of whole organs, as far as the CT shows them
        problems = _spill_known(problems)
    if joint and isinstance(method, QPlanar):
        joined = JointQPlanar(half_life_s=half_life_s, prior=prior, deviation_log_sd=deviation_log_sd, qplanar=method)
        found = joined(problems, times)
        alone = [p.organs for p in found.separate if p.organs is not None]
        return _on_curves([p.mean for p in found.posteriors], problems[0], times, alone, found.kinetics, half_life_s, f"joint {name}")
    posteriors, problems = zip(*(between_margins(method, p) for p in problems), strict=True)
    organs = [_organs(posterior, problem) for posterior, problem in zip(posteriors, problems, strict=True)]
    spill = getattr(method, "edge_spill", 0.0)
    if spill:
        organs = [edge_recovered(o, problem.organ_labels, spill) for o, problem in zip(organs, problems, strict=True)]
    if joint:
        coupled = couple(organs, times, half_life_s=half_life_s, prior=prior, deviation_log_sd=deviation_log_sd)
        maps = [coupled.scaled(p.mean, problems[0].organ_labels, i) for i, p in enumerate(posteriors)]
        return _on_curves(maps, problems[0], times, organs, coupled.kinetics, half_life_s, f"{name}, coupled over time")
    return ActivitySeries(
        maps=torch.cat([p.mean for p in posteriors]),
        labels=problems[0].organ_labels,
        grid=problems[0].grid,
        times=times,
        ids=tuple(organs[0].ids.tolist()),
        activity_bq=torch.stack([o.activity_bq[0].double() for o in organs], dim=1),
        covariance_bq2=_between_times([_covariance(o) for o in organs]),
        method=f"{name}, each time alone",
    )


def _spill_known(problems: Sequence[PlanarProblem]) -> list[PlanarProblem]:
    """Problems without their margins; those that shared a projector share one again."""
    found: list[PlanarProblem] = []
    for i, problem in enumerate(problems):
        inner = with_spill_known(problem)
        alike = next((j for j in range(i) if problems[j].projector is problem.projector), None)
        if alike is not None:
            same = found[alike]
            inner = replace(inner, projector=same.projector, camera=same.camera, mu_map=same.mu_map, labels=same.labels)
        found.append(inner)
    return found


def _on_curves(
    maps: Sequence[Volume],
    problem: PlanarProblem,
    times: TimeAxis,
    alone: Sequence[OrganActivities],
    kinetics: KineticActivities,
    half_life_s: float,
    name: str,
) -> ActivitySeries:
    """Of a reconstruction whose organs lie on curves already; ``alone`` are the organs of each time alone."""
    alone_error = torch.stack([_covariance(o).diagonal().clamp(min=0.0).sqrt() for o in alone], dim=1)
    error = kinetics.standard_error_bq[0].T.double()
    covariance = _between_times(list(kinetics.covariance_bq2[0].double()))
    capped = _capped(kinetics.activity_bq[0].T.double(), error, alone_error)
    return ActivitySeries(
        maps=torch.cat(list(maps)),
        labels=problem.organ_labels,
        grid=problem.grid,
        times=times,
        ids=tuple(alone[0].ids.tolist()),
        activity_bq=kinetics.activity_bq[0].T.double(),
        covariance_bq2=covariance * capped[:, :, None, None] * capped,
        curves=_curves(kinetics, alone_error, half_life_s),
        method=name,
    )


def _capped(value: Tensor, error: Tensor, most: Tensor) -> Tensor:
    """Factor that brings errors down to the most that they can be, where they are larger than the value itself."""
    return torch.where((error > value) & (error > most), most / torch.where(error > 0, error, 1.0), 1.0)


def _organs(posterior: Posterior, problem: PlanarProblem) -> OrganActivities:
    """Organ activities of one time with their errors."""
    if posterior.organs is not None and posterior.organs.standard_error_bq is not None:
        return posterior.organs
    ids = organ_masks(problem.organ_labels)[0]
    if posterior.samples is not None and len(posterior.samples) > 1:
        sums = torch.stack([activity_in(s, problem.organ_labels, ids.tolist(), problem.grid) for s in posterior.samples])
        return organ_activities_of_samples(sums, ids)
    own = activity_in(posterior.mean, problem.organ_labels, ids.tolist(), problem.grid)
    counted = QPlanar()(problem).organs
    assert counted is not None
    return replace(counted, activity_bq=own.to(counted.activity_bq))


def _covariance(organs: OrganActivities) -> Float[Tensor, "k k"]:
    """Covariance between organs at one time [Bq^2]."""
    if organs.covariance_bq2 is not None:
        return organs.covariance_bq2[0].double()
    assert organs.standard_error_bq is not None
    return torch.diag(organs.standard_error_bq[0].double().square())


def _between_times(each: Sequence[Float[Tensor, "k k"]]) -> Float[Tensor, "k t k t"]:
    """Covariance between organs at each time; images share no noise."""
    k, t = len(each[0]), len(each)
    whole = each[0].new_zeros(k, t, k, t)
    for i, covariance in enumerate(each):
        whole[:, i, :, i] = covariance
    return whole


def _curves(kinetics: KineticActivities, alone_error_bq: Float[Tensor, "k t"], half_life_s: float) -> TimeIntegratedActivity:
    """Organs on mono-exponentials, of one patient.

    Errors of logarithms mean nothing where an organ has next to no activity. Straight lines between the images of each time alone, with a
    tail of physical decay, need no curve: their error is the most that there can be then.
    """
    value, half_life = kinetics.time_integrated_bq_s[0].double(), kinetics.half_life_s[0].double()
    rate = LN2 / torch.where(half_life > 0, half_life, 1.0)
    t = kinetics.times_s.double()
    middle = 0.5 * (t[1:] + t[:-1])
    width = torch.cat([middle, t[-1:] + half_life_s / LN2]) - torch.cat([t.new_zeros(1), middle])
    most = (alone_error_bq * width).square().sum(dim=1).sqrt()
    capped = _capped(value, kinetics.time_integrated_error_bq_s[0].double(), most)
    covariance = kinetics.time_integrated_covariance_bq2_s2[0].double() * capped[:, None] * capped
    error = covariance.diagonal().clamp(min=0.0).sqrt()
    nothing = torch.zeros_like(value)
    return TimeIntegratedActivity(
        value_bq_s=value,
        standard_error_bq_s=error,
        extrapolated_fraction=kinetics.extrapolated_fraction[0].double(),
        method=torch.full_like(value, METHODS.index("mono_exponential"), dtype=torch.long),
        coefficients_bq=torch.stack([value * rate, nothing], dim=1),
        rates_per_s=torch.stack([rate, rate], dim=1),
        half_life_s=half_life,
        half_life_log_sd=kinetics.half_life_log_sd[0].double(),
        chi_square=nothing,
        sensitivity_s=value.new_zeros(len(value), len(t)),
        # counts and curve are one estimate here: all of its variance is that of the fit
        prior_variance_bq2_s2=error.square(),
        points_bq=kinetics.activity_bq[0].T.double(),
        times_s=t,
        covariance_bq2_s2=covariance,
    )
