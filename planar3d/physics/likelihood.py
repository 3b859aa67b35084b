"""Poisson likelihood of counts ``y`` given their expectation ``m``.

Log-likelihood up to a constant: ``sum(y log m - m)``. Deviance: ``2 sum(y log(y / m) - y + m)``, zero for ``y = m`` and about one
per pixel where the model is right and counts are not too few.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["poisson_deviance", "poisson_log_likelihood"]


def poisson_log_likelihood(y: Tensor, expected: Tensor) -> Tensor:
    """Log-likelihood of each sample up to a constant, ``(b,)``.

    Args:
        y: Counts, ``(b, ...)``.
        expected: Expected counts of the same shape; where zero, ``y`` must be zero for a finite result.
    """
    return (torch.xlogy(y, expected) - expected).flatten(1).sum(dim=1)


def poisson_deviance(y: Tensor, expected: Tensor) -> Tensor:
    """Mean deviance per pixel of each sample, ``(b,)``.

    Args:
        y: Counts, ``(b, ...)``.
        expected: Expected counts of the same shape.
    """
    terms = torch.xlogy(y, y) - torch.xlogy(y, expected) - y + expected
    return 2.0 * terms.flatten(1).mean(dim=1)
