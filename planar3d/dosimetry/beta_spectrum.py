"""Shape of a beta spectrum: allowed or unique first-forbidden, in the Coulomb field of the daughter.

    N(T) ~ F_0 p W (T_0 - T)^2 S,    S = 1 where the transition is allowed, q^2 + lambda_2 p^2 where it is unique first-forbidden
    F_(k-1) = {(2k)! / [Gamma(k) Gamma(1 + 2 g_k)]}^2 (2 p R)^(2 (g_k - k)) exp(pi y) |Gamma(g_k + i y)|^2
    g_k = [k^2 - (alpha Z)^2]^(1/2),    y = alpha Z W / p,    lambda_2 = F_1 / F_0 (2 + g_2) / (2 + 2 g_1)

with T_0 the end point, momentum p, total energy W and neutrino momentum q in units of m c and m c^2, and the nuclear radius R =
alpha A^(1/3) / 2. Source: Behrens and Janecke, Numerical Tables for Beta-Decay and Electron Capture (1969). Screening by the atom's
electrons is left out.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import loggamma

from planar3d.dosimetry.constants import ELECTRON_REST_KEV, FINE_STRUCTURE

__all__ = ["beta_spectrum"]


def beta_spectrum(
    end_point_kev: float, *, daughter_z: int, mass_number: int, unique: bool = False, points: int = 200
) -> tuple[np.ndarray, np.ndarray]:
    """Energies of the electrons of one beta transition, and how many have them.

    Args:
        end_point_kev: Greatest kinetic energy [keV].
        daughter_z: Atomic number of the daughter.
        mass_number: Mass number.
        unique: Whether the transition is unique first-forbidden.
        points: Number of energies.

    Returns:
        Kinetic energies at the middle of equal intervals [keV], and the share of electrons in each, which add up to 1.
    """
    kinetic = (np.arange(points) + 0.5) * end_point_kev / points
    W = 1.0 + kinetic / ELECTRON_REST_KEV
    p = np.sqrt(W**2 - 1.0)
    q = (end_point_kev - kinetic) / ELECTRON_REST_KEV
    field = FINE_STRUCTURE * daughter_z, 0.5 * FINE_STRUCTURE * mass_number ** (1.0 / 3.0)
    shape = 1.0
    if unique:
        shape = q**2 + p**2 * np.exp(_log_fermi(2, p, W, *field) - _log_fermi(1, p, W, *field)) * _lambda_factor(field[0])
    log_fermi = _log_fermi(1, p, W, *field)
    density = np.exp(log_fermi - log_fermi.max()) * p * W * q**2 * shape
    return kinetic, density / density.sum()


def _log_fermi(k: int, p: np.ndarray, W: np.ndarray, coupling: float, radius: float) -> np.ndarray:
    """Logarithm of F_(k-1)."""
    g = math.sqrt(k**2 - coupling**2)
    y = coupling * W / p
    factor = 2.0 * (math.lgamma(2 * k + 1) - math.lgamma(k) - math.lgamma(1.0 + 2.0 * g))
    return factor + 2.0 * (g - k) * np.log(2.0 * p * radius) + np.pi * y + 2.0 * loggamma(g + 1j * y).real


def _lambda_factor(coupling: float) -> float:
    """What lambda_2 has besides the ratio of the functions."""
    g1, g2 = (math.sqrt(k**2 - coupling**2) for k in (1, 2))
    return (2.0 + g2) / (2.0 * (1.0 + g1))
