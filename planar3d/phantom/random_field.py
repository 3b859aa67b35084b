"""Smooth random fields of unit variance.

White noise n_j on a coarse, periodic lattice of spacing s is spread by Gaussian weights: ``z(p) = sum_j w_j(p) n_j`` with
``w_j(p) ~ exp(-|p - u_j|^2 / (2 s^2))`` and ``sum_j w_j(p)^2 = 1``. So every voxel has variance one, whatever the grid, and the
correlation over a distance d is ``exp(-d^2 / (2 L^2))`` with ``L = sqrt(2) s``. The noise is drawn once per sample and is small; the
same noise gives the same field on any grid about the same middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.phantom.gaussian import centred_axis, weigh_axes

__all__ = ["RandomField"]


@dataclass(frozen=True, kw_only=True)
class RandomField:
    """A stationary Gaussian field.

    Attributes:
        correlation_mm: Length L over which the field is correlated [mm].
        lattice: Nodes along x, y, z; the field repeats after ``lattice * correlation_mm / sqrt(2)``.
    """

    correlation_mm: float
    lattice: tuple[int, int, int]

    def __post_init__(self) -> None:
        if not self.correlation_mm > 0:
            raise ValueError(f"correlation_mm must be positive, got {self.correlation_mm}")

    def draw(self, generator: torch.Generator, channels: int = 1) -> Tensor:
        """White noise on the lattice for one sample, on the device of the generator, ``(channels, *lattice)``."""
        return torch.randn(channels, *self.lattice, generator=generator, device=generator.device)

    def render(self, noise: Tensor, grid: Grid) -> Tensor:
        """The field on a grid.

        Args:
            noise: ``(b, c, *lattice)``.
            grid: Where to evaluate.

        Returns:
            ``(b, c, x, y, z)``, unit variance.
        """
        return weigh_axes(noise, [self.axis_weights(centred_axis(grid, axis, noise), axis) for axis in range(3)])

    def axis_weights(self, position_mm: Tensor, axis: int) -> Tensor:
        """Weight of each lattice node at each position along one axis, ``(n, lattice[axis])``."""
        nodes = self.lattice[axis]
        node = torch.arange(nodes, device=position_mm.device, dtype=position_mm.dtype)
        distance = position_mm[:, None] * (math.sqrt(2.0) / self.correlation_mm) - node
        distance = torch.remainder(distance + 0.5 * nodes, nodes) - 0.5 * nodes
        weight = torch.exp(-0.5 * distance.square())
        return weight / weight.square().sum(dim=1, keepdim=True).sqrt()
