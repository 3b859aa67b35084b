"""Samples of one network about the mean of two.

A diffusion model's mean ``m`` of samples and the estimate ``u`` of the network beside it both stand for the posterior mean and err partly
on their own, so that between them lies a better one: with the share w of the estimate

    x_k' = x_k m' / m,    m' = ((1 - w) sqrt(m) + w sqrt(u))^2,

averaged in roots, where errors are even. Samples keep their spread relative to the mean. Each then takes EM steps back to the counts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from planar3d.reconstruction.mlem import mlem_iterate
from planar3d.reconstruction.network_estimate import NetworkEstimate

__all__ = ["about_both", "require_move"]


def about_both(samples: Tensor, made: NetworkEstimate, *, share: float, em_steps: int) -> Tensor:
    """The samples moved, ``(sample, b, 1, x, y, z)`` [Bq/mL].

    Args:
        samples: At least one, ``(sample, b, 1, x, y, z)`` [Bq/mL].
        made: The estimate beside them.
        share: w, from 0 for the samples' own mean to 1 for that of the estimate.
        em_steps: EM steps of each sample that follow.
    """
    if share > 0.0:
        mean = samples.mean(dim=0)
        target = ((1.0 - share) * mean.sqrt() + share * made.mean.sqrt()).square()
        samples = target * (samples / mean.clamp(min=torch.finfo(mean.dtype).tiny))
    problem, mask = made.inputs.problem, made.inputs.mask
    return torch.stack([mlem_iterate(problem, x, em_steps, mask=mask) for x in samples]) if em_steps else samples


def require_move(estimator_share: float, em_steps: int) -> None:
    """Raise if samples cannot be moved so: ``share`` and ``em_steps`` of `about_both`, by the names that configurations have for them.

    Raises:
        ValueError: A share beyond [0, 1], or fewer than no steps.
    """
    if not 0.0 <= estimator_share <= 1.0:
        raise ValueError(f"estimator_share must lie in [0, 1], got {estimator_share}; it is the weight of the estimate in the mean")
    if em_steps < 0:
        raise ValueError(f"em_steps must not be negative, got {em_steps}")
