"""The builds drawn are those of reference persons, with the spread and the variants stated."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from planar3d.anatomy.habitus import VARIANTS, Habitus, draw_habitus
from planar3d.anatomy.reference_person import FEMALE, MALE, log_spread

COUNT = 900
CHANGED_BY = {"liver": "enlarged_liver", "spleen": "enlarged_spleen", "kidney_left": "single_kidney", "kidney_right": "single_kidney"}


@pytest.fixture(scope="module")
def builds() -> list[Habitus]:
    """Many builds."""
    return [draw_habitus(torch.Generator().manual_seed(seed)) for seed in range(COUNT)]


def test_volumes_are_those_of_the_reference_persons(builds: list[Habitus]) -> None:
    for is_male, person in ((True, MALE), (False, FEMALE)):
        for organ, mean_ml in person.volumes_ml.items():
            drawn = np.array([b.volumes_ml[organ] for b in builds if b.is_male == is_male and CHANGED_BY.get(organ) not in b.variants])
            stated = log_spread(organ)
            error = stated / math.sqrt(len(drawn))
            assert drawn.mean() == pytest.approx(mean_ml, rel=0.02 + 3.0 * error), organ
            assert np.log(drawn).std() == pytest.approx(stated, rel=0.2), organ


def test_people_are_as_tall_and_as_heavy_as_people(builds: list[Habitus]) -> None:
    for is_male, person in ((True, MALE), (False, FEMALE)):
        height = np.array([b.height_cm for b in builds if b.is_male == is_male])
        bmi = np.array([b.weight_kg / (b.height_cm / 100.0) ** 2 for b in builds if b.is_male == is_male])
        assert height.mean() == pytest.approx(person.height_cm, abs=1.5)
        assert 24.0 < np.median(bmi) < 28.0
        assert np.quantile(bmi, 0.05) < 21.5  # thin
        assert np.quantile(bmi, 0.95) > 31.0  # fat
    fat = {is_male: np.mean([b.fat_mm for b in builds if b.is_male == is_male]) for is_male in (True, False)}
    assert fat[False] > fat[True]


def test_the_fat_are_broad(builds: list[Habitus]) -> None:
    weight, fat, width = np.array([(b.weight_kg, b.fat_mm, b.scale[0]) for b in builds if b.is_male]).T
    assert np.corrcoef(weight, fat)[0, 1] > 0.7
    assert np.corrcoef(weight, width)[0, 1] > 0.4


def test_kidneys_of_one_person_are_alike(builds: list[Habitus]) -> None:
    both = [b.volumes_ml for b in builds if "single_kidney" not in b.variants]
    left, right = (np.log([v[k] for v in both]) for k in ("kidney_left", "kidney_right"))
    assert np.corrcoef(left, right)[0, 1] > 0.75


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_are_as_frequent_as_stated(builds: list[Habitus], variant: str) -> None:
    expected = COUNT * VARIANTS[variant]
    assert abs(sum(variant in b.variants for b in builds) - expected) < 4.0 * math.sqrt(expected)


def test_variants_do_what_they_say(builds: list[Habitus]) -> None:
    for build in builds:
        person, volumes = MALE if build.is_male else FEMALE, build.volumes_ml
        assert ("kidney_left" in volumes and "kidney_right" in volumes) != ("single_kidney" in build.variants)
        assert (volumes["urinary_bladder"] >= 400.0) == ("full_bladder" in build.variants)
        assert build.arms_up == ("arms_up" in build.variants)
        if "scoliosis" in build.variants:
            assert abs(build.bend_mm) >= 12.0
        for organ in ("liver", "spleen"):
            if f"enlarged_{organ}" in build.variants:
                assert volumes[organ] >= 1.4 * person.volumes_ml[organ]


def test_the_generator_alone_decides() -> None:
    a, b = (draw_habitus(torch.Generator().manual_seed(5)) for _ in range(2))
    assert a.volumes_ml == b.volumes_ml
    assert a.scale == b.scale
    assert torch.equal(a.warp_mm, b.warp_mm)
