"""Monte Carlo of photons from a point in unbounded water: the energy-absorption build-up factor.

    B(E, x) = energy absorbed at a distance of x mean free paths / energy absorbed there from photons that have not yet scattered

Photoelectric effect and Klein-Nishina scattering, electrons stopped where they start. Writes planar3d/dosimetry/photon_build_up.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from planar3d.dosimetry.constants import ELECTRON_REST_KEV
from planar3d.dosimetry.photon_absorption import absorption_per_mm, attenuation_per_mm, cross_sections_per_mm

ENERGIES_KEV = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 130.0, 170.0, 220.0, 280.0, 360.0, 460.0, 600.0, 800.0)
EDGES = np.concatenate([np.arange(0.0, 3.0, 0.2), np.arange(3.0, 12.01, 0.5)])
PHOTONS, BATCH = 800_000, 100_000
STOP_KEV = 1.5
SEED = 10


def main() -> None:
    rng = np.random.default_rng(SEED)
    rows = []
    for energy in ENERGIES_KEV:
        scattered, total = build_up(energy, rng)
        mu, mu_en = float(attenuation_per_mm(energy)), float(absorption_per_mm(energy))
        primary = energy * mu_en / mu * -np.diff(np.exp(-EDGES))
        rows.append((1.0 + scattered / primary).round(4).tolist())
        print(f"{energy:6g} keV  B(1) {np.interp(1.0, centres(), rows[-1]):.3f}  B(4) {np.interp(4.0, centres(), rows[-1]):.2f}  "
              f"energy inside {EDGES[-1]:g} mfp: {(scattered.sum() + primary.sum()) / energy:.4f}, all scored {total:.4f}")  # fmt: skip
    table = {
        "source": "experiments/10_dose_kernels/photon_build_up.py: Monte Carlo in water, 800000 photons for each energy",
        "energy_kev": list(ENERGIES_KEV),
        "mean_free_paths": centres().round(4).tolist(),
        "build_up": rows,
    }
    path = Path(__file__).parents[2] / "planar3d" / "dosimetry" / "photon_build_up.json"
    path.write_text(json.dumps(table) + "\n")
    print(f"wrote {path}")


def centres() -> np.ndarray:
    """Distance in each bin at which a primary is absorbed on average [mean free paths]."""
    low, high = EDGES[:-1], EDGES[1:]
    return (np.exp(-low) * (low + 1.0) - np.exp(-high) * (high + 1.0)) / (np.exp(-low) - np.exp(-high))


def build_up(energy_kev: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Energy per photon left in each bin by scattered photons [keV], and the share of all energy that was scored."""
    mu0 = float(attenuation_per_mm(energy_kev))
    scattered, everything = np.zeros(len(EDGES) - 1), 0.0
    for _ in range(PHOTONS // BATCH):
        position, direction = np.zeros((BATCH, 3)), isotropic(BATCH, rng)
        energy, order = np.full(BATCH, energy_kev), 0
        while len(energy):
            photo, incoherent = cross_sections_per_mm(energy)
            position = position + direction * (rng.exponential(size=len(energy)) / (photo + incoherent))[:, None]
            absorbed = rng.random(len(energy)) * (photo + incoherent) < photo
            cosine = klein_nishina(energy, rng)
            after = energy / (1.0 + energy / ELECTRON_REST_KEV * (1.0 - cosine))
            absorbed |= after < STOP_KEV
            deposit = np.where(absorbed, energy, energy - after)
            everything += deposit.sum()
            if order:
                distance = mu0 * np.linalg.norm(position, axis=1)
                scattered += np.histogram(distance, EDGES, weights=deposit)[0]
            kept = ~absorbed
            position, energy = position[kept], after[kept]
            direction = turn(direction[kept], cosine[kept], rng)
            order += 1
    return scattered / PHOTONS, everything / PHOTONS / energy_kev


def klein_nishina(energy_kev: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cosine of the Compton angle by rejection from uniform cosines; the density is greatest forward."""
    cosine = np.empty_like(energy_kev)
    left = np.arange(len(energy_kev))
    while len(left):
        trial = rng.uniform(-1.0, 1.0, len(left))
        ratio = 1.0 / (1.0 + energy_kev[left] / ELECTRON_REST_KEV * (1.0 - trial))
        density = 0.5 * ratio**2 * (ratio + 1.0 / ratio - 1.0 + trial**2)
        taken = rng.random(len(left)) < density
        cosine[left[taken]] = trial[taken]
        left = left[~taken]
    return cosine


def isotropic(n: int, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors, ``(n, 3)``."""
    vectors = rng.normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def turn(direction: np.ndarray, cosine: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Directions turned by polar angles of these cosines, about a random azimuth."""
    other = np.where(np.abs(direction[:, 2:]) < 0.9, np.array([[0.0, 0.0, 1.0]]), np.array([[1.0, 0.0, 0.0]]))
    u = np.cross(direction, other)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(direction, u)
    azimuth = rng.uniform(0.0, 2.0 * np.pi, len(cosine))
    sine = np.sqrt(np.clip(1.0 - cosine**2, 0.0, None))
    turned = direction * cosine[:, None] + (u * np.cos(azimuth)[:, None] + v * np.sin(azimuth)[:, None]) * sine[:, None]
    return turned / np.linalg.norm(turned, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
