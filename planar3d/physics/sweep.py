"""Whole-body sweep: how long each row of the image is recorded while a head passes over it.

The head, of length L along z, passes over the patient at speed v. A row is recorded while the head is over it: for ``L / v``. While its
middle is at p, the head sees the rows within ``[p - L/2, p + L/2]``; what that means for dead time is in `planar3d.physics.exposure`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.physics.exposure import Exposure, row_spacing_mm

__all__ = ["WholeBodySweep"]


@dataclass(frozen=True, kw_only=True)
class WholeBodySweep:
    """A head that passes over the patient at constant speed, in either direction.

    Attributes:
        speed_mm_per_s: Speed of the head relative to the patient [mm/s].
        head_length_mm: Length of the head's field of view along z [mm].
        start_mm: One end of the imaged range [mm].
        stop_mm: Its other end [mm].
        ends: ``"window"`` where the head comes in from outside the range and an electronic window opens and closes at its ends, so that
            every row is recorded for the same time; ``"ramp"`` where the head starts and stops inside the range, so that the time falls
            linearly to zero over the last head length at both ends.

    Raises:
        ValueError: A figure is not possible.
    """

    speed_mm_per_s: float
    head_length_mm: float
    start_mm: float
    stop_mm: float
    ends: Literal["window", "ramp"] = "window"

    def __post_init__(self) -> None:
        for name in ("speed_mm_per_s", "head_length_mm"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite, got {value}; give the figure of the acquisition")
        range_mm = abs(self.stop_mm - self.start_mm)
        if not (math.isfinite(range_mm) and range_mm > 0):
            raise ValueError(
                f"start_mm and stop_mm must be finite and differ, got {self.start_mm} and {self.stop_mm}; give both ends in mm"
            )
        if self.ends not in ("window", "ramp"):
            raise ValueError(f"ends must be 'window' or 'ramp', got {self.ends!r}")
        if self.ends == "ramp" and range_mm <= self.head_length_mm:
            raise ValueError(
                f"start_mm and stop_mm are {range_mm:g} mm apart, not more than head_length_mm={self.head_length_mm:g}: with ends='ramp' "
                f"nothing moves; describe it as StaticSpots"
            )

    @property
    def path_mm(self) -> tuple[float, float]:
        """First and last place of the head's middle, the lower first [mm]."""
        low, high = sorted((self.start_mm, self.stop_mm))
        half = (0.5 if self.ends == "ramp" else -0.5) * self.head_length_mm
        return low + half, high - half

    @property
    def duration_s(self) -> float:
        """Time of the whole sweep [s]."""
        first, last = self.path_mm
        return (last - first) / self.speed_mm_per_s

    def dwell_time_s(self, z_mm: Float[Tensor, " z"]) -> Float[Tensor, " z"]:
        """Time for which each row is recorded [s]; zero outside the range.

        Args:
            z_mm: Middle of each row, ``(z,)`` [mm].
        """
        (first, last), half = self.path_mm, 0.5 * self.head_length_mm
        over = ((z_mm + half).clamp(max=last) - (z_mm - half).clamp(min=first)).clamp(min=0.0)
        low, high = sorted((self.start_mm, self.stop_mm))
        return over / self.speed_mm_per_s * ((z_mm >= low) & (z_mm <= high))

    def exposure(self, z_mm: Float[Tensor, " z"]) -> Exposure:
        """Positions at most one row apart, and what the head sees from each.

        Args:
            z_mm: Middle of each row, ascending and evenly spaced, ``(z,)`` [mm].
        """
        row_mm, (first, last) = row_spacing_mm(z_mm), self.path_mm
        count = math.ceil((last - first) / row_mm)
        step_mm = (last - first) / count
        middle = first + (torch.arange(count, dtype=torch.float64, device=z_mm.device)[:, None] + 0.5) * step_mm
        z, half = z_mm.to(torch.float64), 0.5 * self.head_length_mm
        upper, lower = torch.minimum(z + 0.5 * row_mm, middle + half), torch.maximum(z - 0.5 * row_mm, middle - half)
        seen = (upper - lower).clamp(min=0.0) / row_mm
        # the midpoint rule in time, held to the closed form
        seconds = seen / seen.sum(dim=0).clamp(min=torch.finfo(torch.float64).tiny) * self.dwell_time_s(z)
        return Exposure(seen=seen.to(z_mm.dtype), seconds=seconds.to(z_mm.dtype))
