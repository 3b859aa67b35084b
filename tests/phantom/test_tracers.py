"""Properties of the tracers' tables."""

from __future__ import annotations

import pytest
import torch

from planar3d.organs import GROUPS, ORGANS, organ_id
from planar3d.phantom import Biodistribution
from planar3d.phantom.tracers import TRACERS

HOUR_S = 3600.0


def medians(name: str, hours: float) -> torch.Tensor:
    """Median concentrations for one becquerel."""
    source = Biodistribution.from_name(name, time_s=hours * HOUR_S, administered_bq=1.0, variability=0.0)
    return source.concentration(source.draw(torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("name", TRACERS)
def test_no_organ_is_named_twice_and_all_have_a_row(name: str) -> None:
    organs = [organ for tissue in TRACERS[name].tissues for organ in tissue.organs]
    assert len(organs) == len(set(organs))
    assert set(organs) <= set(ORGANS)


@pytest.mark.parametrize("name", TRACERS)
@pytest.mark.parametrize("hours", [1.0, 3.0, 24.0, 72.0, 168.0])
def test_organs_hold_no_more_than_was_given_and_has_not_decayed(name: str, hours: float) -> None:
    """Reference volumes of the large tissues in litres; the rest is in the table."""
    litres = {"body": 1.0, "muscle": 29.0, "fat": 18.0, "lung_left": 0.5, "lung_right": 0.5, "spine": 1.2, "pelvis": 1.1, "ribs": 0.8,
              "skull": 0.9, "limb_bones": 4.5, "liver": 1.8, "small_bowel": 0.8, "colon": 0.7, "stomach": 0.3, "brain": 1.4, "heart": 0.6,
              "vessels": 0.7, "kidney_left": 0.155, "kidney_right": 0.155, "spleen": 0.2}  # fmt: skip
    held = sum(float(medians(name, hours)[organ_id(organ)]) * 1000.0 * volume for organ, volume in litres.items())
    physical_h = Biodistribution.from_name(name, time_s=0.0).physical_half_life_h
    assert 0.0 < held < 2.0 ** (-hours / physical_h)


def test_psma_it_has_hotter_kidneys_and_cooler_glands() -> None:
    ratio = medians("psma_it", 24.0) / medians("psma617", 24.0)
    assert float(ratio[organ_id("kidney_left")]) == pytest.approx(0.73 / 0.49, rel=1e-3)
    assert float(ratio[organ_id("parotid_left")]) == pytest.approx(2.62 / 5.85, rel=1e-3)
    assert float(ratio[organ_id("liver")]) == pytest.approx(1.0, rel=1e-5)


def test_iodide_leaves_the_body_with_its_half_time_and_the_remnant_keeps_it() -> None:
    at_2, at_7 = medians("iodine", 48.0), medians("iodine", 168.0)
    assert float(at_7[organ_id("muscle")] / at_2[organ_id("muscle")]) == pytest.approx(2.0 ** (-120 / 15.6), rel=1e-3)
    contrast = at_7[organ_id("thyroid")] / at_7[organ_id("muscle")]
    assert contrast > 10 * at_2[organ_id("thyroid")] / at_2[organ_id("muscle")]
    assert float(at_2[organ_id("thyroid")]) * 20.0 == pytest.approx(0.0045, rel=1e-3)


def test_bone_holds_two_fifths_of_a_diphosphonate_at_three_hours() -> None:
    litres = {"spine": 1.2, "pelvis": 1.1, "ribs": 0.8, "skull": 0.9, "limb_bones": 4.5}
    assert set(litres) == set(GROUPS["skeleton"])
    held = sum(float(medians("bone_agent", 3.0)[organ_id(organ)]) * 1000.0 * volume for organ, volume in litres.items())
    assert held / 2.0 ** (-3.0 / 6.015) == pytest.approx(0.43, abs=0.03)
    assert medians("bone_agent", 3.0)[organ_id("spine")] > 10 * medians("bone_agent", 3.0)[organ_id("muscle")]
