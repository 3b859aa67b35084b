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
    return (_counted_log(y, expected) - expected).flatten(1).sum(dim=1)


def poisson_deviance(y: Tensor, expected: Tensor) -> Tensor:
    """Mean deviance per pixel of each sample, ``(b,)``.

    Args:
        y: Counts, ``(b, ...)``.
        expected: Expected counts of the same shape.
    """
    terms = _counted_log(y, y) - _counted_log(y, expected) - y + expected
    return 2.0 * terms.flatten(1).mean(dim=1)


def _counted_log(y: Tensor, expected: Tensor) -> Tensor:
    """``y log m``, zero without counts. Its gradient is zero there too, where that of `torch.xlogy` is 0 / 0 if nothing is expected."""
    return y * torch.log(torch.where(y > 0, expected, 1.0))
