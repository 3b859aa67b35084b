"""Static spots: times, stitching, dead time of a stitched image."""

import pytest
import torch

from planar3d.physics import poisson
from planar3d.physics.dead_time import DeadTime
from planar3d.physics.exposure import apply_dead_time, correct_dead_time
from planar3d.physics.spots import StaticSpots

SPOTS = StaticSpots(centres_mm=(200.0, 560.0, 880.0), head_length_mm=400.0, time_s=(100.0, 200.0, 50.0))
ROWS = 40


def rows_of(spots: StaticSpots, row_mm: float = 10.0) -> list[torch.Tensor]:
    return [centre - 200.0 + (torch.arange(ROWS, dtype=torch.float64) + 0.5) * row_mm for centre in spots.centres_mm]


def test_dwell_time_adds_up_where_spots_overlap() -> None:
    z = torch.tensor([-1.0, 1.0, 359.0, 361.0, 399.0, 401.0, 679.0, 681.0, 759.0, 761.0, 1079.0, 1081.0], dtype=torch.float64)
    expected = torch.tensor([0.0, 100.0, 100.0, 300.0, 300.0, 200.0, 200.0, 250.0, 250.0, 50.0, 50.0, 0.0], dtype=torch.float64)
    assert torch.equal(SPOTS.dwell_time_s(z), expected)
    one_for_all = StaticSpots(centres_mm=SPOTS.centres_mm, head_length_mm=400.0, time_s=30.0)
    assert torch.equal(one_for_all.exposure(z).seconds, 30.0 * one_for_all.exposure(z).seen)


def test_spots_that_only_touch_share_no_row() -> None:
    touching = StaticSpots(centres_mm=(0.0, 100.0), head_length_mm=100.0, time_s=7.0)
    edges = torch.tensor([-50.0, 0.0, 50.0, 100.0, 150.0], dtype=torch.float64)
    assert touching.dwell_time_s(edges).tolist() == [7.0, 7.0, 7.0, 7.0, 0.0]


def test_stitching_keeps_every_count_in_its_place(generator: torch.Generator) -> None:
    images = [torch.randint(0, 50, (1, 2, 3, ROWS), generator=generator).float() for _ in range(3)]
    stitched = SPOTS.stitch(images, rows_of(SPOTS))
    assert stitched.counts.shape == (1, 2, 3, 108)
    assert stitched.counts.dtype == torch.float32
    assert float(stitched.counts.sum()) == sum(float(image.sum()) for image in images)
    torch.testing.assert_close(stitched.z_mm, (torch.arange(108, dtype=torch.float64) + 0.5) * 10.0)
    torch.testing.assert_close(stitched.dwell_time_s, SPOTS.dwell_time_s(stitched.z_mm))
    by_hand = torch.zeros(1, 2, 3, 108)
    for first, image in zip((0, 36, 68), images, strict=True):
        by_hand[..., first : first + ROWS] += image
    assert torch.equal(stitched.counts, by_hand)


def test_order_of_the_spots_does_not_matter(generator: torch.Generator) -> None:
    images = [torch.rand(1, 2, 3, ROWS, generator=generator, dtype=torch.float64) for _ in range(3)]
    turned = StaticSpots(centres_mm=SPOTS.centres_mm[::-1], head_length_mm=400.0, time_s=SPOTS.times_s[::-1])
    one, other = SPOTS.stitch(images, rows_of(SPOTS)), turned.stitch(images[::-1], rows_of(SPOTS)[::-1])
    torch.testing.assert_close(one.counts, other.counts)
    assert torch.equal(one.dwell_time_s, other.dwell_time_s)


def test_a_uniform_source_has_a_uniform_rate_and_stays_poisson(generator: torch.Generator) -> None:
    images = [poisson(torch.full((1, 2, 400, ROWS), 0.04 * time_s), generator) for time_s in SPOTS.times_s]
    stitched = SPOTS.stitch(images, rows_of(SPOTS))
    expected = 0.04 * stitched.dwell_time_s
    mean, variance = stitched.counts.mean(dim=(0, 1, 2)), stitched.counts.var(dim=(0, 1, 2))
    assert float((mean / expected - 1.0).abs().max()) < 0.1
    # 800 pixels a row: the variance is known to 5 %
    assert float((variance / expected - 1.0).abs().max()) < 0.25
    assert float((variance / expected).mean()) == pytest.approx(1.0, abs=0.02)


def test_dead_time_of_a_stitched_image_is_that_of_its_spots(generator: torch.Generator) -> None:
    head = DeadTime(tau_s=2e-6)
    z = (torch.arange(108, dtype=torch.float64) + 0.5) * 10.0
    rates = 1e4 * torch.rand(1, 2, 3, 108, generator=generator, dtype=torch.float64) * torch.exp(-(((z - 600.0) / 150.0) ** 2))
    spots = [slice(0, 40), slice(36, 76), slice(68, 108)]
    apart = [
        rates[..., part] * seconds * head.live_fraction(rates[..., part].sum(dim=(2, 3)))[..., None, None]
        for part, seconds in zip(spots, SPOTS.times_s, strict=True)
    ]
    recorded = SPOTS.stitch(apart, rows_of(SPOTS))
    expected = rates * recorded.dwell_time_s
    exposure = SPOTS.exposure(recorded.z_mm)
    assert float((recorded.counts / expected).min()) < 0.7
    torch.testing.assert_close(apply_dead_time(expected, head, exposure), recorded.counts)
    torch.testing.assert_close(correct_dead_time(recorded.counts, head, exposure), expected, rtol=1e-8, atol=0.0)


def test_what_cannot_be_stitched_is_named() -> None:
    images, z = [torch.ones(1, 2, 3, ROWS) for _ in range(3)], rows_of(SPOTS)
    with pytest.raises(ValueError, match="z_mm leaves rows between 400 and 600 mm that no spot has"):
        StaticSpots(centres_mm=(200.0, 800.0), head_length_mm=400.0, time_s=1.0).stitch(images[:2], [z[0], z[0] + 600.0])
    with pytest.raises(ValueError, match=r"z_mm\[1\] lies 0.30 rows off the raster"):
        SPOTS.stitch(images, [z[0], z[1] + 3.0, z[2]])
    with pytest.raises(ValueError, match=r"z_mm\[2\] has rows of 9.9 mm and z_mm\[0\] of 10 mm"):
        SPOTS.stitch(images, [z[0], z[1], 680.0 + (torch.arange(ROWS, dtype=torch.float64) + 0.5) * 9.9])
    with pytest.raises(ValueError, match=r"z_mm\[0\] reaches from 365 to 755 mm, outside the field of view of the spot at 200 mm"):
        SPOTS.stitch(images, [z[1], z[0], z[2]])
    with pytest.raises(ValueError, match="images and z_mm hold 2 and 3 spots, centres_mm 3"):
        SPOTS.stitch(images[:2], z)
    with pytest.raises(ValueError, match=r"images\[1\] has 39 rows and z_mm\[1\] 40"):
        SPOTS.stitch([images[0], images[1][..., 1:], images[2]], z)
    with pytest.raises(ValueError, match=r"images must agree in \(b, view, x\)"):
        SPOTS.stitch([images[0], images[1][:, :, 1:], images[2]], z)


def test_bad_figures_are_named() -> None:
    given = {"centres_mm": (0.0, 300.0), "head_length_mm": 400.0, "time_s": 60.0}
    for changes, sentence in (
        ({"centres_mm": ()}, "centres_mm must hold a finite place for each spot"),
        ({"head_length_mm": -1.0}, "head_length_mm must be positive and finite, got -1.0"),
        ({"time_s": (60.0,)}, "time_s holds 1 times for 2 spots"),
        ({"time_s": (60.0, 0.0)}, "time_s must be positive and finite"),
    ):
        with pytest.raises(ValueError, match=sentence):
            StaticSpots(**{**given, **changes})  # pyright: ignore[reportArgumentType]
