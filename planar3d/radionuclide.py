"""Radionuclides: half-life and the photons that a gamma camera can image.

``N(t) = N(0) 2^(-t / half_life_s)``. Decay correction always names its reference time: `Radionuclide.decay_factor` takes the
time that has passed since that reference.

Sources: Lu-177 half-life 6.647 d and yields 10.38 % (208.37 keV), 6.2 % (112.95 keV): Hippelainen et al., EJNMMI Physics 2020
(10.1186/s40658-020-00301-2); I-131 and Tc-99m: ICRP Publication 107 (2008) (half-lives 8.0207 d and 6.015 h; 81.7 % at 364.49 keV,
89.1 % at 140.51 keV).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from planar3d.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["RADIONUCLIDES", "Photon", "Radionuclide"]


@dataclass(frozen=True, kw_only=True)
class Photon:
    """A gamma line.

    Attributes:
        energy_kev: Photon energy [keV].
        yield_per_decay: Photons per decay.
    """

    energy_kev: float
    yield_per_decay: float


@dataclass(frozen=True, kw_only=True)
class Radionuclide:
    """A radionuclide and its imaging photons, the one imaged by default first.

    Attributes:
        name: Symbol and mass number, as in ``"Lu-177"``.
        half_life_s: Physical half-life [s].
        photons: Gamma lines; ``photons[0]`` is the usual imaging line.
    """

    name: str
    half_life_s: float
    photons: tuple[Photon, ...]

    @classmethod
    def from_name(cls, name: str) -> Radionuclide:
        """Look up a radionuclide; spelling is free (``"Lu-177"``, ``"lu177"``, ``"177Lu"``).

        Raises:
            ValueError: The radionuclide is not known.
        """
        wanted = _normalised(name)
        for nuclide in RADIONUCLIDES:
            if _normalised(nuclide.name) == wanted:
                return nuclide
        known = ", ".join(n.name for n in RADIONUCLIDES)
        raise ValueError(f"isotope {name!r} is not known; known are {known}")

    @property
    def imaging_energy_kev(self) -> float:
        """Energy of the usual imaging line [keV]."""
        return self.photons[0].energy_kev

    def decay_factor(self, elapsed_s: float) -> float:
        """Fraction of the activity left ``elapsed_s`` seconds after the reference time."""
        return 2.0 ** (-elapsed_s / self.half_life_s)


def _normalised(name: str) -> tuple[str, str]:
    """Element and mass number, whatever their order and separator; the ``m`` of an isomer belongs to the mass number."""
    plain = "".join(c for c in name.lower() if c.isalnum())
    spelling = re.fullmatch(r"([a-z]{1,2})(\d+m?)|(\d+m?)([a-z]{1,2})", plain)
    if spelling is None:
        return plain, ""
    element, mass = spelling[1] or spelling[4], spelling[2] or spelling[3]
    return element, mass


RADIONUCLIDES: tuple[Radionuclide, ...] = (
    Radionuclide(
        name="Lu-177",
        half_life_s=6.647 * SECONDS_PER_DAY,
        photons=(Photon(energy_kev=208.37, yield_per_decay=0.1038), Photon(energy_kev=112.95, yield_per_decay=0.062)),
    ),
    Radionuclide(
        name="I-131",
        half_life_s=8.0207 * SECONDS_PER_DAY,
        photons=(Photon(energy_kev=364.49, yield_per_decay=0.817),),
    ),
    Radionuclide(
        name="Tc-99m",
        half_life_s=6.015 * SECONDS_PER_HOUR,
        photons=(Photon(energy_kev=140.51, yield_per_decay=0.891),),
    ),
)
