"""Monte Carlo of the detector: what a photon that reaches it with energy E and obliquity theta adds to an energy window.

A NaI slab of 9.5 mm behind 1 mm of aluminium, backed by 60 mm of glass at half density, which stands for light guide and
photomultipliers and sends photons back. Photons are followed through photoelectric absorption and Compton scattering (Klein-Nishina, free
electrons); coherent scattering is taken as forward, and the K X-rays of iodine are absorbed where they arise. Energy is blurred by a
Gaussian of FWHM ``R 140.5 keV (E / 140.5 keV)^(1/2)``.

Kept apart, because they vary with energy in different ways: the share that leaves all its energy, and the spectrum of the rest.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
import xraydb
from torch import Tensor

from planar3d.units import EV_PER_KEV, FWHM_PER_SIGMA, PER_MM_PER_PER_CM

ELECTRON_KEV = 510.999
CRYSTAL_MM, COVER_MM, BACK_MM = 9.5, 1.0, 60.0
LOWEST_KEV = 20.0
ENERGIES_KEV = torch.cat([torch.arange(40.0, 421.0, 10.0), torch.arange(450.0, 761.0, 50.0)])
COSINES = torch.tensor([0.25, 0.5, 0.75, 1.0])
HISTORIES = 60_000
TABLE_KEV = torch.arange(10.0, 801.0, 1.0)


@cache
def attenuation(material: str, density: float) -> tuple[Tensor, Tensor]:
    """Photoelectric and incoherent attenuation on `TABLE_KEV` [1/mm]."""
    energy_ev = TABLE_KEV.double().numpy() * EV_PER_KEV
    parts = (np.asarray(xraydb.material_mu(material, energy_ev, density=density, kind=kind)) for kind in ("photo", "incoh"))
    photo, incoherent = (torch.tensor(part * PER_MM_PER_PER_CM, dtype=torch.float32) for part in parts)
    return photo, incoherent


def at(table: Tensor, energy_kev: Tensor) -> Tensor:
    """Linear interpolation in a table over `TABLE_KEV`."""
    place = (energy_kev - TABLE_KEV[0]).clamp(0.0, len(TABLE_KEV) - 1.001)
    low = place.long()
    return torch.lerp(table[low], table[low + 1], place - low)


def klein_nishina_cosine(energy_kev: Tensor, generator: torch.Generator) -> Tensor:
    """Cosines of Compton scattering, by rejection."""
    cosine = torch.empty_like(energy_kev)
    todo = torch.arange(len(energy_kev))
    while len(todo):
        c = 2.0 * torch.rand(len(todo), generator=generator) - 1.0
        p = 1.0 / (1.0 + energy_kev[todo] / ELECTRON_KEV * (1.0 - c))
        accepted = torch.rand(len(todo), generator=generator) < 0.5 * p * p * (p + 1.0 / p - 1.0 + c * c)
        cosine[todo[accepted]] = c[accepted]
        todo = todo[~accepted]
    return cosine


class CrystalResponse:
    """Tables of the Monte Carlo, and the chance of a count in a window.

    Args:
        seed: Seed of the histories.
    """

    def __init__(self, *, seed: int = 0) -> None:
        e, c = (part.reshape(-1).repeat_interleave(HISTORIES) for part in torch.meshgrid(ENERGIES_KEV, COSINES, indexing="ij"))
        deposit = _deposits(e, c, torch.Generator().manual_seed(seed))
        shape = (len(ENERGIES_KEV), len(COSINES))
        full = deposit > e - 0.5
        self.full = full.view(*shape, HISTORIES).float().mean(dim=-1)
        bins = deposit.masked_fill(full, 0.0).round().long().view(-1, HISTORIES)
        spectrum = torch.zeros(len(bins), int(ENERGIES_KEV.max()) + 1)
        spectrum.scatter_add_(1, bins, torch.full(bins.shape, 1.0 / HISTORIES))
        spectrum[:, 0] = 0.0
        self.partial = spectrum.view(*shape, -1)
        aluminium = [float(xraydb.material_mu("Al", float(e) * EV_PER_KEV, density=2.699)) * PER_MM_PER_PER_CM for e in TABLE_KEV]
        self.cover = torch.tensor(aluminium)

    def chance(self, energy_kev: Tensor, cosine: Tensor, window_kev: tuple[float, float], resolution: float) -> Tensor:
        """Counts per photon in a window; resolution is the relative FWHM at 140.5 keV."""
        seen = torch.arange(self.partial.shape[-1], dtype=torch.float32).clamp(min=1.0)
        partial = (self.partial * acceptance(seen, window_kev, resolution)).sum(dim=-1)
        full = self._between(self.full, energy_kev, cosine) * acceptance(energy_kev, window_kev, resolution)
        kept = torch.exp(-at(self.cover, energy_kev) * COVER_MM / cosine.clamp(min=0.05))
        return kept * (full + self._between(partial, energy_kev, cosine)) * (energy_kev > ENERGIES_KEV[0])

    @staticmethod
    def _between(table: Tensor, energy_kev: Tensor, cosine: Tensor) -> Tensor:
        """Bilinear interpolation."""
        i = (torch.searchsorted(ENERGIES_KEV, energy_kev.contiguous()) - 1).clamp(0, len(ENERGIES_KEV) - 2)
        j = (torch.searchsorted(COSINES, cosine.contiguous()) - 1).clamp(0, len(COSINES) - 2)
        u = ((energy_kev - ENERGIES_KEV[i]) / (ENERGIES_KEV[i + 1] - ENERGIES_KEV[i])).clamp(0.0, 1.0)
        v = ((cosine - COSINES[j]) / (COSINES[j + 1] - COSINES[j])).clamp(0.0, 1.0)
        return torch.lerp(torch.lerp(table[i, j], table[i + 1, j], u), torch.lerp(table[i, j + 1], table[i + 1, j + 1], u), v)


def acceptance(energy_kev: Tensor, window_kev: tuple[float, float], resolution: float) -> Tensor:
    """Share of a deposit that its blurred energy leaves in a window."""
    scale = math.sqrt(2.0) * resolution * (140.5 * energy_kev).sqrt() / FWHM_PER_SIGMA
    low, high = window_kev
    return 0.5 * (torch.erf((high - energy_kev) / scale) - torch.erf((low - energy_kev) / scale))


def _deposits(energy_kev: Tensor, cosine: Tensor, generator: torch.Generator) -> Tensor:
    """Energy left in the crystal by photons that enter its front [keV]."""
    crystal, back = attenuation("NaI", 3.667), attenuation("SiO2", 1.25)
    deposit = torch.zeros_like(energy_kev)
    alive = torch.arange(len(energy_kev))
    e, w, z = energy_kev.clone(), cosine.clone(), torch.zeros_like(energy_kev)
    while len(alive):
        mu = [at(part[0], e) + at(part[1], e) for part in (crystal, back)]
        z = _next_collision(z, w, mu[0], mu[1], torch.rand(len(e), generator=generator))
        kept = (z > 0.0) & (z < CRYSTAL_MM + BACK_MM)
        alive, e, w, z = alive[kept], e[kept], w[kept], z[kept]
        inside = z < CRYSTAL_MM
        photo = torch.where(inside, at(crystal[0], e), at(back[0], e))
        total = photo + torch.where(inside, at(crystal[1], e), at(back[1], e))
        absorbed = torch.rand(len(e), generator=generator) * total < photo
        deposit.index_add_(0, alive, e * (absorbed & inside))
        alive, e, w, z, inside = alive[~absorbed], e[~absorbed], w[~absorbed], z[~absorbed], inside[~absorbed]
        c = klein_nishina_cosine(e, generator)
        after = e / (1.0 + e / ELECTRON_KEV * (1.0 - c))
        deposit.index_add_(0, alive, (e - after) * inside)
        turn = torch.cos(2.0 * math.pi * torch.rand(len(e), generator=generator))
        w = w * c + ((1.0 - w * w).clamp(min=0.0) * (1.0 - c * c).clamp(min=0.0)).sqrt() * turn
        deposit.index_add_(0, alive, after * (inside & (after < LOWEST_KEV)))
        kept = after >= LOWEST_KEV
        alive, e, w, z = alive[kept], after[kept], w[kept], z[kept]
    return deposit


def _next_collision(z: Tensor, w: Tensor, mu_crystal: Tensor, mu_back: Tensor, uniform: Tensor) -> Tensor:
    """Depth of the next collision; below 0 or beyond the backing for photons that leave."""
    w = torch.where(w.abs() < 1e-4, torch.full_like(w, 1e-4), w)
    depth = -torch.log1p(-uniform.clamp(max=1.0 - 1e-7)) * w  # optical depth along z, signed
    inside = z < CRYSTAL_MM
    here, there = torch.where(inside, mu_crystal, mu_back), torch.where(inside, mu_back, mu_crystal)
    to_interface = (CRYSTAL_MM - z) * here
    crosses = (to_interface * depth > 0.0) & (depth.abs() > to_interface.abs())
    return torch.where(crosses, CRYSTAL_MM + (depth - to_interface) / there, z + depth / here)
