"""Dispersion is one for noise alone and large for a smooth misfit that noise hides pixel by pixel."""

from __future__ import annotations

import pytest
import torch

from planar3d.grid import Grid
from planar3d.reconstruction.dispersion import dispersion

GRID = Grid.centred((30, 4, 42), 8.0)


def test_noise_alone_gives_one(generator: torch.Generator) -> None:
    expected = torch.full((4, 2, 30, 42), 50.0)
    assert torch.allclose(dispersion(torch.poisson(expected, generator), expected, GRID), torch.ones(4), atol=0.25)


def test_constant_misfit_in_closed_form() -> None:
    expected = torch.full((1, 2, 30, 42), 100.0)
    # blocks of 4 x 4 pixels: (16 x 10)^2 / (16 x 100) = 16
    inner = slice(0, 28), slice(0, 40)
    y = expected + 10.0
    assert dispersion(y[..., inner[0], inner[1]], expected[..., inner[0], inner[1]], GRID).item() == pytest.approx(16.0)


def test_pixels_left_out_do_not_count() -> None:
    expected = torch.full((1, 2, 28, 40), 100.0)
    y = expected + 10.0
    y[..., 20:], expected[..., 20:] = 0.0, 0.0
    assert dispersion(y, expected, GRID).item() == pytest.approx(16.0)
