"""Tissues that the peptides for therapy do not bind to: blood, muscle, fat, lungs and the like.

Judgement, but for the half-time of blood: 10.8 h for 177Lu-PSMA-617 (PMC5472088). Muscle and the rest bring the retention at 24 h into
10-45 %; three quarters of theirs then is tracer not yet excreted, which leaves with the blood.
"""

from __future__ import annotations

from planar3d.phantom.tissue_uptake import TissueUptake, per_litre

__all__ = ["BLOOD", "DOSE_PER_RESIDENCE", "REST_OF_BODY"]

DOSE_PER_RESIDENCE = 85.3
"""``k`` in ``D = k TIAC / m`` for the electrons of Lu-177, absorbed where they are emitted [g Gy/(GBq h)]."""

BLOOD = "blood"
_BLOOD_HALF_TIME_H = 10.8


def _perfused(organs: tuple[str, ...], percent_per_litre: float) -> TissueUptake:
    """Tissue whose activity is mostly that of blood and interstitium."""
    return per_litre(organs, percent_per_litre, log_sd=0.4, fast_share=0.75, fast_half_time_h=_BLOOD_HALF_TIME_H)


REST_OF_BODY: tuple[TissueUptake, ...] = (
    TissueUptake(organs=("heart", "vessels"), volume_ml=5300.0, fraction=0.006, half_time_h=_BLOOD_HALF_TIME_H, half_time_log_sd=0.3,
                 group=BLOOD),
    _perfused(("body", "muscle", "spinal_cord", "esophagus"), 0.10),
    _perfused(("fat",), 0.05),
    _perfused(("lung_left", "lung_right"), 0.05),
    per_litre(("trachea",), 0.12),
    per_litre(("thyroid",), 0.20),
    per_litre(("brain",), 0.01),
    per_litre(("limb_bones", "skull"), 0.08),
)  # fmt: skip
