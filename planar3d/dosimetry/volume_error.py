"""What an error of the outlined volume does to the activity in it.

    u^2(d) = a^2 / 6 + FWHM^2 / (4 ln 2),    u(v) / v = 3 u(d) / d
    phi = erf(2 r / (2^(1/2) s)) / 2 - s / (r (2 pi)^(1/2)) [1 - exp(-2 r^2 / s^2)]
    R(v) = 1 / [1 + (b / v)^p]

for a sphere of volume v, diameter d and radius r, voxel edge a, and resolution FWHM of standard deviation s. Both edges of the
diameter are uncertain by a voxel (a^2 / 12) and by the blur (s^2). phi is the blurred activity at the edge over the true one
inside, so a larger outline gains ``dC / dv = phi C / (R v)`` counts; R is the recovery coefficient with its two fitted
parameters. Source: Gear et al., Eur J Nucl Med Mol Imaging 2018;45:2456.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.units import FWHM_PER_SIGMA, MM3_PER_ML

__all__ = ["RecoveryCurve", "edge_activity", "relative_volume_error"]


@dataclass(frozen=True, kw_only=True)
class RecoveryCurve:
    """Recovery coefficient against volume, fitted to spheres.

    Attributes:
        half_volume_ml: b, the volume of recovery one half [mL].
        exponent: p.
        covariance: Of (b, p), as the fit gives it; zeros for a curve taken as exact.
    """

    half_volume_ml: float
    exponent: float
    covariance: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))

    def __post_init__(self) -> None:
        for name in ("half_volume_ml", "exponent"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name} must be positive, got {value}; fit the recovery curve to phantom spheres")

    def at(self, volume_ml: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
        """Recovery of each volume."""
        return 1.0 / (1.0 + (self.half_volume_ml / volume_ml) ** self.exponent)

    def log_slope(self, volume_ml: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
        """``d ln R / d ln v``."""
        return self.exponent * (1.0 - self.at(volume_ml))

    def relative_variance(self, volume_ml: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
        """Of R, from the fit of the curve alone."""
        loss = 1.0 - self.at(volume_ml)
        by_half = -loss * self.exponent / self.half_volume_ml
        by_exponent = -loss * torch.log(self.half_volume_ml / volume_ml)
        (bb, bp), (_, pp) = self.covariance
        return bb * by_half**2 + 2.0 * bp * by_half * by_exponent + pp * by_exponent**2


def relative_volume_error(volume_ml: Float[Tensor, " k"], *, voxel_mm: float, fwhm_mm: float) -> Float[Tensor, " k"]:
    """Relative standard uncertainty of outlined volumes, taken as spheres.

    Args:
        volume_ml: Volumes [mL].
        voxel_mm: Voxel edge; the cube root of the voxel's volume where it is no cube [mm].
        fwhm_mm: Resolution of the image that was outlined [mm].

    Raises:
        ValueError: A length is negative or a volume not positive.
    """
    diameter = 2.0 * _radius_mm(volume_ml)
    if not (voxel_mm >= 0.0 and fwhm_mm >= 0.0):
        raise ValueError(f"voxel_mm and fwhm_mm must be zero or more, got {voxel_mm} and {fwhm_mm}")
    edge = math.sqrt(voxel_mm**2 / 6.0 + fwhm_mm**2 / (4.0 * math.log(2.0)))
    return 3.0 * edge / diameter


def edge_activity(volume_ml: Float[Tensor, " k"], *, fwhm_mm: float) -> Float[Tensor, " k"]:
    """phi: activity seen at the edge of a uniform sphere over the activity in it; one half for a large one.

    Args:
        volume_ml: Volumes [mL].
        fwhm_mm: Resolution of the activity image [mm].
    """
    radius = _radius_mm(volume_ml)
    sigma = max(fwhm_mm, 1e-6) / FWHM_PER_SIGMA
    spread = -torch.expm1(-2.0 * (radius / sigma) ** 2)
    return 0.5 * torch.erf(math.sqrt(2.0) * radius / sigma) - sigma / (radius * math.sqrt(2.0 * math.pi)) * spread


def _radius_mm(volume_ml: Tensor) -> Tensor:
    """Radius of a sphere of the same volume [mm]."""
    if not bool((volume_ml > 0.0).all()):
        raise ValueError(f"volume_ml must be positive, got {volume_ml.tolist()}; an organ without voxels has no uncertainty")
    return (volume_ml * MM3_PER_ML * 3.0 / (4.0 * math.pi)) ** (1.0 / 3.0)
