"""Monte Carlo of electrons from a point in unbounded water: where they leave their energy.

    F(E, x) = share of the energy left within x R(E) of the source, R the range of continuous slowing down

Collisions that take more than a fiftieth of the start energy from an electron are drawn one by one (Moller), and the electron
knocked on is followed; the rest is slowing down by the restricted stopping power (ICRU Report 37). Each short step turns
electrons as many elastic and soft collisions would: by one draw from screened Rutherford scattering whose mean cosine is that of
the step, exp(-ds / lambda_1), with the first transport mean free path of water after Moliere. Energy below a hundredth of the
start energy is left where it is. Writes planar3d/dosimetry/electron_point_kernel.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from photon_build_up import isotropic, turn

from planar3d.dosimetry.constants import (
    AVOGADRO,
    BOHR_RADIUS_CM,
    CLASSICAL_ELECTRON_RADIUS_CM,
    ELECTRON_REST_KEV,
    FINE_STRUCTURE,
)
from planar3d.dosimetry.electron_range import WATER_Z_OVER_A, csda_range_mm, stopping_power_kev_per_mm
from planar3d.units import MM_PER_CM

ENERGIES_KEV = (10.0, 20.0, 40.0, 70.0, 100.0, 150.0, 200.0, 300.0, 400.0, 550.0, 800.0, 1200.0, 1700.0, 2300.0)
EDGES = np.linspace(0.0, 1.2, 61)
ELECTRONS, STEP = 40_000, 0.03
CUT, REST = 0.02, 0.01  # shares of the start energy
SEED = 10
WATER = ((1.0, 2.0 / 18.015), (8.0, 1.0 / 18.015))  # Z, moles of atoms per gram
# 2 pi r_e^2 m c^2 N_A Z / A for water of 1 g/mL [keV/mm]
MOLLER = 2.0 * np.pi * CLASSICAL_ELECTRON_RADIUS_CM**2 * ELECTRON_REST_KEV * AVOGADRO * WATER_Z_OVER_A / MM_PER_CM


def main() -> None:
    rng = np.random.default_rng(SEED)
    rows = []
    for energy in ENERGIES_KEV:
        cumulative, mean, kept = point_kernel(energy, rng)
        rows.append(cumulative.round(5).tolist())
        x90 = float(np.interp(0.9, cumulative, EDGES))
        print(
            f"{energy:6g} keV  range {csda_range_mm(energy):.4f} mm  mean distance {mean:.3f}  90 % within {x90:.3f} ranges  "
            f"energy scored {kept:.4f}",
            flush=True,
        )
    table = {
        "source": f"experiments/10_dose_kernels/electron_point_kernel.py: Monte Carlo in water, {ELECTRONS} electrons for each energy",
        "energy_kev": list(ENERGIES_KEV),
        "ranges": EDGES.round(4).tolist(),
        "energy_within": rows,
    }
    path = Path(__file__).parents[2] / "planar3d" / "dosimetry" / "electron_point_kernel.json"
    path.write_text(json.dumps(table) + "\n")
    print(f"wrote {path}")


def point_kernel(energy_kev: float, rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """Share of the energy within each edge, the mean distance of the energy in ranges, and the share of all energy that was scored."""
    cut, rest = CUT * energy_kev, REST * energy_kev
    table = np.geomspace(0.3 * rest, 1.01 * energy_kev, 3000)
    ranges, restricted = csda_range_mm(table), restricted_stopping(table, cut)
    transport, hard = transport_per_mm(table, cut), hard_per_mm(table, cut)
    total = float(csda_range_mm(energy_kev))
    position, direction = np.zeros((ELECTRONS, 3)), isotropic(ELECTRONS, rng)
    energy = np.full(ELECTRONS, energy_kev)
    histogram, weighted = np.zeros(len(EDGES)), 0.0
    while len(energy):
        at = np.log(energy / table[0]) / np.log(table[1] / table[0])

        def look(column: np.ndarray, at: np.ndarray = at) -> np.ndarray:
            return np.interp(at, np.arange(len(table)), column)

        step = np.minimum(STEP * look(ranges), 0.3 / np.maximum(look(hard), 1e-12))
        # each electron turns at a point drawn along its step, where the energy of soft collisions is left
        share = rng.random(len(energy))[:, None]
        position = position + direction * step[:, None] * share
        deposit = np.minimum(step * look(restricted), energy)
        turned = turn(direction, screened_rutherford(step * look(transport), rng), rng)
        energy_left = energy - deposit
        stops = energy_left < rest
        deposit = np.where(stops, energy, deposit)
        distance = np.linalg.norm(position, axis=1) / total
        histogram += np.histogram(distance, np.append(EDGES, np.inf), weights=deposit)[0]
        weighted += float((deposit * distance).sum())
        position = position + turned * step[:, None] * (1.0 - share)
        knocks = ~stops & (rng.random(len(energy)) < -np.expm1(-step * look(hard))) & (energy_left > 2.0 * cut)
        taken = np.zeros(len(energy))
        taken[knocks] = moller_share(energy_left[knocks], cut, rng) * energy_left[knocks]
        secondary = np.flatnonzero(knocks)
        tau, part = energy_left[secondary] / ELECTRON_REST_KEV, taken[secondary] / energy_left[secondary]
        new, old = knock_directions(turned[secondary], part, tau, rng)
        turned[secondary] = old
        alive = ~stops
        energy = np.concatenate([(energy_left - taken)[alive], taken[secondary]])
        direction = np.concatenate([turned[alive], new])
        position = np.concatenate([position[alive], position[secondary]])
    scored = histogram.sum()
    within = np.concatenate([[0.0], np.cumsum(histogram[:-1])]) / scored
    return np.minimum(within / within[-1], 1.0), weighted / scored, scored / ELECTRONS / energy_kev


def restricted_stopping(energy_kev: np.ndarray, cut_kev: float) -> np.ndarray:
    """Collision stopping power by losses up to the cut [keV/mm]."""
    tau, beta2 = kinematics(energy_kev)
    part = np.minimum(cut_kev / energy_kev, 0.5)

    def terms(p: np.ndarray | float) -> np.ndarray:
        logs = (tau * p) ** 2 / 2.0 + (2.0 * tau + 1.0) * np.log1p(-p)
        return np.log(4.0 * (1.0 - p) * p) + 1.0 / (1.0 - p) + logs / (tau + 1.0) ** 2

    reduced = stopping_power_kev_per_mm(energy_kev) - MOLLER / beta2 * (terms(0.5) - terms(part))
    return np.maximum(reduced, 0.1 * stopping_power_kev_per_mm(energy_kev))


def hard_per_mm(energy_kev: np.ndarray, cut_kev: float) -> np.ndarray:
    """Collisions per path that take more than the cut [1/mm]."""
    tau, beta2 = kinematics(energy_kev)
    part = np.minimum(cut_kev / energy_kev, 0.5)

    def integral(e: np.ndarray | float) -> np.ndarray:
        return -1.0 / e + 1.0 / (1.0 - e) + (tau / (tau + 1.0)) ** 2 * e - (2.0 * tau + 1.0) / (tau + 1.0) ** 2 * np.log(e / (1.0 - e))

    return MOLLER / beta2 / energy_kev * (integral(0.5) - integral(part))


def moller_share(energy_kev: np.ndarray, cut_kev: float, rng: np.random.Generator) -> np.ndarray:
    """Share of its energy that an electron passes on in a hard collision, by rejection from 1 / e^2."""
    share, left = np.empty_like(energy_kev), np.arange(len(energy_kev))
    while len(left):
        low, tau = cut_kev / energy_kev[left], energy_kev[left] / ELECTRON_REST_KEV
        e = low / (1.0 - rng.random(len(left)) * (1.0 - 2.0 * low))
        density = 1.0 + (e / (1.0 - e)) ** 2 + (tau / (tau + 1.0) * e) ** 2 - (2.0 * tau + 1.0) / (tau + 1.0) ** 2 * e / (1.0 - e)
        taken = 2.25 * rng.random(len(left)) < density
        share[left[taken]] = e[taken]
        left = left[~taken]
    return share


def knock_directions(direction: np.ndarray, part: np.ndarray, tau: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Directions of the electron knocked on and of the one that hit it, in one plane."""
    cosine_new = np.sqrt(part * (tau + 2.0) / (part * tau + 2.0))
    cosine_old = np.sqrt((1.0 - part) * (tau + 2.0) / ((1.0 - part) * tau + 2.0))
    new = turn(direction, cosine_new, rng)
    across = new - direction * (new * direction).sum(axis=1, keepdims=True)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    return new, direction * cosine_old[:, None] - across * np.sqrt(1.0 - cosine_old**2)[:, None]


def transport_per_mm(energy_kev: np.ndarray, cut_kev: float) -> np.ndarray:
    """Inverse of the first transport mean free path in water of 1 g/mL, nuclei and soft collisions with electrons [1/mm]."""
    tau, beta2 = kinematics(energy_kev)
    momentum2 = tau * (tau + 2.0)  # in units of m c
    part = np.minimum(cut_kev / energy_kev, 0.5)
    softest = 1.0 - np.sqrt((1.0 - part) * (tau + 2.0) / ((1.0 - part) * tau + 2.0))
    result = np.zeros_like(energy_kev)
    for Z, moles in WATER:
        radius = 0.885 * BOHR_RADIUS_CM * Z ** (-1.0 / 3.0)
        # hbar / (m c) = alpha a_0
        angle2 = (FINE_STRUCTURE * BOHR_RADIUS_CM / radius) ** 2 / momentum2 * (1.13 + 3.76 * (FINE_STRUCTURE * Z) ** 2 / beta2)
        eta = 0.25 * angle2
        strength = 2.0 * np.pi * AVOGADRO * moles * CLASSICAL_ELECTRON_RADIUS_CM**2 / (momentum2 * beta2)
        for charge2, widest in ((Z**2, 2.0), (Z, softest)):
            result += charge2 * strength * (np.log1p(widest / (2.0 * eta)) + 2.0 * eta / (widest + 2.0 * eta) - 1.0)
    return result / MM_PER_CM


def kinematics(energy_kev: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy in units of the rest energy, and velocity squared in units of light's."""
    tau = energy_kev / ELECTRON_REST_KEV
    return tau, tau * (tau + 2.0) / (tau + 1.0) ** 2


_ETA = np.geomspace(1e-9, 1e4, 4000)
_LOSS = 2.0 * _ETA * ((1.0 + _ETA) * np.log1p(1.0 / _ETA) - 1.0)


def screened_rutherford(transport: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cosines of screened Rutherford scattering of mean ``exp(-transport)``."""
    eta = np.exp(np.interp(-np.expm1(-transport), _LOSS, np.log(_ETA)))
    u = rng.random(len(transport))
    return 1.0 - 2.0 * eta * u / (1.0 - u + eta)


if __name__ == "__main__":
    main()
