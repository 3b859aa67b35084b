"""Curves of the organs of one patient, each with the model and the prior of its name.

Organs that are seen in one image share its noise: ``cov_kl = g_k C_kl g_l^T`` between their time-integrated activities, with ``g`` the
derivative by the points (`planar3d.dosimetry.time_integrated_activity`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from planar3d.dosimetry.effective_half_life import EffectiveHalfLifePrior, HalfLifePriors
from planar3d.dosimetry.kinetics import fit_kinetics
from planar3d.dosimetry.study_options import DEFAULT
from planar3d.dosimetry.time_axis import TimeAxis
from planar3d.dosimetry.time_integrated_activity import TimeIntegratedActivity

__all__ = ["organ_curves", "organ_priors", "replaced", "taken", "voxel_curves"]


def organ_curves(
    activity_bq: Float[Tensor, "k t"],
    organs: Sequence[str],
    *,
    times: TimeAxis,
    half_life_s: float,
    covariance_bq2: Float[Tensor, "k t k t"] | None = None,
    models: Mapping[str, str],
    priors: Mapping[str, EffectiveHalfLifePrior] | None = None,
) -> TimeIntegratedActivity:
    """Time-integrated activity of each organ.

    Args:
        activity_bq: At each time, not corrected for decay, ``(k, t)`` [Bq].
        organs: Names, ``k`` of them.
        times: When.
        half_life_s: Physical half-life [s].
        covariance_bq2: Between all, ``(k, t, k, t)`` [Bq^2]; None where errors are not known.
        models: Curve model by organ, with a ``default``.
        priors: Effective half-life by organ, perhaps with a ``default``.

    Raises:
        ValueError: As `planar3d.dosimetry.fit_kinetics`, with the name of the organ.
    """
    own = None if covariance_bq2 is None else covariance_bq2.diagonal(dim1=0, dim2=2).movedim(2, 0).contiguous()
    chosen = [models.get(organ, models[DEFAULT]) for organ in organs]
    parts, order = [], []
    for model in dict.fromkeys(chosen):
        index = [i for i, other in enumerate(chosen) if other == model]
        names = [organs[i] for i in index]
        try:
            found = fit_kinetics(
                activity_bq[index],
                times=times,
                half_life_s=half_life_s,
                covariance_bq2=None if own is None else own[index],
                model=_possible(model, len(times.times_s)),
                prior=organ_priors(names, priors, half_life_s=half_life_s, like=activity_bq),
            )
        except ValueError as error:
            raise ValueError(_named(str(error), names)) from error
        parts.append(found)
        order += index
    back = torch.tensor(order, device=activity_bq.device).argsort()
    joined = taken(TimeIntegratedActivity.joined(parts), back)
    if covariance_bq2 is None:
        return joined
    shared = joined.with_covariance(covariance_bq2).covariance_bq2_s2
    assert shared is not None
    # errors of each curve hold what its fit adds to those of its points, so that none is better known than one count
    own_part = torch.diag_embed(joined.standard_error_bq_s.square() - shared.diagonal())
    return replace(joined, covariance_bq2_s2=shared + own_part)


def voxel_curves(
    activity_bq_per_ml: Float[Tensor, "n t"],
    organ: Integer[Tensor, " n"],
    organs: Sequence[str],
    *,
    times: TimeAxis,
    half_life_s: float,
    models: Mapping[str, str],
    priors: Mapping[str, EffectiveHalfLifePrior] | None = None,
) -> Float[Tensor, " n"]:
    """Time-integrated concentration of each voxel, ``(n,)`` [Bq s/mL]; a curve that rises at the end is taken to decay physically.

    Args:
        activity_bq_per_ml: At each time, ``(n, t)`` [Bq/mL].
        organ: Index of the organ of each voxel, ``(n,)``.
        organs: Their names.
        times: When.
        half_life_s: Physical half-life [s].
        models: As for `organ_curves`.
        priors: As for `organ_curves`.
    """
    total = torch.zeros_like(activity_bq_per_ml[:, 0])
    alive = (activity_bq_per_ml > 0).any(dim=1)
    known = organ_priors(organs, priors, half_life_s=half_life_s, like=activity_bq_per_ml)
    chosen = [models.get(name, models[DEFAULT]) for name in organs]
    for model in dict.fromkeys(chosen):
        of_model = torch.tensor([other == model for other in chosen], device=organ.device)
        some = (alive & of_model[organ]).nonzero().flatten()
        if not len(some):
            continue
        own = organ[some]
        prior = None if known is None else replace(known, location=known.location[own], log_sd=known.log_sd[own])
        total[some] = fit_kinetics(
            activity_bq_per_ml[some],
            times=times,
            half_life_s=half_life_s,
            model=_possible(model, len(times.times_s)),
            prior=prior,
            refuse_rising=False,
        ).value_bq_s
    return total


def organ_priors(
    organs: Sequence[str], priors: Mapping[str, EffectiveHalfLifePrior] | None, *, half_life_s: float, like: Tensor
) -> HalfLifePriors | None:
    """Priors of organs; one that has none gets an infinite spread. None where no organ has one.

    Raises:
        ValueError: A median is longer than the physical half-life.
    """
    given = priors or {}
    for prior in given.values():
        prior.location(half_life_s)
    found = [given.get(name, given.get(DEFAULT)) for name in organs]
    known = [p for p in found if p is not None]
    if not known:
        return None
    all_of_them = HalfLifePriors.of([p or known[0] for p in found], n=len(organs), half_life_s=half_life_s, like=like)
    missing = torch.tensor([p is None for p in found], device=like.device)
    return replace(all_of_them, log_sd=all_of_them.log_sd.masked_fill(missing, torch.inf))


def replaced(curves: TimeIntegratedActivity, index: Sequence[int], others: TimeIntegratedActivity) -> TimeIntegratedActivity:
    """Curves some of which are taken from another fit of the same times; those have no covariance with the rest.

    Args:
        curves: All of them.
        index: Which are replaced.
        others: By what, in that order.
    """
    if not index:
        return curves
    mixed = TimeIntegratedActivity.joined([replace(part, covariance_bq2_s2=None) for part in (curves, others)])
    place = torch.arange(len(curves.value_bq_s), device=curves.value_bq_s.device)
    place[list(index)] = len(place) + torch.arange(len(index), device=place.device)
    chosen = taken(mixed, place)
    if curves.covariance_bq2_s2 is None:
        return chosen
    covariance = curves.covariance_bq2_s2.clone()
    covariance[list(index)] = 0.0
    covariance[:, list(index)] = 0.0
    covariance[list(index), list(index)] = others.standard_error_bq_s.square()
    return replace(chosen, covariance_bq2_s2=covariance)


def _possible(model: str, times: int) -> str:
    """One image makes no trapezoid that is worth its name: the default of the bladder is then that of the others."""
    return "auto" if model == "trapezoid" and times == 1 else model


def taken(found: TimeIntegratedActivity, index: Tensor) -> TimeIntegratedActivity:
    """Some of the curves, in the order of an index; without covariance between them."""
    kept = ("times_s", "start", "covariance_bq2_s2")
    some = {f.name: getattr(found, f.name)[index] for f in fields(found) if f.name not in kept}
    return replace(found, covariance_bq2_s2=None, **some)


def _named(message: str, names: Sequence[str]) -> str:
    """A message about curve 3 as one about the organ that it is."""
    return re.sub(r"\bcurve (\d+)\b", lambda match: f"curve of {names[int(match[1])]}", message)
