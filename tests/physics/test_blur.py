"""Blur matrices against the integrals that they stand for."""

import pytest
import torch

from planar3d.physics.blur import blur_matrix
from planar3d.physics.raster import Raster


@pytest.mark.parametrize(("voxel_mm", "pixel_mm"), [(4.0, 4.0), (4.0, 2.4), (3.0, 7.5)])
@pytest.mark.parametrize("sigma_mm", [0.0, 0.3, 5.0])
def test_counts_centre_and_variance(voxel_mm: float, pixel_mm: float, sigma_mm: float) -> None:
    voxels = Raster(count=9, step_mm=voxel_mm, centre_mm=3.0)
    # fine pixels: a box over few of them has neither the centre nor the variance of the box itself
    pixels = Raster(count=801, step_mm=pixel_mm / 10, centre_mm=-1.0)
    matrix = blur_matrix(torch.tensor(sigma_mm), voxels, pixels)
    torch.testing.assert_close(matrix.sum(dim=0), torch.ones(9, dtype=torch.float64))
    mean = pixels.centres_mm @ matrix
    torch.testing.assert_close(mean, voxels.centres_mm, rtol=0.0, atol=1e-3)
    variance = ((pixels.centres_mm[:, None] - mean) ** 2 * matrix).sum(dim=0)
    expected = sigma_mm**2 + voxel_mm**2 / 12 + (pixel_mm / 10) ** 2 / 12
    torch.testing.assert_close(variance, torch.full_like(variance, expected), rtol=2e-2, atol=0.0)


def test_without_blur_pixels_take_what_they_cover() -> None:
    matrix = blur_matrix(torch.tensor(0.0), Raster(count=3, step_mm=4.0), Raster(count=6, step_mm=2.0))
    expected = torch.kron(torch.eye(3), torch.tensor([[0.5], [0.5]])).double()
    torch.testing.assert_close(matrix, expected, rtol=0.0, atol=1e-6)


def test_what_leaves_the_detector_is_lost() -> None:
    matrix = blur_matrix(torch.tensor(3.0), Raster(count=1, step_mm=1.0, centre_mm=10.0), Raster(count=20, step_mm=1.0))
    assert float(matrix.sum()) == pytest.approx(0.5, abs=1e-6)
