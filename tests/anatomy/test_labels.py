"""Meaning of label ids: known schemes, a user's own, and detection."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from planar3d.anatomy.labels import (
    HEAD_GLANDS,
    TOTALSEGMENTATOR_V1,
    TOTALSEGMENTATOR_V2,
    LabelScheme,
    detect_scheme,
    scheme_from_json,
    translate,
)
from planar3d.anatomy.totalsegmentator import HEAD_GLANDS_CLASSES, ORGAN_OF_CLASS, V1_CLASSES, V2_CLASSES
from planar3d.organs import ORGANS, organ_id

SOFT_HU, BONE_HU, LUNG_HU = 40.0, 300.0, -800.0


@pytest.mark.parametrize(
    ("scheme", "identifier", "organ"),
    [
        (TOTALSEGMENTATOR_V1, 2, "kidney_right"),
        (TOTALSEGMENTATOR_V1, 7, "vessels"),
        (TOTALSEGMENTATOR_V1, 17, "lung_right"),
        (TOTALSEGMENTATOR_V1, 18, "spine"),
        (TOTALSEGMENTATOR_V1, 57, "colon"),
        (TOTALSEGMENTATOR_V1, 92, "pelvis"),
        (TOTALSEGMENTATOR_V1, 104, "urinary_bladder"),
        (TOTALSEGMENTATOR_V2, 2, "kidney_right"),
        (TOTALSEGMENTATOR_V2, 3, "kidney_left"),
        (TOTALSEGMENTATOR_V2, 7, "pancreas"),
        (TOTALSEGMENTATOR_V2, 20, "colon"),
        (TOTALSEGMENTATOR_V2, 27, "spine"),
        (TOTALSEGMENTATOR_V2, 50, "spine"),
        (TOTALSEGMENTATOR_V2, 51, "heart"),
        (TOTALSEGMENTATOR_V2, 79, "spinal_cord"),
        (TOTALSEGMENTATOR_V2, 92, "ribs"),
        (TOTALSEGMENTATOR_V2, 116, "ribs"),
        (HEAD_GLANDS, 7, "parotid_left"),
        (HEAD_GLANDS, 9, "submandibular_right"),
    ],
)
def test_ids_of_the_known_schemes(scheme: LabelScheme, identifier: int, organ: str) -> None:
    assert scheme.organs[identifier] == organ


def test_every_class_is_an_organ() -> None:
    assert len(V1_CLASSES) == 104
    assert len(V2_CLASSES) == 117
    for name in (*V1_CLASSES, *V2_CLASSES, *HEAD_GLANDS_CLASSES):
        assert ORGAN_OF_CLASS[name] in ORGANS


def test_sides_are_kept() -> None:
    for name in (*V1_CLASSES, *V2_CLASSES, *HEAD_GLANDS_CLASSES):
        organ = ORGAN_OF_CLASS[name]
        for side, other in (("left", "right"), ("right", "left")):
            if side in name and organ.endswith(("left", "right")):
                assert organ.endswith(side), f"{name} became {organ}, not the {side} but the {other} one"


def test_translation_gives_our_ids() -> None:
    labels = torch.tensor([[0, 5], [1, 2]])
    expected = torch.tensor([[0, organ_id("liver")], [organ_id("spleen"), organ_id("kidney_right")]])
    assert torch.equal(translate(labels, TOTALSEGMENTATOR_V2), expected)


def test_unknown_ids_are_named() -> None:
    with pytest.raises(ValueError, match=r"labels hold the ids 118, 200 that label scheme 'totalsegmentator_v2' does not know"):
        translate(torch.tensor([0, 1, 118, 200]), TOTALSEGMENTATOR_V2)


def test_a_users_table_takes_organs_and_class_names(tmp_path: Path) -> None:
    path = tmp_path / "ids.json"
    path.write_text(json.dumps({"1": "liver", "2": "vertebrae_L1", "9": "lesion_1", "8": "background"}), encoding="utf-8")
    assert scheme_from_json(path).organs == {1: "liver", 2: "spine", 9: "lesion_1", 8: "background"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"1": "livver"}', "names 'livver', which is no organ"),
        ('{"one": "liver"}', "is not a JSON table of id to organ"),
        ('["liver"]', "is not a JSON table of id to organ"),
        ("liver", "is not a JSON table of id to organ"),
        ('{"-1": "liver"}', "ids must not be negative"),
    ],
)
def test_a_bad_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ids.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        scheme_from_json(path)


def test_a_missing_table_names_the_known_schemes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="known are auto, totalsegmentator_v1"):
        scheme_from_json(tmp_path / "absent.json")


def test_header_names_decide() -> None:
    scheme = detect_scheme([1, 2], {1: "kidney_left", 2: "lung_upper_lobe_right"})
    assert scheme.organs == {1: "kidney_left", 2: "lung_right"}


def test_ids_that_one_scheme_alone_has_decide() -> None:
    assert detect_scheme([0, 1, 5, 117]) is TOTALSEGMENTATOR_V2


def test_ct_numbers_tell_the_versions_apart() -> None:
    for scheme in (TOTALSEGMENTATOR_V1, TOTALSEGMENTATOR_V2):
        mean_hu = {}
        for identifier in (1, 2, 3, 5, 10, 13, 20, 30, 55, 60, 79, 95, 100):
            organ = scheme.organs[identifier]
            hu = BONE_HU if organ in ("spine", "ribs", "pelvis", "limb_bones") else LUNG_HU if organ.startswith("lung") else SOFT_HU
            mean_hu[identifier] = hu
        assert detect_scheme(list(mean_hu), mean_hu=mean_hu) is scheme


@pytest.mark.parametrize("mean_hu", [{1: SOFT_HU, 2: SOFT_HU, 5: SOFT_HU}, {1: BONE_HU, 5: LUNG_HU, 20: SOFT_HU, 7: 2000.0}])
def test_where_nothing_tells_the_user_is_asked(mean_hu: dict[int, float]) -> None:
    with pytest.raises(ValueError, match="say what they mean with label_scheme="):
        detect_scheme(list(mean_hu), mean_hu=mean_hu)
