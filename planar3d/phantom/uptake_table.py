"""Uptake tables: what share of the administered activity each tissue holds, and how much patients differ.

In a tissue of reference volume V the share of the administered activity at time t (decay included) is
``f(t) = f_24 2^(-(t - 24 h) / T)``, with T the effective half-time; both vary log-normally between patients.

Sources for 177Lu-PSMA-617. Doses [Gy/GBq] of kidneys 0.50, parotids 0.60, submandibular glands 0.45, lacrimal glands 1.0, liver 0.10,
spleen 0.08, red marrow 0.03 and tumour 5: Uijen et al. (kidneys of PSMA-617 and I&T), Hohberg et al. 2016 (PubMed 26920354), PMC5472088
and PMC12162791; those of the liver, the spleen and the smaller glands are the usual clinical values, less certain. They are
brought to time-integrated activity by ``D = 85.3 TIAC / m`` (D in Gy/GBq, TIAC in h, m in g). Half-times and their spread: 20 patients
(AAPM 2026, 2620), an upper bound of the spread, wide on purpose. Excretion and blood: PMC5472088.

Sources for 177Lu-DOTATATE. Doses of kidneys 0.43 to 0.57, liver 0.27 to 0.54, spleen 1.17 and tumour 3.4 Gy/GBq: 10.1186/s13550-018-0459-4,
PMC6300448, PMC8590641; brought to activity in the same way with half-times of 50, 65, 67 and 90 h (usual values).

Densities are taken as 1 g/mL. Everything marked (judgement) has no measured source: it follows contrasts seen in images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from planar3d.organs import GROUPS, LESIONS

__all__ = ["UPTAKE_TABLES", "TissueUptake"]

DOSE_PER_RESIDENCE = 85.3  # Gy/GBq per h/g: Lu-177 electrons absorbed where they are emitted


@dataclass(frozen=True, kw_only=True)
class TissueUptake:
    """Uptake of a tissue that one or more organs share.

    Attributes:
        organs: Names of the organs made of it; all have the same median concentration.
        volume_ml: Reference volume of all of them together [mL].
        fraction_24h: Median share of the administered activity 24 h after injection, decay included.
        half_time_h: Median effective half-time [h].
        half_time_log_sd: Standard deviation of its logarithm between patients.
        log_sd: Standard deviation of the logarithm of the uptake between patients.
        organ_log_sd: The same between the organs of one patient, such as the left and the right kidney.
        group: Tissues of the same group are high or low together; each its own if empty.
        limit: Largest share of the administered activity that the reference volume can hold.
    """

    organs: tuple[str, ...]
    volume_ml: float
    fraction_24h: float
    half_time_h: float
    half_time_log_sd: float = 0.4
    log_sd: float = 0.45
    organ_log_sd: float = 0.0
    group: str = ""
    limit: float = 1.0


def _fraction_24h(dose_gy_per_gbq: float, mass_g: float, half_time_h: float) -> float:
    """Share of the administered activity at 24 h that gives a dose: ``TIAC ln2 / T`` at time zero, decayed to 24 h."""
    residence_h = dose_gy_per_gbq * mass_g / DOSE_PER_RESIDENCE
    return residence_h * math.log(2.0) / half_time_h * 2.0 ** (-24.0 / half_time_h)


def _per_litre(organs: tuple[str, ...], percent_per_litre: float, *, half_time_h: float = 40.0, log_sd: float = 0.5) -> TissueUptake:
    """A tissue known by its concentration (judgement): percent of the administered activity in a litre at 24 h."""
    return TissueUptake(
        organs=organs, volume_ml=1000.0, fraction_24h=percent_per_litre / 100.0, half_time_h=half_time_h, log_sd=log_sd, organ_log_sd=0.1
    )


_SALIVARY, _BLOOD = "salivary", "blood"

# Judgement, but for the half-time of blood: 10.8 h (PMC5472088). Muscle and the rest bring the retention at 24 h into 10-45 %.
_REST_OF_BODY: tuple[TissueUptake, ...] = (
    TissueUptake(organs=("heart", "vessels"), volume_ml=5300.0, fraction_24h=0.006, half_time_h=10.8, half_time_log_sd=0.3, group=_BLOOD),
    _per_litre(("body", "muscle", "spinal_cord", "esophagus"), 0.10, log_sd=0.4),
    _per_litre(("fat",), 0.05, log_sd=0.4),
    _per_litre(("lung_left", "lung_right"), 0.05, log_sd=0.4),
    _per_litre(("trachea",), 0.12),
    _per_litre(("thyroid",), 0.20),
    _per_litre(("brain",), 0.01),
    _per_litre(("limb_bones", "skull"), 0.08),
)

_PSMA617: tuple[TissueUptake, ...] = (
    TissueUptake(organs=GROUPS["kidneys"], volume_ml=310.0, fraction_24h=0.022, half_time_h=35.5, half_time_log_sd=0.68,
                 log_sd=0.38, organ_log_sd=0.07),
    TissueUptake(organs=("parotid_left", "parotid_right"), volume_ml=50.0, fraction_24h=0.0039, half_time_h=42.2, half_time_log_sd=0.51,
                 log_sd=0.45, organ_log_sd=0.1, group=_SALIVARY),
    TissueUptake(organs=("submandibular_left", "submandibular_right"), volume_ml=24.0, fraction_24h=0.0016, half_time_h=35.0,
                 half_time_log_sd=0.5, log_sd=0.45, organ_log_sd=0.1, group=_SALIVARY),
    TissueUptake(organs=GROUPS["lacrimal_glands"], volume_ml=1.3, fraction_24h=0.00019, half_time_h=35.0, half_time_log_sd=0.5,
                 log_sd=0.5, organ_log_sd=0.1, group=_SALIVARY),
    TissueUptake(organs=("liver",), volume_ml=1800.0, fraction_24h=0.031, half_time_h=22.9, half_time_log_sd=0.43, log_sd=0.35),
    TissueUptake(organs=("spleen",), volume_ml=200.0, fraction_24h=0.0029, half_time_h=16.8, half_time_log_sd=0.74, log_sd=0.5),
    TissueUptake(organs=("spine", "pelvis", "ribs"), volume_ml=2000.0, fraction_24h=0.0053, half_time_h=32.0, half_time_log_sd=0.89,
                 log_sd=0.5, organ_log_sd=0.15),  # the red marrow of the bones that hold it
    # Bowel: kinetic models have 0.8 % at 24 h, a real patient 20 % of all activity in view; in between, with a long tail (judgement).
    TissueUptake(organs=("small_bowel",), volume_ml=800.0, fraction_24h=0.010, half_time_h=30.0, log_sd=0.6),
    TissueUptake(organs=("duodenum",), volume_ml=80.0, fraction_24h=0.0018, half_time_h=30.0, log_sd=0.6),
    TissueUptake(organs=("colon",), volume_ml=700.0, fraction_24h=0.005, half_time_h=30.0, log_sd=0.8),
    TissueUptake(organs=("urinary_bladder",), volume_ml=200.0, fraction_24h=0.015, half_time_h=24.0, half_time_log_sd=0.3,
                 log_sd=0.9, limit=0.10),  # depends on voiding, 0-10 % (judgement)
    _per_litre(("stomach",), 0.35),
    _per_litre(("pancreas",), 0.35),
    _per_litre(("gallbladder",), 1.0, log_sd=0.9),
    _per_litre(("adrenal_left", "adrenal_right"), 0.8),
    _per_litre(("prostate",), 0.5, log_sd=0.6),
    _per_litre(("mucosa",), 1.5, log_sd=0.6),
    # Mean doses of 3.7-5.3 Gy/GBq belong to large lesions, and PET puts the usual lesion below the kidney: a median of 2.5 and a
    # coefficient of variation of 0.9 hold both (judgement).
    TissueUptake(organs=LESIONS, volume_ml=10.0, fraction_24h=_fraction_24h(2.5, 10.0, 50.0), half_time_h=50.0,
                 log_sd=0.35, organ_log_sd=0.69),
    *_REST_OF_BODY,
)  # fmt: skip

_DOTATATE: tuple[TissueUptake, ...] = (
    TissueUptake(organs=GROUPS["kidneys"], volume_ml=310.0, fraction_24h=_fraction_24h(0.45, 310.0, 50.0), half_time_h=50.0,
                 half_time_log_sd=0.3, log_sd=0.35, organ_log_sd=0.07),
    TissueUptake(organs=("spleen",), volume_ml=200.0, fraction_24h=_fraction_24h(1.17, 200.0, 67.0), half_time_h=67.0,
                 half_time_log_sd=0.3, log_sd=0.45),
    TissueUptake(organs=("liver",), volume_ml=1800.0, fraction_24h=_fraction_24h(0.35, 1800.0, 65.0), half_time_h=65.0,
                 half_time_log_sd=0.3, log_sd=0.5),
    _per_litre(("spine", "pelvis", "ribs"), 0.20),
    _per_litre(("small_bowel", "duodenum"), 0.6, log_sd=0.7),
    _per_litre(("colon",), 0.5, log_sd=0.8),
    TissueUptake(organs=("urinary_bladder",), volume_ml=200.0, fraction_24h=0.010, half_time_h=24.0, half_time_log_sd=0.3,
                 log_sd=0.9, limit=0.10),
    _per_litre(("stomach",), 0.5),
    _per_litre(("pancreas",), 0.8),
    _per_litre(("gallbladder",), 0.5, log_sd=0.8),
    _per_litre(("adrenal_left", "adrenal_right"), 2.0),
    _per_litre(("prostate",), 0.3),
    _per_litre(("parotid_left", "parotid_right", "submandibular_left", "submandibular_right"), 0.4),
    _per_litre((*GROUPS["lacrimal_glands"], "mucosa"), 0.2),
    TissueUptake(organs=LESIONS, volume_ml=10.0, fraction_24h=_fraction_24h(2.7, 10.0, 90.0), half_time_h=90.0, half_time_log_sd=0.3,
                 log_sd=0.35, organ_log_sd=0.69),  # mean 3.4 Gy/GBq
    *_REST_OF_BODY,
)  # fmt: skip

UPTAKE_TABLES: dict[str, tuple[TissueUptake, ...]] = {"psma617": _PSMA617, "dotatate": _DOTATATE}
"""Tables by name of the tracer."""
