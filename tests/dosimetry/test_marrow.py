"""Red marrow by image and from blood."""

from __future__ import annotations

import pytest
import torch

from planar3d.dosimetry.marrow import ACTIVE_MARROW, marrow_dose_from_blood, marrow_dose_from_image, marrow_to_blood_ratio
from planar3d.dosimetry.organ import OrganDoses
from planar3d.dosimetry.voxel_dose import local_dose
from planar3d.organs import GROUPS, organ_id


def _doses(**gray: float) -> OrganDoses:
    values = torch.tensor([list(gray.values())])
    return OrganDoses(ids=tuple(organ_id(n) for n in gray), dose_gy=values, mass_g=torch.ones_like(values))


def test_shares_are_those_of_the_whole_skeleton() -> None:
    assert set(ACTIVE_MARROW) == set(GROUPS["skeleton"])
    assert sum(ACTIVE_MARROW.values()) == pytest.approx(1.0)


def test_bones_count_by_their_marrow() -> None:
    dose, share = marrow_dose_from_image(_doses(liver=50.0, spine=2.0, pelvis=1.0))
    spine, pelvis = ACTIVE_MARROW["spine"], ACTIVE_MARROW["pelvis"]
    assert dose.item() == pytest.approx((2.0 * spine + pelvis) / (spine + pelvis))
    assert share == pytest.approx(spine + pelvis)
    assert marrow_dose_from_image(_doses(spine=2.0, pelvis=1.0), bones=("pelvis",))[0].item() == 1.0


def test_marrow_with_the_concentration_of_blood_has_its_local_dose() -> None:
    decays = torch.tensor([1e9, 2e9], dtype=torch.float64)
    expected = local_dose(decays, isotope="Lu-177")
    torch.testing.assert_close(marrow_dose_from_blood(decays, isotope="Lu-177"), expected)
    found = marrow_dose_from_blood(decays, isotope="Lu-177", ratio=0.3, photon_dose_gy=0.1)
    torch.testing.assert_close(found, 0.3 * expected + 0.1)


def test_ratio_of_a_large_molecule() -> None:
    # Sgouros 1993: 0.3 to 0.4 for hematocrits of 0.37 to 0.52
    assert marrow_to_blood_ratio(hematocrit=0.42) == pytest.approx(0.19 / 0.58)
    assert 0.3 < marrow_to_blood_ratio(hematocrit=0.37) < marrow_to_blood_ratio(hematocrit=0.52) < 0.4


def test_refuses_what_is_no_marrow_and_no_blood() -> None:
    with pytest.raises(ValueError, match="none of the bones"):
        marrow_dose_from_image(_doses(liver=1.0))
    with pytest.raises(ValueError, match="'liver', which holds no active marrow"):
        marrow_dose_from_image(_doses(liver=1.0), bones=("liver",))
    with pytest.raises(ValueError, match="hematocrit"):
        marrow_to_blood_ratio(hematocrit=42.0)
    with pytest.raises(ValueError, match="ratio"):
        marrow_dose_from_blood(torch.ones(1), isotope="Lu-177", ratio=0.0)
    with pytest.raises(ValueError, match="blood_decays_per_g"):
        marrow_dose_from_blood(-torch.ones(1), isotope="Lu-177")
