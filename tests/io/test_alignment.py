"""Acquisitions on common pixels: each pixel keeps its place in the patient within half a pixel, and its counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from planar3d.io import PlanarImage
from planar3d.io.alignment import on_common_pixels, within_field_of_view


def image(origin_mm: tuple[float, float], *, pixel_mm: tuple[float, float] = (4.0, 5.0)) -> PlanarImage:
    """An image whose counts tell the place of each pixel along x and z."""
    x = origin_mm[0] + pixel_mm[0] * torch.arange(20)
    z = origin_mm[1] + pixel_mm[1] * torch.arange(30)
    counts = (1000.0 + x[:, None] + 1e4 + 7.0 * z[None]).expand(1, 2, -1, -1).clone()
    return PlanarImage(views=counts, pixel_mm=pixel_mm, origin_mm=origin_mm, isotope="Lu-177", camera="siemens-melp", dwell_time_s=100.0)


def test_whole_pixels_are_cut_and_nothing_else() -> None:
    first, second = on_common_pixels([image((0.0, 0.0)), image((8.0, -15.0))])
    assert first.origin_mm == second.origin_mm == (8.0, 0.0)
    assert first.views.shape == second.views.shape == (1, 2, 18, 27)
    torch.testing.assert_close(first.views, second.views)


def test_the_rest_is_less_than_half_a_pixel() -> None:
    """Counts grow by 1 per mm along x and 7 per mm along z, so their difference is the shift."""
    first, second = on_common_pixels([image((0.0, 0.0)), image((5.5, 11.0))])
    assert first.origin_mm == second.origin_mm
    torch.testing.assert_close(second.views - first.views, torch.full_like(first.views, 1.5 + 7.0 * 1.0))


def test_side_windows_are_cut_alike() -> None:
    second = image((8.0, 0.0))
    second = replace(second, lower_views=2.0 * second.views)
    cut = on_common_pixels([image((0.0, 0.0)), second])[1]
    assert cut.lower_views is not None
    torch.testing.assert_close(cut.lower_views, 2.0 * cut.views)


def test_images_that_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="different grids"):
        on_common_pixels([image((0.0, 0.0)), image((0.0, 0.0), pixel_mm=(4.4, 5.0))])
    with pytest.raises(ValueError, match="no part of the patient"):
        on_common_pixels([image((0.0, 0.0)), image((0.0, 200.0))])


def test_what_lies_beyond_the_field_of_view_is_cut_and_all_else_stays() -> None:
    """A matrix larger than the head: its outer columns and rows hold nothing in either view."""
    whole = image((-40.0, 100.0))
    views = torch.zeros_like(whole.views)
    views[:, 0, 3:17, 5:28] = whole.views[:, 0, 3:17, 5:28]
    views[:, 1, 4:18, 5:26] = whole.views[:, 1, 4:18, 5:26]
    views[:, :, 9, 12] = 0.0  # a dead spot within
    seen = within_field_of_view(replace(whole, views=views, lower_views=2 * views, windows_kev=((1.0, 2.0), (3.0, 4.0))))
    assert seen.views.shape == (1, 2, 15, 23)
    torch.testing.assert_close(seen.views, views[:, :, 3:18, 5:28])
    assert seen.lower_views is not None
    torch.testing.assert_close(seen.lower_views, 2 * seen.views)
    assert seen.origin_mm == (-40.0 + 3 * 4.0, 100.0 + 5 * 5.0)
    first = seen.views[0, 0, 0, 0]
    assert first == 1000.0 + seen.origin_mm[0] + 1e4 + 7.0 * seen.origin_mm[1]  # each pixel tells its place
    same = within_field_of_view(whole)
    torch.testing.assert_close(same.views, whole.views)
    assert same.origin_mm == whole.origin_mm
