"""Where the photons of a point source leave their energy in water.

    k(r) = sum_lines y E mu_en exp(-mu r) B(E, mu r) / (4 pi r^2)

energy per decay and volume at distance r, with yield y, the coefficients of `planar3d.dosimetry.photon_absorption`, and the
build-up factor B of energy absorption, tabulated from a Monte Carlo in unbounded water (`photon_build_up.json`, made by
experiments/10_dose_kernels/photon_build_up.py). The body's surface is not seen by it: near the skin scatter from beyond is
counted that is not there. Lines under 5 keV go 0.1 mm and are counted with the electrons of their source point.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

import numpy as np

from planar3d.dosimetry.emissions import Emissions, Line
from planar3d.dosimetry.photon_absorption import absorption_per_mm, attenuation_per_mm

__all__ = ["build_up", "local_photon_kev", "photon_absorbed_per_mm", "photon_tail_kev"]

LOCAL_BELOW_KEV = 5.0
_FARTHEST_MM = 5000.0


def local_photon_kev(emissions: Emissions) -> float:
    """Energy per decay of photons too soft to travel [keV]."""
    return sum(line.energy_kev * line.yield_per_decay for line in emissions.photons if line.energy_kev < LOCAL_BELOW_KEV)


def photon_absorbed_per_mm(emissions: Emissions, radius_mm: np.ndarray, *, density_g_per_ml: float = 1.0) -> np.ndarray:
    """Energy absorbed per distance from a point source, ``4 pi r^2 k(r)``.

    Args:
        emissions: Radiations of the radionuclide.
        radius_mm: Distances [mm].
        density_g_per_ml: Density of the water-like medium [g/mL].

    Returns:
        Of the shape of ``radius_mm``, per decay [keV/mm].
    """
    lines = _travelling(emissions)
    result = np.zeros_like(radius_mm, dtype=np.float64)
    for line in lines:
        mu = float(attenuation_per_mm(line.energy_kev)) * density_g_per_ml
        mu_en = float(absorption_per_mm(line.energy_kev)) * density_g_per_ml
        result += line.energy_kev * line.yield_per_decay * mu_en * np.exp(-mu * radius_mm) * build_up(line.energy_kev, mu * radius_mm)
    return result


def photon_tail_kev(emissions: Emissions, radius_mm: np.ndarray, *, density_g_per_ml: float = 1.0) -> np.ndarray:
    """Energy that photons carry beyond a distance, per decay [keV]."""
    edges = np.concatenate([[0.0], np.geomspace(0.01, _FARTHEST_MM, 3000)])
    middle = 0.5 * (edges[1:] + edges[:-1])
    absorbed = photon_absorbed_per_mm(emissions, middle, density_g_per_ml=density_g_per_ml) * np.diff(edges)
    beyond = np.concatenate([np.cumsum(absorbed[::-1])[::-1], [0.0]])
    return np.interp(radius_mm, edges, beyond)


def build_up(energy_kev: float, mean_free_paths: np.ndarray) -> np.ndarray:
    """Energy absorbed over energy absorbed from photons that have not yet scattered.

    Args:
        energy_kev: Energy at the source [keV].
        mean_free_paths: Distances in mean free paths; beyond 12 the logarithm is continued linearly.

    Returns:
        Of the shape of ``mean_free_paths``, at least 1.
    """
    energies, distances, rows = _table()
    place = np.interp(np.log(energy_kev), energies, np.arange(len(energies)))
    below = min(int(place), len(energies) - 2)
    row = (below + 1 - place) * rows[below] + (place - below) * rows[below + 1]
    slope = max((row[-1] - row[-5]) / (distances[-1] - distances[-5]), 0.0)
    beyond = np.maximum(mean_free_paths - distances[-1], 0.0)
    return np.exp(np.interp(mean_free_paths, distances, row) + slope * beyond)


def _travelling(emissions: Emissions) -> list[Line]:
    """Photons that leave their source point."""
    return [line for line in emissions.photons if line.energy_kev >= LOCAL_BELOW_KEV]


@cache
def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logarithms of energies [keV], mean free paths, and logarithms of the build-up factor."""
    text = resources.files("planar3d.dosimetry").joinpath("photon_build_up.json").read_text(encoding="utf-8")
    table = json.loads(text)
    rows = np.log(np.maximum(np.array(table["build_up"]), 1.0))
    distances = np.concatenate([[0.0], table["mean_free_paths"]])
    return np.log(table["energy_kev"]), distances, np.concatenate([np.zeros((len(rows), 1)), rows], axis=1)
