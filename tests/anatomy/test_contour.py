"""Contours become the voxels within them: half voxels, holes, planes between slices."""

from __future__ import annotations

import numpy as np
import pytest

from planar3d.anatomy.contour import fill_contours
from planar3d.anatomy.contour_stack import fill_stack, planes_of

SHAPE = (31, 24)


def ellipse(middle: tuple[float, float], radii: tuple[float, float], corners: int = 90) -> np.ndarray:
    angle = np.linspace(0.0, 2.0 * np.pi, corners, endpoint=False)
    return np.column_stack([middle[0] + radii[0] * np.cos(angle), middle[1] + radii[1] * np.sin(angle)])


def box(x: tuple[float, float], y: tuple[float, float]) -> np.ndarray:
    return np.array([(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])])


def test_pixels_whose_centre_is_within_belong_to_it() -> None:
    mask = fill_contours([box((2.6, 7.4), (3.5, 5.5))], SHAPE)
    assert np.argwhere(mask).tolist() == [[x, y] for x in (3, 4, 5, 6, 7) for y in (4, 5)]


def test_a_contour_through_centres_takes_its_own_pixels_and_a_hole_does_not() -> None:
    # as masks are written by tracing the centres of their outermost pixels, which of a hole are those around it
    ring = fill_contours([box((2.0, 9.0), (3.0, 8.0)), box((4.0, 7.0), (5.0, 6.0))], SHAPE)
    expected = np.zeros(SHAPE, dtype=bool)
    expected[2:10, 3:9] = True
    assert np.array_equal(ring, expected)  # the hole between centres 4 and 7, 5 and 6 has pixels 5, 6 in x and none in y
    wide = fill_contours([box((2.0, 9.0), (3.0, 8.0)), box((4.0, 7.0), (4.0, 7.0))], SHAPE)
    expected[5:7, 5:7] = False
    assert np.array_equal(wide, expected)
    assert np.argwhere(fill_contours([np.array([[5.0, 6.0]])], SHAPE)).tolist() == [[5, 6]]


@pytest.mark.parametrize("middle", [(15.0, 11.0), (15.5, 11.5), (14.3, 12.8)])
def test_an_ellipse_keeps_area_and_place(middle: tuple[float, float]) -> None:
    fine = np.mean([fill_contours([ellipse((middle[0] + dx, middle[1] + dy), (9.2, 7.1))], SHAPE) for dx, dy in _shifts()], axis=0)
    assert fine.sum() == pytest.approx(np.pi * 9.2 * 7.1, rel=0.01)
    one = fill_contours([ellipse(middle, (9.2, 7.1))], SHAPE)
    np.testing.assert_allclose(np.argwhere(one).mean(axis=0), middle, atol=0.13)


def _shifts() -> list[tuple[float, float]]:
    return [(dx, dy) for dx in (-0.4, -0.1, 0.2, 0.37) for dy in (-0.3, 0.0, 0.17, 0.45)]


def test_what_lies_beyond_the_image_is_cut_off() -> None:
    assert fill_contours([box((-9.0, 60.0), (-7.0, 50.0))], SHAPE).all()
    assert not fill_contours([box((40.0, 60.0), (2.0, 9.0))], SHAPE).any()
    left = fill_contours([ellipse((0.0, 11.0), (6.0, 6.0))], SHAPE)
    whole = fill_contours([ellipse((15.0, 11.0), (6.0, 6.0))], SHAPE)
    assert np.array_equal(left[:7], whole[15:22])


def test_a_slice_with_two_parts_and_a_hole() -> None:
    mask = fill_contours([box((1.5, 9.5), (1.5, 9.5)), box((3.5, 6.5), (3.5, 6.5)), box((12.5, 14.5), (2.5, 4.5))], SHAPE)
    assert mask.sum() == 64 - 9 + 4
    assert not mask[5, 5]


def test_a_hole_may_be_reached_through_a_keyhole() -> None:
    outer, inner = box((1.5, 9.5), (1.5, 9.5)), box((3.5, 6.5), (3.5, 6.5))[::-1]
    keyhole = np.concatenate([outer, outer[:1], inner, inner[:1]])
    assert np.array_equal(fill_contours([keyhole], SHAPE), fill_contours([outer, inner], SHAPE))


def _ball(every: float, start: float = 0.0) -> tuple[int, np.ndarray]:
    """A ball of 9 voxels about (15, 12, 14.2), outlined in planes."""
    heights = np.arange(start, 29.0, every)
    drawn = [h for h in heights if abs(h - 14.2) < 8.9]
    contours = [ellipse((15.0, 12.0), (np.sqrt(81 - (h - 14.2) ** 2),) * 2) for h in drawn]
    return fill_stack(planes_of(drawn, contours), SHAPE, (2.0, 2.0))


@pytest.mark.parametrize(("every", "start"), [(1.0, 0.0), (2.0, 0.0), (2.0, 1.0), (3.0, 0.0), (1.5, 0.3), (0.5, 0.0)])
def test_planes_apart_from_slices_keep_volume_and_place(every: float, start: float) -> None:
    first, mask = _ball(every, start)
    assert mask.sum() == pytest.approx(4.0 / 3.0 * np.pi * 9.0**3, rel=0.02 * max(1.0, every))
    middle = np.argwhere(mask).mean(axis=0) + np.array([0.0, 0.0, first])
    np.testing.assert_allclose(middle, (15.0, 12.0, 14.2), atol=0.1 * max(1.0, every))


def test_contours_of_every_slice_are_left_as_they_are() -> None:
    first, mask = fill_stack(planes_of([4.0, 3.0, 6.0, 7.0, 8.0], [box((2.5, 5.5), (2.5, 5.5))] * 5), SHAPE, (1.0, 1.0))
    assert [first + k for k in np.flatnonzero(mask.any(axis=(0, 1)))] == [3, 4, 6, 7, 8]  # 5 is a gap, not a slice to fill


def test_a_lone_plane_is_one_slice() -> None:
    for height, slice_ in ((4.0, 4), (4.4, 4), (4.5, 5)):
        first, mask = fill_stack(planes_of([height], [box((2.5, 5.5), (2.5, 5.5))]), SHAPE, (1.0, 1.0))
        assert [first + k for k in np.flatnonzero(mask.any(axis=(0, 1)))] == [slice_]
