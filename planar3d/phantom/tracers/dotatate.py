"""177Lu-DOTATATE.

Doses of kidneys 0.43 to 0.57, liver 0.27 to 0.54, spleen 1.17 and tumour 3.4 Gy/GBq: 10.1186/s13550-018-0459-4, PMC6300448, PMC8590641,
Clin Nucl Med, March 2013 (61 patients); brought to activity by ``D = 85.3 TIAC / m`` with half-times of 50, 65, 67 and 90 h (usual values,
judgement). Everything given per litre, and excretion (half of it within six hours), is judgement.
"""

from __future__ import annotations

from planar3d.organs import GROUPS, LESIONS
from planar3d.phantom.bladder import VoidingBladder
from planar3d.phantom.tissue_uptake import TissueUptake, per_litre, share_of_dose
from planar3d.phantom.tracers.rest_of_body import DOSE_PER_RESIDENCE, REST_OF_BODY
from planar3d.phantom.tracers.tracer import Tracer

__all__ = ["DOTATATE"]


def _of_dose(dose_gy_per_gbq: float, mass_g: float, half_time_h: float) -> float:
    """Share at 24 h that gives a dose."""
    return share_of_dose(dose_gy_per_gbq, mass_g, half_time_h, dose_per_residence=DOSE_PER_RESIDENCE)


_TISSUES: tuple[TissueUptake, ...] = (
    TissueUptake(organs=GROUPS["kidneys"], volume_ml=310.0, fraction=_of_dose(0.45, 310.0, 50.0), half_time_h=50.0,
                 half_time_log_sd=0.3, log_sd=0.35, organ_log_sd=0.07),
    TissueUptake(organs=("spleen",), volume_ml=200.0, fraction=_of_dose(1.17, 200.0, 67.0), half_time_h=67.0,
                 half_time_log_sd=0.3, log_sd=0.45),
    TissueUptake(organs=("liver",), volume_ml=1800.0, fraction=_of_dose(0.35, 1800.0, 65.0), half_time_h=65.0,
                 half_time_log_sd=0.3, log_sd=0.5),
    per_litre(("spine", "pelvis", "ribs"), 0.20),
    per_litre(("small_bowel", "duodenum"), 0.6, log_sd=0.7),
    per_litre(("colon",), 0.5, log_sd=0.8),
    TissueUptake(organs=("urinary_bladder",), volume_ml=200.0, fraction=0.010, half_time_h=24.0, half_time_log_sd=0.3,
                 log_sd=0.9, limit=0.10),
    per_litre(("stomach",), 0.5),
    per_litre(("pancreas",), 0.8),
    per_litre(("gallbladder",), 0.5, log_sd=0.8),
    per_litre(("adrenal_left", "adrenal_right"), 2.0),
    per_litre(("prostate",), 0.3),
    per_litre(("parotid_left", "parotid_right", "submandibular_left", "submandibular_right"), 0.4),
    per_litre((*GROUPS["lacrimal_glands"], "mucosa"), 0.2),
    TissueUptake(organs=LESIONS, volume_ml=10.0, fraction=_of_dose(2.7, 10.0, 90.0), half_time_h=90.0, half_time_log_sd=0.3,
                 log_sd=0.35, organ_log_sd=0.69, uptake_half_time_h=0.5),  # mean 3.4 Gy/GBq
    *REST_OF_BODY,
)  # fmt: skip

DOTATATE = Tracer(
    isotope="Lu-177",
    administered_bq=7.4e9,
    tissues=_TISSUES,
    urine=VoidingBladder(excreted=0.65, excreted_sd=0.1, fast_share=0.7, fast_half_time_h=1.5, slow_half_time_h=25.0),
)
"""177Lu-DOTATATE."""
