"""Water-equivalent depth on coarse nodes."""

import torch

from planar3d.physics.coarse_grid import CoarseGrid
from planar3d.physics.raster import Raster

MU_WATER = 0.0135


def coarse(factor_mm: float) -> CoarseGrid:
    x, y, z = (Raster(count=n, step_mm=s) for n, s in ((9, 4.0), (31, 4.0), (10, 6.0)))
    return CoarseGrid.of((x, y, z), (factor_mm,) * 3)


def test_depth_in_water_is_the_distance_to_the_surface() -> None:
    grid = coarse(16.0)
    depth, thickness = grid.depth_mm(torch.full((1, 9, 31, 10), MU_WATER, dtype=torch.float64), MU_WATER, (1, -1))
    torch.testing.assert_close(thickness, torch.full((1, 1, 3, 1, 6), 31 * 4.0, dtype=torch.float64))
    place, half_mm = grid.slabs.centres_mm, 0.5 * 31 * 4.0
    assert depth.shape == (1, 2, 3, 9, 6)
    for view, expected in ((0, half_mm - place), (1, half_mm + place)):
        inside = place.abs() < half_mm - 4.0
        torch.testing.assert_close(depth[0, view][:, inside], expected[inside][None, :, None].expand(3, -1, 6), rtol=1e-9, atol=1e-9)


def test_air_beside_the_patient_makes_it_no_shallower() -> None:
    grid, mu = coarse(16.0), torch.zeros(1, 9, 31, 10, dtype=torch.float64)
    mu[:, 4:] = MU_WATER
    depth, _ = grid.depth_mm(mu, MU_WATER, (1,))
    torch.testing.assert_close(depth[0, 0, 1], depth[0, 0, 2])


def test_nodes_are_no_further_apart_than_asked_and_at_least_a_voxel() -> None:
    assert coarse(16.0).factors == (4, 4, 2)
    assert coarse(1.0).factors == (1, 1, 1)


def test_part_of_a_grid_has_the_depth_that_it_has_in_the_whole() -> None:
    grid, mu = coarse(12.0), torch.zeros(1, 9, 31, 10, dtype=torch.float64)
    mu[:, 2:6, 5:20] = torch.rand(1, 4, 15, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = grid.depth_mm(mu, MU_WATER, (1,))
    part = grid.depth_mm(mu[:, 2:6, 5:20], MU_WATER, (1,), slice(2, 6), slice(5, 20))
    torch.testing.assert_close(part, whole)
