"""Turning volumes: content and centre of every voxel kept, uniform attenuation kept, transposes exact."""

import math

import pytest
import torch

from planar3d.grid import Grid
from planar3d.physics.rotation import NeighbourTable, Rotation, turned_rasters

GRID = Grid.centred((8, 6, 3), (4.0, 5.0, 6.0))
ANGLES = [0.0, 17.0, 45.0, 90.0, 133.0]


def dense(table: NeighbourTable, columns: int) -> torch.Tensor:
    rows = len(table.start) - 1
    return table.to(torch.ones(1, dtype=torch.float64)).apply(torch.eye(columns, dtype=torch.float64), 0, rows, (0, len(table.index)))


def places(rotation: Rotation) -> tuple[torch.Tensor, torch.Tensor]:
    u, depth = turned_rasters(GRID)
    a, d = torch.meshgrid(u.centres_mm[rotation.u], depth.centres_mm[rotation.depth], indexing="ij")
    return a.flatten(), d.flatten()


@pytest.mark.parametrize("angle", ANGLES)
def test_every_voxel_keeps_its_activity_and_its_centre(angle: float) -> None:
    rotation = Rotation.of(GRID, angle, turned_rasters(GRID))
    share = dense(rotation.share, 48)
    torch.testing.assert_close(share.sum(dim=0), torch.ones(48, dtype=torch.float64))
    assert (share >= 0).all()
    x, y = torch.meshgrid((torch.arange(8.0) - 3.5) * 4.0, (torch.arange(6.0) - 2.5) * 5.0, indexing="ij")
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    u, depth = places(rotation)
    torch.testing.assert_close(u @ share, (x * cos - y * sin).flatten().double(), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(depth @ share, (x * sin + y * cos).flatten().double(), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("angle", ANGLES)
def test_collecting_is_the_transpose_of_sharing(angle: float) -> None:
    rotation = Rotation.of(GRID, angle, turned_rasters(GRID))
    share = dense(rotation.share, 48)
    torch.testing.assert_close(dense(rotation.collect, len(share)), share.T, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("angle", ANGLES)
def test_interpolation_keeps_what_is_uniform_and_what_is_linear(angle: float) -> None:
    rotation = Rotation.of(GRID, angle, turned_rasters(GRID))
    interpolate = dense(rotation.interpolate, 48)
    whole = (interpolate.sum(dim=1) - 1.0).abs() < 1e-9
    assert whole.sum() > 20
    assert (interpolate.sum(dim=1) <= 1.0 + 1e-9).all()
    x = ((torch.arange(8.0) - 3.5) * 4.0)[:, None].expand(8, 6).flatten().double()
    u, depth = places(rotation)
    back = u * math.cos(math.radians(angle)) + depth * math.sin(math.radians(angle))
    torch.testing.assert_close((interpolate @ x)[whole], back[whole], rtol=0.0, atol=1e-5)


def test_a_cubic_grid_that_is_not_turned_falls_onto_itself() -> None:
    grid = Grid.centred((7, 6, 2), 4.0)
    assert Rotation.of(grid, 0.0, turned_rasters(grid)).is_exact
    assert not Rotation.of(grid, 30.0, turned_rasters(grid)).is_exact


def test_only_the_support_is_turned() -> None:
    support = torch.zeros(8, 6, dtype=torch.bool)
    support[2:5, 3:5] = True
    rotation = Rotation.of(GRID, 30.0, turned_rasters(GRID), support)
    share = dense(rotation.share, 48)
    torch.testing.assert_close(share.sum(dim=0), support.flatten().double())
    assert len(share) < len(dense(Rotation.of(GRID, 30.0, turned_rasters(GRID)).share, 48))
