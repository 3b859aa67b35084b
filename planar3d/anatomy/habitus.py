"""The build of a digital patient: everything that is drawn, and nothing that is rendered.

Sex, height and body mass index are drawn first, an oncology clinic's: heights of the reference person's mean and their spread, BMI
log-normal about 26 kg/m2. Three quarters of what a patient weighs beyond a reference person of that height is fat (Webster, Hesp and
Garrow 1984), the rest lean; fat gives the layer under the skin, lean the width of the trunk. The heaviest patients are those who fit
the field of view: a patient who does not is drawn lighter, kilogram by kilogram.

Organ volumes are log-normal about those of `planar3d.anatomy.reference_person`, and grow with the patient's weight as far as
their spread allows. Rarer variants come with the probabilities of `VARIANTS`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.anatomy.field import TORSO
from planar3d.anatomy.reference_person import FEMALE, MALE, ReferencePerson, log_spread
from planar3d.organs import without_side

__all__ = ["VARIANTS", "Habitus", "draw_habitus"]

WARP_NODES = (5, 4, 11)
BOWEL_VARIATES = 256
ORGAN_VARIATES = 64
REFERENCE_HEIGHT_CM = 170.0

VARIANTS: dict[str, float] = {
    "arms_up": 0.5, "scoliosis": 0.04, "enlarged_liver": 0.03, "enlarged_spleen": 0.03, "single_kidney": 0.02, "full_bladder": 0.1,
}  # fmt: skip
"""Probability of each variant; judgement, about what a department meets."""

_BMI = (26.0, 0.16, 17.5, 38.0)
"""Median [kg/m2], log-sd, least and most."""
_FAT_IN_EXCESS = 0.75
_SUBCUTANEOUS = {True: 0.75, False: 0.85}  # the rest lies inside the trunk; judgement
_MEAN_FAT_SHARE = 0.66  # of the thickness at the belly, over the skin
_FAT_DENSITY = 0.92
_WIDTH = {True: (1.03, 1.03), False: (0.92, 0.925)}  # trunk of a reference person against the reference frame
_HEAD = {True: 1.02, False: 0.97}

_MARGIN_MM = 8.0  # for the warp, at the field's edge
_WIDEST = {
    True: {0: ((157.0, 0.88), (149.0, 0.66), (135.0, 0.86)), 1: ((104.0, 1.2), (102.0, 1.2))},
    False: {0: ((172.0, 1.0), (146.0, 0.6), (133.0, 0.8)), 1: ((104.0, 1.25), (102.0, 1.1), (124.0, 0.2))},
}
"""By sex and axis: half of the lean trunk where it is widest, in the reference frame, and the share of the fat over it."""

_BODY_POWER = 0.5  # of organ volume with body weight; judgement
_APART_FROM_WEIGHT = ("brain", "lacrimal", "prostate", "uterus", "urinary_bladder")
_BLADDER_ML = (50.0, 350.0)
_FULL_BLADDER_ML = (400.0, 700.0)
_ENLARGED = (1.4, 2.0)
_LONE_KIDNEY = 1.4
_SCOLIOSIS_MM = (12.0, 28.0)
_MOVABLE = ("liver", "spleen", "kidney_left", "kidney_right", "stomach", "heart", "pancreas", "colon", "small_bowel", "gallbladder")
_PAIR_CORRELATION = 0.8


@dataclass(frozen=True, kw_only=True)
class Habitus:
    """Build of one digital patient.

    Attributes:
        is_male: Sex.
        height_cm: Height [cm].
        weight_kg: Weight [kg].
        scale: Size of the trunk against the reference frame along x, y, z.
        head_scale: Size of the head along x and y.
        fat_mm: Thickness of the fat under the skin, at the waist in front [mm].
        arms_up: Whether the arms are raised above the head or lie beside the trunk.
        arm_spread_mm: How far the arms lie from their place in the reference frame, outward [mm].
        volumes_ml: Organ to volume; an organ that is missing does not stand here [mL].
        shifts_mm: Organ to displacement from its reference place along x, y, z [mm].
        turns_deg: Organ to turns about x, y, z from its reference pose.
        bend_mm: Sideways bow of the spine [mm].
        breath_mm: How much higher than usual the diaphragm stands [mm].
        warp_mm: Smooth displacement of everything, on a coarse lattice ``(3, i, j, k)`` [mm].
        bowel: Standard normal variates that lay the bowel ``(n,)``.
        hu_shift: Standard normal variate of each organ's CT number, by organ id modulo its length ``(n,)``.
        noise_seed: Seed of the CT's texture and noise.
        variants: Rarer variants that this patient has, of `VARIANTS`.
    """

    is_male: bool
    height_cm: float
    weight_kg: float
    scale: tuple[float, float, float]
    head_scale: float
    fat_mm: float
    arms_up: bool
    arm_spread_mm: float
    volumes_ml: dict[str, float]
    shifts_mm: dict[str, tuple[float, float, float]]
    turns_deg: dict[str, tuple[float, float, float]]
    bend_mm: float
    breath_mm: float
    warp_mm: Float[Tensor, "3 i j k"]
    bowel: Float[Tensor, " n"]
    hu_shift: Float[Tensor, " m"]
    noise_seed: int
    variants: tuple[str, ...] = ()

    def with_arms(self, *, up: bool) -> Habitus:
        """The same patient in a pose of the arms.

        Args:
            up: Whether they are raised.
        """
        others = tuple(v for v in self.variants if v != "arms_up")
        return replace(self, arms_up=up, variants=("arms_up", *others) if up else others)


def draw_habitus(generator: torch.Generator) -> Habitus:
    """Draw the build of a patient.

    Args:
        generator: CPU generator; it alone decides.
    """
    is_male = _uniform(generator) < 0.5
    person = MALE if is_male else FEMALE
    height_cm = person.height_cm + _normal(generator, person.height_spread_cm)
    median, spread, least, most = _BMI
    bmi = _clipped(median * math.exp(_normal(generator, spread)), least, most)
    frame = _normal(generator, 0.03), _normal(generator, 0.04), _normal(generator, 0.012)
    weight_kg = bmi * (height_cm / 100.0) ** 2
    while not _fits(is_male, _scale(person, height_cm, weight_kg, frame), _fat_mm(person, height_cm, weight_kg)):
        weight_kg -= 1.0
    scale = _scale(person, height_cm, weight_kg, frame)
    fat_mm = _fat_mm(person, height_cm, weight_kg)
    variants = tuple(name for name, probability in VARIANTS.items() if _uniform(generator) < probability)
    bend_mm = _normal(generator, 4.0)
    if "scoliosis" in variants:
        bend_mm = math.copysign(_between(generator, _SCOLIOSIS_MM), bend_mm)
    volumes = _draw_volumes(generator, person, weight_kg, variants)
    return Habitus(
        is_male=is_male,
        height_cm=height_cm,
        weight_kg=weight_kg,
        scale=scale,
        head_scale=_HEAD[is_male] * (volumes["brain"] / person.volumes_ml["brain"]) ** (1.0 / 3.0),
        fat_mm=fat_mm,
        arms_up="arms_up" in variants,
        arm_spread_mm=abs(_normal(generator, 3.0)),
        volumes_ml=volumes,
        shifts_mm={organ: _triple(generator, 3.5) for organ in _MOVABLE},
        turns_deg={organ: _triple(generator, 5.0) for organ in _MOVABLE},
        bend_mm=bend_mm,
        breath_mm=_normal(generator, 8.0),
        warp_mm=4.0 * torch.randn(3, *WARP_NODES, generator=generator),
        bowel=torch.randn(BOWEL_VARIATES, generator=generator),
        hu_shift=torch.randn(ORGAN_VARIATES, generator=generator),
        noise_seed=int(torch.randint(2**31 - 1, (), generator=generator)),
        variants=variants,
    )


def _adipose_kg(person: ReferencePerson, height_cm: float, weight_kg: float) -> float:
    """Adipose tissue of somebody of this height and weight [kg]."""
    size = (height_cm / person.height_cm) ** 2
    return max(0.35 * person.adipose_kg, person.adipose_kg * size + _FAT_IN_EXCESS * (weight_kg - person.weight_kg * size))


def _fat_mm(person: ReferencePerson, height_cm: float, weight_kg: float) -> float:
    """Thickness of the fat at the waist: its volume over the skin's area (Du Bois and Du Bois 1916) [mm]."""
    area_m2 = 0.007184 * weight_kg**0.425 * height_cm**0.725
    litres = _SUBCUTANEOUS[person is MALE] * _adipose_kg(person, height_cm, weight_kg) / _FAT_DENSITY
    return max(5.0, litres / area_m2 / _MEAN_FAT_SHARE)


def _scale(person: ReferencePerson, height_cm: float, weight_kg: float, frame: tuple[float, float, float]) -> tuple[float, float, float]:
    """Size of the trunk: its length goes with height, its girth with lean mass."""
    tall = height_cm / person.height_cm
    lean = (weight_kg - _adipose_kg(person, height_cm, weight_kg)) / ((person.weight_kg - person.adipose_kg) * tall**2)
    girth = tall**0.5 * lean**0.35
    width, depth = _WIDTH[person is MALE]
    return (
        _clipped(width * girth * math.exp(frame[0]), 0.82, 1.14),
        _clipped(depth * girth * math.exp(frame[1]), 0.82, 1.14),
        height_cm / REFERENCE_HEIGHT_CM * math.exp(frame[2]),
    )


def _fits(is_male: bool, scale: tuple[float, float, float], fat_mm: float) -> bool:
    """Whether the trunk fits the default field."""
    return all(
        scale[axis] * half + share * fat_mm < 0.5 * TORSO.extent_mm[axis] - _MARGIN_MM
        for axis, places in _WIDEST[is_male].items()
        for half, share in places
    )


def _draw_volumes(generator: torch.Generator, person: ReferencePerson, weight_kg: float, variants: tuple[str, ...]) -> dict[str, float]:
    """Volume of each organ [mL]."""
    typical_kg = _BMI[0] * (person.height_cm / 100.0) ** 2
    body = _clipped(math.log(weight_kg / typical_kg), -0.45, 0.45)
    body_spread = math.hypot(_BMI[1], 2.0 * person.height_spread_cm / person.height_cm)
    common: dict[str, float] = {}
    volumes = {}
    for organ, mean_ml in person.volumes_ml.items():
        kind, total = without_side(organ), log_spread(organ)
        power = 0.0 if kind in _APART_FROM_WEIGHT else min(_BODY_POWER, 0.7 * total / body_spread)
        own = math.sqrt(max(0.0, total**2 - (power * body_spread) ** 2))
        shared = common.setdefault(kind, _normal(generator, 1.0))
        variate = shared
        if kind != organ:  # one of a pair
            variate = math.sqrt(_PAIR_CORRELATION) * shared + math.sqrt(1.0 - _PAIR_CORRELATION) * _normal(generator, 1.0)
        volumes[organ] = mean_ml * math.exp(power * body + own * variate - 0.5 * total**2)
    volumes["urinary_bladder"] = _log_between(generator, _FULL_BLADDER_ML if "full_bladder" in variants else _BLADDER_ML)
    enlarged = _log_between(generator, _ENLARGED)
    lost, kept = ("kidney_left", "kidney_right") if _uniform(generator) < 0.5 else ("kidney_right", "kidney_left")
    for organ in ("liver", "spleen"):
        if f"enlarged_{organ}" in variants:
            volumes[organ] = enlarged * max(volumes[organ], person.volumes_ml[organ])
    if "single_kidney" in variants:
        del volumes[lost]
        volumes[kept] *= _LONE_KIDNEY
    return volumes


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))


def _normal(generator: torch.Generator, spread: float) -> float:
    """A centred normal variate, cut at 2.5 standard deviations."""
    return spread * _clipped(float(torch.randn((), generator=generator)), -2.5, 2.5)


def _triple(generator: torch.Generator, spread: float) -> tuple[float, float, float]:
    return _normal(generator, spread), _normal(generator, spread), _normal(generator, spread)


def _between(generator: torch.Generator, limits: tuple[float, float]) -> float:
    return limits[0] + (limits[1] - limits[0]) * _uniform(generator)


def _log_between(generator: torch.Generator, limits: tuple[float, float]) -> float:
    return limits[0] * (limits[1] / limits[0]) ** _uniform(generator)


def _clipped(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
