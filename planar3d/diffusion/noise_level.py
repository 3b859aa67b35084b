"""How noisy the volumes are that a denoiser learns on: ``log sigma ~ N(log_mean, log_sd^2)`` (Karras et al. 2022, table 1)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["NoiseLevels"]


class NoiseLevels:
    """Draws standard deviations of noise, in units of the root of relative activity.

    Args:
        log_mean: Mean of their logarithm.
        log_sd: Standard deviation of their logarithm.
    """

    def __init__(self, *, log_mean: float = 0.0, log_sd: float = 1.7) -> None:
        if not log_sd > 0:
            raise ValueError(f"log_sd must be positive, got {log_sd}")
        self.log_mean = log_mean
        self.log_sd = log_sd

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, " n"]:
        """Standard deviations, ``(n,)``, on the device of the generator."""
        normal = torch.randn(count, generator=generator, device=generator.device)
        return torch.exp(self.log_mean + self.log_sd * normal)
