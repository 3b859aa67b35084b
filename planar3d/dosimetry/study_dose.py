"""Everything that a study comes to, from its activity over time to dose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from planar3d.dosimetry.activity_series import ActivitySeries
from planar3d.dosimetry.decay_map import decays_by_organ, decays_by_voxel
from planar3d.dosimetry.effective_half_life import EffectiveHalfLifePrior
from planar3d.dosimetry.organ_kinetics import organ_curves, replaced
from planar3d.dosimetry.patient_dose import PatientDose, VoxelDose
from planar3d.dosimetry.study import Study
from planar3d.dosimetry.study_options import DEFAULT
from planar3d.dosimetry.time_integrated_activity import TimeIntegratedActivity
from planar3d.organs import organ_name
from planar3d.shapes import Volume

__all__ = ["StudyDose"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyDose:
    """Activity, curves and dose.

    Attributes:
        series: Activity over time.
        curves: Of its organs.
        dose: Absorbed dose.
        voxel_dose: How it was found.
    """

    series: ActivitySeries
    curves: TimeIntegratedActivity
    dose: PatientDose
    voxel_dose: VoxelDose

    @classmethod
    def of(
        cls,
        study: Study,
        series: ActivitySeries,
        *,
        density_g_per_ml: Volume | None,
        outline_voxel_mm: float,
        priors: Mapping[str, EffectiveHalfLifePrior] | None = None,
        seed: int = 0,
    ) -> StudyDose:
        """Integrate, deposit, and judge.

        Args:
            study: The options.
            series: Activity over time.
            density_g_per_ml: Mass density on the grid of the activity, ``(1, 1, x, y, z)``; None for water [g/mL].
            outline_voxel_mm: Voxel edge of the image on which organs were outlined [mm].
            priors: Effective half-life by organ.
            seed: Of the draws from which intervals come.

        Raises:
            ValueError: An organ asked for has no voxel, an image holds more activity than can be left, or curves cannot be fitted.
        """
        options, half_life_s = study.options, study.isotope.half_life_s
        options.reported(series.ids)
        whole = series.maps.flatten(1).double().sum(dim=1) * series.grid.voxel_volume_ml
        for i, (total, time) in enumerate(zip(whole.tolist(), series.times.times_s, strict=True), start=1):
            study.require_activity_left(total, time, f"image {i}")
        names = [organ_name(i) for i in series.ids]
        alone = list(range(len(names)))
        if series.curves is not None:  # of a joint reconstruction, whose curves are mono-exponentials
            alone = [k for k in alone if options.models.get(names[k], options.models[DEFAULT]) not in ("auto", "mono_exponential")]
        curves = series.curves
        if curves is None or alone:
            fitted = organ_curves(
                series.activity_bq[alone],
                [names[k] for k in alone],
                times=series.times,
                half_life_s=half_life_s,
                covariance_bq2=None if series.covariance_bq2 is None else series.covariance_bq2[alone][:, :, alone],
                models=options.models,
                priors=priors,
            )
            curves = fitted if curves is None else replaced(curves, alone, fitted)
        if options.kinetics == "organ":
            decays = decays_by_organ(series, curves)
        else:
            decays = decays_by_voxel(series, half_life_s=half_life_s, models=options.models, priors=priors)
        voxel_dose = VoxelDose(
            method=options.voxel_dose,
            grid=series.grid,
            isotope=study.isotope.name,
            density_g_per_ml=density_g_per_ml,
            device=series.maps.device,
        )
        dose = PatientDose.of(
            decays,
            curves,
            labels=series.labels,
            ids=series.ids,
            voxel_dose=voxel_dose,
            uncertainty=study.uncertainty,
            outline_voxel_mm=outline_voxel_mm,
            generator=torch.Generator(device=series.maps.device).manual_seed(seed),
        )
        return cls(series=series, curves=curves, dose=dose, voxel_dose=voxel_dose)
