"""Reference adults: how large people and their organs are, and how much they differ.

    V ~ lognormal, E[V] = m / rho, sd(ln V) = sqrt(ln(1 + cv^2))

m is the mass of ICRP Publication 89 (2002), which ICRP Publication 145 (2020) keeps for its mesh phantoms, rho the density of ICRP
Publication 110 (2009), cv the spread between adults. Organs with a lumen or chambers count with their content. Masses, man and woman:
liver 1800 and 1400 g, spleen 150 and 130, kidney 155 and 137.5 each, pancreas 140 and 120, heart with blood 840 and 620, stomach
with content 400 and 370, gall bladder with bile 68 and 56, small intestine with content 1000 and 880, colon with content 670 and 680,
adrenal 7 and 6.5 each, brain 1450 and 1300, thyroid 20 and 17, salivary glands 85 and 70 (parotids, submandibular and sublingual glands
as 50 : 25 : 10), lungs with blood 1200 and 950, prostate 17, uterus 80, urinary bladder's content
200.

Spreads: de la Grandmaison et al. 2001 (Forensic Sci Int 119:149, 684 autopsies) for heart, liver, kidneys, pancreas and thyroid; Caglar
et al. 2014 (Folia Morphol, CT, 198 +- 88 mL) for the spleen; autopsies of Uttarakhand 2022 (Cureus 14:e27044, 1313 +- 128 g) for the brain;
CT of 130 adults (8.1 +- 2.6 mL) for the submandibular glands; Min and Ha 2015 (J Korean Ophthalmol Soc 56, CT) for volume and
spread of the lacrimal glands. The others are judgement.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FEMALE", "LUNG_ML", "MALE", "SPREAD", "ReferencePerson", "log_spread"]


@dataclass(frozen=True, kw_only=True)
class ReferencePerson:
    """A reference adult.

    Attributes:
        height_cm: Height [cm].
        weight_kg: Weight [kg].
        adipose_kg: Adipose tissue, ICRP 89 [kg].
        height_spread_cm: Standard deviation of height between adults of this sex; judgement [cm].
        volumes_ml: Organ to mean volume [mL].
    """

    height_cm: float
    weight_kg: float
    adipose_kg: float
    height_spread_cm: float
    volumes_ml: dict[str, float]


_DENSITY = {
    "liver": 1.05, "spleen": 1.06, "kidney_left": 1.05, "kidney_right": 1.05, "pancreas": 1.05, "heart": 1.06, "stomach": 1.04,
    "gallbladder": 1.03, "duodenum": 1.04, "small_bowel": 1.04, "colon": 1.04, "adrenal_left": 1.03, "adrenal_right": 1.03,
    "brain": 1.05, "thyroid": 1.05, "parotid_left": 1.03, "parotid_right": 1.03, "submandibular_left": 1.03,
    "submandibular_right": 1.03, "prostate": 1.03, "uterus": 1.03, "urinary_bladder": 1.0,
}  # fmt: skip
"""Density of ICRP 110, from memory [g/mL]."""

DUODENUM_SHARE = 0.08
"""Of the small intestine's mass; judgement, for ICRP 89 does not part them."""

LACRIMAL_ML = (0.596, 0.575)
LUNG_DENSITY = 0.384
"""Of the lungs in the phantoms of ICRP 110 [g/mL]."""


def _volumes(masses_g: Mapping[str, float | int], intestine_g: float, lacrimal_ml: float) -> dict[str, float]:
    """Masses, the small intestine parted in two, as volumes [mL]."""
    parted = {"duodenum": DUODENUM_SHARE * intestine_g, "small_bowel": (1.0 - DUODENUM_SHARE) * intestine_g}
    volumes = {organ: mass / _DENSITY[organ] for organ, mass in {**masses_g, **parted}.items()}
    return {**volumes, "lacrimal_left": lacrimal_ml, "lacrimal_right": lacrimal_ml}


MALE = ReferencePerson(
    height_cm=176.0, weight_kg=73.0, adipose_kg=18.2, height_spread_cm=7.0,
    volumes_ml=_volumes(
        {
            "liver": 1800, "spleen": 150, "kidney_left": 155, "kidney_right": 155, "pancreas": 140, "heart": 840, "stomach": 400,
            "gallbladder": 68, "colon": 670, "adrenal_left": 7, "adrenal_right": 7, "brain": 1450, "thyroid": 20, "parotid_left": 25,
            "parotid_right": 25, "submandibular_left": 12.5, "submandibular_right": 12.5, "prostate": 17, "urinary_bladder": 200,
        },
        1000.0, LACRIMAL_ML[0],
    ),
)  # fmt: skip

FEMALE = ReferencePerson(
    height_cm=163.0, weight_kg=60.0, adipose_kg=22.5, height_spread_cm=6.5,
    volumes_ml=_volumes(
        {
            "liver": 1400, "spleen": 130, "kidney_left": 137.5, "kidney_right": 137.5, "pancreas": 120, "heart": 620, "stomach": 370,
            "gallbladder": 56, "colon": 680, "adrenal_left": 6.5, "adrenal_right": 6.5, "brain": 1300, "thyroid": 17,
            "parotid_left": 20.6, "parotid_right": 20.6, "submandibular_left": 10.3, "submandibular_right": 10.3, "uterus": 80,
            "urinary_bladder": 200,
        },
        880.0, LACRIMAL_ML[1],
    ),
)  # fmt: skip

LUNG_ML = (1200.0 / LUNG_DENSITY, 950.0 / LUNG_DENSITY)
"""Both lungs of the reference man and woman; not drawn: they fill the chest."""

SPREAD: dict[str, float] = {
    "liver": 0.24, "spleen": 0.44, "kidney_left": 0.24, "kidney_right": 0.24, "pancreas": 0.27, "heart": 0.22, "thyroid": 0.44,
    "brain": 0.10, "submandibular_left": 0.32, "submandibular_right": 0.32, "lacrimal_left": 0.15, "lacrimal_right": 0.15,
    # judgement from here on
    "parotid_left": 0.30, "parotid_right": 0.30, "stomach": 0.25, "duodenum": 0.15, "small_bowel": 0.18, "colon": 0.20,
    "gallbladder": 0.35, "adrenal_left": 0.20, "adrenal_right": 0.20, "prostate": 0.30, "uterus": 0.30, "urinary_bladder": 0.75,
}  # fmt: skip
"""Coefficient of variation of each volume between adults of one sex."""


def log_spread(organ: str) -> float:
    """Standard deviation of the logarithm of an organ's volume."""
    return math.sqrt(math.log1p(SPREAD[organ] ** 2))
