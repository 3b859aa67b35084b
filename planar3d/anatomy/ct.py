"""From CT numbers to linear attenuation, and to the region that the body fills.

    mu(HU, E) = b(E) + a_lo(E) HU    below 0 HU (air to water)
    mu(HU, E) = b(E) + a_hi(E) HU    above 0 HU (water to bone)

A scanner's table gives b, a_lo and a_hi at a few photon energies; between them they are interpolated linearly in log-log. The table
``"general"`` needs no scanner: a_lo runs from air to water, and a_hi through the CT number that cortical bone has at the effective
energy of the CT beam.

Source of the scanner tables: ct_table.csv of PyTomography (manufacturers' values, 113 to 364 keV taken here).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from planar3d.anatomy.morphology import axial_disc, connected_parts, fill_slices, volumes_of_parts
from planar3d.materials import linear_attenuation
from planar3d.units import PER_MM_PER_PER_CM

__all__ = ["SCANNERS", "body_mask", "hu_to_mu"]

AIR_HU = -1000.0
GENERAL_CT_KEV = 82.0
"""Effective energy of the CT in the general table: with it the tables of 120 and 130 kVp tubes are met within 4 % from fat to bone."""
BODY_THRESHOLD_HU = -500.0
OPENING_MM = 8.0

_ENERGIES_KEV = (113.0, 140.0, 208.0, 364.0)
_WATER_PER_CM = (0.1644, 0.1538, 0.1352, 0.1102)

# Slopes [1/(cm HU)] below and above 0 HU at the energies above.
_SLOPES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "siemens-symbia-80kvp": ((1.7386e-4, 1.6251e-4, 1.4276e-4, 1.1636e-4), (0.8936e-4, 0.7589e-4, 0.6109e-4, 0.4774e-4)),
    "siemens-symbia-110kvp": ((1.7474e-4, 1.6335e-4, 1.4351e-4, 1.1698e-4), (1.1504e-4, 0.9775e-4, 0.7873e-4, 0.6154e-4)),
    "siemens-symbia-130kvp": ((1.7490e-4, 1.6364e-4, 1.4376e-4, 1.1703e-4), (1.2833e-4, 1.0895e-4, 0.8787e-4, 0.6868e-4)),
    "ge-optima-120kvp": ((1.7732e-4, 1.6577e-4, 1.4564e-4, 1.1871e-4), (1.2222e-4, 1.0386e-4, 0.8365e-4, 0.6539e-4)),
    "ge-optima-140kvp": ((1.7702e-4, 1.6550e-4, 1.4541e-4, 1.1852e-4), (1.3292e-4, 1.1298e-4, 0.9102e-4, 0.7117e-4)),
    "ge-infinia-140kvp": ((1.7429e-4, 1.6310e-4, 1.4328e-4, 1.1679e-4), (1.3581e-4, 1.1554e-4, 0.9303e-4, 0.7274e-4)),
}

SCANNERS: tuple[str, ...] = ("general", *_SLOPES)
"""Names of the tables that `hu_to_mu` knows."""


def hu_to_mu(ct_hu: Float[Tensor, "*shape"], energy_kev: float, scanner: str = "general") -> Float[Tensor, "*shape"]:
    """Linear attenuation of tissue from its CT number.

    Args:
        ct_hu: CT numbers, any shape [HU].
        energy_kev: Photon energy at which attenuation is wanted [keV].
        scanner: Table to use, one of `SCANNERS`.

    Returns:
        Attenuation, never negative, of the same shape [1/mm].

    Raises:
        ValueError: The scanner is not known, or its table does not reach the energy.
    """
    if scanner not in SCANNERS:
        raise ValueError(f"scanner {scanner!r} is not known; known are {', '.join(SCANNERS)}; 'general' suits any")
    water, slope_low, slope_high = _general_line(energy_kev) if scanner == "general" else _scanner_line(energy_kev, scanner)
    return (water + slope_low * ct_hu.clamp(max=0.0) + slope_high * ct_hu.clamp(min=0.0)).clamp(min=0.0)


def _general_line(energy_kev: float) -> tuple[float, float, float]:
    """Water [1/mm] and the slopes below and above it [1/(mm HU)] for a scanner of which nothing is known."""
    water = linear_attenuation("water", energy_kev)
    bone_hu = -AIR_HU * (linear_attenuation("cortical_bone", GENERAL_CT_KEV) / linear_attenuation("water", GENERAL_CT_KEV) - 1.0)
    slope_low = (water - linear_attenuation("air", energy_kev)) / -AIR_HU
    return water, slope_low, (linear_attenuation("cortical_bone", energy_kev) - water) / bone_hu


def _scanner_line(energy_kev: float, scanner: str) -> tuple[float, float, float]:
    """Water [1/mm] and the slopes below and above it [1/(mm HU)] from a scanner's table."""
    low, high = _ENERGIES_KEV[0], _ENERGIES_KEV[-1]
    tolerance_kev = 1.0  # a line's exact energy against the rounded one of the table
    if not low - tolerance_kev <= energy_kev <= high + tolerance_kev:
        raise ValueError(
            f"energy_kev {energy_kev:g} lies outside the table of scanner {scanner!r}, {low:g} to {high:g} keV; use scanner 'general'"
        )
    water, slope_low, slope_high = (_log_interpolated(energy_kev, column) for column in (_WATER_PER_CM, *_SLOPES[scanner]))
    return water * PER_MM_PER_PER_CM, slope_low * PER_MM_PER_PER_CM, slope_high * PER_MM_PER_PER_CM


def _log_interpolated(energy_kev: float, column: tuple[float, ...]) -> float:
    """A table column at an energy between its rows."""
    return math.exp(float(np.interp(math.log(energy_kev), np.log(_ENERGIES_KEV), np.log(column))))


def body_mask(ct_hu: Float[Tensor, "1 x y z"], *, spacing_mm: tuple[float, float, float]) -> Bool[Tensor, "1 x y z"]:
    """Region of the body: couch and clothing removed, lungs and gas filled.

    Tissue is what exceeds a threshold; opening it in the axial plane parts the couch from the back; the largest part left is the
    body; each axial slice of it is filled.

    Args:
        ct_hu: CT numbers [HU].
        spacing_mm: Voxel edge lengths [mm].

    Raises:
        ValueError: Nothing in the CT is as dense as tissue.
    """
    tissue = (ct_hu[0] > BODY_THRESHOLD_HU).cpu().numpy()
    disc = axial_disc(OPENING_MM, spacing_mm)
    # Tissue at the edge of the field goes on beyond it: pad by repeating, or opening would eat it away.
    margin = [n // 2 for n in disc.shape]
    opened = ndimage.binary_opening(np.pad(tissue, [(m, m) for m in margin], mode="edge"), disc)
    opened = opened[tuple(slice(m, m + n) for m, n in zip(margin, tissue.shape, strict=True))]
    if not opened.any():
        raise ValueError(f"ct has no body: no region of it exceeds {BODY_THRESHOLD_HU:g} HU; give the CT in Hounsfield units")
    parts = connected_parts(opened)
    core = parts == volumes_of_parts(parts).argmax()
    skin = ndimage.binary_dilation(core, ndimage.generate_binary_structure(3, 1)) & tissue
    return torch.from_numpy(fill_slices(skin))[None].to(ct_hu.device)
