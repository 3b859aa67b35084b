"""Grid geometry, radionuclides and organ names."""

import numpy as np
import pytest

from planar3d.grid import Grid, require_same_grid
from planar3d.organs import GROUPS, ORGANS, organ_id, organ_name
from planar3d.radionuclide import Radionuclide


def test_affine_round_trip() -> None:
    grid = Grid(shape=(4, 5, 6), spacing_mm=(2.0, 3.0, 4.0), origin_mm=(-1.0, 7.0, 9.5))
    assert Grid.from_affine(grid.shape, grid.affine) == grid


def test_centre_is_in_the_middle_of_the_outer_faces() -> None:
    grid = Grid.centred((4, 5, 6), 2.0, (1.0, -2.0, 3.0))
    assert grid.centre_mm == (1.0, -2.0, 3.0)
    first, last = np.array(grid.origin_mm), np.array(grid.origin_mm) + (np.array(grid.shape) - 1) * 2.0
    np.testing.assert_allclose((first + last) / 2, grid.centre_mm)


def test_rows_stay_where_they_are() -> None:
    grid = Grid(shape=(4, 5, 6), spacing_mm=(2.0, 3.0, 4.0), origin_mm=(-1.0, 7.0, 9.5))
    part, more = grid.rows(2, 5), grid.rows(-1, 8)
    assert (part.shape, part.origin_mm) == ((4, 5, 3), (-1.0, 7.0, 17.5))
    assert (more.shape, more.origin_mm) == ((4, 5, 9), (-1.0, 7.0, 5.5))
    assert more.rows(1, 7) == grid.rows(0, 6) == grid


def test_resampling_keeps_middle_and_covers_the_extent() -> None:
    grid = Grid.centred((10, 11, 13), (3.9, 3.9, 4.4), (5.0, 6.0, 7.0))
    coarse = grid.resampled(8.0)
    np.testing.assert_allclose(coarse.centre_mm, grid.centre_mm)
    assert all(c >= f for c, f in zip(coarse.extent_mm, grid.extent_mm, strict=True))
    assert all(c - f < 8.0 for c, f in zip(coarse.extent_mm, grid.extent_mm, strict=True))


@pytest.mark.parametrize("matrix", [np.diag([-2.0, 2.0, 2.0, 1.0]), np.eye(4)[[1, 0, 2, 3]]])
def test_other_orientations_are_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match="affine must be axis-aligned and RAS"):
        Grid.from_affine((3, 3, 3), matrix)


def test_half_a_voxel_is_another_grid() -> None:
    grid = Grid.centred((4, 4, 4), 8.0)
    shifted = Grid.centred((4, 4, 4), 8.0, (4.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="ct and labels lie on different grids"):
        require_same_grid("ct", grid, "labels", shifted)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [(s, "Lu-177") for s in ("Lu-177", "lu177", "177Lu", "177-LU", "Lu177")]
    + [(s, "Tc-99m") for s in ("Tc-99m", "99mTc", "tc99m", "99m-Tc")],
)
def test_radionuclides_are_found_however_they_are_written(spelling: str, name: str) -> None:
    assert Radionuclide.from_name(spelling).name == name


@pytest.mark.parametrize("name", ["Tc-99", "Lu-176", "", "177", "lutetium"])
def test_other_radionuclides_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not known; known are Lu-177"):
        Radionuclide.from_name(name)


def test_half_the_activity_is_left_after_a_half_life() -> None:
    nuclide = Radionuclide.from_name("Tc-99m")
    assert nuclide.decay_factor(nuclide.half_life_s) == pytest.approx(0.5)
    assert nuclide.decay_factor(-nuclide.half_life_s) == pytest.approx(2.0)


def test_organs_are_named_once_and_groups_hold_organs() -> None:
    assert len(set(ORGANS)) == len(ORGANS) < 256
    assert all(organ_name(organ_id(name)) == name for name in ORGANS)
    assert all(member in ORGANS for members in GROUPS.values() for member in members)
    with pytest.raises(ValueError, match="organ 'livr' is not known"):
        organ_id("livr")
