"""Conversion factors: the only place in the library where a bare power of ten stands.

Inside the library lengths are mm, attenuation 1/mm, time s, photon energy keV, activity concentration Bq/mL, time-integrated
activity Bq s/mL and absorbed dose Gy; a name carries its unit (``spacing_mm``). Multiply by ``A_PER_B`` to go from B to A.
"""

__all__ = [
    "BQ_PER_GBQ",
    "BQ_PER_KBQ",
    "BQ_PER_MBQ",
    "EV_PER_KEV",
    "FWHM_PER_SIGMA",
    "GRAMS_PER_KG",
    "JOULES_PER_KEV",
    "MGY_PER_GY",
    "MM3_PER_ML",
    "MM_PER_CM",
    "MS_PER_SECOND",
    "PER_MM_PER_PER_CM",
    "SECONDS_PER_DAY",
    "SECONDS_PER_HOUR",
    "SECONDS_PER_MICROSECOND",
]

MM_PER_CM = 10.0
PER_MM_PER_PER_CM = 0.1
MM3_PER_ML = 1000.0
BQ_PER_KBQ = 1e3
BQ_PER_MBQ = 1e6
BQ_PER_GBQ = 1e9
EV_PER_KEV = 1e3
JOULES_PER_KEV = 1.602176634e-16
GRAMS_PER_KG = 1e3
MGY_PER_GY = 1e3
MS_PER_SECOND = 1e3
SECONDS_PER_MICROSECOND = 1e-6
SECONDS_PER_HOUR = 3600.0
SECONDS_PER_DAY = 86400.0
FWHM_PER_SIGMA = 2.354820045030949  # 2 sqrt(2 ln 2), full width at half maximum of a Gaussian of unit standard deviation
