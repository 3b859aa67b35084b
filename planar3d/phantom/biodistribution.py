"""Biodistributions: the activity concentration of every organ of one patient at any time after injection.

``c(t) = A f(t) e^(w) / V``, with A the administered activity and f(t) the share of a tissue of reference volume V
(`planar3d.phantom.tissue_uptake`), of which this draws, once per patient, the level (log-normal, groups of tissues together), the
effective half-time (log-normal below the physical half-life, correlated by 0.6 within a group) and the difference w between organs of
one tissue. Everything else follows from the time, so time points of one patient belong together. At the time of the table the spread is
that of the table, away from it the half-times add to it.

All of a patient but the bladder follows from independent standard normals (`Biodistribution.of_normals`), which a
`planar3d.phantom.proposal.UptakeProposal` may move.

With ``voiding`` the bladder fills and empties (`planar3d.phantom.bladder`); without, it is a tissue like others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.organs import LESIONS, ORGANS, organ_id
from planar3d.phantom.bladder import BladderRecord, VoidingBladder
from planar3d.phantom.effective_half_time import EffectiveHalfTime
from planar3d.phantom.proposal import UptakeProposal
from planar3d.phantom.record import TensorRecord
from planar3d.phantom.stream import fork
from planar3d.phantom.tissue_uptake import LN2, TissueUptake
from planar3d.phantom.tracers import TRACERS
from planar3d.radionuclide import Radionuclide
from planar3d.units import SECONDS_PER_HOUR

__all__ = ["LESION_SLOTS", "Biodistribution", "UptakeRecord"]

LESION_SLOTS = 60
"""Lesions whose uptake is drawn: those that have an organ id, and more."""

_ORGAN_DRAWS = 55  # organs appended since draw from a stream of their own, so that the fixed cases of benchmarks stay as they are
_GROUP_CORRELATION = 0.6  # of half-times
_FIRST_LESION = organ_id(LESIONS[0])


@dataclass(frozen=True, kw_only=True)
class UptakeRecord(TensorRecord):
    """What was drawn for a patient.

    Attributes:
        log_level: Logarithm of the share at the time of the table over its median, ``(b, tissues)``.
        half_time_h: Effective half-time, ``(b, tissues)`` [h].
        log_organ: Logarithm of an organ's concentration over that of its tissue, w, ``(b, organs)``.
        log_lesion: The same for each lesion, ``(b, 60)``.
        bladder: Filling and voiding; None where the bladder is a tissue.
        log_weight: Logarithm of the density of the prior over that of the proposal drawn from, ``(b,)``; None where drawn from the prior.
    """

    log_level: Tensor
    half_time_h: Tensor
    log_organ: Tensor
    log_lesion: Tensor
    bladder: BladderRecord | None = None
    log_weight: Tensor | None = None


class Biodistribution:
    """Draws the uptake of patients, and says what it is at a time.

    Args:
        table: Uptake of each tissue; organs in none of them take that of ``body``.
        time_s: Time from injection to imaging [s].
        administered_bq: Activity administered [Bq].
        isotope: Radionuclide, whose physical half-life bounds the effective ones.
        variability: Factor on all standard deviations; 0 gives the medians.
        urine: Excretion that fills the bladder; None for a bladder that is a tissue of the table.
    """

    def __init__(
        self,
        *,
        table: Sequence[TissueUptake],
        time_s: float,
        administered_bq: float,
        isotope: str = "Lu-177",
        variability: float = 1.0,
        urine: VoidingBladder | None = None,
    ) -> None:
        if not (math.isfinite(administered_bq) and administered_bq > 0):
            raise ValueError(f"administered_bq must be positive, got {administered_bq}")
        if not variability >= 0:
            raise ValueError(f"variability must be zero or more, got {variability}")
        self.table = tuple(table)
        self.time_s = _checked(time_s)
        self.administered_bq = administered_bq
        self.variability = variability
        self.urine = urine
        self._tissue = self._tissue_of_organs()
        self._lesion_tissue = int(self._tissue[_FIRST_LESION])
        self.physical_half_life_h = Radionuclide.from_name(isotope).half_life_s / SECONDS_PER_HOUR
        names = list(dict.fromkeys(t.name for t in self.table))
        self._group = torch.tensor([names.index(t.name) for t in self.table])
        self._n_groups = len(names)
        self._log_sd = self._column(lambda t: t.log_sd)
        self._organ_log_sd = self._column(lambda t: t.organ_log_sd)
        self._log_limit = self._column(lambda t: math.log(t.limit))
        self._log_fraction = self._column(lambda t: math.log(t.fraction))
        self._log_volume = self._column(lambda t: math.log(t.volume_ml))
        self._reference_h = self._column(lambda t: t.reference_h)
        self._uptake_rate = self._column(lambda t: LN2 / t.uptake_half_time_h if t.uptake_half_time_h > 0 else math.inf)
        self._fast_share = self._column(lambda t: t.fast_share)
        self._fast_half_time_h = self._column(lambda t: min(t.fast_half_time_h, self.physical_half_life_h))
        self._half_time = EffectiveHalfTime(
            median_h=self._column(lambda t: t.half_time_h),
            log_sd=variability * self._column(lambda t: t.half_time_log_sd),
            shortest_h=self._column(lambda t: t.shortest_half_time_h),
            limit_h=self.physical_half_life_h,
        )

    @classmethod
    def from_name(
        cls,
        name: str,
        *,
        time_s: float,
        administered_bq: float | None = None,
        isotope: str | None = None,
        variability: float = 1.0,
        voiding: bool = False,
    ) -> Biodistribution:
        """Biodistribution of a known tracer, one of `planar3d.phantom.tracers.TRACERS`.

        Args:
            name: The tracer.
            time_s: Time from injection to imaging [s].
            administered_bq: Activity administered; what is usual if None [Bq].
            isotope: Radionuclide; the tracer's own if None.
            variability: Factor on all standard deviations; 0 gives the medians.
            voiding: Whether the bladder fills and empties; otherwise it is a tissue of the table.

        Raises:
            ValueError: The tracer is not known.
        """
        if name not in TRACERS:
            raise ValueError(f"biodistribution {name!r} is not known; known are {', '.join(TRACERS)}")
        tracer = TRACERS[name]
        return cls(
            table=tracer.tissues,
            time_s=time_s,
            administered_bq=tracer.administered_bq if administered_bq is None else administered_bq,
            isotope=isotope or tracer.isotope,
            variability=variability,
            urine=tracer.urine if voiding else None,
        )

    def draw(self, generator: torch.Generator, proposal: UptakeProposal | None = None) -> UptakeRecord:
        """The uptake of one patient.

        Args:
            generator: Source of randomness.
            proposal: Where to draw from instead of the prior; of the same seed, a patient is the prior's moved.
        """
        own = fork(generator, "uptake")
        chance = fork(generator, "proposal")
        normals, log_weight = self._prior_normals(generator, own), None
        bladder = None if self.urine is None else self.urine.draw(own)
        if proposal is not None:
            normals, log_weight = proposal.draw(normals, chance)
        return self.of_normals(normals, bladder=bladder, log_weight=log_weight)

    @property
    def dimensions(self) -> int:
        """How many standard normals make a patient."""
        return 2 * self._n_groups + len(ORGANS) + LESION_SLOTS - len(LESIONS) + len(self.table)

    def of_normals(
        self, normals: Float[Tensor, "*b n"], *, bladder: BladderRecord | None = None, log_weight: Tensor | None = None
    ) -> UptakeRecord:
        """The uptake that standard normals stand for: levels, organs, lesions, and half-times shared and alone.

        Args:
            normals: `dimensions` of them for each patient, ``(b, n)``.
            bladder: Filling and voiding, where the bladder does.
            log_weight: As in `UptakeRecord`.
        """
        sizes = (self._n_groups, len(ORGANS), LESION_SLOTS - len(LESIONS), self._n_groups, len(self.table))
        level, organ, more_lesions, shared, alone = normals.split(sizes, dim=-1)
        level, shared = level[..., self._group], shared[..., self._group]
        lesion = torch.cat([organ[..., _FIRST_LESION : _FIRST_LESION + len(LESIONS)], more_lesions], dim=-1)
        slow = math.sqrt(_GROUP_CORRELATION) * shared + math.sqrt(1.0 - _GROUP_CORRELATION) * alone
        k = self.variability
        return UptakeRecord(
            log_level=k * self._log_sd * level,
            half_time_h=self._half_time(slow if k > 0 else torch.zeros_like(slow)),
            log_organ=k * self._organ_log_sd[self._tissue] * organ,
            log_lesion=k * self._organ_log_sd[self._lesion_tissue] * lesion,
            bladder=bladder,
            log_weight=log_weight,
        )

    def _prior_normals(self, generator: torch.Generator, own: torch.Generator) -> Float[Tensor, " n"]:
        """The standard normals of one patient; streams and their order are those of the fixed cases of benchmarks."""
        quantile = torch.rand(len(self.table), generator=generator)
        level = torch.randn(self._n_groups, generator=generator)
        organ = torch.randn(_ORGAN_DRAWS, generator=generator)
        organ = torch.cat([organ, torch.randn(max(0, len(ORGANS) - _ORGAN_DRAWS), generator=own)])[: len(ORGANS)]
        more_lesions = torch.randn(LESION_SLOTS - len(LESIONS), generator=own)
        shared = torch.randn(self._n_groups, generator=own)
        return torch.cat([level, organ, more_lesions, shared, torch.special.ndtri(quantile.clamp(1e-7, 1.0 - 1e-7))])

    def concentration(self, record: UptakeRecord, time_s: float | None = None) -> Float[Tensor, "*b organs"]:
        """Concentration of every organ id, ``(b, organs)`` [Bq/mL]; zero outside the body.

        Args:
            record: What `draw` gave, batched or of one patient.
            time_s: Time after injection; that of imaging if None [s].
        """
        time_h = (self.time_s if time_s is None else _checked(time_s)) / SECONDS_PER_HOUR
        tissue = self._tissue.to(record.log_level.device)
        log_share = self._log_share_per_ml(record, time_h)[..., tissue]
        concentration = torch.exp(math.log(self.administered_bq) + log_share + record.log_organ)
        if self.urine is not None and record.bladder is not None:
            decayed_bq = self.administered_bq * 2.0 ** (-time_h / self.physical_half_life_h)
            urine = self.urine.share_per_ml(record.bladder, time_h)
            concentration[..., organ_id("urinary_bladder")] = decayed_bq * urine
        concentration[..., organ_id("background")] = 0.0
        return concentration

    def lesion_concentration(self, record: UptakeRecord, time_s: float | None = None) -> Float[Tensor, "*b lesions"]:
        """Concentration of every lesion, ``(b, 60)`` [Bq/mL]; the first sixteen are those that have an organ id.

        Args:
            record: What `draw` gave, batched or of one patient.
            time_s: Time after injection; that of imaging if None [s].
        """
        time_h = (self.time_s if time_s is None else _checked(time_s)) / SECONDS_PER_HOUR
        share = self._log_share_per_ml(record, time_h)[..., self._lesion_tissue, None]
        return torch.exp(math.log(self.administered_bq) + share + record.log_lesion)

    def _log_share_per_ml(self, record: UptakeRecord, time_h: float) -> Tensor:
        """Logarithm of the share of the administered activity in a millilitre of each tissue, ``(b, tissues)``."""
        level, half_time = record.log_level, record.half_time_h
        columns = (self._reference_h, self._uptake_rate, self._fast_share, self._fast_half_time_h)
        reference, rate, p, fast = (column.to(level) for column in columns)
        fraction, volume, limit = (column.to(level) for column in (self._log_fraction, self._log_volume, self._log_limit))
        elapsed = time_h - reference
        kept = (1.0 - p) * torch.exp(-LN2 * elapsed / half_time) + p * torch.exp(-LN2 * elapsed / fast)
        log_taken = _log_taken(rate * max(time_h, 1e-9)) - _log_taken(rate * reference)
        log_taken = torch.where(torch.isinf(rate), torch.zeros_like(rate), log_taken)
        return torch.minimum(fraction + kept.log() + log_taken + level, limit) - volume

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


def _checked(time_s: float) -> float:
    """A time after injection."""
    if not (math.isfinite(time_s) and time_s >= 0):
        raise ValueError(f"time_s must be zero or more seconds after injection, got {time_s}")
    return time_s


def _log_taken(rate: Tensor) -> Tensor:
    """Logarithm of ``1 - e^-rate``."""
    return torch.log(-torch.expm1(-rate))
