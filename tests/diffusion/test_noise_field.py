"""Noise of several lengths: unit variance in every voxel, the correlation stated, and a covariance that is its own."""

from __future__ import annotations

import math

import pytest
import torch

from planar3d.diffusion import NoiseField
from planar3d.grid import Grid

GRID = Grid.centred((14, 10, 12), (8.0, 10.0, 8.0))


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(k) for k in range(count)]


def test_every_voxel_has_unit_variance_and_neighbours_the_correlation_stated() -> None:
    noise = NoiseField(lengths_mm=(40.0, 100.0), strengths=(1.0, 0.5)).draw(GRID, generators(3000), "cpu")[:, 0]
    assert float(noise.var(dim=0).mean()) == pytest.approx(1.0, abs=0.02)
    assert (noise.var(dim=0) - 1).abs().max() < 0.15
    pairs = (noise[:, 2] * noise[:, 7]).mean()  # 40 mm apart
    expected = (math.exp(-0.5 * (40 / 40) ** 2) + 0.25 * math.exp(-0.5 * (40 / 100) ** 2)) / 2.25
    assert float(pairs) == pytest.approx(expected, abs=0.03)


def test_the_covariance_is_that_of_the_noise() -> None:
    field = NoiseField()
    noise = field.draw(GRID, generators(4000), "cpu")
    weight = torch.randn(1, 1, *GRID.shape, generator=torch.Generator().manual_seed(99_999))
    seen = (noise * weight).sum(dim=(1, 2, 3, 4)).var()
    assert float((weight * field.correlate(weight, GRID)).sum()) == pytest.approx(float(seen), rel=0.08)


def test_without_smooth_parts_it_is_white() -> None:
    field = NoiseField(lengths_mm=(), strengths=())
    volume = torch.randn(1, 1, *GRID.shape)
    torch.testing.assert_close(field.correlate(volume, GRID), volume)
    drawn = field.draw(GRID, generators(1), "cpu")
    torch.testing.assert_close(drawn[0], torch.randn(1, *GRID.shape, generator=torch.Generator().manual_seed(0)))


def test_samples_start_from_smooth_parts_that_are_stretched() -> None:
    field = NoiseField(stretch=3.0)
    drawn, start = (make(GRID, generators(2000), "cpu") for make in (field.draw, field.start))
    assert float(start.var(dim=0).mean()) == pytest.approx((1 + 9 + 9) / 3, rel=0.05)
    white = NoiseField(lengths_mm=(), strengths=()).draw(GRID, generators(2000), "cpu") / field.norm
    torch.testing.assert_close(start - white, 3.0 * (drawn - white), rtol=1e-4, atol=1e-5)


def test_a_volume_depends_on_its_own_generator_alone() -> None:
    torch.testing.assert_close(NoiseField().draw(GRID, generators(3), "cpu")[2:], NoiseField().draw(GRID, generators(3)[2:], "cpu"))


def test_options_that_make_no_sense_are_told() -> None:
    with pytest.raises(ValueError, match="as many"):
        NoiseField(lengths_mm=(40.0,), strengths=(1.0, 1.0))
    with pytest.raises(ValueError, match="stretch must be positive"):
        NoiseField(stretch=0.0)
    with pytest.raises(ValueError, match="must be positive"):
        NoiseField(lengths_mm=(0.0,), strengths=(1.0,))
