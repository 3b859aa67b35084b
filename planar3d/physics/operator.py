"""The contract of a linear operator: ``A x`` and its exact adjoint ``A^T y``, with ``<A x, y> = <x, A^T y>`` for all x and y.

An operator is deterministic and differentiable; noise is another object (`planar3d.physics.noise`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

__all__ = ["LinearOperator", "full_precision"]


def full_precision(like: Tensor) -> torch.autocast:
    """Context in which mixed-precision training leaves products alone: physics is computed in the precision of its own tensors."""
    return torch.autocast(device_type=like.device.type, enabled=False)


class LinearOperator(nn.Module, ABC):
    """A linear map between batched arrays, with its adjoint."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """``A x``."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """``A^T y``."""

    def adjointness_gap(self, x: Tensor, y: Tensor) -> float:
        """``|<A x, y> - <x, A^T y>| / (|A x| |y|)``; round-off for a true adjoint.

        Use signed random ``x`` and ``y`` in float64: with non-negative ones a wrong adjoint hides better.
        """
        forward, back = self(x), self.adjoint(y)
        gap = (forward * y).sum() - (x * back).sum()
        return float(gap.abs() / (forward.norm() * y.norm()))
