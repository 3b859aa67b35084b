"""Samples of activity pushed through kinetics to dose, with the causes of error that no sample knows of.

    D^(s) = S TIA(a^(s)(t_1), ..., a^(s)(t_n)) * exp(g^(s) - var/2)

with a^(s) the s-th posterior draw of the activities at all times and g normal: one part shared by all organs (calibration), one
of each organ's own (volume, recovery, S value). The factor is log-normal with mean 1, so that dose stays positive. What the
samples hold already (counts, misfit, the fit of the curve to them) must not be given again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.budget import UncertaintyBudget

__all__ = ["DosePosterior", "dose_posterior"]


@dataclass(frozen=True, kw_only=True)
class DosePosterior:
    """Draws of organ doses.

    Attributes:
        samples_gy: ``(sample, k)`` [Gy].
    """

    samples_gy: Float[Tensor, "sample k"]

    @property
    def mean_gy(self) -> Float[Tensor, " k"]:
        """Mean dose [Gy]."""
        return self.samples_gy.mean(dim=0)

    @property
    def sd_gy(self) -> Float[Tensor, " k"]:
        """Standard deviation [Gy]."""
        return self.samples_gy.std(dim=0)

    def interval_gy(self, level: float = 0.9) -> Float[Tensor, "2 k"]:
        """Central interval: lower and upper ends [Gy].

        Raises:
            ValueError: The level does not lie between 0 and 1.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, got {level}; write 90 % as 0.9")
        ends = self.samples_gy.new_tensor([0.5 * (1.0 - level), 0.5 * (1.0 + level)])
        return torch.quantile(self.samples_gy, ends, dim=0)


def dose_posterior(
    activity_bq: Float[Tensor, "sample time k"],
    *,
    integrate: Callable[[Tensor], Tensor],
    dose: Callable[[Tensor], Tensor],
    budget: UncertaintyBudget,
    generator: torch.Generator,
    sampled: tuple[str, ...] = ("counts", "fit"),
    shared: tuple[str, ...] = ("calibration",),
) -> DosePosterior:
    """Draws of organ dose.

    Args:
        activity_bq: Posterior draws of organ activities at each time, ``(sample, time, k)`` [Bq].
        integrate: Kinetics: ``(sample, time, k)`` activities to ``(sample, k)`` time-integrated activity [Bq s].
        dose: ``(sample, k)`` time-integrated activity to ``(sample, k)`` dose [Gy], such as `OrganSValues.dose`.
        budget: Parametric components of the same organs.
        generator: Source of the factors.
        sampled: Causes of the budget that the samples hold already; left out.
        shared: Causes that all organs have in common.

    Raises:
        ValueError: The activity is negative, or its organs are not those of the budget.
    """
    if activity_bq.shape[-1] != len(budget.organs):
        raise ValueError(
            f"activity_bq has {activity_bq.shape[-1]} organs in its last axis and the budget {len(budget.organs)}; give the same"
        )
    if not bool((activity_bq >= 0.0).all()):
        raise ValueError("activity_bq has negative draws; activity must be zero or more, draw from a posterior that is")
    nominal = dose(integrate(activity_bq))
    own, common = torch.zeros_like(nominal[0]), torch.zeros_like(nominal[0])
    for cause, variance in zip(budget.causes, budget.relative_variance.to(nominal), strict=True):
        if cause in shared:
            common = common + variance
        elif cause not in sampled:
            own = own + variance
    # var of ln with the same relative variance: ln(1 + u^2)
    own, common = torch.log1p(own), torch.log1p(common)
    noise = torch.randn(nominal.shape, generator=generator, dtype=nominal.dtype, device=nominal.device)
    together = torch.randn((len(nominal), 1), generator=generator, dtype=nominal.dtype, device=nominal.device)
    log_factor = own.sqrt() * noise + common.sqrt() * together - 0.5 * (own + common)
    return DosePosterior(samples_gy=nominal * log_factor.exp())
