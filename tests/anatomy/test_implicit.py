"""Solids are what their names say, and about distances near their walls."""

from __future__ import annotations

import math

import pytest
import torch

from planar3d.anatomy.implicit import Points, Tube, ball, ellipsoid, smooth_union


@pytest.fixture(scope="module")
def at() -> Points:
    """A lattice of 2 mm about the origin."""
    axis = torch.arange(-40.0, 41.0, 2.0)
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    return Points(x=x, y=y, z=z)


def _volume(field: torch.Tensor) -> float:
    return float((field < 0).sum()) * 8.0


def test_volumes_have_their_closed_forms(at: Points) -> None:
    assert _volume(ball(at, (1, 0, 0), 20)) == pytest.approx(4.0 / 3.0 * math.pi * 20**3, rel=0.02)
    turned = ellipsoid(at, (0, 0, 0), (10, 20, 30), turn_deg=(20, 30, 40))
    assert _volume(turned) == pytest.approx(4.0 / 3.0 * math.pi * 6000, rel=0.02)
    tube = Tube.along([(-30, 0, 0), (30, 0, 0)], 8.5)(at)
    assert _volume(tube) == pytest.approx(math.pi * 8.5**2 * 60 + 4.0 / 3.0 * math.pi * 8.5**3, rel=0.06)


def test_a_turn_is_right_handed(at: Points) -> None:
    """About z by 90 degrees, what was long along x is long along y."""
    field = ellipsoid(at, (0, 0, 0), (30, 10, 10), turn_deg=(0, 0, 45))
    ahead = field[30, 30, 20]  # x = y = 20
    across = field[10, 30, 20]
    assert float(ahead) < 0 < float(across)


def test_all_pairs_give_what_the_tree_gives() -> None:
    tube = Tube.joined([Tube.along([(0, 0, 0), (20, 5, 0), (30, 20, 10)], [4, 6, 3]), Tube.along([(0, 9, 9), (10, 9, 30)], 5)])
    points = 40.0 * torch.rand(4000, 3, generator=torch.Generator().manual_seed(0)) - 5.0
    torch.testing.assert_close(tube.depth_by_pairs(points, 15.0), tube.depth_by_tree(points, 15.0), atol=1e-3, rtol=0.0)


def test_a_smooth_union_holds_both_and_fills_the_crease(at: Points) -> None:
    a, b = ball(at, (-12, 0, 0), 15), ball(at, (12, 0, 0), 15)
    joined = smooth_union(a, b, 8.0)
    assert bool((joined <= torch.minimum(a, b) + 1e-5).all())
    assert _volume(joined) > _volume(torch.minimum(a, b))
    far = (a - b).abs() > 8.0
    torch.testing.assert_close(joined[far], torch.minimum(a, b)[far])
