"""Urine in a bladder that is emptied again and again.

What the kidneys have excreted by time t, decay left out, is ``E(t) = e (1 - p 2^(-t / a) - (1 - p) 2^(-t / b))``. With the last void at
``t_v = t - i frac(t / i + phase)`` (i the interval between voids), urine flow F and a rest R left after voiding, the concentration is

    c(t) = A 2^(-t / T_phys) (E(t) - E(t_v) + R c_v) / (R + F (t - t_v)),   c_v = (E(t_v) - E(t_v - i)) / (R + F i)

So the bladder is hot early and just before a void, whatever its size, and two time points of a patient differ by chance.
Excretion is the tracer's; interval, flow and rest are judgement: 0.5 to 3 h (patients void before they are imaged), 60 to 150 mL/h in
patients told to drink, 15 to 80 mL.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from planar3d.phantom.record import TensorRecord

__all__ = ["BladderRecord", "VoidingBladder"]


@dataclass(frozen=True, kw_only=True)
class BladderRecord(TensorRecord):
    """What was drawn.

    Attributes:
        excreted: Share e of the administered activity that urine takes in the end, ``(b,)``.
        interval_h: Time i between voids, ``(b,)`` [h].
        phase: Where in an interval injection fell, 0 to 1, ``(b,)``.
        flow_ml_per_h: Urine flow F, ``(b,)`` [mL/h].
        rest_ml: Volume R that voiding leaves, ``(b,)`` [mL].
    """

    excreted: Tensor
    interval_h: Tensor
    phase: Tensor
    flow_ml_per_h: Tensor
    rest_ml: Tensor


@dataclass(frozen=True, kw_only=True)
class VoidingBladder:
    """Excretion of a tracer by the kidneys.

    Attributes:
        excreted: Mean share e of the administered activity that urine takes, decay left out.
        excreted_sd: Its standard deviation.
        fast_share: Part p that leaves fast.
        fast_half_time_h: Its biological half-time a [h].
        slow_half_time_h: Biological half-time b of the remainder [h].
    """

    excreted: float
    excreted_sd: float
    fast_share: float
    fast_half_time_h: float
    slow_half_time_h: float

    def draw(self, generator: torch.Generator) -> BladderRecord:
        """The bladder of one patient."""
        share, interval, phase, flow, rest = torch.rand(5, generator=generator)
        excreted = self.excreted + self.excreted_sd * torch.special.ndtri(share.clamp(1e-6, 1.0 - 1e-6))
        return BladderRecord(
            excreted=excreted.clamp(0.02, 0.95),
            interval_h=0.5 * 6.0**interval,
            phase=phase,
            flow_ml_per_h=60.0 * 2.5**flow,
            rest_ml=15.0 * 5.3**rest,
        )

    def share_per_ml(self, record: BladderRecord, time_h: float) -> Tensor:
        """Share of the administered activity in a millilitre of urine, decay left out, shape of the record [1/mL]."""
        interval = record.interval_h
        since = torch.minimum(interval * torch.frac(time_h / interval + record.phase), torch.full_like(interval, time_h))
        void = time_h - since
        full_ml = record.rest_ml + record.flow_ml_per_h * interval
        left = record.rest_ml * (self._excreted(record, void) - self._excreted(record, (void - interval).clamp_min(0.0))) / full_ml
        held = self._excreted(record, void + since) - self._excreted(record, void) + left
        return held / (record.rest_ml + record.flow_ml_per_h * since)

    def _excreted(self, record: BladderRecord, time_h: Tensor) -> Tensor:
        """Share E that urine has taken by a time."""
        kept = self.fast_share * 2.0 ** (-time_h / self.fast_half_time_h)
        return record.excreted * (1.0 - kept - (1.0 - self.fast_share) * 2.0 ** (-time_h / self.slow_half_time_h))
