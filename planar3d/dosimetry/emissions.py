"""What a decay emits: electrons and photons with their energies and yields.

    Delta_e = sum_beta y <T> + sum_lines y E        energy that electrons carry away, per decay

Beta spectra have the shape of `planar3d.dosimetry.beta_spectrum` and the mean energy of the table; conversion and Auger electrons
are lines. Source: ICRP Publication 107 (2008), lines closer than 2 % merged (`emissions.json`, made by
experiments/10_dose_kernels/emissions.py). Gamma lines that `planar3d.radionuclide` lists have the yields given there: those of
Lu-177 are 6 % below ICRP 107. The electrons of Lu-177 carry 147.9 keV per decay, 0.0853 g Gy/(MBq h).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from planar3d.dosimetry.beta_spectrum import beta_spectrum
from planar3d.radionuclide import Radionuclide

__all__ = ["Beta", "Emissions", "Line"]


@dataclass(frozen=True, kw_only=True)
class Beta:
    """A beta transition.

    Attributes:
        end_point_kev: Greatest energy [keV].
        mean_kev: Mean energy [keV].
        yield_per_decay: Electrons per decay.
        unique: Whether it is unique first-forbidden.
    """

    end_point_kev: float
    mean_kev: float
    yield_per_decay: float
    unique: bool


@dataclass(frozen=True, kw_only=True)
class Line:
    """Electrons or photons of one energy.

    Attributes:
        energy_kev: Energy [keV].
        yield_per_decay: Number per decay.
    """

    energy_kev: float
    yield_per_decay: float


@dataclass(frozen=True, kw_only=True)
class Emissions:
    """Radiations of a radionuclide.

    Attributes:
        name: Symbol and mass number.
        daughter_z: Atomic number of the daughter of beta decay; 0 where there is none.
        betas: Beta transitions.
        electrons: Conversion and Auger electrons.
        photons: Gamma and X rays.
    """

    name: str
    daughter_z: int
    betas: tuple[Beta, ...]
    electrons: tuple[Line, ...]
    photons: tuple[Line, ...]

    @classmethod
    def of(cls, isotope: str) -> Emissions:
        """Emissions of a radionuclide by name; spelling is free.

        Raises:
            ValueError: The radionuclide is not known.
        """
        known = _table()
        if isotope in known:
            return known[isotope]
        name = Radionuclide.from_name(isotope).name
        if name not in known:
            raise ValueError(f"isotope {isotope!r} has no table of emissions; those with one are {', '.join(known)}")
        return known[name]

    @property
    def electron_kev(self) -> float:
        """Mean energy of electrons per decay [keV]."""
        betas = sum(b.mean_kev * b.yield_per_decay for b in self.betas)
        return betas + sum(line.energy_kev * line.yield_per_decay for line in self.electrons)

    @property
    def photon_kev(self) -> float:
        """Mean energy of photons per decay [keV]."""
        return sum(line.energy_kev * line.yield_per_decay for line in self.photons)

    def electron_spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Electrons of every energy, beta spectra cut into intervals.

        Returns:
            Energies [keV], and the energy per decay that electrons of each carry [keV]; the latter add up to `electron_kev`.
        """
        mass_number = int("".join(c for c in self.name if c.isdigit()))
        energies, carried = [], []
        for beta in self.betas:
            energy, share = beta_spectrum(beta.end_point_kev, daughter_z=self.daughter_z, mass_number=mass_number, unique=beta.unique)
            weight = energy * share
            energies.append(energy)
            carried.append(weight / weight.sum() * beta.mean_kev * beta.yield_per_decay)
        energies.append(np.array([line.energy_kev for line in self.electrons]))
        carried.append(np.array([line.energy_kev * line.yield_per_decay for line in self.electrons]))
        return np.concatenate(energies), np.concatenate(carried)


@cache
def _table() -> dict[str, Emissions]:
    """All radionuclides of the file."""
    text = resources.files("planar3d.dosimetry").joinpath("emissions.json").read_text(encoding="utf-8")
    return {name: _emissions(name, row) for name, row in json.loads(text)["nuclides"].items()}


def _emissions(name: str, row: dict) -> Emissions:
    """One entry of the file."""
    electrons, photons = (tuple(Line(energy_kev=e, yield_per_decay=y) for e, y in row[kind]) for kind in ("electrons", "photons"))
    betas = tuple(
        Beta(end_point_kev=b["end_point_kev"], mean_kev=b["mean_kev"], yield_per_decay=b["yield"], unique=b["unique"]) for b in row["betas"]
    )
    return Emissions(name=name, daughter_z=row["daughter_z"], betas=betas, electrons=electrons, photons=photons)
