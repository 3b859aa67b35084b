"""Organ activities that any method found at each time, reconciled through their curves.

A method that reconstructs one image knows nothing of the others. With the activities ``a_hat`` that it finds at a time and their covariance
C, the log-likelihood of `planar3d.reconstruction.shared_kinetics` is ``-(a_hat - a)^T C^-1 (a_hat - a) / 2``, and what comes out are about
the activities that the method would have found had it known the curves. The ratio of new to old brings the method's maps along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from planar3d.dosimetry import EffectiveHalfLifePrior, TimeAxis
from planar3d.dosimetry.curve_fit import scaled_inverse
from planar3d.dosimetry.one_count import missing_variance
from planar3d.reconstruction.kinetic_activities import KineticActivities
from planar3d.reconstruction.organ_curves import OrganCurves
from planar3d.reconstruction.posterior import OrganActivities
from planar3d.reconstruction.shared_kinetics import LikelihoodTerms
from planar3d.shapes import LabelMap, Volume

__all__ = ["CoupledActivities", "couple", "organ_activities_of_samples"]

_LEAST_RELATIVE_ERROR = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class CoupledActivities:
    """Activities reconciled over time.

    Attributes:
        ids: Organ ids, ``(k,)``.
        kinetics: Activities at each time, their integrals and errors.
        scale: New over old activity at each time, ``(b, t, k)``; one where the old one is zero.
    """

    ids: Integer[Tensor, " k"]
    kinetics: KineticActivities
    scale: Float[Tensor, "b t k"]

    def scaled(self, activity: Volume, labels: LabelMap, time: int) -> Volume:
        """A map of one time with the new activity in every organ, ``(b, 1, x, y, z)`` [Bq/mL].

        Args:
            activity: The method's map, ``(b, 1, x, y, z)`` [Bq/mL]; a sample of its posterior is welcome too.
            labels: Organ ids by which the activities were taken, ``(b, 1, x, y, z)``; what has none of them keeps its activity.
            time: Index of the time.
        """
        factor = torch.ones_like(activity)
        for i, organ in enumerate(self.ids.tolist()):
            factor = torch.where(labels == organ, self.scale[:, time, i].to(activity).view(-1, 1, 1, 1, 1), factor)
        return activity * factor


def couple(
    organs: Sequence[OrganActivities],
    times: TimeAxis,
    *,
    half_life_s: float,
    prior: EffectiveHalfLifePrior | Mapping[str, EffectiveHalfLifePrior] | None = None,
    deviation_log_sd: float | Mapping[str, float] = 0.1,
) -> CoupledActivities:
    """Reconcile the activities of each time.

    Args:
        organs: Of each time, with standard errors or covariances; `organ_activities_of_samples` makes them of posterior samples.
        times: When.
        half_life_s: Physical half-life [s].
        prior: Of the effective half-life, as for `planar3d.reconstruction.JointQPlanar`.
        deviation_log_sd: As for `planar3d.reconstruction.JointQPlanar`.

    Raises:
        ValueError: Numbers of activities and times differ, organs do, or a time has no standard errors.
    """
    if len(organs) != len(times.times_s):
        raise ValueError(f"organs holds {len(organs)} times and the time axis {len(times.times_s)}; give activities for each time")
    if len(organs) < 2:
        raise ValueError("organs holds one time; curves need two at least")
    for i, one in enumerate(organs, start=1):
        if not torch.equal(one.ids, organs[0].ids):
            raise ValueError(f"organs of time {i} are not those of time 1; give the same organs in the same order at each time")
    activity = torch.stack([o.activity_bq for o in organs], dim=1).double()
    covariance = torch.stack([_covariance(o, i) for i, o in enumerate(organs, start=1)], dim=1)
    lacking = missing_variance(activity.mT, covariance.diagonal(dim1=2, dim2=3).mT).mT
    covariance = covariance + torch.diag_embed(lacking)
    curves = OrganCurves(half_life_s=half_life_s, prior=prior, deviation_log_sd=deviation_log_sd)
    kinetics = curves.fit(
        _Gaussian(activity, covariance),
        ids=organs[0].ids,
        activity_bq=activity.clamp(min=0.0),
        standard_error_bq=covariance.diagonal(dim1=2, dim2=3).sqrt(),
        times=times,
    )
    scale = torch.where(activity > 0, kinetics.activity_bq / torch.where(activity > 0, activity, 1.0), 1.0)
    return CoupledActivities(ids=organs[0].ids, kinetics=kinetics, scale=scale)


def organ_activities_of_samples(samples_bq: Float[Tensor, "sample b k"], ids: Integer[Tensor, " k"]) -> OrganActivities:
    """Organ activities of one time from posterior samples: mean, standard error and, where samples are many, covariance.

    Args:
        samples_bq: Activity of each organ in each sample, ``(sample, b, k)`` [Bq].
        ids: Organ ids, ``(k,)``.

    Raises:
        ValueError: There are fewer than two samples.
    """
    n, _, k = samples_bq.shape
    if n < 2:
        raise ValueError(f"samples_bq holds {n} samples; two at least tell a spread, twenty or more do it well")
    found = OrganActivities.of_samples(samples_bq, ids)
    # the inverse of a covariance of few samples is far off, its diagonal less
    return found if n > 4 * k else replace(found, covariance_bq2=None)


class _Gaussian:
    """Log-likelihood of activities found with normal errors."""

    def __init__(self, activity: Float[Tensor, "b t k"], covariance: Float[Tensor, "b t k k"]) -> None:
        self.activity = activity
        self.precision = scaled_inverse(covariance.flatten(0, 1)).view_as(covariance)

    def __call__(self, activity: Float[Tensor, "b t k"]) -> LikelihoodTerms:
        """The terms at activities ``(b, t, k)`` [Bq]."""
        apart = self.activity - activity
        gradient = torch.einsum("btkl,btl->btk", self.precision, apart)
        return LikelihoodTerms(value=-0.5 * (apart * gradient).sum(dim=(1, 2)), gradient=gradient, information=self.precision)


def _covariance(organs: OrganActivities, time: int) -> Float[Tensor, "b k k"]:
    """Covariance of the activities of one time; an organ with activity has an error."""
    if organs.covariance_bq2 is not None:
        covariance = organs.covariance_bq2.double()
    elif organs.standard_error_bq is not None:
        covariance = torch.diag_embed(organs.standard_error_bq.double().square())
    else:
        raise ValueError(f"organs of time {time} have no standard errors; give them, or samples to find them from")
    return covariance + torch.diag_embed((_LEAST_RELATIVE_ERROR * organs.activity_bq.double()).square())
