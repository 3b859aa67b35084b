"""131I after thyroidectomy: what is left of the thyroid, metastases, and iodide in the organs that secrete it.

Remnant: Hänscheid et al., J Nucl Med 2006;47:648, 48 h uptake 0.9 +- 1.0 % (hormone withdrawal) and 0.5 +- 0.7 % (rhTSH), effective
half-times 48 +- 53 h and 68 +- 49 h; here both kinds of patient together, as log-normals of the same mean and coefficient of variation.
Whole body: effective half-time 15.6 h, 7.6 to 28.2 h (J Nucl Med Technol 2022;50:233), which gives the retention at 48 h of 0.148 +- 0.12
and 0.089 +- 0.06 that PMC5020787 measured. Glands, stomach, bowel, mucosa, liver (iodinated hormones, late) and metastases (10 Gy/GBq in
10 g, with ``D = 111 TIAC / m``, 192 keV of electrons per decay) are judgement: contrasts of post-therapy images.
"""

from __future__ import annotations

from planar3d.organs import GROUPS, LESIONS
from planar3d.phantom.bladder import VoidingBladder
from planar3d.phantom.tissue_uptake import TissueUptake, per_litre, share_of_dose
from planar3d.phantom.tracers.tracer import Tracer

__all__ = ["IODINE"]

_DOSE_PER_RESIDENCE = 111.0
_BODY_H, _BODY_LOG_SD = 15.6, 0.35
_IODIDE = "iodide"


def _iodide(organs: tuple[str, ...], percent_per_litre: float, *, log_sd: float = 0.12) -> TissueUptake:
    """Tissue that holds iodide as the body does: all of it at injection, then leaving with the body's half-time."""
    return per_litre(
        organs, percent_per_litre, half_time_h=_BODY_H, half_time_log_sd=_BODY_LOG_SD, log_sd=log_sd, reference_h=0.0, group=_IODIDE
    )


def _secreted(organs: tuple[str, ...], percent_per_litre: float, *, half_time_h: float, log_sd: float = 0.5) -> TissueUptake:
    """Tissue that concentrates iodide within two hours, at 24 h."""
    return per_litre(organs, percent_per_litre, half_time_h=half_time_h, log_sd=log_sd, uptake_half_time_h=0.4)


_TISSUES: tuple[TissueUptake, ...] = (
    TissueUptake(organs=("thyroid",), volume_ml=20.0, fraction=0.0045, reference_h=48.0, half_time_h=43.0, half_time_log_sd=0.77,
                 log_sd=0.94, uptake_half_time_h=5.0, limit=0.3),
    _secreted(GROUPS["salivary_glands"], 2.0, half_time_h=12.0),
    _secreted((*GROUPS["lacrimal_glands"], "mucosa"), 1.5, half_time_h=15.0, log_sd=0.7),
    _secreted(("stomach",), 1.6, half_time_h=13.0),
    per_litre(("small_bowel", "duodenum"), 0.7, half_time_h=20.0, log_sd=0.6, uptake_half_time_h=3.0),
    per_litre(("colon",), 1.0, half_time_h=30.0, log_sd=0.8, reference_h=48.0, uptake_half_time_h=12.0),
    per_litre(("liver",), 0.5, half_time_h=40.0, log_sd=0.5, reference_h=48.0, uptake_half_time_h=12.0),
    TissueUptake(organs=("urinary_bladder",), volume_ml=200.0, fraction=0.02, half_time_h=_BODY_H, half_time_log_sd=_BODY_LOG_SD,
                 log_sd=0.8, limit=0.2),
    TissueUptake(organs=LESIONS, volume_ml=10.0, half_time_h=60.0, half_time_log_sd=0.6, log_sd=0.7, organ_log_sd=0.8,
                 uptake_half_time_h=5.0, limit=0.5, fraction=share_of_dose(10.0, 10.0, 60.0, dose_per_residence=_DOSE_PER_RESIDENCE)),
    _iodide(("heart", "vessels"), 2.2),
    _iodide(GROUPS["kidneys"], 2.2, log_sd=0.25),
    _iodide(("body", "muscle", "spinal_cord", "esophagus", "prostate"), 1.3),
    _iodide(("fat",), 0.6),
    _iodide(("lung_left", "lung_right"), 0.6),
    _iodide(("brain",), 0.4),
    _iodide(GROUPS["skeleton"], 1.0),
)  # fmt: skip

IODINE = Tracer(
    isotope="I-131",
    administered_bq=3.7e9,
    tissues=_TISSUES,
    urine=VoidingBladder(excreted=0.88, excreted_sd=0.05, fast_share=0.1, fast_half_time_h=3.0, slow_half_time_h=17.0),
)
"""131I as sodium iodide after thyroidectomy."""
