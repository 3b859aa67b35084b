"""What the views leave open."""

from __future__ import annotations

import pytest
import torch

from planar3d.grid import Grid
from planar3d.physics import GammaCamera, Orbit
from planar3d.physics.null_space import split_visible

GRID = Grid.centred((10, 8, 9), 12.0)


def before_water(views: int = 2) -> torch.nn.Module:
    mu = torch.full((1, 1, *GRID.shape), 0.0135, dtype=torch.float64)
    camera = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=1.0, scatter=False)
    return camera.projector(mu, GRID) if views == 2 else camera.rotating_projector(mu, GRID, Orbit.circular(views, 150.0))


@pytest.mark.parametrize("batch", [1, 2])
def test_the_hidden_part_changes_no_image_and_is_no_part_of_the_visible_one(generator: torch.Generator, batch: int) -> None:
    projector = before_water()
    x = torch.rand(batch, 1, *GRID.shape, dtype=torch.float64, generator=generator)
    visible, hidden = split_visible(projector, x, iterations=400, tolerance=1e-9)
    torch.testing.assert_close(visible + hidden, x)
    assert float(projector(hidden).norm() / projector(x).norm()) < 1e-8
    assert float((visible * hidden).sum() / (visible.norm() * hidden.norm())) < 1e-6
    assert hidden.norm() > 0.2 * x.norm()


def test_more_views_hide_less(generator: torch.Generator) -> None:
    x = torch.rand(1, 1, *GRID.shape, dtype=torch.float64, generator=generator)
    two, many = (split_visible(before_water(n), x, iterations=60)[1].norm() for n in (2, 24))
    assert many < 0.8 * two


def test_no_step_is_an_error(generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match="iterations must be at least 1"):
        split_visible(before_water(), torch.ones(1, 1, *GRID.shape, dtype=torch.float64), iterations=0)
