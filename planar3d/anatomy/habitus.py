"""The build of a digital patient: everything that is drawn, and nothing that is rendered.

Volumes are log-normal about those of an adult, near the reference masses of ICRP Publication 89 (2002), and as wide as patients differ;
the bladder is anything from emptied to full.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Habitus", "draw_habitus"]

WARP_NODES = (5, 4, 6)
BOWEL_VARIATES = 256
ORGAN_VARIATES = 64

_MEDIAN_ML: dict[str, tuple[float, float]] = {
    "liver": (1600.0, 0.16),
    "spleen": (180.0, 0.25),
    "kidney_left": (155.0, 0.12),
    "kidney_right": (150.0, 0.12),
    "stomach": (300.0, 0.25),
    "heart": (680.0, 0.14),
    "pancreas": (95.0, 0.18),
    "gallbladder": (30.0, 0.35),
    "duodenum": (75.0, 0.15),
    "small_bowel": (750.0, 0.18),
    "colon": (560.0, 0.2),
    "adrenal_left": (4.5, 0.2),
    "adrenal_right": (4.5, 0.2),
    "prostate": (28.0, 0.25),
}
"""Median volume [mL] and standard deviation of its logarithm."""

_BLADDER_ML = (50.0, 400.0)
_MOVABLE = ("liver", "spleen", "kidney_left", "kidney_right", "stomach", "heart", "pancreas", "colon", "small_bowel", "gallbladder")


@dataclass(frozen=True, kw_only=True)
class Habitus:
    """Build of one digital patient.

    Attributes:
        scale: Size against the reference torso along x, y, z.
        fat_mm: Thickness of the fat under the skin, at the waist in front [mm].
        is_male: Whether there is a prostate.
        volumes_ml: Organ to volume [mL].
        shifts_mm: Organ to displacement from its reference place along x, y, z [mm].
        turns_deg: Organ to turns about x, y, z from its reference pose.
        bend_mm: Sideways bow of the spine [mm].
        warp_mm: Smooth displacement of everything, on a coarse lattice ``(3, i, j, k)`` [mm].
        bowel: Standard normal variates that lay the bowel ``(n,)``.
        hu_shift: Standard normal variate of each organ's CT number, by organ id modulo its length ``(n,)``.
        noise_seed: Seed of the CT's noise.
    """

    scale: tuple[float, float, float]
    fat_mm: float
    is_male: bool
    volumes_ml: dict[str, float]
    shifts_mm: dict[str, tuple[float, float, float]]
    turns_deg: dict[str, tuple[float, float, float]]
    bend_mm: float
    warp_mm: Float[Tensor, "3 i j k"]
    bowel: Float[Tensor, " n"]
    hu_shift: Float[Tensor, " m"]
    noise_seed: int


def draw_habitus(generator: torch.Generator) -> Habitus:
    """Draw the build of a patient.

    Args:
        generator: CPU generator; it alone decides.
    """
    size = _normal(generator, 0.04)  # height, width and depth grow together, and apart
    scale = (
        _clipped(1.0 + size + _normal(generator, 0.04), 0.86, 1.06),
        _clipped(1.0 + size + _normal(generator, 0.05), 0.86, 1.08),
        _clipped(1.0 + 0.5 * size + _normal(generator, 0.025), 0.93, 1.07),
    )
    room_mm = min(190.0 - 166.0 * scale[0], 132.0 - 105.0 * scale[1])  # the widest trunk fits the default field
    body_volume = scale[0] * scale[1] * scale[2]
    volumes = {organ: median * body_volume**0.5 * math.exp(_normal(generator, spread)) for organ, (median, spread) in _MEDIAN_ML.items()}
    low, high = _BLADDER_ML
    volumes["urinary_bladder"] = low * (high / low) ** float(torch.rand((), generator=generator))
    return Habitus(
        scale=scale,
        fat_mm=_clipped(13.0 * math.exp(_normal(generator, 0.4)), 5.0, room_mm),
        is_male=bool(torch.rand((), generator=generator) < 0.5),
        volumes_ml=volumes,
        shifts_mm={organ: _triple(generator, 3.5) for organ in _MOVABLE},
        turns_deg={organ: _triple(generator, 5.0) for organ in _MOVABLE},
        bend_mm=_normal(generator, 4.0),
        warp_mm=4.0 * torch.randn(3, *WARP_NODES, generator=generator),
        bowel=torch.randn(BOWEL_VARIATES, generator=generator),
        hu_shift=torch.randn(ORGAN_VARIATES, generator=generator),
        noise_seed=int(torch.randint(2**31 - 1, (), generator=generator)),
    )


def _normal(generator: torch.Generator, spread: float) -> float:
    """A centred normal variate, cut at 2.5 standard deviations."""
    return spread * _clipped(float(torch.randn((), generator=generator)), -2.5, 2.5)


def _triple(generator: torch.Generator, spread: float) -> tuple[float, float, float]:
    return _normal(generator, spread), _normal(generator, spread), _normal(generator, spread)


def _clipped(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
