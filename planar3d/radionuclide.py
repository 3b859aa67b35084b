"""Radionuclides: half-life and the photons that a gamma camera can image.

``N(t) = N(0) 2^(-t / half_life_s)``. Decay correction always names its reference time: `Radionuclide.decay_factor` takes the
time that has passed since that reference.

Sources: Lu-177 half-life 6.647 d and yields 10.38 % (208.37 keV), 6.2 % (112.95 keV): Hippelainen et al., EJNMMI Physics 2020
(10.1186/s40658-020-00301-2); the others: ICRP Publication 107 (2008): I-131 8.0207 d, 81.7 % at 364.49 keV; Tc-99m 6.015 h, 89.1 % at
140.51 keV; In-111 2.8047 d, 90.65 % at 171.28 keV and 94.09 % at 245.35 keV; I-123 13.27 h, 83.3 % at 158.97 keV. Lines that are not
imaged are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from planar3d.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

__all__ = ["RADIONUCLIDES", "Photon", "Radionuclide"]

# what rounding and naming do to a line (208, 208.4, 210 keV); no two lines listed lie closer than twice this
LINE_TOLERANCE_KEV = 5.0


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

    def photon_near(self, energy_kev: float) -> Photon:
        """The listed line at an energy, within 5 keV.

        Raises:
            ValueError: No line lies that close.
        """
        nearest = min(self.photons, key=lambda photon: abs(photon.energy_kev - energy_kev))
        if not abs(nearest.energy_kev - energy_kev) <= LINE_TOLERANCE_KEV:
            lines = ", ".join(f"{photon.energy_kev:g}" for photon in self.photons)
            raise ValueError(f"energy_kev={energy_kev:g} is no line of {self.name}; its lines are {lines} keV; give one of them")
        return nearest

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
    Radionuclide(
        name="In-111",
        half_life_s=2.8047 * SECONDS_PER_DAY,
        photons=(Photon(energy_kev=171.28, yield_per_decay=0.9065), Photon(energy_kev=245.35, yield_per_decay=0.9409)),
    ),
    Radionuclide(
        name="I-123",
        half_life_s=13.27 * SECONDS_PER_HOUR,
        photons=(Photon(energy_kev=158.97, yield_per_decay=0.833),),
    ),
)
