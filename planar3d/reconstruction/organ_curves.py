"""What is expected of the curves of organs, by name, and fits with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from planar3d.dosimetry import EffectiveHalfLifePrior, TimeAxis, fit_kinetics
from planar3d.dosimetry.curve_model import LN2
from planar3d.dosimetry.effective_half_life import HalfLifePriors
from planar3d.organs import organ_id, organ_name
from planar3d.reconstruction.kinetic_activities import KineticActivities
from planar3d.reconstruction.shared_kinetics import Likelihood, SharedKinetics

__all__ = ["OrganCurves"]

_DEFAULT = "default"
_START_LOG_SD = 0.05  # errors of a start: none so small that one time rules it
T = TypeVar("T")


class OrganCurves:
    """Priors and deviations of organs.

    Args:
        half_life_s: Physical half-life [s].
        prior: Of the effective half-life of all organs, or by name with a ``default``; None for none.
        deviation_log_sd: Standard deviation of the logarithm by which activities may miss their curve, of all organs, or by name with a
            ``default``.

    Raises:
        ValueError: A name is no organ, a deviation is negative or missing, or a prior is longer than the physical half-life.
    """

    def __init__(
        self,
        *,
        half_life_s: float,
        prior: EffectiveHalfLifePrior | Mapping[str, EffectiveHalfLifePrior] | None,
        deviation_log_sd: float | Mapping[str, float],
    ) -> None:
        self.half_life_s = half_life_s
        self.prior = _by_name("prior", {} if prior is None else {_DEFAULT: prior} if isinstance(prior, EffectiveHalfLifePrior) else prior)
        given = {_DEFAULT: deviation_log_sd} if isinstance(deviation_log_sd, int | float) else deviation_log_sd
        self.deviation = _by_name("deviation_log_sd", given)
        for name, value in self.deviation.items():
            if not value >= 0:
                raise ValueError(f"deviation_log_sd of {name} must be zero or more, got {value}")
        if _DEFAULT not in self.deviation:
            raise ValueError("deviation_log_sd names organs but has no 'default' for the others; add one")
        for value in self.prior.values():
            value.location(half_life_s)

    def fit(
        self,
        likelihood: Likelihood,
        *,
        ids: Integer[Tensor, " k"],
        activity_bq: Float[Tensor, "b t k"],
        standard_error_bq: Float[Tensor, "b t k"],
        times: TimeAxis,
    ) -> KineticActivities:
        """Activities of organs on curves, started from those of each time alone.

        Args:
            likelihood: Of activities at each time.
            ids: Organs, ``(k,)``.
            activity_bq: Of each time alone, ``(b, t, k)`` [Bq].
            standard_error_bq: Of these, zero for an organ that a sample lacks, ``(b, t, k)`` [Bq].
            times: When.
        """
        b, _, k = activity_bq.shape
        names = [organ_name(i) for i in ids.tolist()]
        present = (standard_error_bq > 0).any(dim=1)
        priors = self._priors(names, activity_bq)
        alone = fit_kinetics(
            activity_bq.mT.flatten(0, 1),
            times=times,
            half_life_s=self.half_life_s,
            standard_error_bq=standard_error_bq.mT.flatten(0, 1),
            model="mono_exponential",
            prior=None if priors is None else priors.repeated(b),
            model_log_sd=_START_LOG_SD,
            refuse_rising=False,
        )
        tau = activity_bq.new_tensor([self.deviation.get(name, self.deviation[_DEFAULT]) for name in names])
        curves = SharedKinetics(times_s=times.tensor(activity_bq), half_life_s=self.half_life_s, priors=priors, tau=tau)
        first = times.tensor(activity_bq)[:1]
        return curves.fit(
            likelihood, first_bq=alone.activity(first).view(b, k), rates_per_s=(LN2 / alone.half_life_s).view(b, k), present=present
        )

    def _priors(self, names: Sequence[str], like: Tensor) -> HalfLifePriors | None:
        """Priors of organs; one that has none gets an infinite spread."""
        found = [self.prior.get(name, self.prior.get(_DEFAULT)) for name in names]
        known = [p for p in found if p is not None]
        if not known:
            return None
        priors = HalfLifePriors.of([p or known[0] for p in found], n=len(names), half_life_s=self.half_life_s, like=like)
        missing = torch.tensor([p is None for p in found], device=like.device)
        return replace(priors, log_sd=priors.log_sd.masked_fill(missing, torch.inf))


def _by_name(argument: str, values: Mapping[str, T]) -> dict[str, T]:
    """A copy whose names are organs.

    Raises:
        ValueError: One is not.
    """
    for name in values:
        if name != _DEFAULT:
            try:
                organ_id(name)
            except ValueError as error:
                raise ValueError(f"{argument}: {error}") from None
    return dict(values)
