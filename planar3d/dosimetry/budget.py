"""Uncertainty budget of an organ's absorbed dose, after the EANM guidance.

    ln D = ln C(v) - ln R(v; b) - ln Q + ln(TIA / A) + ln S(v) + const
    (u(D) / D)^2 = [phi / R - dlnR/dlnv - c]^2 (u(v) / v)^2 + (u_b(R) / R)^2 + (u(C) / C)^2 + (u(Q) / Q)^2 + (u(fit) / TIA)^2 + (u(S) / S)^2

with C the counts in the outlined volume v, R recovery, Q the calibration factor, and S falling as v^(-c). Volume enters counts,
recovery and S at once; adding its three effects before squaring is what the covariances of the law of propagation do (Gear et
al., Eur J Nucl Med Mol Imaging 2018;45:2456). Where activity is fitted through the camera to organs of the CT and no recovery
curve is used, only S depends on the volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.volume_error import RecoveryCurve, edge_activity, relative_volume_error

__all__ = ["UncertaintyBudget", "uncertainty_budget"]

ELECTRON_MASS_EXPONENT = 1.0
"""c where electrons stay in the organ; fits of S to spheres give 0.95 to 1."""


@dataclass(frozen=True, kw_only=True)
class UncertaintyBudget:
    """Relative variances of the dose of each organ by cause.

    Attributes:
        organs: Names, ``k`` of them.
        causes: Names of the components, ``c`` of them.
        relative_variance: ``(c, k)``, none negative.
    """

    organs: tuple[str, ...]
    causes: tuple[str, ...]
    relative_variance: Float[Tensor, "c k"]

    @property
    def relative_uncertainty(self) -> Float[Tensor, " k"]:
        """Relative standard uncertainty of the dose."""
        return self.relative_variance.sum(dim=0).sqrt()

    @property
    def shares(self) -> Float[Tensor, "c k"]:
        """Share of the variance that each cause has; zeros where there is no variance."""
        total = self.relative_variance.sum(dim=0)
        return self.relative_variance / total.clamp(min=torch.finfo(total.dtype).tiny)

    @property
    def largest(self) -> tuple[str, ...]:
        """For each organ, the cause with the largest share."""
        return tuple(self.causes[int(i)] for i in self.relative_variance.argmax(dim=0))

    def rows(self) -> list[dict[str, str | float]]:
        """A table for a file: for each organ its uncertainty, the largest share by name, and every cause's own [percent]."""
        per_cent = 100.0 * self.relative_variance.sqrt()
        return [
            {
                "organ": organ,
                "uncertainty_percent": 100.0 * float(self.relative_uncertainty[i]),
                "largest": self.largest[i],
                **{f"{cause}_percent": float(per_cent[j, i]) for j, cause in enumerate(self.causes)},
            }
            for i, organ in enumerate(self.organs)
        ]


def uncertainty_budget(
    organs: Sequence[str],
    volume_ml: Float[Tensor, " k"],
    *,
    voxel_mm: float,
    outline_fwhm_mm: float,
    counts: Float[Tensor, " k"] | float = 0.0,
    calibration: float = 0.0,
    fit: Float[Tensor, " k"] | float = 0.0,
    s_value: float = 0.0,
    recovery: RecoveryCurve | None = None,
    image_fwhm_mm: float | None = None,
    mass_exponent: float = ELECTRON_MASS_EXPONENT,
) -> UncertaintyBudget:
    """Budget from relative standard uncertainties.

    Args:
        organs: Names.
        volume_ml: Outlined volumes [mL].
        voxel_mm: Voxel edge of the image outlined on [mm].
        outline_fwhm_mm: Resolution of the image outlined on: about 1 mm for CT, that of the activity image for its isocontours [mm].
        counts: Of counts, or of the activity fitted to them by noise and misfit.
        calibration: Of the calibration factor; shared by all organs and time points.
        fit: Of the time-integrated activity by the fit of the curve.
        s_value: Of the S value or kernel itself, besides mass.
        recovery: Recovery curve that the activity was divided by; None where there was none.
        image_fwhm_mm: Resolution of the activity image; needed with ``recovery`` [mm].
        mass_exponent: c, with which S falls with mass.

    Raises:
        ValueError: An uncertainty is negative, or names and volumes do not go together.
    """
    if len(organs) != len(volume_ml):
        raise ValueError(f"organs has {len(organs)} names and volume_ml {len(volume_ml)} volumes; give one volume for each organ")
    volume = relative_volume_error(volume_ml, voxel_mm=voxel_mm, fwhm_mm=outline_fwhm_mm)
    slope, curve = torch.full_like(volume_ml, -mass_exponent), torch.zeros_like(volume_ml)
    if recovery is not None:
        if image_fwhm_mm is None:
            raise ValueError("image_fwhm_mm is needed with a recovery curve; give the resolution of the activity image in mm")
        gained = edge_activity(volume_ml, fwhm_mm=image_fwhm_mm) / recovery.at(volume_ml)
        slope = slope + gained - recovery.log_slope(volume_ml)
        curve = recovery.relative_variance(volume_ml)
    others = {"counts": counts, "calibration": calibration, "fit": fit, "s_value": s_value}
    variances = {"volume": (slope * volume) ** 2, "recovery": curve}
    for name, value in others.items():
        sd = torch.as_tensor(value, dtype=volume_ml.dtype, device=volume_ml.device).expand_as(volume_ml)
        if not bool((sd >= 0.0).all()):
            raise ValueError(f"{name} must be a relative standard uncertainty of zero or more, got {sd.tolist()}; write 5 % as 0.05")
        variances[name] = sd**2
    return UncertaintyBudget(organs=tuple(organs), causes=tuple(variances), relative_variance=torch.stack(list(variances.values())))
