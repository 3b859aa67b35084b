"""Rebinning shares counts by area and keeps their total and their place."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from planar3d.grid import Grid
from planar3d.io import PlanarImage, coverage, rebin, rebin_rows


def test_total_counts_within_the_grid_are_kept(image: PlanarImage) -> None:
    grid = Grid.centred((9, 4, 12), (5.7, 8.0, 7.3), (0.0, 0.0, 46.0))
    torch.testing.assert_close(rebin(image, grid).sum(dim=(2, 3)), image.views.sum(dim=(2, 3)))


def test_a_grid_on_the_same_pixels_changes_nothing(image: PlanarImage) -> None:
    grid = Grid(shape=(7, 3, 11), spacing_mm=(4.0, 8.0, 5.0), origin_mm=(-13.0, 0.0, 21.0))
    torch.testing.assert_close(rebin(image, grid), image.views)


def test_centre_of_mass_stays_where_it_was(image: PlanarImage) -> None:
    grid = Grid.centred((20, 4, 40), (2.9, 8.0, 3.1), (0.0, 0.0, 46.0))

    def centre(counts: torch.Tensor, origin: float, step: float, axis: int) -> torch.Tensor:
        profile = counts[0, 0].sum(dim=1 - axis)
        return (profile * (origin + step * torch.arange(len(profile)))).sum() / profile.sum()

    binned = rebin(image, grid)
    for axis, grid_axis in ((0, 0), (1, 2)):
        before = centre(image.views, image.origin_mm[axis], image.pixel_mm[axis], axis)
        after = centre(binned, grid.origin_mm[grid_axis], grid.spacing_mm[grid_axis], axis)
        assert abs(before - after) < 0.2  # a half-pixel slip is 1.5 mm or more


def test_an_offset_moves_the_image_by_whole_pixels(image: PlanarImage) -> None:
    grid = Grid(shape=(7, 3, 11), spacing_mm=(4.0, 8.0, 5.0), origin_mm=(-13.0, 0.0, 21.0))
    moved = rebin(image, grid, (4.0, -10.0))
    torch.testing.assert_close(moved[:, :, 1:, :-2], image.views[:, :, :-1, 2:])


def test_coverage_tells_imaged_from_not_imaged(image: PlanarImage) -> None:
    grid = Grid(shape=(9, 3, 11), spacing_mm=(4.0, 8.0, 5.0), origin_mm=(-19.0, 0.0, 21.0))
    expected = torch.tensor([0.0, 0.5, 1, 1, 1, 1, 1, 1, 0.5])
    torch.testing.assert_close(coverage(image, grid), expected[:, None].expand(9, 11))


def test_no_overlap_is_an_error(image: PlanarImage) -> None:
    with pytest.raises(ValueError, match="does not overlap the anatomy along z"):
        rebin(replace(image, origin_mm=(-13.0, 900.0)), Grid.centred((9, 4, 12), 8.0))


def test_other_counts_on_the_same_pixels_are_shared_out_alike(image: PlanarImage) -> None:
    grid = Grid.centred((9, 4, 12), (5.7, 8.0, 7.3), (0.0, 0.0, 46.0))
    torch.testing.assert_close(rebin(image, grid, counts=0.5 * image.views), 0.5 * rebin(image, grid))


def test_a_figure_of_rows_is_their_mean(image: PlanarImage) -> None:
    grid = Grid(shape=(7, 3, 5), spacing_mm=(4.0, 8.0, 10.0), origin_mm=(-13.0, 0.0, 23.5))
    rows = torch.arange(22.0).view(2, 11)
    torch.testing.assert_close(rebin_rows(image, grid, rows), 0.5 * (rows[:, 0:10:2] + rows[:, 1:11:2]))
    far = replace(image, origin_mm=(-13.0, 31.0))
    torch.testing.assert_close(rebin_rows(far, grid, rows)[:, 0], torch.ones(2))
