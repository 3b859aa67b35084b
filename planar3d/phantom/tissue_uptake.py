"""Uptake of a tissue: what share of the administered activity it holds at any time, and how much patients differ.

In a tissue of reference volume V the share at time t (physical decay included) is

    f(t) = f_r e^(s z) g(t) / g(r),   g(t) = ((1 - p) 2^(-(t - r) / T) + p 2^(-(t - r) / T_fast)) (1 - 2^(-t / U))

with r the time that the table speaks of, z a standard normal per patient, T the effective half-time, log-normal between patients and
never above the physical one (nor below the shortest that was seen), p a part that leaves fast and U the half-time of uptake. Most
tissues have ``p = 0`` and ``U = 0``: one exponential. A share belongs to a reference volume, so that an organ which the field of view
cuts has only its part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["TissueUptake", "per_litre", "share_of_dose"]

LN2 = math.log(2.0)


@dataclass(frozen=True, kw_only=True)
class TissueUptake:
    """Uptake of a tissue that one or more organs share.

    Attributes:
        organs: Names of the organs made of it; all have the same median concentration.
        volume_ml: Reference volume of all of them together [mL].
        fraction: Median share of the administered activity at ``reference_h``, decay included.
        half_time_h: Median effective half-time T [h].
        half_time_log_sd: Standard deviation of its logarithm between patients, before it is cut.
        shortest_half_time_h: Where it is cut below; above it is cut at the physical half-life [h].
        log_sd: Standard deviation s of the logarithm of the share between patients, at ``reference_h``.
        organ_log_sd: The same between the organs of one patient, such as the left and the right kidney.
        group: Tissues of the same group are high or low, and slow or fast, together; each its own if empty.
        limit: Largest share of the administered activity that the reference volume can hold.
        reference_h: Time r after injection that ``fraction`` speaks of [h].
        uptake_half_time_h: Half-time U of uptake [h]; 0 where it is over at once.
        fast_share: Part p of the share at ``reference_h`` that leaves fast.
        fast_half_time_h: Its effective half-time [h].
    """

    organs: tuple[str, ...]
    volume_ml: float
    fraction: float
    half_time_h: float
    half_time_log_sd: float = 0.4
    shortest_half_time_h: float = 0.0
    log_sd: float = 0.45
    organ_log_sd: float = 0.0
    group: str = ""
    limit: float = 1.0
    reference_h: float = 24.0
    uptake_half_time_h: float = 0.0
    fast_share: float = 0.0
    fast_half_time_h: float = 10.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.fast_share < 1.0:
            raise ValueError(f"fast_share of {', '.join(self.organs)} must be at least 0 and below 1, got {self.fast_share}")
        if self.reference_h <= 0.0 < self.uptake_half_time_h:
            raise ValueError(f"reference_h of {', '.join(self.organs)} must be positive, as uptake takes time, got {self.reference_h}")

    @property
    def name(self) -> str:
        """What the tissue's draws go by: its group, or its first organ."""
        return self.group or self.organs[0]


def share_of_dose(
    dose_gy_per_gbq: float, mass_g: float, half_time_h: float, *, dose_per_residence: float, reference_h: float = 24.0
) -> float:
    """Share of the administered activity at a time that gives a dose: ``TIAC ln2 / T`` at time zero, decayed to that time.

    Args:
        dose_gy_per_gbq: Absorbed dose per administered activity [Gy/GBq].
        mass_g: Mass m [g].
        half_time_h: Effective half-time [h].
        dose_per_residence: k in ``D = k TIAC / m`` [g Gy/(GBq h)].
        reference_h: The time [h].
    """
    residence_h = dose_gy_per_gbq * mass_g / dose_per_residence
    return residence_h * LN2 / half_time_h * 2.0 ** (-reference_h / half_time_h)


def per_litre(
    organs: tuple[str, ...],
    percent_per_litre: float,
    *,
    half_time_h: float = 40.0,
    half_time_log_sd: float = 0.4,
    log_sd: float = 0.5,
    reference_h: float = 24.0,
    uptake_half_time_h: float = 0.0,
    fast_share: float = 0.0,
    fast_half_time_h: float = 10.0,
    group: str = "",
) -> TissueUptake:
    """A tissue known by its concentration: percent of the administered activity in a litre at ``reference_h``."""
    return TissueUptake(
        organs=organs, volume_ml=1000.0, fraction=percent_per_litre / 100.0, half_time_h=half_time_h, half_time_log_sd=half_time_log_sd,
        log_sd=log_sd, organ_log_sd=0.1, group=group, reference_h=reference_h, uptake_half_time_h=uptake_half_time_h,
        fast_share=fast_share, fast_half_time_h=fast_half_time_h,
    )  # fmt: skip
