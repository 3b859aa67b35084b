"""Counting noise, apart from the camera: ``y ~ Poisson(expected)``."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["poisson"]


def poisson(expected: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Counts drawn from their expectation.

    Args:
        expected: Expected counts, any shape, non-negative.
        generator: Source of randomness on the device of ``expected``.
    """
    return torch.poisson(expected, generator=generator)
