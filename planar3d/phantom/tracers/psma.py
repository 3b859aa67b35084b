"""177Lu-PSMA-617 and 177Lu-PSMA-I&T.

Doses [Gy/GBq] of kidneys 0.50, parotids 0.60, submandibular glands 0.45, lacrimal glands 1.0, liver 0.10, spleen 0.08, red marrow 0.03
and tumour 5: Uijen et al. (kidneys of PSMA-617 and I&T), Hohberg et al. 2016 (PubMed 26920354), PMC5472088 and PMC12162791; those of the
liver, the spleen and the smaller glands are the usual clinical values, less certain. They are brought to time-integrated activity by
``D = 85.3 TIAC / m`` (D in Gy/GBq, TIAC in h, m in g). Half-times, their spread and the shortest: 20 patients (AAPM 2026, 2620), an
upper bound of the spread, wide on purpose; log-normal as PMC8882881 found. Excretion (56.5 +- 8.8 % in 24 h) and blood (10.8 h):
PMC5472088. Bowel early after injection: a kinetic model (Fele-Paranj et al. 2024, PyCNO) has 6.4 % at 1 h.

PSMA-I&T: the kidneys hold 0.73 / 0.49 of what PSMA-617 leaves there (Uijen et al., three-dimensional, ten patients each), salivary
glands 2.62 / 5.85 (Ells et al., J Nucl Med 2024;65:1264, whose unit is disputed, not the ratio); the rest alike (judgement).

Densities are taken as 1 g/mL. Everything given per litre is judgement: it follows contrasts seen in images.
"""

from __future__ import annotations

from dataclasses import replace

from planar3d.organs import GROUPS, LESIONS
from planar3d.phantom.bladder import VoidingBladder
from planar3d.phantom.tissue_uptake import TissueUptake, per_litre, share_of_dose
from planar3d.phantom.tracers.rest_of_body import DOSE_PER_RESIDENCE, REST_OF_BODY
from planar3d.phantom.tracers.tracer import Tracer

__all__ = ["PSMA617", "PSMA_IT"]

_SALIVARY = "salivary"
_PROMPT_H = 0.15  # uptake in the organs is over within an hour (dynamic PET; judgement)

_TISSUES: tuple[TissueUptake, ...] = (
    TissueUptake(organs=GROUPS["kidneys"], volume_ml=310.0, fraction=0.022, half_time_h=35.5, half_time_log_sd=0.68,
                 shortest_half_time_h=8.5, log_sd=0.38, organ_log_sd=0.07, uptake_half_time_h=_PROMPT_H),
    TissueUptake(organs=("parotid_left", "parotid_right"), volume_ml=50.0, fraction=0.0039, half_time_h=42.2, half_time_log_sd=0.51,
                 shortest_half_time_h=18.9, log_sd=0.45, organ_log_sd=0.1, group=_SALIVARY, uptake_half_time_h=_PROMPT_H),
    TissueUptake(organs=("submandibular_left", "submandibular_right"), volume_ml=24.0, fraction=0.0016, half_time_h=35.0,
                 half_time_log_sd=0.5, log_sd=0.45, organ_log_sd=0.1, group=_SALIVARY, uptake_half_time_h=_PROMPT_H),
    TissueUptake(organs=GROUPS["lacrimal_glands"], volume_ml=1.3, fraction=0.00019, half_time_h=35.0, half_time_log_sd=0.5,
                 log_sd=0.5, organ_log_sd=0.1, group=_SALIVARY, uptake_half_time_h=_PROMPT_H),
    TissueUptake(organs=("liver",), volume_ml=1800.0, fraction=0.031, half_time_h=22.9, half_time_log_sd=0.43, log_sd=0.35,
                 shortest_half_time_h=12.9),
    TissueUptake(organs=("spleen",), volume_ml=200.0, fraction=0.0029, half_time_h=16.8, half_time_log_sd=0.74, log_sd=0.5,
                 shortest_half_time_h=9.3),
    # The red marrow of the bones that hold it. Its median is 32 h; with so wide a spread uptake itself keeps the medians of 32 h, within
    # 10 % from 1 to 168 h, if half-times have one of 33 h.
    TissueUptake(organs=("spine", "pelvis", "ribs"), volume_ml=2000.0, fraction=0.0053, half_time_h=33.0, half_time_log_sd=0.89,
                 shortest_half_time_h=5.9, log_sd=0.5, organ_log_sd=0.15),
    # Bowel: kinetic models have 0.8 % at 24 h, a real patient 20 % of all activity in view; in between, with a long tail (judgement).
    TissueUptake(organs=("small_bowel",), volume_ml=800.0, fraction=0.010, half_time_h=30.0, log_sd=0.6, fast_share=0.4,
                 fast_half_time_h=7.0),
    TissueUptake(organs=("duodenum",), volume_ml=80.0, fraction=0.0018, half_time_h=30.0, log_sd=0.6, fast_share=0.4,
                 fast_half_time_h=7.0),
    TissueUptake(organs=("colon",), volume_ml=700.0, fraction=0.005, half_time_h=30.0, log_sd=0.8),
    TissueUptake(organs=("urinary_bladder",), volume_ml=200.0, fraction=0.015, half_time_h=24.0, half_time_log_sd=0.3,
                 log_sd=0.9, limit=0.10),  # without a model of voiding: 0-10 % (judgement)
    per_litre(("stomach",), 0.35),
    per_litre(("pancreas",), 0.35),
    per_litre(("gallbladder",), 1.0, log_sd=0.9),
    per_litre(("adrenal_left", "adrenal_right"), 0.8),
    per_litre(("prostate",), 0.5, log_sd=0.6),
    per_litre(("mucosa",), 1.5, log_sd=0.6),
    # Mean doses of 3.7-5.3 Gy/GBq belong to large lesions, and PET puts the usual lesion below the kidney: a median of 2.5 and a
    # coefficient of variation of 0.9 hold both (judgement).
    TissueUptake(organs=LESIONS, volume_ml=10.0, half_time_h=50.0, log_sd=0.35, organ_log_sd=0.69,
                 fraction=share_of_dose(2.5, 10.0, 50.0, dose_per_residence=DOSE_PER_RESIDENCE)),
    *REST_OF_BODY,
)  # fmt: skip

_IT_PER_617 = {"kidney_left": 0.73 / 0.49, "parotid_left": 2.62 / 5.85, "submandibular_left": 2.62 / 5.85}

PSMA617 = Tracer(
    isotope="Lu-177",
    administered_bq=7.4e9,
    tissues=_TISSUES,
    urine=VoidingBladder(excreted=0.60, excreted_sd=0.09, fast_share=0.55, fast_half_time_h=1.0, slow_half_time_h=10.8),
)
"""177Lu-PSMA-617."""

PSMA_IT = replace(PSMA617, tissues=tuple(replace(t, fraction=t.fraction * _IT_PER_617.get(t.organs[0], 1.0)) for t in _TISSUES))
"""177Lu-PSMA-I&T."""
