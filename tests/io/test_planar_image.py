"""A planar image holds two views of possible counts, and says what is wrong with any other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from planar3d.io import PlanarImage


def test_isotope_is_named_one_way(image: PlanarImage) -> None:
    assert replace(image, isotope="177Lu").isotope == "Lu-177"


def test_extent_reaches_to_the_outer_faces(image: PlanarImage) -> None:
    assert image.extent_mm == ((-15.0, 13.0), (18.5, 73.5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"views": torch.ones(1, 1, 3, 4)}, "posterior view is missing"),
        ({"views": torch.ones(1, 3, 3, 4)}, "3 views"),
        ({"views": torch.full((1, 2, 3, 4), -1.0)}, "negative counts"),
        ({"views": torch.full((1, 2, 3, 4), float("nan"))}, "not finite"),
        ({"views": torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)}, "no counts in the posterior view"),
        ({"pixel_mm": (0.48, 0.48)}, "give millimetres"),
        ({"dwell_time_s": 0.0}, "dwell_time_s must be positive"),
        ({"sensitivity_cps_per_mbq": -1.0}, "sensitivity_cps_per_mbq must be positive"),
        ({"distance_mm": (200.0, 0.0)}, "distance_mm must be positive"),
        ({"origin_mm": (float("nan"), 0.0)}, "origin_mm must be finite"),
        ({"isotope": "Y-90"}, "isotope 'Y-90' is not known"),
        ({"scan_speed_mm_per_s": 1.6}, "give exactly one of them"),
        ({"dwell_time_s": None}, "give exactly one of them"),
        ({"dwell_time_s": None, "scan_speed_mm_per_s": -1.0}, "scan_speed_mm_per_s must be positive"),
        ({"head_length_mm": 0.0}, "head_length_mm must be positive"),
        ({"energy_kev": 140.0}, "energy_kev=140 is no line of Lu-177"),
        ({"dead_time_s": 4.6}, "dead_time_s must lie between 0 and 0.001 s, got 4.6; give seconds"),
        ({"background_cps": (5.0, -1.0)}, "background_cps must be non-negative"),
        ({"scatter_correction": "dual"}, "scatter_correction must be one of model, tew, dew, none, got 'dual'"),
        ({"scatter_correction": "tew"}, "scatter_correction=tew needs the counts of an energy window below the peak"),
        ({"lower_views": torch.full((1, 2, 7, 11), -1.0)}, "lower_views holds counts that are negative"),
        ({"windows_kev": ((187.0, 229.0),)}, "windows_kev must hold the lower, the peak and perhaps the upper window"),
        (
            {"scatter_correction": "dew", "lower_views": torch.ones(1, 2, 7, 11), "background_cps": (1.0, 1.0)},
            "background_cps is given with scatter_correction=dew, whose side windows count the room too",
        ),
    ],
)
def test_impossible_values_are_named(image: PlanarImage, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(image, **change)
