"""A 99mTc diphosphonate (HDP, MDP), as it is imaged three hours after injection.

By 4 h half of the activity or more is bound to bone, a third is in the urine and 6 % still circulates (all decay-corrected); uptake in
bone has a half-time of 15 min and stays (ICRP Publication 53, from memory; whole-body retention of MDP at 24 h is 31 +- 2 %, its slow
half-time 44 h: Calcif Tissue Int 1989;44:322). Concentrations by region follow quantitative SPECT of normal vertebrae, a standardised
uptake near 5 to 6 with long bones at two fifths of it (judgement); with 1.2 L of spine, 1.1 L of pelvis, 0.8 L of ribs, 0.9 L of skull
and 4.5 L of limbs they sum to 43 %. Soft tissue, kidneys and lesions (standardised uptake 20) are judgement.
"""

from __future__ import annotations

from dataclasses import replace

from planar3d.organs import GROUPS, LESIONS
from planar3d.phantom.bladder import VoidingBladder
from planar3d.phantom.tissue_uptake import TissueUptake, per_litre
from planar3d.phantom.tracers.tracer import Tracer

__all__ = ["BONE_AGENT"]

_BONE_H, _BONE_LOG_SD = 5.3, 0.05  # effective: a biological half-time of some 44 h, cut at the physical 6.015 h
_BONE = "bone"


def _bone(organs: tuple[str, ...], percent_per_litre: float, *, organ_log_sd: float = 0.1) -> TissueUptake:
    """Bone at 3 h, decay included."""
    tissue = per_litre(
        organs, percent_per_litre, half_time_h=_BONE_H, half_time_log_sd=_BONE_LOG_SD, log_sd=0.25, reference_h=3.0,
        uptake_half_time_h=0.25, group=_BONE,
    )  # fmt: skip
    return replace(tissue, organ_log_sd=organ_log_sd)


def _soft(organs: tuple[str, ...], percent_per_litre: float, *, log_sd: float = 0.3) -> TissueUptake:
    """Soft tissue at 3 h: most of it still leaves with the blood."""
    return per_litre(
        organs, percent_per_litre, half_time_h=4.5, half_time_log_sd=0.15, log_sd=log_sd, reference_h=3.0, fast_share=0.7,
        fast_half_time_h=1.3, group="blood",
    )  # fmt: skip


_TISSUES: tuple[TissueUptake, ...] = (
    _bone(("spine",), 6.0),
    _bone(("pelvis",), 5.5),
    _bone(("ribs",), 4.0),
    _bone(("limb_bones",), 2.5, organ_log_sd=0.2),
    _bone(("skull",), 3.0, organ_log_sd=0.3),
    TissueUptake(organs=GROUPS["kidneys"], volume_ml=310.0, fraction=0.011, reference_h=3.0, half_time_h=4.5, half_time_log_sd=0.15,
                 log_sd=0.4, organ_log_sd=0.1),
    TissueUptake(organs=("urinary_bladder",), volume_ml=200.0, fraction=0.04, reference_h=3.0, half_time_h=2.5, half_time_log_sd=0.3,
                 log_sd=0.8, limit=0.3),
    TissueUptake(organs=LESIONS, volume_ml=10.0, fraction=0.002, reference_h=3.0, half_time_h=5.5, half_time_log_sd=0.05, log_sd=0.35,
                 organ_log_sd=0.6, uptake_half_time_h=0.5),
    _soft(("heart", "vessels"), 0.8),
    _soft(("body", "muscle", "spinal_cord", "esophagus"), 0.35),
    _soft(("liver", "spleen"), 0.3),
    _soft(("stomach", *GROUPS["bowel"], "gallbladder", "pancreas"), 0.3, log_sd=0.5),
    _soft(("fat",), 0.15),
    _soft(("lung_left", "lung_right"), 0.15),
    _soft(("brain",), 0.05),
    _soft((*GROUPS["salivary_glands"], *GROUPS["lacrimal_glands"], "mucosa", "thyroid"), 0.5, log_sd=0.5),
)  # fmt: skip

BONE_AGENT = Tracer(
    isotope="Tc-99m",
    administered_bq=7.0e8,
    tissues=_TISSUES,
    urine=VoidingBladder(excreted=0.55, excreted_sd=0.08, fast_share=0.6, fast_half_time_h=0.7, slow_half_time_h=4.0),
)
"""A 99mTc diphosphonate."""
