"""Rows of cells."""

import pytest
import torch

from planar3d.physics.raster import Raster


@pytest.mark.parametrize(("count", "factor"), [(1, 1), (7, 2), (8, 3), (40, 2), (41, 5), (5, 9)])
def test_sharing_keeps_content_and_centre(count: int, factor: int) -> None:
    row = Raster(count=count, step_mm=4.0, centre_mm=13.0)
    coarse, sharing = row.coarser(factor), row.sharing(factor)
    assert sharing.shape == (coarse.count, count)
    torch.testing.assert_close(sharing.sum(dim=0), torch.ones(count, dtype=torch.float64))
    torch.testing.assert_close(coarse.centres_mm @ sharing, row.centres_mm)
    assert coarse.centre_mm == row.centre_mm


def test_centres_lie_half_a_cell_inside_the_ends() -> None:
    row = Raster(count=4, step_mm=2.0, centre_mm=10.0)
    assert row.centres_mm.tolist() == [7.0, 9.0, 11.0, 13.0]


def test_bad_rows_are_named() -> None:
    with pytest.raises(ValueError, match="positive count and step_mm, got count=0"):
        Raster(count=0, step_mm=1.0)
    with pytest.raises(ValueError, match="factor must be at least 1, got 0"):
        Raster(count=3, step_mm=1.0).coarser(0)
