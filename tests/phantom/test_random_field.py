"""Properties of the smooth random fields and of the blur."""

from __future__ import annotations

import math

import pytest
import torch

from planar3d.grid import Grid
from planar3d.phantom.gaussian import blur
from planar3d.phantom.random_field import RandomField

FIELD = RandomField(correlation_mm=30.0, lattice=(20, 14, 24))


@pytest.fixture
def noise(generator: torch.Generator) -> torch.Tensor:
    """White noise of many samples."""
    return torch.stack([FIELD.draw(generator) for _ in range(300)])


def test_variance_is_one_at_every_voxel(noise: torch.Tensor) -> None:
    variance = FIELD.render(noise, Grid.centred((5, 4, 6), (7.0, 9.0, 3.0))).var(dim=0)
    assert (variance - 1).abs().max() < 0.35  # 300 samples: standard error 0.08
    assert variance.mean().item() == pytest.approx(1.0, abs=0.08)


def test_correlation_falls_as_stated(noise: torch.Tensor) -> None:
    values = FIELD.render(noise, Grid.centred((5, 1, 1), (15.0, 1.0, 1.0)))[:, 0, :, 0, 0]
    correlation = torch.corrcoef(values.T)[0]
    expected = torch.tensor([math.exp(-((15.0 * k) ** 2) / (2 * 30.0**2)) for k in range(5)])
    torch.testing.assert_close(correlation, expected, rtol=0.0, atol=0.15)


def test_the_field_is_the_same_on_a_finer_grid(noise: torch.Tensor) -> None:
    coarse = FIELD.render(noise[:2], Grid.centred((5, 5, 5), 8.0))
    fine = FIELD.render(noise[:2], Grid.centred((13, 13, 13), (8.0 / 3,) * 3))
    torch.testing.assert_close(fine[..., ::3, ::3, ::3], coarse[..., :, :, :], rtol=1e-3, atol=1e-3)


def test_a_grid_larger_than_the_lattice_is_filled(noise: torch.Tensor) -> None:
    values = FIELD.render(noise[:1], Grid.centred((10, 10, 200), 10.0))
    assert values[..., -1].abs().max() > 0.1


def test_blur_keeps_a_constant_and_a_planes_half(generator: torch.Generator) -> None:
    grid = Grid.centred((12, 10, 14), (4.0, 6.0, 8.0))
    ones = torch.ones(1, 1, *grid.shape)
    torch.testing.assert_close(blur(ones, 10.0, grid), ones)
    half = ones.clone()
    half[:, :, 6:] = 0.0
    edge = blur(half, 6.0, grid)
    torch.testing.assert_close(edge[:, :, 5] + edge[:, :, 6], ones[:, :, 0], rtol=0.0, atol=1e-3)
