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
    ],
)
def test_impossible_values_are_named(image: PlanarImage, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(image, **change)
