"""Absorbed dose of one patient: from a map of decays and the curves of organs to a dose map and the figures of organs.

Intervals come from draws of all organs' time-integrated activities, normal with their covariance and cut at zero, through S values of the
same kernel, times the causes that no image knows of (`planar3d.dosimetry.dose_posterior`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.budget import UncertaintyBudget, uncertainty_budget
from planar3d.dosimetry.dose_posterior import dose_posterior
from planar3d.dosimetry.organ import OrganDoses, local_s_values, organ_doses, organ_s_values
from planar3d.dosimetry.study_options import StudyUncertainty
from planar3d.dosimetry.time_integrated_activity import TimeIntegratedActivity
from planar3d.dosimetry.voxel_dose import KernelDose, local_dose
from planar3d.grid import Grid
from planar3d.organs import organ_name
from planar3d.shapes import LabelMap, Volume

__all__ = ["PatientDose", "VoxelDose"]

DRAWS = 2000
LARGEST = 10.0  # relative uncertainty that stands for this and more, of an organ with next to no activity


class VoxelDose:
    """Dose from decays on one grid, by a method of that name.

    Args:
        method: ``kernel`` or ``local``.
        grid: Where the volumes lie.
        isotope: Radionuclide.
        density_g_per_ml: Mass density, ``(1, 1, x, y, z)``; None for water [g/mL].
        device: Where to compute.
    """

    def __init__(self, *, method: str, grid: Grid, isotope: str, density_g_per_ml: Volume | None, device: torch.device) -> None:
        self.method, self.grid, self.isotope, self.density_g_per_ml = method, grid, isotope, density_g_per_ml
        self.kernel = KernelDose(grid=grid, isotope=isotope).to(device) if method == "kernel" else None

    def __call__(self, decays_per_ml: Volume) -> Volume:
        """Absorbed dose [Gy] of decays [Bq s/mL], or dose rate [Gy/s] of activity [Bq/mL]."""
        if self.kernel is not None:
            return self.kernel(decays_per_ml, self.density_g_per_ml)
        return local_dose(
            decays_per_ml, isotope=self.isotope, density_g_per_ml=1.0 if self.density_g_per_ml is None else self.density_g_per_ml
        )

    def organs(self, dose_gy: Volume, labels: LabelMap, ids: Sequence[int]) -> OrganDoses:
        """Mean doses, by mass."""
        return organ_doses(dose_gy, labels, voxel_volume_ml=self.grid.voxel_volume_ml, density_g_per_ml=self.density_g_per_ml, ids=ids)

    def of_organs(self, labels: LabelMap, ids: Sequence[int], mass_g: Float[Tensor, " k"]) -> Float[Tensor, "k k"]:
        """S values, target by source [Gy/(Bq s)]."""
        if self.kernel is None:
            return local_s_values(mass_g, ids=ids, isotope=self.isotope).gy_per_decay
        return organ_s_values(labels, self.kernel, density_g_per_ml=self.density_g_per_ml, ids=ids).gy_per_decay


@dataclass(frozen=True, kw_only=True, eq=False)
class PatientDose:
    """Absorbed dose of one administration.

    Attributes:
        dose_gy: ``(1, 1, x, y, z)`` [Gy].
        decays_bq_s: Of each organ, ``(k,)`` [Bq s].
        organs: Mean dose and mass of organs, ``k`` of them.
        volume_ml: Their volumes, ``(k,)`` [mL].
        budget: Causes of their uncertainty.
        interval_gy: Of the mean dose, lower and upper ends, NaN where the errors of the curve are not known, ``(2, k)`` [Gy].
    """

    dose_gy: Volume
    decays_bq_s: Float[Tensor, " k"]
    organs: OrganDoses
    volume_ml: Float[Tensor, " k"]
    budget: UncertaintyBudget
    interval_gy: Float[Tensor, "2 k"]

    @classmethod
    def of(
        cls,
        decays_per_ml: Volume,
        curves: TimeIntegratedActivity,
        *,
        labels: LabelMap,
        ids: Sequence[int],
        voxel_dose: VoxelDose,
        uncertainty: StudyUncertainty,
        outline_voxel_mm: float,
        generator: torch.Generator,
    ) -> PatientDose:
        """Dose and its uncertainty.

        Args:
            decays_per_ml: Time-integrated concentration, ``(1, 1, x, y, z)`` [Bq s/mL].
            curves: Of the organs; their relative errors are those of the decays.
            labels: Organ ids, ``(1, 1, x, y, z)``.
            ids: Organs, ``k`` of them, each in the labels.
            voxel_dose: Decays to dose.
            uncertainty: What no image knows.
            outline_voxel_mm: Voxel edge of the image on which organs were outlined [mm].
            generator: Source of the draws.

        Raises:
            ValueError: An organ has no voxel.
        """
        dose = voxel_dose(decays_per_ml)
        organs = voxel_dose.organs(dose, labels, ids)
        masks = [labels == i for i in ids]
        voxel_ml = voxel_dose.grid.voxel_volume_ml
        volume_ml = torch.stack([m.sum() for m in masks]).double() * voxel_ml
        decays = torch.stack([decays_per_ml[m].double().sum() for m in masks]) * voxel_ml
        value, variance = curves.value_bq_s.double(), curves.standard_error_bq_s.double().square()
        by_fit = curves.prior_variance_bq2_s2.double().minimum(variance)
        safe = value.clamp(min=torch.finfo(torch.float64).tiny)
        seen = value > 0
        counts = torch.where(seen, (variance - by_fit).clamp(min=0.0).sqrt() / safe, 0.0)
        fit = torch.where(seen, by_fit.clamp(min=0.0).sqrt() / safe, 0.0)
        budget = uncertainty_budget(
            [organ_name(i) for i in ids],
            volume_ml,
            voxel_mm=outline_voxel_mm,
            outline_fwhm_mm=uncertainty.outline_fwhm_mm,
            counts=counts.nan_to_num(0.0).clamp(max=LARGEST),
            calibration=uncertainty.calibration,
            fit=fit.nan_to_num(0.0).clamp(max=LARGEST),
            s_value=uncertainty.s_value,
        )
        draws = _draws(curves, decays, generator)
        s_values = voxel_dose.of_organs(labels, ids, organs.mass_g[0]).double()
        nominal = decays @ s_values.T
        posterior = dose_posterior(
            draws[:, None], integrate=lambda a: a[:, 0], dose=lambda a: a @ s_values.T, budget=budget, generator=generator
        )
        # the map has what is uneven within organs, S values have not: intervals are about the dose of the map
        scale = torch.where(nominal > 0, organs.dose_gy[0].double() / nominal.clamp(min=torch.finfo(torch.float64).tiny), 1.0)
        interval = (posterior.interval_gy(uncertainty.level) * scale).masked_fill(variance.isnan(), torch.nan)
        return cls(dose_gy=dose, decays_bq_s=decays, organs=organs, volume_ml=volume_ml, budget=budget, interval_gy=interval)


def _draws(curves: TimeIntegratedActivity, decays: Float[Tensor, " k"], generator: torch.Generator) -> Float[Tensor, "sample k"]:
    """Draws of time-integrated activities about those of the map, with the relative covariance of the curves."""
    value = curves.value_bq_s.double()
    error = curves.standard_error_bq_s.double()
    covariance = torch.diag_embed(error.square()) if curves.covariance_bq2_s2 is None else curves.covariance_bq2_s2.double()
    ratio = torch.where(value > 0, decays / value.clamp(min=torch.finfo(torch.float64).tiny), 1.0)
    covariance = (covariance * ratio[:, None] * ratio).nan_to_num(0.0)
    scale = covariance.diagonal().clamp(min=0.0).sqrt()
    scale = torch.where(scale > 0, scale, 1.0)
    root, vectors = torch.linalg.eigh(covariance / (scale[:, None] * scale))
    factor = scale[:, None] * vectors * root.clamp(min=0.0).sqrt()
    normal = torch.randn((DRAWS, len(value)), generator=generator, dtype=torch.float64, device=value.device)
    return (decays + normal @ factor.T).clamp(min=0.0)
