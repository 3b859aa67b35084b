"""Linear attenuation of materials at any photon energy.

    mu(E) = rho * sum_i w_i (mu/rho)_i(E)

with density rho, mass fractions w_i and the elements' mass attenuation (coherent scattering included) from the tables of Elam, Ravel
and Sieber that xraydb ships (Radiat. Phys. Chem. 63 (2002) 121). Compositions of tissues: ICRU Report 44 (1989) as printed in
NIST X-Ray Mass Attenuation Coefficients, table 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from planar3d.units import EV_PER_KEV, PER_MM_PER_PER_CM

__all__ = ["MATERIALS", "Material", "linear_attenuation"]

ENERGY_RANGE_KEV = (10.0, 800.0)


@dataclass(frozen=True, kw_only=True)
class Material:
    """A mixture of elements.

    Attributes:
        density_g_per_ml: Mass density [g/mL].
        mass_fractions: Element symbol to fraction of the mass.
    """

    density_g_per_ml: float
    mass_fractions: dict[str, float]


MATERIALS: dict[str, Material] = {
    "water": Material(density_g_per_ml=1.0, mass_fractions={"H": 0.1119, "O": 0.8881}),
    "air": Material(density_g_per_ml=1.205e-3, mass_fractions={"N": 0.7553, "O": 0.2318, "Ar": 0.0128, "C": 0.0001}),
    "muscle": Material(
        density_g_per_ml=1.05,
        mass_fractions={"H": 0.102, "C": 0.143, "N": 0.034, "O": 0.710, "Na": 0.001, "P": 0.002, "S": 0.003, "Cl": 0.001, "K": 0.004},
    ),
    "adipose": Material(
        density_g_per_ml=0.95, mass_fractions={"H": 0.114, "C": 0.598, "N": 0.007, "O": 0.278, "Na": 0.001, "S": 0.001, "Cl": 0.001}
    ),
    "lung": Material(
        density_g_per_ml=0.26,
        mass_fractions={"H": 0.103, "C": 0.105, "N": 0.031, "O": 0.749, "Na": 0.002, "P": 0.002, "S": 0.003, "Cl": 0.003, "K": 0.002},
    ),
    "cortical_bone": Material(
        density_g_per_ml=1.92,
        mass_fractions={"H": 0.034, "C": 0.155, "N": 0.042, "O": 0.435, "Na": 0.001, "Mg": 0.002, "P": 0.103, "S": 0.003, "Ca": 0.225},
    ),
    "lead": Material(density_g_per_ml=11.35, mass_fractions={"Pb": 1.0}),
    "tungsten": Material(density_g_per_ml=19.3, mass_fractions={"W": 1.0}),
    "sodium_iodide": Material(density_g_per_ml=3.667, mass_fractions={"Na": 0.1534, "I": 0.8466}),
}
"""Materials by name; densities from the same tables."""


@cache
def linear_attenuation(material: str, energy_kev: float) -> float:
    """Linear attenuation coefficient [1/mm].

    Args:
        material: A name in `MATERIALS`.
        energy_kev: Photon energy [keV].

    Raises:
        ValueError: The material is not known or the energy lies outside the tables.
    """
    if material not in MATERIALS:
        raise ValueError(f"material {material!r} is not known; known are {', '.join(MATERIALS)}")
    low, high = ENERGY_RANGE_KEV
    if not low <= energy_kev <= high:
        raise ValueError(f"energy_kev must lie between {low:g} and {high:g} keV, got {energy_kev:g}; give the photon energy in keV")
    import xraydb

    mixture = MATERIALS[material]
    energy_ev = energy_kev * EV_PER_KEV
    per_mass = sum(w * float(xraydb.mu_elam(element, energy_ev)) for element, w in mixture.mass_fractions.items())
    return mixture.density_g_per_ml * per_mass * PER_MM_PER_PER_CM
