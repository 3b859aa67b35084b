"""How many lesions a patient has: negative binomial within bounds.

``P(n) ~ Gamma(n + r) / (Gamma(r) n!) q^n`` for n from ``fewest`` to ``most``, with q solved such that the mean is the one asked for. A
small dispersion r gives many patients with few lesions and a few with very many; r = 1 is geometric, r to infinity Poisson.

In metastatic castration-resistant prostate cancer counts run from one to beyond sixty, with some twelve on average and nineteen bone
lesions where bone is affected (289 in 15 patients, 10.1186/s40658-021-00369-4); mean 12 and r = 0.8 is judgement.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["LesionCount"]

_STEPS = 80


class LesionCount:
    """Distribution of the number of lesions.

    Args:
        mean: Mean number.
        dispersion: r.
        fewest: Smallest number.
        most: Largest number.
    """

    def __init__(self, *, mean: float = 12.0, dispersion: float = 0.8, fewest: int = 1, most: int = 60) -> None:
        if not 0 <= fewest <= mean < most:
            raise ValueError(f"mean must lie from fewest = {fewest} to below most = {most}, got {mean}")
        if not dispersion > 0:
            raise ValueError(f"dispersion must be positive, got {dispersion}")
        self.fewest, self.most = fewest, most
        n = torch.arange(fewest, most + 1, dtype=torch.float64)
        weight = torch.lgamma(n + dispersion) - torch.lgamma(n + 1.0)
        low, high = -40.0, math.log(10.0)  # of ln q; within bounds q may pass one
        for _ in range(_STEPS):
            middle = 0.5 * (low + high)
            share = torch.softmax(weight + middle * n, dim=0)
            low, high = (middle, high) if float((share * n).sum()) < mean else (low, middle)
        self.probability: Tensor = torch.softmax(weight + 0.5 * (low + high) * n, dim=0)
        self._running = self.probability.cumsum(0)

    def draw(self, generator: torch.Generator) -> int:
        """The number of one patient."""
        uniform = torch.rand((), generator=generator, dtype=torch.float64)
        return self.fewest + min(int(torch.searchsorted(self._running, uniform, right=True)), self.most - self.fewest)
