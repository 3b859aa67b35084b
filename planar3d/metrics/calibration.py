"""Whether stated uncertainty is true: the share of intervals that hold the truth, against the share that should.

An interval of level p from a standard error is ``estimate +- sqrt(2) erfinv(p) standard_error``; from samples it lies between their
``(1 - p) / 2`` and ``(1 + p) / 2`` quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["LEVELS", "interval_coverage", "sample_coverage"]

LEVELS = (0.5, 0.9, 0.95)


def interval_coverage(
    estimate: Float[Tensor, " ..."],
    standard_error: Float[Tensor, " ..."],
    truth: Float[Tensor, " ..."],
    *,
    levels: Sequence[float] = LEVELS,
) -> Float[Tensor, " level"]:
    """Share of normal intervals that hold the truth; entries where any of the three is NaN are left out.

    Args:
        estimate: Any shape.
        standard_error: Of the same shape, same unit.
        truth: Of the same shape, same unit.
        levels: Nominal levels between 0 and 1.

    Returns:
        Share of each level, ``(level,)``; to be compared with ``levels``.
    """
    known = ~(estimate.isnan() | standard_error.isnan() | truth.isnan())
    error, width = (estimate - truth)[known].abs(), standard_error[known]
    half_widths = torch.erfinv(_levels(levels, estimate)) * 2.0**0.5
    return (error[:, None] <= half_widths * width[:, None]).to(estimate).mean(dim=0)


def sample_coverage(
    samples: Float[Tensor, "sample ..."], truth: Float[Tensor, " ..."], *, levels: Sequence[float] = LEVELS
) -> Float[Tensor, " level"]:
    """Share of intervals between quantiles of samples that hold the truth.

    With few samples the quantiles are interpolated and lie too near the middle; take a hundred or more for a level of 95 %.

    Args:
        samples: Draws along the first axis, ``(sample, ...)``.
        truth: Of the shape of a draw.
        levels: Nominal levels between 0 and 1.

    Returns:
        Share of each level, ``(level,)``; to be compared with ``levels``.
    """
    level = _levels(levels, samples)
    flat = samples.flatten(1)
    low, high = torch.quantile(flat, 0.5 * (1.0 - level), dim=0), torch.quantile(flat, 0.5 * (1.0 + level), dim=0)
    inside = (low <= truth.flatten()) & (truth.flatten() <= high)
    return inside.to(samples).mean(dim=1)


def _levels(levels: Sequence[float], like: Tensor) -> Tensor:
    """Levels as a tensor.

    Raises:
        ValueError: A level lies outside of (0, 1).
    """
    if not all(0.0 < p < 1.0 for p in levels):
        raise ValueError(f"levels must lie between 0 and 1, got {tuple(levels)}; write 95 % as 0.95")
    return like.new_tensor(levels)
