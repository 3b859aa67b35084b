"""Timing, dead time, room background and side windows of a measured image."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from planar3d.acquisition import background, dwell_time_s, live_fraction, side_window_scatter
from planar3d.io import PlanarImage
from planar3d.physics.dead_time import DeadTime
from planar3d.physics.exposure import live_fraction as exact_live_fraction
from planar3d.physics.side_windows import SideWindowScatter
from planar3d.physics.sweep import WholeBodySweep

WINDOWS_KEV = ((175.0, 187.6), (187.5, 229.2), (229.2, 241.8))


@pytest.fixture
def image(generator: torch.Generator) -> PlanarImage:
    """A scan of 1500 mm with a hot spot, about 20 000 cps where the head sees most."""
    profile = 0.2 + torch.exp(-0.5 * ((torch.arange(150) - 90.0) / 6.0) ** 2)
    rates = profile * torch.tensor([1.0, 0.6])[:, None, None] * (0.5 + torch.rand(1, 2, 20, 150, generator=generator))
    return PlanarImage(
        views=rates * 200.0 * 30.0, pixel_mm=(10.0, 10.0), origin_mm=(0.0, -300.0), isotope="Lu-177", camera="siemens-melp",
        scan_speed_mm_per_s=387.0 / 200.0,
    )  # fmt: skip


def with_side_windows(image: PlanarImage, kind: str, **changes: object) -> PlanarImage:
    return replace(image, scatter_correction=kind, lower_views=0.2 * image.views, upper_views=0.02 * image.views, **changes)


def test_dwell_time_is_the_head_over_the_speed(image: PlanarImage) -> None:
    assert dwell_time_s(image) == pytest.approx(200.0)
    assert dwell_time_s(replace(image, head_length_mm=300.0)) == pytest.approx(200.0 * 300.0 / 387.0)
    assert dwell_time_s(replace(image, camera="ge-megp")) == pytest.approx(200.0 * 400.0 / 387.0)
    assert dwell_time_s(replace(image, scan_speed_mm_per_s=None, dwell_time_s=77.0)) == 77.0


def test_live_fraction_is_that_of_the_sweep(image: PlanarImage) -> None:
    assert live_fraction(image) is None
    assert live_fraction(replace(image, dead_time_s=0.0)) is None
    z_mm = -300.0 + 10.0 * torch.arange(150, dtype=torch.float64)
    sweep = WholeBodySweep(speed_mm_per_s=387.0 / 200.0, head_length_mm=387.0, start_mm=-305.0, stop_mm=1195.0)
    exact = exact_live_fraction(image.views.double(), DeadTime(tau_s=1.5e-5), sweep.exposure(z_mm))
    recorded = (image.views * exact[:, :, None]).float()
    found = live_fraction(replace(image, views=recorded, dead_time_s=1.5e-5))
    assert found is not None
    assert float(exact.min()) < 0.85
    assert float(exact.max()) > 0.95
    torch.testing.assert_close(found, exact[0].float(), rtol=1e-5, atol=0.0)


def test_a_still_head_has_one_live_fraction(image: PlanarImage) -> None:
    still = replace(image, views=image.views[..., :38], scan_speed_mm_per_s=None, dwell_time_s=200.0)
    rate = still.views.double().sum(dim=(2, 3)) / 200.0
    tau_s = 0.2 / float(rate.max())
    found = live_fraction(replace(still, views=(still.views * torch.exp(-tau_s * rate)[..., None, None]).float(), dead_time_s=tau_s))
    assert found is not None
    torch.testing.assert_close(found.double(), torch.exp(-tau_s * rate)[0, :, None].expand(2, 38), rtol=1e-5, atol=0.0)


def test_a_long_image_with_dead_time_needs_its_speed(image: PlanarImage) -> None:
    with pytest.raises(ValueError, match=r"image of 1500 mm along z, longer than the head of 387 mm.* give scan_speed_mm_per_s"):
        live_fraction(replace(image, scan_speed_mm_per_s=None, dwell_time_s=200.0, dead_time_s=1e-6))


def test_more_than_the_head_can_record_is_refused(image: PlanarImage) -> None:
    with pytest.raises(ValueError, match=r"dead_time_s=0\.0001 does not go with the image: counts of view 0 come from no true rate"):
        live_fraction(replace(image, dead_time_s=1e-4))


def test_room_counts_are_rate_by_time_by_share_of_the_head(image: PlanarImage) -> None:
    assert background(image, None) is None
    room = background(replace(image, background_cps=(30.0, 12.0)), None)
    assert room is not None
    per_pixel = torch.tensor([30.0, 12.0]) * 200.0 * 100.0 / (533.0 * 387.0)
    torch.testing.assert_close(room, per_pixel[None, :, None, None].expand_as(room))
    live = torch.linspace(0.5, 1.0, 300).view(2, 150)
    dimmed = background(replace(image, background_cps=(30.0, 12.0)), live)
    torch.testing.assert_close(dimmed, room * live[:, None])


@pytest.mark.parametrize(("kind", "upper"), [("tew", True), ("dew", False)])
def test_scatter_of_the_usual_windows_is_calibrated_and_smooth(kind: str, upper: bool, image: PlanarImage) -> None:
    exact = SideWindowScatter.calibrated("Lu-177", 208.0, upper=upper, smoothing_fwhm_mm=15.0)
    given = with_side_windows(image, kind)
    assert side_window_scatter(given) == exact
    assert side_window_scatter(replace(given, windows_kev=WINDOWS_KEV)) == exact
    known = background(given, torch.full((2, 150), 0.5))
    assert given.lower_views is not None
    torch.testing.assert_close(known, exact.estimate(given.lower_views, given.upper_views if upper else None, pixel_mm=(10.0, 10.0)))


def test_other_windows_take_the_trapezoid_or_are_refused(image: PlanarImage) -> None:
    other = ((166.4, 187.2), (187.2, 228.8), (228.8, 249.6))
    found = side_window_scatter(with_side_windows(image, "tew", windows_kev=other))
    assert (found.lower_weight, found.upper_weight) == (pytest.approx(1.0), pytest.approx(1.0))
    with pytest.raises(ValueError, match="scatter_correction=dew knows the weight of the windows in common use"):
        side_window_scatter(with_side_windows(image, "dew", windows_kev=other))


def test_the_line_imaged_has_its_own_weights(image: PlanarImage) -> None:
    found = side_window_scatter(with_side_windows(image, "tew", energy_kev=113.0))
    assert found == SideWindowScatter.calibrated("Lu-177", 113.0, smoothing_fwhm_mm=15.0)
    assert not math.isclose(found.lower_weight, side_window_scatter(with_side_windows(image, "tew")).lower_weight, rel_tol=0.1)


def test_a_missing_upper_window_is_told_unless_there_is_none(image: PlanarImage) -> None:
    lower_only = replace(with_side_windows(image, "tew"), upper_views=None)
    with pytest.raises(ValueError, match=r"needs the counts of the energy window above the peak .* planar_upper=\.\.\."):
        side_window_scatter(lower_only)
    technetium = side_window_scatter(replace(lower_only, isotope="Tc-99m", camera="siemens-lehr"))
    assert technetium == side_window_scatter(replace(lower_only, isotope="Tc-99m", camera="siemens-lehr", scatter_correction="dew"))
