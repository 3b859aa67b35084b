"""Noise that is as uneven over long distances as what a posterior is uncertain of.

``n = (w + sum_k a_k z_k) / sqrt(1 + sum_k a_k^2)`` with white noise w and smooth fields z_k of unit variance and length L_k has unit
variance in every voxel. The error of an estimate is shared by whole organs; white noise averages out over an organ of a thousand
voxels, and only at thirty times the level that hides the error of a voxel would it hide that of the organ. Noise of all lengths hides
both at about the same level, so that a denoiser learns both from what it sees nearby. The equations of a diffusion model hold for noise
of any covariance (Song et al. 2021, arXiv:2011.13456): ``dr / d sigma = (r - D) / sigma``.

A denoiser that was trained for too short a time misses some of what noisy volumes say of whole organs, and its samples agree with each
other too well there. These equations carry deviations from the estimate on as they are, but for what the denoiser does not do in
proportion; so samples that start from smooth parts ``stretch`` times as strong end that much further apart in their organs, and hardly
in single voxels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from planar3d.grid import Grid
from planar3d.phantom.gaussian import centred_axis, weigh_axes
from planar3d.phantom.random_field import RandomField
from planar3d.shapes import Volume

__all__ = ["NoiseField"]

_SPARE_NODES = 8  # beyond the grid: the field repeats, and a Gaussian reaches that far


class NoiseField:
    """Stationary Gaussian noise of several lengths.

    Args:
        lengths_mm: Correlation lengths L_k of the smooth parts [mm].
        strengths: Their standard deviations a_k, that of the white part being one.
        stretch: Factor on the smooth parts where samples start.
    """

    def __init__(
        self, *, lengths_mm: Sequence[float] = (40.0, 120.0), strengths: Sequence[float] = (1.0, 1.0), stretch: float = 1.0
    ) -> None:
        if len(lengths_mm) != len(strengths) or min((*lengths_mm, *strengths), default=1.0) <= 0:
            raise ValueError(f"lengths_mm and strengths must be positive and as many, got {list(lengths_mm)} and {list(strengths)}")
        if not stretch > 0:
            raise ValueError(f"stretch must be positive, got {stretch}")
        self.stretch = stretch
        self.lengths_mm = tuple(lengths_mm)
        self.strengths = tuple(strengths)
        self.norm = math.sqrt(1.0 + sum(a**2 for a in strengths))

    def draw(self, grid: Grid, generators: Sequence[torch.Generator], device: torch.device | str) -> Volume:
        """Noise of unit variance, one volume per generator, ``(n, 1, x, y, z)``.

        Args:
            grid: Where to draw it.
            generators: On the CPU for noise that is the same on every device; on a GPU it is drawn a hundred times faster.
            device: Where the noise goes.
        """
        return self._draw(grid, generators, device, 1.0)

    def start(self, grid: Grid, generators: Sequence[torch.Generator], device: torch.device | str) -> Volume:
        """Noise that samples start from: `draw` with its smooth parts stretched."""
        return self._draw(grid, generators, device, self.stretch)

    def _draw(self, grid: Grid, generators: Sequence[torch.Generator], device: torch.device | str, stretch: float) -> Volume:
        """Noise with smooth parts of ``stretch`` times their strength."""
        noise = torch.stack([torch.randn(1, *grid.shape, generator=g, device=g.device) for g in generators]).to(device)
        for length_mm, strength in zip(self.lengths_mm, self.strengths, strict=True):
            field = _field(length_mm, grid)
            lattice = torch.stack([field.draw(g) for g in generators]).to(device)
            noise = noise + stretch * strength * field.render(lattice, grid)
        return noise / self.norm

    def correlate(self, volume: Volume, grid: Grid) -> Volume:
        """The covariance of the noise times a volume, ``(n, 1, x, y, z)``.

        Args:
            volume: ``(n, 1, x, y, z)``.
            grid: Where it lies.
        """
        total = volume
        for length_mm, strength in zip(self.lengths_mm, self.strengths, strict=True):
            field = _field(length_mm, grid)
            weights = [field.axis_weights(centred_axis(grid, axis, volume), axis) for axis in range(3)]
            total = total + strength**2 * weigh_axes(weigh_axes(volume, [w.T for w in weights]), weights)
        return total / self.norm**2


def _field(length_mm: float, grid: Grid) -> RandomField:
    """A smooth field that does not repeat within the grid."""
    step_mm = length_mm / math.sqrt(2.0)
    x, y, z = (math.ceil(n * s / step_mm) + _SPARE_NODES for n, s in zip(grid.shape, grid.spacing_mm, strict=True))
    return RandomField(correlation_mm=length_mm, lattice=(x, y, z))
