"""Names of structures: what they say, and what they do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planar3d.anatomy.outline_names import LESION, organ_of
from planar3d.anatomy.outline_scheme import organs_of_outlines, scheme_of_names
from planar3d.anatomy.totalsegmentator import ORGAN_OF_CLASS
from planar3d.organs import ORGANS


@pytest.mark.parametrize(
    ("names", "organ"),
    [
        (("Kidney_L", "Kidney Left", "L kidney", "Lt Kidney", "kidney.lt", "KIDNEY-LEFT", "kidneyleft", "KidneyLeft"), "kidney_left"),
        (("Kidney_R", "rt. kidney", "Right Kidney"), "kidney_right"),
        (("Bladder", "Urinary Bladder", "bladder_urinary"), "urinary_bladder"),
        (("Bowel_Small", "small bowel", "SmallBowel", "Jejunum_Ileum"), "small_bowel"),
        (("Colon", "Bowel_Large", "Colon_Sigmoid", "Rectum"), "colon"),
        (("Parotid_L", "Glnd_Parotid_L", "Left parotid gland"), "parotid_left"),
        (("Glnd_Submand_R", "Submandibular gland right"), "submandibular_right"),
        (("Glnd_Lacrimal_L", "Lacrimal gland L"), "lacrimal_left"),
        (("Glnd_Adrenal_R", "adrenal_gland_right"), "adrenal_right"),
        (("Glnd_Thyroid", "Thyroid"), "thyroid"),
        (("A_Aorta", "V_Venacava_I", "inferior_vena_cava"), "vessels"),
        (("SpinalCord", "Spinal_Cord", "cord"), "spinal_cord"),
        (("VB_L5", "vertebrae_T12", "Vertebra C2", "Spine"), "spine"),
        (("Rib_L", "rib_left_3", "Rib03_R", "Sternum"), "ribs"),
        (("Bone_Pelvic", "Sacrum", "VB_S1", "hip_left"), "pelvis"),
        (("Femur_Head_L", "FemoralHead_R", "humerus_left"), "limb_bones"),
        (("BODY", "External", "Skin"), "body"),
        (("CouchSurface", "Couch Interior", "table"), "background"),
        (("GTV", "GTV1", "GTVp_2", "Lesion 17", "tumor", "Tumour_2", "Liver metastasis 1", "met 3"), LESION),
        (("lesion_3", "Lesion 3"), "lesion_3"),
    ],
)  # fmt: skip
def test_names_that_say_an_organ(names: tuple[str, ...], organ: str) -> None:
    assert [organ_of(name) for name in names] == [organ] * len(names)


@pytest.mark.parametrize(
    "name",
    ["", "Kidney", "Kidneys", "PTV_60", "CTV", "PTV_GTV1", "Liver-GTV", "Tumour bed", "L1", "Contour 3", "Segment_1", "Erika Muster",
     "Ring",
     "Kidney_L_PRV", "Bowel", "Bone", "L R kidney", "Liverpool"],
)  # fmt: skip
def test_names_that_say_none(name: str) -> None:
    assert organ_of(name) is None


def test_all_names_of_organs_and_classes_are_known() -> None:
    for name in ORGANS:
        assert organ_of(name) == name
        assert organ_of(name.upper().replace("_", " ")) == name
    for name, organ in ORGAN_OF_CLASS.items():
        assert organ_of(name) == organ


def organs(names: list[str], scheme: dict[str, str | None] | None = None) -> list[str | None]:
    return organs_of_outlines(names, [()] * len(names), scheme or {}, source="labels s.dcm")


def test_names_that_say_nothing_are_listed_and_a_scheme_stands_above_all() -> None:
    with pytest.raises(ValueError, match=r"no organ: 'Herd', 'PTV 1'; .*patient\.label_scheme=scheme\.json"):
        organs(["Liver", "Herd", "PTV 1"])
    assert organs(["Liver", "Herd", "PTV 1"], {"herd": "spleen", "PTV 1": None, "LIVER": "body"}) == ["body", "spleen", None]


def test_both_of_a_pair_are_left_out_only_where_each_is_there() -> None:
    assert organs(["Kidneys", "Kidney_L", "Kidney_R"]) == [None, "kidney_left", "kidney_right"]
    with pytest.raises(ValueError, match="'Kidneys'"):
        organs(["Kidneys", "Kidney_L"])


def test_lesions_get_numbers_that_are_free() -> None:
    assert organs(["GTV", "lesion_1", "Tumour"]) == ["lesion_2", "lesion_1", "lesion_3"]
    assert organs(["GTV"] * 16)[-1] == "lesion_16"
    with pytest.raises(ValueError, match="holds 17 lesions"):
        organs(["GTV"] * 17)


def test_other_names_are_asked_where_the_name_says_nothing() -> None:
    others = [("Left Kidney", "Left Organ"), ("Right Kidney",)]
    assert organs_of_outlines(["Kidney", "Liver"], others, {}, source="s") == ["kidney_left", "liver"]


def test_a_table_of_names_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "scheme.json"
    path.write_text(json.dumps({"Herd": "aorta", "PTV": None}))
    assert scheme_of_names(path) == {"Herd": "vessels", "PTV": None}
    for text, words in (("[1]", "no JSON table"), ("{", "no JSON file"), ('{"Herd": "gut"}', "'gut'"), ('{"Herd": 3}', "no JSON table")):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            scheme_of_names(path)
    with pytest.raises(ValueError, match="is of ids, and structures in DICOM go by their names"):
        scheme_of_names("totalsegmentator_v2")
    with pytest.raises(ValueError, match="neither a file nor auto"):
        scheme_of_names("nowhere.json")
