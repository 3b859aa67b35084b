"""Whole-body sweep: dwell times in closed form, and what the head sees on its way."""

import math

import pytest
import torch

from planar3d.physics.sweep import WholeBodySweep

ROW_MM = 4.8
Z_MM = (torch.arange(400, dtype=torch.float64) + 0.5) * ROW_MM
SWEEP = WholeBodySweep(speed_mm_per_s=1.67, head_length_mm=387.0, start_mm=0.0, stop_mm=400 * ROW_MM)


def test_with_an_electronic_window_every_row_has_head_length_over_speed() -> None:
    z = torch.tensor([-0.1, 0.1, 100.0, 960.0, 1919.9, 1920.1], dtype=torch.float64)
    seconds = 387.0 / 1.67
    expected = torch.tensor([0.0, seconds, seconds, seconds, seconds, 0.0], dtype=torch.float64)
    torch.testing.assert_close(SWEEP.dwell_time_s(z), expected)
    assert SWEEP.duration_s == pytest.approx((1920.0 + 387.0) / 1.67)


def test_without_one_the_time_rises_over_a_head_length() -> None:
    ramp = WholeBodySweep(speed_mm_per_s=2.0, head_length_mm=400.0, start_mm=1900.0, stop_mm=100.0, ends="ramp")
    z = torch.tensor([50.0, 100.0, 200.0, 500.0, 1000.0, 1500.0, 1800.0, 1900.0], dtype=torch.float64)
    expected = torch.tensor([0.0, 0.0, 50.0, 200.0, 200.0, 200.0, 50.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(ramp.dwell_time_s(z), expected)
    assert ramp.duration_s == pytest.approx((1800.0 - 400.0) / 2.0)


@pytest.mark.parametrize("ends", ["window", "ramp"])
def test_time_integral_is_the_dwell_time_and_the_head_sees_its_length(ends: str) -> None:
    sweep = WholeBodySweep(speed_mm_per_s=1.67, head_length_mm=387.0, start_mm=0.0, stop_mm=400 * ROW_MM, ends=ends)  # pyright: ignore
    exposure = sweep.exposure(Z_MM)
    torch.testing.assert_close(exposure.dwell_time_s, sweep.dwell_time_s(Z_MM))
    seen_mm = exposure.seen.sum(dim=1) * ROW_MM
    first, last = sweep.path_mm
    middle = first + (torch.arange(len(seen_mm)) + 0.5) * (last - first) / len(seen_mm)
    over_image = (middle + 193.5).clamp(max=1920.0) - (middle - 193.5).clamp(min=0.0)
    torch.testing.assert_close(seen_mm, over_image.double(), rtol=1e-5, atol=1e-3)
    # where a row is in full view, it is recorded for the time in which the head moves one step
    inside = exposure.seen[:, 100:300] > 0.999999
    steps_s = exposure.seconds[:, 100:300][inside]
    torch.testing.assert_close(steps_s, torch.full_like(steps_s, (last - first) / len(seen_mm) / 1.67), rtol=1e-4, atol=0.0)


def test_bad_input_is_named() -> None:
    given = {"speed_mm_per_s": 1.0, "head_length_mm": 400.0, "start_mm": 0.0, "stop_mm": 1800.0}
    for changes, sentence in (
        ({"speed_mm_per_s": 0.0}, "speed_mm_per_s must be positive and finite, got 0.0"),
        ({"head_length_mm": math.nan}, "head_length_mm must be positive"),
        ({"stop_mm": 0.0}, "start_mm and stop_mm must be finite and differ"),
        ({"stop_mm": 300.0, "ends": "ramp"}, "300 mm apart, not more than head_length_mm=400"),
    ):
        with pytest.raises(ValueError, match=sentence):
            WholeBodySweep(**{**given, **changes})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="z_mm must be ascending"):
        SWEEP.exposure(Z_MM.flip(0))
    with pytest.raises(ValueError, match="at least two are needed"):
        SWEEP.exposure(Z_MM[:1])
