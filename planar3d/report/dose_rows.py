"""The rows of a dose table from what a study came to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from planar3d.dosimetry import DoseVolume, biologically_effective_dose, marrow_dose_from_image
from planar3d.dosimetry.marrow import ACTIVE_MARROW
from planar3d.dosimetry.organ import OrganDoses
from planar3d.dosimetry.study import Study
from planar3d.dosimetry.study_dose import StudyDose
from planar3d.dosimetry.study_options import DEFAULT
from planar3d.organs import organ_name
from planar3d.report.dose_table import DoseRow
from planar3d.units import BQ_PER_GBQ, BQ_PER_MBQ, SECONDS_PER_HOUR

__all__ = ["RED_MARROW", "dose_head", "dose_rows"]

RED_MARROW = "red_marrow"


def dose_rows(
    study: Study, found: StudyDose, ids: Sequence[int], *, earlier: Sequence[Mapping[str, float]] = ()
) -> tuple[tuple[DoseRow, ...], dict[str, DoseVolume]]:
    """Rows in the order of their dose, and red marrow by image where bones are labelled; and the histogram of each organ.

    Args:
        study: What was asked.
        found: What it came to.
        ids: Organs to report.
        earlier: Mean dose of organs in each cycle before [Gy]; an organ has a cumulative dose where all of them name it.
    """
    rows, histograms = [], {}
    for organ in ids:
        name = organ_name(organ)
        inside = found.series.labels == organ
        histograms[name] = DoseVolume.of(found.dose.dose_gy, inside, density_g_per_ml=found.voxel_dose.density_g_per_ml, name=name)
        rows.append(_row(study, found, organ, histograms[name], earlier))
    rows.sort(key=lambda row: -row.mean_dose_gy)
    bones = [name for name in ACTIVE_MARROW if name in histograms]
    if bones:
        rows.append(_marrow(study, found, found.dose.organs, bones, earlier))
    return tuple(rows), histograms


def dose_head(study: Study, found: StudyDose) -> dict[str, Any]:
    """What holds for all organs of a study."""
    return {
        "isotope": study.isotope.name,
        "injection": study.injection.isoformat(),
        "administered_gbq": study.administered_bq / BQ_PER_GBQ,
        "hours_after_injection": list(found.series.times.hours),
        "interval_level": study.uncertainty.level,
        "interval_method": "draws of time-integrated activities, S values of the same kernel, and the budget's other causes",
        "uncertainty_method": "Gear et al. 2018; see budget.csv",
    }


def _row(study: Study, found: StudyDose, organ: int, histogram: DoseVolume, earlier: Sequence[Mapping[str, float]]) -> DoseRow:
    """One organ."""
    k, name, curves, dose = found.series.ids.index(organ), organ_name(organ), found.curves, found.dose
    mean, half_life_s = float(dose.organs.dose_gy[0, k]), float(curves.half_life_s[k])
    value, error = float(curves.value_bq_s[k]), float(curves.standard_error_bq_s[k])
    known = math.isfinite(error) and value > 0
    repair, bed = study.options.repair.get(name), None
    if repair is not None and half_life_s > 0:
        bed = biologically_effective_dose(
            dose.organs.dose_gy[0, k : k + 1],
            alpha_beta_gy=repair.alpha_beta_gy,
            repair_half_time_s=repair.repair_half_time_s,
            effective_half_life_s=half_life_s,
        )
    low, high = (_finite(v) for v in dose.interval_gy[:, k].tolist())
    return DoseRow(
        organ=name,
        volume_ml=float(dose.volume_ml[k]),
        mass_g=float(dose.organs.mass_g[0, k]),
        time_points=len(found.series.times.times_s),
        decays_mbq_h=float(dose.decays_bq_s[k]) / (BQ_PER_MBQ * SECONDS_PER_HOUR),
        decays_standard_error_mbq_h=error / (BQ_PER_MBQ * SECONDS_PER_HOUR) if known else None,
        effective_half_life_h=half_life_s / SECONDS_PER_HOUR if half_life_s > 0 else None,
        curve=curves.methods[k],
        extrapolated_fraction=_finite(float(curves.extrapolated_fraction[k])),
        mean_dose_gy=mean,
        mean_dose_gy_per_gbq=mean / study.administered_bq * BQ_PER_GBQ,
        interval_low_gy=low,
        interval_high_gy=high,
        d2_gy=histogram.dose_to(2.0),
        d50_gy=histogram.dose_to(50.0),
        d98_gy=histogram.dose_to(98.0),
        bed_gy=None if bed is None else float(bed),
        cumulative_dose_gy=_cumulative(mean, name, earlier),
        uncertainty_percent=100.0 * float(dose.budget.relative_uncertainty[k]) if known else None,
        largest_cause=dose.budget.largest[k] if known else None,
        activity_method=found.series.method,
        kinetics_method=_kinetics(study, found, name),
        dose_method=_dose(study),
        bed_method=None
        if repair is None or bed is None
        else f"alpha/beta {repair.alpha_beta_gy:g} Gy, repair {repair.repair_half_time_s / SECONDS_PER_HOUR:g} h, curve's half-life",
    )


def _marrow(study: Study, found: StudyDose, doses: OrganDoses, bones: Sequence[str], earlier: Sequence[Mapping[str, float]]) -> DoseRow:
    """Red marrow by image."""
    dose, share = marrow_dose_from_image(doses, bones=bones)
    mean = float(dose[0])
    return DoseRow(
        organ=RED_MARROW,
        volume_ml=None,
        mass_g=None,
        time_points=len(found.series.times.times_s),
        decays_mbq_h=None,
        decays_standard_error_mbq_h=None,
        effective_half_life_h=None,
        curve=None,
        extrapolated_fraction=None,
        mean_dose_gy=mean,
        mean_dose_gy_per_gbq=mean / study.administered_bq * BQ_PER_GBQ,
        cumulative_dose_gy=_cumulative(mean, RED_MARROW, earlier),
        activity_method=found.series.method,
        kinetics_method=f"curves of {', '.join(bones)}",
        dose_method=f"mean dose of bones with {100.0 * share:.0f} % of the active marrow, weighted by it; {_dose(study)}",
    )


def _cumulative(mean_gy: float, name: str, earlier: Sequence[Mapping[str, float]]) -> float | None:
    """Dose of all cycles [Gy]; None where one of them does not name the organ."""
    if not earlier or any(name not in cycle for cycle in earlier):
        return None
    return mean_gy + sum(cycle[name] for cycle in earlier)


def _kinetics(study: Study, found: StudyDose, name: str) -> str:
    """How activity was integrated over time."""
    model = study.options.models.get(name, study.options.models[DEFAULT])
    chosen = "model by AICc" if model == "auto" and len(found.series.times.times_s) > 1 else "model of the table"
    if found.series.curves is not None and model in ("auto", "mono_exponential"):
        return "mono-exponential of the joint reconstruction"
    prior = "" if study.options.priors is None else ", priors of the half-life"
    if study.options.kinetics == "voxel":
        return f"a curve for each voxel, errors by that of the organ, {chosen}{prior}"
    return f"a curve for each organ, {chosen}{prior}"


def _dose(study: Study) -> str:
    """How dose was found."""
    how = {"kernel": "convolution with dose kernels in water", "local": "electrons deposited locally, no photons"}[study.options.voxel_dose]
    return f"{how}, mass by {'CT number' if study.options.density == 'ct' else 'water'}"


def _finite(value: float) -> float | None:
    """None for what is not known."""
    return value if math.isfinite(value) else None
