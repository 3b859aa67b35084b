"""Biodistributions: the activity concentration of every organ of one patient at one time after injection.

``c = A f(t) / V`` with ``f(t) = f_24 e^(s z) 2^(-(t - 24 h) / T)``: A the administered activity, f_24 the median share at 24 h, V the
reference volume, z a standard normal per patient and T a log-normal half-time cut off at the physical half-life. At 24 h the spread is
that of the table, away from it the half-times add to it. A share belongs to a reference volume, so that an organ which the field of view
cuts has only its part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.organs import ORGANS, organ_id
from planar3d.phantom.uptake_table import UPTAKE_TABLES, TissueUptake
from planar3d.radionuclide import Radionuclide
from planar3d.units import SECONDS_PER_HOUR

__all__ = ["Biodistribution"]

_TABLE_TIME_H = 24.0


class Biodistribution:
    """Draws organ concentrations.

    Args:
        table: Uptake of each tissue; organs in none of them take that of ``body``.
        time_s: Time from injection to imaging [s].
        administered_bq: Activity administered [Bq].
        isotope: Radionuclide, whose physical half-life bounds the effective ones.
        variability: Factor on all standard deviations; 0 gives the medians.
    """

    def __init__(
        self,
        *,
        table: Sequence[TissueUptake],
        time_s: float,
        administered_bq: float,
        isotope: str = "Lu-177",
        variability: float = 1.0,
    ) -> None:
        if not (math.isfinite(time_s) and time_s >= 0):
            raise ValueError(f"time_s must be zero or more seconds after injection, got {time_s}")
        if not (math.isfinite(administered_bq) and administered_bq > 0):
            raise ValueError(f"administered_bq must be positive, got {administered_bq}")
        if not variability >= 0:
            raise ValueError(f"variability must be zero or more, got {variability}")
        self.table = tuple(table)
        self.time_h = time_s / SECONDS_PER_HOUR
        self.administered_bq = administered_bq
        self.variability = variability
        limit_h = Radionuclide.from_name(isotope).half_life_s / SECONDS_PER_HOUR
        names = list(dict.fromkeys(t.group or t.organs[0] for t in self.table))
        self._group = torch.tensor([names.index(t.group or t.organs[0]) for t in self.table])
        self._n_groups = len(names)
        self._half_time_log_sd = self._column(lambda t: t.half_time_log_sd)
        self._log_sd = self._column(lambda t: t.log_sd)
        self._organ_log_sd = self._column(lambda t: t.organ_log_sd)
        self._log_limit = self._column(lambda t: math.log(t.limit))
        self._log_volume = self._column(lambda t: math.log(t.volume_ml))
        self._log_half_time = self._column(lambda t: math.log(t.half_time_h))
        self._log_share = self._column(lambda t: math.log(t.fraction_24h))
        self._log_longest = torch.full_like(self._log_half_time, math.log(limit_h))
        self._tissue = self._tissue_of_organs()

    @classmethod
    def from_name(
        cls, name: str, *, time_s: float, administered_bq: float = 7.4e9, isotope: str = "Lu-177", variability: float = 1.0
    ) -> Biodistribution:
        """Biodistribution of a known tracer: ``psma617`` (177Lu-PSMA-617) or ``dotatate`` (177Lu-DOTATATE).

        Raises:
            ValueError: The tracer is not known.
        """
        if name not in UPTAKE_TABLES:
            raise ValueError(f"biodistribution {name!r} is not known; known are {', '.join(UPTAKE_TABLES)}")
        return cls(table=UPTAKE_TABLES[name], time_s=time_s, administered_bq=administered_bq, isotope=isotope, variability=variability)

    def draw(self, generator: torch.Generator) -> Float[Tensor, " organs"]:
        """Concentration of every organ id for one patient, ``(organs,)`` [Bq/mL]; zero outside the body."""
        n = len(self.table)
        quantile = torch.rand(n, generator=generator)
        patient = torch.randn(self._n_groups, generator=generator)[self._group]
        organ = torch.randn(len(ORGANS), generator=generator)
        k = self.variability
        log_half_time = _truncated(self._log_half_time, k * self._half_time_log_sd, self._log_longest, quantile)
        elapsed_h = self.time_h - _TABLE_TIME_H
        log_share = self._log_share - math.log(2.0) * elapsed_h * torch.exp(-log_half_time) + k * self._log_sd * patient
        log_share = torch.minimum(log_share, self._log_limit)
        own = k * self._organ_log_sd[self._tissue] * organ
        log_concentration = math.log(self.administered_bq) + (log_share - self._log_volume)[self._tissue] + own
        concentration = torch.exp(log_concentration)
        concentration[organ_id("background")] = 0.0
        return concentration

    def _column(self, value: Callable[[TissueUptake], float]) -> Tensor:
        """A number of every row of the table."""
        return torch.tensor([value(tissue) for tissue in self.table])

    def _tissue_of_organs(self) -> Tensor:
        """Row of the table for every organ id."""
        row = {name: index for index, tissue in enumerate(self.table) for name in tissue.organs}
        if "body" not in row:
            raise ValueError("table must have a row for 'body', which organs without a row of their own take; add one")
        unknown = sorted(set(row) - set(ORGANS))
        if unknown:
            raise ValueError(f"table names organs that are not known: {', '.join(unknown)}; known are {', '.join(ORGANS)}")
        return torch.tensor([row.get(name, row["body"]) for name in ORGANS])


def _truncated(mean: Tensor, sd: Tensor, upper: Tensor, quantile: Tensor) -> Tensor:
    """Normal variates below ``upper``, by the inverse of the distribution function."""
    safe_sd = sd.clamp_min(1e-6)
    largest = torch.special.ndtr((upper - mean) / safe_sd)
    tiny = torch.finfo(quantile.dtype).eps
    return mean + sd * torch.special.ndtri((quantile * largest).clamp(tiny, 1.0 - tiny))
