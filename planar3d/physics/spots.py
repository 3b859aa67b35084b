"""Static whole-body spots: the head stands still at one place after the other, and the images are put together.

A spot at ``c`` with a head of length L sees the rows with ``c - L/2 <= z < c + L/2`` for its own time ``t_s``. Where spots overlap, counts
and times both add up,

``counts_z = sum over s of counts_sz``,  ``dwell_z = sum over s of t_s [z in s]``,

so that the counts stay Poisson and the rate of a row is their ratio; averaging the rates instead would lose that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.physics.exposure import Exposure, row_spacing_mm
from planar3d.shapes import ViewPair

__all__ = ["StaticSpots", "StitchedImage"]

RASTER_TOLERANCE = 0.02
"""Share of a row by which the rows of two spots may miss each other."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StitchedImage:
    """One image of several spots.

    Attributes:
        counts: Counts, ``(b, view, x, z)``.
        z_mm: Middle of each row, ascending, ``(z,)`` [mm].
        dwell_time_s: Time for which each row was recorded, ``(z,)`` [s].
    """

    counts: ViewPair
    z_mm: Float[Tensor, " z"]
    dwell_time_s: Float[Tensor, " z"]


@dataclass(frozen=True, kw_only=True)
class StaticSpots:
    """Places at which the head stands still; one for a plain static acquisition.

    Attributes:
        centres_mm: Middle of the head along z in each spot [mm].
        head_length_mm: Length of the head's field of view along z [mm].
        time_s: Time of each spot [s], or one for all.

    Raises:
        ValueError: A figure is not possible.
    """

    centres_mm: tuple[float, ...]
    head_length_mm: float
    time_s: float | tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.centres_mm or not all(math.isfinite(c) for c in self.centres_mm):
            raise ValueError(f"centres_mm must hold a finite place for each spot, got {self.centres_mm}; give millimetres along z")
        if not (math.isfinite(self.head_length_mm) and self.head_length_mm > 0):
            raise ValueError(f"head_length_mm must be positive and finite, got {self.head_length_mm}; give millimetres along z")
        if len(self.times_s) != len(self.centres_mm):
            raise ValueError(f"time_s holds {len(self.times_s)} times for {len(self.centres_mm)} spots; give one for all or one for each")
        if not all(math.isfinite(t) and t > 0 for t in self.times_s):
            raise ValueError(f"time_s must be positive and finite, got {self.time_s}; give seconds")

    @property
    def times_s(self) -> tuple[float, ...]:
        """Time of each spot [s]."""
        return self.time_s if isinstance(self.time_s, tuple) else (self.time_s,) * len(self.centres_mm)

    def dwell_time_s(self, z_mm: Float[Tensor, " z"]) -> Float[Tensor, " z"]:
        """Time for which each row is recorded [s]; zero where no spot sees it.

        Args:
            z_mm: Middle of each row, ``(z,)`` [mm].
        """
        return self.exposure(z_mm).dwell_time_s

    def exposure(self, z_mm: Float[Tensor, " z"]) -> Exposure:
        """What the head sees from each spot, for the dead time of a stitched image.

        Args:
            z_mm: Middle of each row, ``(z,)`` [mm].
        """
        centres = z_mm.new_tensor(self.centres_mm, dtype=torch.float64)[:, None]
        offset = z_mm.to(torch.float64) - centres
        seen = ((offset >= -0.5 * self.head_length_mm) & (offset < 0.5 * self.head_length_mm)).to(z_mm.dtype)
        return Exposure(seen=seen, seconds=seen * z_mm.new_tensor(self.times_s)[:, None])

    def stitch(self, images: Sequence[Float[Tensor, "_ _ _ _"]], z_mm: Sequence[Float[Tensor, " _"]]) -> StitchedImage:
        """One image of all spots.

        Args:
            images: Counts of each spot in the order of ``centres_mm``, ``(b, view, x, z)``; the number of rows may differ.
            z_mm: Middle of the rows of each spot, ascending, ``(z,)`` [mm].

        Raises:
            ValueError: Images and spots do not fit, rows lie on no common raster or outside a spot's field of view, or spots leave a gap.
        """
        if not len(images) == len(z_mm) == len(self.centres_mm):
            raise ValueError(
                f"images and z_mm hold {len(images)} and {len(z_mm)} spots, centres_mm {len(self.centres_mm)}; give one of each"
            )
        if len({tuple(image.shape[:3]) for image in images}) > 1:
            shapes = [tuple(image.shape[:3]) for image in images]
            raise ValueError(f"images must agree in (b, view, x), got {shapes}; bring the spots to the same pixels first")
        self._check_rows(images, z_mm)
        bottom, row_mm = min(float(z[0]) for z in z_mm), row_spacing_mm(z_mm[0])
        firsts = [_raster_index(float(z[0]), bottom, row_mm, spot) for spot, z in enumerate(z_mm)]
        rows = max(first + z.numel() for first, z in zip(firsts, z_mm, strict=True))
        dwell = z_mm[0].new_zeros(rows)
        for first, z, seconds in zip(firsts, z_mm, self.times_s, strict=True):
            dwell[first : first + z.numel()] += seconds
        _require_no_gap(dwell, bottom, row_mm)
        padded = [
            torch.nn.functional.pad(image, (first, rows - first - image.shape[3])) for first, image in zip(firsts, images, strict=True)
        ]
        index = torch.arange(rows, dtype=dwell.dtype, device=dwell.device)
        return StitchedImage(counts=torch.stack(padded).sum(dim=0), z_mm=bottom + row_mm * index, dwell_time_s=dwell)

    def _check_rows(self, images: Sequence[Tensor], z_mm: Sequence[Tensor]) -> None:
        """Raise unless the rows of every spot fit its image, its place and the row spacing of the first."""
        row_mm = row_spacing_mm(z_mm[0])
        for spot, (image, z, centre) in enumerate(zip(images, z_mm, self.centres_mm, strict=True)):
            if image.shape[3] != z.numel():
                raise ValueError(f"images[{spot}] has {image.shape[3]} rows and z_mm[{spot}] {z.numel()}; give one place for each row")
            if abs(row_spacing_mm(z) - row_mm) * z.numel() > RASTER_TOLERANCE * row_mm:
                raise ValueError(
                    f"z_mm[{spot}] has rows of {row_spacing_mm(z):g} mm and z_mm[0] of {row_mm:g} mm; resample the spots to the same rows"
                )
            if float((z - centre).abs().max()) > 0.5 * (self.head_length_mm + row_mm):
                raise ValueError(
                    f"z_mm[{spot}] reaches from {float(z[0]):g} to {float(z[-1]):g} mm, outside the field of view of the spot at "
                    f"{centre:g} mm with head_length_mm={self.head_length_mm:g}; give spots and images in the same order and coordinates"
                )


def _raster_index(first_mm: float, bottom_mm: float, row_mm: float, spot: int) -> int:
    """Row of the stitched image at which a spot starts."""
    place = (first_mm - bottom_mm) / row_mm
    if abs(place - round(place)) > RASTER_TOLERANCE:
        raise ValueError(
            f"z_mm[{spot}] lies {abs(place - round(place)):.2f} rows off the raster of the lowest spot; resample the spots to common "
            f"rows of {row_mm:g} mm"
        )
    return round(place)


def _require_no_gap(dwell: Tensor, bottom_mm: float, row_mm: float) -> None:
    """Raise if rows were never recorded."""
    missing = torch.nonzero(dwell == 0).flatten().tolist()
    if missing:
        low, high = (bottom_mm + row_mm * (k + shift) for k, shift in ((missing[0], -0.5), (missing[-1], 0.5)))
        raise ValueError(
            f"z_mm leaves rows between {low:g} and {high:g} mm that no spot has; add the missing spot or stitch the parts apart"
        )
