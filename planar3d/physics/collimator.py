"""Parallel-hole collimators: their geometry, and the response of camera and collimator to a point source.

For holes of diameter d, septa s and length L, and lead's attenuation ``mu_Pb(E)``, the effective length is
``L_eff = L - 2 / mu_Pb`` and the response to a point at distance r from the face is a narrow core, a Gaussian with

``sigma(r) = sqrt((a r + b)^2 + c^2)``,  ``a = d / (L_eff k)``, ``b = d / k``, ``c = R_int(E) / k``, ``k = 2 sqrt(2 ln 2)``,

``R_int`` the intrinsic resolution (FWHM) of the crystal, and wide tails of photons that crossed septa or scattered in them. They keep
an angle, not a place, so a tail is a Gaussian with ``sigma_t(r) = a_t r + b_t`` that holds a fixed share of the counts in the window:

``p(x; r) = (1 - sum_t w_t) N(x; sigma(r)) + sum_t w_t N(x; sigma_t(r))``.

Geometric efficiency of hexagonal holes: ``g = (0.26 d / L_eff)^2 (d / (d + s))^2`` (Cherry, Sorenson, Phelps, Physics in Nuclear
Medicine, 4th ed., eq. 14-7).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from planar3d.materials import linear_attenuation
from planar3d.units import FWHM_PER_SIGMA

__all__ = ["Collimator", "CollimatorResponse", "ResponseTail"]

REFERENCE_ENERGY_KEV = 140.5
USUAL_INTRINSIC_FWHM_MM = 3.6
HEXAGONAL_HOLE_FACTOR = 0.26
MIN_DISTANCES = 3
# measured resolutions scatter by a few per cent; more than this is another geometry or a wrong unit
MAX_MISFIT = 0.1


@dataclass(frozen=True, kw_only=True)
class ResponseTail:
    """A wide Gaussian ``sigma_t(r) = slope r + offset_mm`` of photons that penetrated septa or scattered in them.

    Attributes:
        share: Its share of all counts in the energy window.
        slope: Growth of sigma with distance from the collimator face [mm/mm].
        offset_mm: Sigma at the face [mm].

    Raises:
        ValueError: The share is not between 0 and 1, or a width is negative.
    """

    share: float
    slope: float
    offset_mm: float

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise ValueError(f"share of a tail must lie between 0 and 1, got {self.share}; give its part of the counts in the window")
        for name, value in (("slope", self.slope), ("offset_mm", self.offset_mm)):
            if not (value >= 0.0 and math.isfinite(value)):
                raise ValueError(
                    f"{name} of a tail must be finite and not negative, got {value}; give the growth and the start of its sigma"
                )

    def sigma_mm(self, distance_mm: Tensor) -> Tensor:
        """Standard deviation [mm] at a distance from the face [mm]; points behind the face count as at the face."""
        return self.slope * distance_mm.clamp(min=0.0) + self.offset_mm


@dataclass(frozen=True, kw_only=True)
class CollimatorResponse:
    """A Gaussian core ``sigma(r) = sqrt((slope r + offset_mm)^2 + intrinsic_mm^2)`` and wide tails; together they sum to one.

    Attributes:
        slope: Growth of the core's sigma with distance from the collimator face [mm/mm].
        offset_mm: Sigma of the collimator at its face [mm].
        intrinsic_mm: Sigma of the detector [mm].
        tail: Septal penetration and collimator scatter; empty for none.

    Raises:
        ValueError: A width is negative, or the tails hold all counts.
    """

    slope: float
    offset_mm: float
    intrinsic_mm: float
    tail: tuple[ResponseTail, ...] = ()

    def __post_init__(self) -> None:
        for name in ("slope", "offset_mm", "intrinsic_mm"):
            value = getattr(self, name)
            if not (value >= 0.0 and math.isfinite(value)):
                raise ValueError(f"{name} must be finite and not negative, got {value}; give the widths of your camera as sigma in mm")
        if not self.tail_share < 1.0:
            raise ValueError(f"tail: the shares sum to {self.tail_share:g} and must stay below 1; the core holds the rest")

    @classmethod
    def from_measured(
        cls, *, distance_mm: Sequence[float], fwhm_mm: Sequence[float], tail: tuple[ResponseTail, ...] = ()
    ) -> CollimatorResponse:
        """The core that fits measured resolutions best: least squares in FWHM over slope, offset and intrinsic width, none negative.

        Offset and intrinsic width are told apart only by distances close to the face; what they do to sigma is well determined anyway.

        Args:
            distance_mm: Distances of the point or line source from the collimator face [mm]; three or more.
            fwhm_mm: Full width at half maximum at each of them [mm].
            tail: Septal penetration and collimator scatter to keep beside the core.

        Raises:
            ValueError: The lists do not match, are too short or not positive, do not grow with distance, or do not follow the model.
        """
        r, fwhm = _checked_resolutions(distance_mm, fwhm_mm)
        slope, offset, intrinsic = _least_squares(r, fwhm)
        core = cls(slope=slope, offset_mm=offset, intrinsic_mm=intrinsic, tail=tail)
        misfit = float(((core.sigma_mm(r) * FWHM_PER_SIGMA - fwhm).abs() / fwhm).max())
        if misfit > MAX_MISFIT:
            raise ValueError(
                f"fwhm_mm departs by up to {misfit:.0%} from sqrt((a r + b)^2 + c^2) and {MAX_MISFIT:.0%} is allowed; check the measurement"
            )
        return core

    @property
    def tail_share(self) -> float:
        """Share of the counts in the window that lies in the tails."""
        return sum((t.share for t in self.tail), 0.0)

    def sigma_mm(self, distance_mm: Tensor) -> Tensor:
        """Standard deviation of the core [mm] at a distance from the face [mm]; points behind the face count as at the face."""
        return torch.sqrt((self.slope * distance_mm.clamp(min=0.0) + self.offset_mm) ** 2 + self.intrinsic_mm**2)


@dataclass(frozen=True, kw_only=True)
class Collimator:
    """A parallel-hole lead collimator.

    Attributes:
        hole_mm: Hole diameter across flats [mm].
        septum_mm: Septal thickness [mm].
        length_mm: Hole length [mm].
    """

    hole_mm: float
    septum_mm: float
    length_mm: float

    def effective_length_mm(self, energy_kev: float) -> float:
        """Hole length less what photons penetrate at both ends [mm]."""
        return self.length_mm - 2.0 / linear_attenuation("lead", energy_kev)

    def response(self, energy_kev: float, *, intrinsic_fwhm_mm: float | None = None) -> CollimatorResponse:
        """Core of the response at an energy.

        Args:
            energy_kev: Photon energy [keV].
            intrinsic_fwhm_mm: Intrinsic resolution of the crystal at that energy [mm]; None takes 3.6 mm at 140.5 keV, scaled by E^(-1/2).
        """
        if intrinsic_fwhm_mm is None:
            intrinsic_fwhm_mm = USUAL_INTRINSIC_FWHM_MM * math.sqrt(REFERENCE_ENERGY_KEV / energy_kev)
        return CollimatorResponse(
            slope=self.hole_mm / (self.effective_length_mm(energy_kev) * FWHM_PER_SIGMA),
            offset_mm=self.hole_mm / FWHM_PER_SIGMA,
            intrinsic_mm=intrinsic_fwhm_mm / FWHM_PER_SIGMA,
        )

    def geometric_efficiency(self, energy_kev: float) -> float:
        """Share of the photons emitted in air that pass the holes and their edges, at any distance."""
        solid_angle = (HEXAGONAL_HOLE_FACTOR * self.hole_mm / self.effective_length_mm(energy_kev)) ** 2
        return solid_angle * (self.hole_mm / (self.hole_mm + self.septum_mm)) ** 2


def _checked_resolutions(distance_mm: Sequence[float], fwhm_mm: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Both lists as tensors, or one sentence that says why they cannot be fitted."""
    r, fwhm = torch.tensor(list(distance_mm), dtype=torch.float64), torch.tensor(list(fwhm_mm), dtype=torch.float64)
    if r.numel() != fwhm.numel():
        raise ValueError(f"distance_mm holds {r.numel()} values and fwhm_mm {fwhm.numel()}; give one resolution for each distance")
    if r.unique().numel() < MIN_DISTANCES:
        raise ValueError(f"distance_mm holds {r.unique().numel()} different distances, {MIN_DISTANCES} are needed; measure at more of them")
    if not (torch.isfinite(r).all() and (r >= 0).all()):
        raise ValueError(
            f"distance_mm must be finite and not negative, got {list(distance_mm)}; give distances from the collimator face in mm"
        )
    if not (torch.isfinite(fwhm).all() and (fwhm > 0).all()):
        raise ValueError(f"fwhm_mm must be finite and positive, got {list(fwhm_mm)}; give the full width at half maximum in mm")
    if torch.corrcoef(torch.stack([r, fwhm]))[0, 1] <= 0 or fwhm.std() == 0:
        raise ValueError("fwhm_mm does not grow with distance_mm, as the resolution of a parallel-hole collimator does; check their order")
    return r, fwhm


def _least_squares(r: Tensor, fwhm: Tensor) -> tuple[float, float, float]:
    """Slope, offset and intrinsic sigma, none negative, by least squares in FWHM."""
    from scipy.optimize import least_squares

    distance, sigma = r.numpy(), (fwhm / FWHM_PER_SIGMA).numpy()
    growth = float(np.polyfit(distance, sigma, 1)[0])

    def misfit(parameters: np.ndarray) -> np.ndarray:
        slope, offset, intrinsic = parameters
        return np.hypot(slope * distance + offset, intrinsic) - sigma

    start = [growth, 0.5 * sigma.min(), 0.5 * sigma.min()]
    found = least_squares(misfit, start, bounds=(0.0, float("inf")), x_scale=[1e-2, 1.0, 1.0])
    return float(found.x[0]), float(found.x[1]), float(found.x[2])
