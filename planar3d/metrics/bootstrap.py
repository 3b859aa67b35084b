"""Means over cases with the interval that another set of such cases would give (percentile bootstrap, Efron 1979).

Cases of one patient resemble each other. Where cases come in groups, groups are drawn first and cases within them then (Davison and Hinkley
1997, section 3.8), so the interval is that of other patients too, as far as so many patients can tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

__all__ = ["MeanInterval", "bootstrap_mean", "paired_difference"]


@dataclass(frozen=True, kw_only=True)
class MeanInterval:
    """A mean and its interval.

    Attributes:
        mean: Mean over the cases.
        low: Lower end of the interval.
        high: Upper end of the interval.
        cases: How many cases there are.
    """

    mean: float
    low: float
    high: float
    cases: int


def bootstrap_mean(
    values: Float[Tensor, " n"],
    *,
    generator: torch.Generator,
    groups: Integer[Tensor, " n"] | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
) -> MeanInterval:
    """Mean of a metric over cases, with its bootstrap interval.

    Args:
        values: One value per case, finite, ``(n,)``.
        generator: Source of the resamples, on the device of ``values``.
        groups: Which patient each case is of, ``(n,)``; None for independent cases.
        level: Nominal level of the interval.
        resamples: Number of resamples.

    Raises:
        ValueError: There is no case, a value is not finite, or the level is not between 0 and 1.
    """
    if values.numel() == 0 or not torch.isfinite(values).all():
        raise ValueError(
            f"values must be finite, one per case and at least one, got {values.numel()}; leave out cases without a value first"
        )
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level}; write 95 % as 0.95")
    n, wide = len(values), values.double()
    means = _means(wide, torch.zeros(n, dtype=torch.long) if groups is None else groups, generator, resamples)
    ends = torch.quantile(means, means.new_tensor([0.5 * (1.0 - level), 0.5 * (1.0 + level)]))
    return MeanInterval(mean=float(wide.mean()), low=float(ends[0]), high=float(ends[1]), cases=n)


def paired_difference(
    values: Float[Tensor, " n"],
    reference: Float[Tensor, " m"],
    *,
    generator: torch.Generator,
    groups: Integer[Tensor, " n"] | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
) -> MeanInterval:
    """Mean difference ``values - reference`` of two methods over the same cases, with its bootstrap interval.

    Args:
        values: One value per case, ``(n,)``.
        reference: Of the other method, the same cases in the same order, ``(n,)``.
        generator: Source of the resamples, on the device of ``values``.
        groups: Which patient each case is of, ``(n,)``; None for independent cases.
        level: Nominal level of the interval.
        resamples: Number of resamples.

    Raises:
        ValueError: The two have different lengths.
    """
    if values.shape != reference.shape:
        raise ValueError(f"values and reference must hold the same cases, got {len(values)} and {len(reference)}")
    return bootstrap_mean(values - reference, generator=generator, groups=groups, level=level, resamples=resamples)


def _means(values: Tensor, groups: Tensor, generator: torch.Generator, resamples: int) -> Tensor:
    """Means of resamples of groups, and of cases within each group drawn, ``(resamples,)``."""
    device = values.device
    members = [values[groups.to(device) == g] for g in groups.unique().to(device)]
    sizes = torch.tensor([len(m) for m in members], device=device)
    padded = torch.nn.utils.rnn.pad_sequence(members, batch_first=True)
    chosen = torch.randint(len(members), (resamples, len(members)), generator=generator, device=device)
    within = torch.rand(resamples, *padded.shape, generator=generator, device=device) * sizes[chosen].unsqueeze(2)
    drawn = padded[chosen.unsqueeze(2), within.long()]
    inside = torch.arange(padded.shape[1], device=device) < sizes[chosen].unsqueeze(2)
    return (drawn * inside).sum(dim=(1, 2)) / inside.sum(dim=(1, 2))
