"""Texture and noise of the CT belong to the place, not to the grid's corner."""

from __future__ import annotations

import pytest
import torch

from planar3d.anatomy.texture import NOISE_HU, ct_texture
from planar3d.grid import Grid
from planar3d.organs import organ_id

GRID = Grid.centred((40, 40, 40), 8.0)


def _labels(organ: str) -> torch.Tensor:
    return torch.full(GRID.shape, organ_id(organ))


def test_it_is_centred_and_as_strong_as_stated() -> None:
    liver, lung = ct_texture(_labels("liver"), GRID, 1), ct_texture(_labels("lung_left"), GRID, 1)
    assert abs(float(liver.mean())) < 1.0
    assert NOISE_HU < float(liver.std()) < 1.5 * NOISE_HU
    assert float(lung.std()) > 2.5 * NOISE_HU


def test_a_part_of_the_field_has_its_part() -> None:
    part = Grid(
        shape=(10, 12, 14), spacing_mm=GRID.spacing_mm, origin_mm=(GRID.origin_mm[0] + 40.0, GRID.origin_mm[1], GRID.origin_mm[2] + 16.0)
    )
    whole = ct_texture(_labels("fat"), GRID, 1)[5:15, :12, 2:16]
    torch.testing.assert_close(ct_texture(torch.full(part.shape, organ_id("fat")), part, 1), whole, atol=1e-2, rtol=0.0)


def test_the_seed_decides() -> None:
    a, b, c = (ct_texture(_labels("liver"), GRID, seed) for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert abs(float(torch.corrcoef(torch.stack([a.flatten(), c.flatten()]))[0, 1])) < 0.02


def test_neighbours_and_axes_are_independent() -> None:
    noise = ct_texture(_labels("brain"), GRID, 3)
    for axis in range(3):
        pair = torch.stack([noise.narrow(axis, 0, 39).flatten(), noise.narrow(axis, 1, 39).flatten()])
        assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.25  # the smooth part alone
    assert float(noise.mean(dim=(1, 2)).std()) == pytest.approx(0.0, abs=1.5)


def test_air_has_none() -> None:
    assert float(ct_texture(torch.zeros(GRID.shape, dtype=torch.int64), GRID, 1).abs().max()) == 0.0
