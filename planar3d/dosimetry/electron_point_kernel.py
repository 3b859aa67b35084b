"""Where the electrons of a point source leave their energy in water.

    C(r) = sum_E e(E) F(E, r rho / R(E))

with e(E) the energy per decay that electrons of energy E carry, R their range of continuous slowing down at unit density
(`planar3d.dosimetry.electron_range`), rho the density, and F the share of their energy left within a distance, scaled by range:
it hardly depends on energy. F is tabulated from a Monte Carlo that follows electrons and those that they knock on
(`electron_point_kernel.json`, made by experiments/10_dose_kernels/electron_point_kernel.py). Bremsstrahlung is counted where it
arises: 0.1 % of the energy of Lu-177, 0.4 % of that of Y-90.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

import numpy as np

from planar3d.dosimetry.electron_range import csda_range_mm
from planar3d.dosimetry.emissions import Emissions

__all__ = ["electron_reach_mm", "electron_shells", "share_within"]

_SHELLS = 400


def electron_reach_mm(emissions: Emissions, *, density_g_per_ml: float = 1.0) -> float:
    """Greatest distance that an electron comes from the source [mm]."""
    energies, _ = emissions.electron_spectrum()
    return float(csda_range_mm(energies).max()) * float(_table()[1][-1]) / density_g_per_ml


def electron_shells(emissions: Emissions, *, density_g_per_ml: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Energy left in thin spherical shells about a point source.

    Args:
        emissions: Radiations of the radionuclide.
        density_g_per_ml: Density of the water-like medium [g/mL].

    Returns:
        Middle radii [mm], and the energy left in each shell per decay [keV]; the latter add up to all that electrons carry.
    """
    energies, carried = emissions.electron_spectrum()
    edges = np.linspace(0.0, electron_reach_mm(emissions, density_g_per_ml=density_g_per_ml), _SHELLS + 1)
    ranges = csda_range_mm(energies) / density_g_per_ml
    within = np.zeros_like(edges)
    for energy, kev, full in zip(energies, carried, ranges, strict=True):
        within += kev * share_within(energy, edges / full)
    return 0.5 * (edges[1:] + edges[:-1]), np.diff(within)


def share_within(energy_kev: float, ranges: np.ndarray) -> np.ndarray:
    """Share of an electron's energy that it leaves within a distance.

    Args:
        energy_kev: Energy of the electron [keV].
        ranges: Distances in units of its range.

    Returns:
        Of the shape of ``ranges``; 1 from 1.2 ranges on: an electron that loses less than others goes beyond the mean range.
    """
    energies, distances, rows = _table()
    place = np.interp(np.log(energy_kev), energies, np.arange(len(energies)))
    below = min(int(place), len(energies) - 2)
    row = (below + 1 - place) * rows[below] + (place - below) * rows[below + 1]
    return np.interp(ranges, distances, row)


@cache
def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logarithms of energies [keV], distances in ranges, and the share within each."""
    text = resources.files("planar3d.dosimetry").joinpath("electron_point_kernel.json").read_text(encoding="utf-8")
    table = json.loads(text)
    return np.log(table["energy_kev"]), np.array(table["ranges"]), np.array(table["energy_within"])
