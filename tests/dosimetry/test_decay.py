"""Decay correction names its reference and goes both ways."""

from __future__ import annotations

import pytest
import torch

from planar3d.dosimetry import decay_correct


def test_a_half_life_halves_and_back_doubles() -> None:
    activity = torch.tensor([8.0, 6.0])
    later = decay_correct(activity, measured_s=100.0, reference_s=150.0, half_life_s=50.0)
    torch.testing.assert_close(later, 0.5 * activity)
    torch.testing.assert_close(decay_correct(later, measured_s=150.0, reference_s=100.0, half_life_s=50.0), activity)


def test_points_of_pure_decay_come_to_one_activity() -> None:
    times = torch.tensor([0.0, 30.0, 200.0])
    points = 5.0 * torch.exp2(-times / 40.0).expand(2, -1)
    torch.testing.assert_close(decay_correct(points, measured_s=times, reference_s=0.0, half_life_s=40.0), torch.full((2, 3), 5.0))


def test_bad_half_life_and_time_are_refused() -> None:
    with pytest.raises(ValueError, match="half_life_s"):
        decay_correct(torch.ones(1), measured_s=0.0, reference_s=0.0, half_life_s=0.0)
    with pytest.raises(ValueError, match="finite"):
        decay_correct(torch.ones(1), measured_s=float("nan"), reference_s=0.0, half_life_s=1.0)
