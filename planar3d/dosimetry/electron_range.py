"""Stopping of electrons in water: collision stopping power, and the range of an electron that slows down continuously.

    S(T) = 2 pi r_e^2 N_A m c^2 (Z/A) / beta^2 * {ln[tau^2 (tau + 2) / (2 (I / m c^2)^2)] + F(tau) - delta}
    F(tau) = 1 - beta^2 + [tau^2 / 8 - (2 tau + 1) ln 2] / (tau + 1)^2
    R(T) = int_0^T dT' / S(T')

with tau = T / m c^2, I = 75 eV and the density effect delta after Sternheimer (ICRU Report 37, 1984). Radiation is left out: 0.2
% of the energy at 0.5 MeV, 0.5 % at 1 MeV. Below 1 keV the stopping power is continued as T^(1/2); what lies there travels less
than 0.1 um.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from planar3d.dosimetry.constants import AVOGADRO, CLASSICAL_ELECTRON_RADIUS_CM, ELECTRON_REST_KEV
from planar3d.units import EV_PER_KEV, MM_PER_CM

__all__ = ["csda_range_mm", "stopping_power_kev_per_mm"]

MEAN_EXCITATION_KEV = 75.0 / EV_PER_KEV
WATER_Z_OVER_A = 0.55508
LOWEST_KEV, HIGHEST_KEV = 0.1, 5000.0
_BETHE_FROM_KEV = 1.0

# Sternheimer's parameters of liquid water: C, X0, X1, a, m
_DENSITY_EFFECT = (-3.5017, 0.2400, 2.8004, 0.09116, 3.4773)


def stopping_power_kev_per_mm(energy_kev: np.ndarray | float) -> np.ndarray:
    """Collision stopping power of water of 1 g/mL.

    Args:
        energy_kev: Kinetic energy [keV].

    Returns:
        Energy lost per path, of the same shape [keV/mm].
    """
    energy = np.asarray(energy_kev, dtype=np.float64)
    bethe = _bethe(np.maximum(energy, _BETHE_FROM_KEV))
    return np.asarray(bethe * np.sqrt(np.minimum(energy / _BETHE_FROM_KEV, 1.0)))


def csda_range_mm(energy_kev: np.ndarray | float) -> np.ndarray:
    """Path length in water of 1 g/mL until rest.

    Args:
        energy_kev: Kinetic energy [keV].

    Returns:
        Range, of the same shape [mm].

    Raises:
        ValueError: An energy lies beyond the table, 5 MeV.
    """
    energy = np.asarray(energy_kev, dtype=np.float64)
    if (energy > HIGHEST_KEV).any() or (energy < 0.0).any():
        raise ValueError(f"energy_kev must lie between 0 and {HIGHEST_KEV:g} keV, got up to {energy.max():g}; give kinetic energies in keV")
    table_energy, table_range = _range_table()
    below = table_range[0] * np.sqrt(energy / LOWEST_KEV)
    inside = np.exp(np.interp(np.log(np.maximum(energy, LOWEST_KEV)), np.log(table_energy), np.log(table_range)))
    return np.where(energy < LOWEST_KEV, below, inside)


@cache
def _range_table() -> tuple[np.ndarray, np.ndarray]:
    """Energies [keV] and ranges [mm], finely spaced, by the trapezium rule in the logarithm of the energy."""
    energy = np.geomspace(LOWEST_KEV, HIGHEST_KEV, 4000)
    per_log = energy / stopping_power_kev_per_mm(energy)
    steps = 0.5 * (per_log[1:] + per_log[:-1]) * np.diff(np.log(energy))
    start = 2.0 * LOWEST_KEV / stopping_power_kev_per_mm(LOWEST_KEV)
    return energy, start + np.concatenate([[0.0], np.cumsum(steps)])


def _bethe(energy_kev: np.ndarray | float) -> np.ndarray:
    """The formula of the module docstring [keV/mm]."""
    tau = energy_kev / ELECTRON_REST_KEV
    beta2 = tau * (tau + 2.0) / (tau + 1.0) ** 2
    factor = 2.0 * np.pi * CLASSICAL_ELECTRON_RADIUS_CM**2 * AVOGADRO * ELECTRON_REST_KEV * WATER_Z_OVER_A
    shape = 1.0 - beta2 + (tau**2 / 8.0 - (2.0 * tau + 1.0) * np.log(2.0)) / (tau + 1.0) ** 2
    logarithm = np.log(tau**2 * (tau + 2.0) / (2.0 * (MEAN_EXCITATION_KEV / ELECTRON_REST_KEV) ** 2))
    return np.asarray(factor / beta2 * (logarithm + shape - _density_effect(tau)) / MM_PER_CM)


def _density_effect(tau: np.ndarray | float) -> np.ndarray:
    """Sternheimer's delta."""
    C, X0, X1, a, m = _DENSITY_EFFECT
    x = 0.5 * np.log10(tau * (tau + 2.0))
    middle = 2.0 * np.log(10.0) * x + C + a * np.maximum(X1 - x, 0.0) ** m
    return np.where(x < X0, 0.0, middle)
