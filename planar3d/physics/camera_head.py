"""A head of a gamma camera: crystal, collimator, field of view, and what was measured on it.

Sensitivity of one head in air, where none was measured: geometric efficiency g, yield y, photopeak efficiency e and window acceptance A,
and the tails w, which count in the window as well:

``S = g(E) y e(E) A / (1 - sum_t w_t)``.

Heads and their sources are data, ``camera_heads.json``; so are the tails, ``collimator_tails.json``, which experiments/04_collimator
fitted to photons simulated in lead.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from planar3d.physics.collimator import Collimator, CollimatorResponse, ResponseTail
from planar3d.physics.crystal import Crystal
from planar3d.physics.energy_window import energy_windows
from planar3d.radionuclide import Radionuclide
from planar3d.units import BQ_PER_MBQ

__all__ = ["CameraHead", "Crystal", "Sensitivity", "camera_head", "camera_names"]

TAIL_TOLERANCE_KEV = 5.0


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """A planar sensitivity measured in air.

    Attributes:
        isotope: Radionuclide, as in ``"Lu-177"``.
        energy_kev: Line imaged [keV].
        cps_per_mbq: Counts per second and activity, of one head [cps/MBq].
        source: Where it was published.
    """

    isotope: str
    energy_kev: float
    cps_per_mbq: float
    source: str


@dataclass(frozen=True, kw_only=True)
class CameraHead:
    """One head.

    Attributes:
        name: Maker and collimator, as in ``"siemens-melp"``.
        collimator: Geometry of the collimator.
        crystal: The crystal.
        field_of_view_mm: Extent that is imaged, across (x) and along (z) the patient [mm].
        sensitivities: Published sensitivities.
        tails: Septal penetration and collimator scatter, by line [keV].
    """

    name: str
    collimator: Collimator
    crystal: Crystal
    field_of_view_mm: tuple[float, float]
    sensitivities: tuple[Sensitivity, ...] = ()
    tails: tuple[tuple[float, tuple[ResponseTail, ...]], ...] = ()

    def response(self, energy_kev: float) -> CollimatorResponse:
        """Collimator-detector response at a line, tails included where they are known."""
        core = self.collimator.response(energy_kev, intrinsic_fwhm_mm=self.crystal.intrinsic_fwhm_at(energy_kev))
        near = [(abs(line_kev - energy_kev), tail) for line_kev, tail in self.tails if abs(line_kev - energy_kev) <= TAIL_TOLERANCE_KEV]
        tail = min(near, key=lambda known: known[0])[1] if near else ()
        return CollimatorResponse(slope=core.slope, offset_mm=core.offset_mm, intrinsic_mm=core.intrinsic_mm, tail=tail)

    def sensitivity_cps_per_mbq(self, isotope: str, energy_kev: float | None = None) -> float:
        """Planar sensitivity in air: the published one, or else an estimate [cps/MBq].

        Args:
            isotope: Radionuclide, as in ``"Lu-177"``.
            energy_kev: Line imaged [keV]; None for the usual one.

        Raises:
            ValueError: The isotope or its line is not known.
        """
        nuclide = Radionuclide.from_name(isotope)
        line_kev = nuclide.photon_near(nuclide.imaging_energy_kev if energy_kev is None else energy_kev).energy_kev
        for known in self.sensitivities:
            if (known.isotope, known.energy_kev) == (nuclide.name, line_kev):
                return known.cps_per_mbq
        return self.estimated_sensitivity_cps_per_mbq(isotope, line_kev)

    def estimated_sensitivity_cps_per_mbq(self, isotope: str, energy_kev: float) -> float:
        """What geometry, yield, crystal and window let expect, whether or not a measured sensitivity is known [cps/MBq].

        Args:
            isotope: Radionuclide, as in ``"Lu-177"``.
            energy_kev: Line imaged [keV].

        Raises:
            ValueError: The isotope or its line is not known.
        """
        photon = Radionuclide.from_name(isotope).photon_near(energy_kev)
        line_kev = photon.energy_kev
        counted = self.crystal.photopeak_efficiency(line_kev)
        counted *= energy_windows(isotope, line_kev).peak.acceptance(line_kev, self.crystal.energy_resolution_at(line_kev))
        core = self.collimator.geometric_efficiency(line_kev) * photon.yield_per_decay * counted * BQ_PER_MBQ
        return core / (1.0 - self.response(line_kev).tail_share)


def camera_names() -> tuple[str, ...]:
    """Heads that `camera_head` knows, as maker and collimator."""
    return tuple(_heads())


def camera_head(name: str) -> CameraHead:
    """A head by maker and collimator, as in ``"siemens-melp"``.

    Raises:
        ValueError: The head is not known.
    """
    if name not in _heads():
        raise ValueError(f"camera {name!r} is not known; known are {', '.join(_heads())}")
    return _heads()[name]


@lru_cache
def _heads() -> dict[str, CameraHead]:
    """All heads of the tables shipped with the package."""
    table, tails = _table("camera_heads.json"), _table("collimator_tails.json")
    heads = {}
    for maker, entry in table["makers"].items():
        for collimator, geometry in entry["collimators"].items():
            name = f"{maker}-{collimator}"
            heads[name] = CameraHead(
                name=name,
                collimator=Collimator(**{key: geometry[key] for key in ("hole_mm", "septum_mm", "length_mm")}),
                crystal=Crystal(**entry["crystal"]),
                field_of_view_mm=tuple(entry["field_of_view_mm"]),
                sensitivities=tuple(Sensitivity(**known) for known in table["sensitivities"].get(name, [])),
                tails=tuple((known["energy_kev"], tuple(ResponseTail(**t) for t in known["tail"])) for known in tails.get(name, [])),
            )
    return heads


def _table(file: str) -> dict:
    return json.loads(resources.files("planar3d.physics").joinpath(file).read_text(encoding="utf-8"))
