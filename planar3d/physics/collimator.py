"""Collimator-detector response of a parallel-hole collimator: its width against distance and its efficiency.

For holes of diameter d, septa s and length L, and lead's attenuation ``mu_Pb(E)``, the effective length is
``L_eff = L - 2 / mu_Pb`` and the response to a point at distance r from the face is a Gaussian with

``sigma(r) = sqrt((a r + b)^2 + c^2)``,  ``a = d / (L_eff k)``, ``b = d / k``, ``c = R_int(E) / k``, ``k = 2 sqrt(2 ln 2)``,

``R_int`` the intrinsic resolution (FWHM), which falls with ``E^(-1/2)``. Geometric efficiency of hexagonal holes:
``g = (0.26 d / L_eff)^2 (d / (d + s))^2`` (Cherry, Sorenson, Phelps, Physics in Nuclear Medicine, 4th ed., eq. 14-7).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from planar3d.materials import linear_attenuation
from planar3d.units import EV_PER_KEV, FWHM_PER_SIGMA

__all__ = ["Collimator", "CollimatorResponse"]

REFERENCE_ENERGY_KEV = 140.5
HEXAGONAL_HOLE_FACTOR = 0.26


@dataclass(frozen=True, kw_only=True)
class CollimatorResponse:
    """Gaussian response ``sigma(r) = sqrt((slope r + offset_mm)^2 + intrinsic_mm^2)``.

    Attributes:
        slope: Growth of sigma with distance from the collimator face [mm/mm].
        offset_mm: Sigma of the collimator at its face [mm].
        intrinsic_mm: Sigma of the detector [mm].
    """

    slope: float
    offset_mm: float
    intrinsic_mm: float

    def sigma_mm(self, distance_mm: Tensor) -> Tensor:
        """Standard deviation [mm] at a distance from the face [mm]; points behind the face count as at the face."""
        return torch.sqrt((self.slope * distance_mm.clamp(min=0.0) + self.offset_mm) ** 2 + self.intrinsic_mm**2)


@dataclass(frozen=True, kw_only=True)
class Collimator:
    """A parallel-hole lead collimator in front of a scintillator.

    Attributes:
        hole_mm: Hole diameter across flats [mm].
        septum_mm: Septal thickness [mm].
        length_mm: Hole length [mm].
        crystal_mm: NaI(Tl) thickness [mm].
        intrinsic_fwhm_mm: Intrinsic resolution at 140.5 keV [mm].
    """

    hole_mm: float
    septum_mm: float
    length_mm: float
    crystal_mm: float = 9.5
    intrinsic_fwhm_mm: float = 3.6

    def effective_length_mm(self, energy_kev: float) -> float:
        """Hole length less what photons penetrate at both ends [mm]."""
        return self.length_mm - 2.0 / linear_attenuation("lead", energy_kev)

    def response(self, energy_kev: float) -> CollimatorResponse:
        """Width of the response at an energy."""
        return CollimatorResponse(
            slope=self.hole_mm / (self.effective_length_mm(energy_kev) * FWHM_PER_SIGMA),
            offset_mm=self.hole_mm / FWHM_PER_SIGMA,
            intrinsic_mm=self.intrinsic_fwhm_mm * math.sqrt(REFERENCE_ENERGY_KEV / energy_kev) / FWHM_PER_SIGMA,
        )

    def geometric_efficiency(self, energy_kev: float) -> float:
        """Share of the photons emitted in air that pass the holes, at any distance."""
        solid_angle = (HEXAGONAL_HOLE_FACTOR * self.hole_mm / self.effective_length_mm(energy_kev)) ** 2
        return solid_angle * (self.hole_mm / (self.hole_mm + self.septum_mm)) ** 2

    def photopeak_efficiency(self, energy_kev: float) -> float:
        """Share of the photons at the crystal that end in the photopeak: stopped, and stopped by the photoelectric effect.

        Compton events absorbed later add to it and window edges take from it; with measured sensitivities of 177Lu cameras this
        estimate agrees within about 15 %. A calibration always comes before it.
        """
        import xraydb

        mu_per_mm = linear_attenuation("sodium_iodide", energy_kev)
        by_kind = [xraydb.material_mu("NaI", energy_kev * EV_PER_KEV, density=1.0, kind=kind) for kind in ("photo", "total")]
        return -math.expm1(-mu_per_mm * self.crystal_mm) * float(by_kind[0] / by_kind[1])
