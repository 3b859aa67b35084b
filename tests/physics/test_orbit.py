"""Where the head stands."""

import math

import pytest
import torch

from planar3d.grid import Grid
from planar3d.physics import Orbit


def test_opposed_views_share_a_line() -> None:
    orbit = Orbit.circular(4, 200.0)
    assert orbit.angles_deg == (0.0, 90.0, 180.0, 270.0)
    assert orbit.axes() == {0.0: (0, 2), 90.0: (1, 3)}
    assert orbit.sides() == (1, 1, -1, -1)
    turned = Orbit(angles_deg=(-90.0, 360.0, 540.0 - 1e-12), radii_mm=(1.0, 2.0, 3.0))
    assert turned.axes() == {90.0: (0,), 0.0: (1, 2)}
    assert turned.sides() == (-1, 1, -1)


def test_contour_keeps_its_clearance() -> None:
    """Of an elliptic cylinder of half axes a, b, the face at angle t is sqrt(a^2 sin^2 + b^2 cos^2) away, plus the clearance."""
    grid = Grid.centred((81, 61, 3), 5.0)
    x, y = torch.meshgrid(torch.arange(81) - 40.0, torch.arange(61) - 30.0, indexing="ij")
    body = (((x * 5 / 160) ** 2 + (y * 5 / 110) ** 2) <= 1)[None, None, :, :, None].expand(1, 1, 81, 61, 3)
    orbit = Orbit.contour([0.0, 30.0, 90.0, 200.0], body, grid, clearance_mm=15.0)
    for angle, radius in zip(orbit.angles_deg, orbit.radii_mm, strict=True):
        t = math.radians(angle)
        assert radius == pytest.approx(math.hypot(160 * math.sin(t), 110 * math.cos(t)) + 15.0, abs=5.0)


def test_contour_of_a_body_aside_stands_nearer_on_its_side() -> None:
    grid = Grid.centred((41, 41, 3), 5.0)
    body = torch.zeros(1, 1, 41, 41, 3, dtype=torch.bool)
    body[:, :, 25:35, 15:25] = True  # on the patient's right
    right, left = Orbit.contour([90.0, 270.0], body, grid, clearance_mm=10.0).radii_mm
    assert right == pytest.approx((34 - 20 + 0.5) * 5.0 + 10.0)
    assert left == pytest.approx(10.0)  # the face may not pass the axis


@pytest.mark.parametrize(
    ("angles", "radii", "sentence"),
    [
        ((), (), "angles_deg is empty"),
        ((0.0, 1.0), (200.0,), "radii_mm must hold one radius per view, got 1 for 2"),
        ((0.0,), (-3.0,), "radii_mm must be positive and finite"),
        ((math.nan,), (200.0,), "angles_deg must be finite"),
    ],
)
def test_bad_orbits_are_named(angles: tuple, radii: tuple, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Orbit(angles_deg=angles, radii_mm=radii)


def test_empty_body_is_named() -> None:
    with pytest.raises(ValueError, match="body is empty"):
        Orbit.contour([0.0], torch.zeros(1, 1, 4, 4, 4, dtype=torch.bool), Grid.centred((4, 4, 4), 5.0))
