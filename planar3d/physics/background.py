"""Room background: counts that a head records of anything but the patient.

It is even over the head's field of view. At a rate ``r`` [cps] over all of it, a pixel of edges ``dx, dz`` in a row recorded for ``t_z``
expects

``counts = r t_z dx dz / (width length)``.

The estimate from a patient's own image uses the pixels beside the body. There scatter in the patient, septal penetration and the tails of
the collimator add counts that fall with distance from the body. So the pixels are grouped by that distance, and groups are joined from
the farthest inward for as long as the next has not more than two standard errors above the rate of those joined so far; the rate is that of
the joined ones, total counts by total exposure, which is unbiased at any number of counts where a median of mostly zeros is not. Where
scatter reaches even the farthest pixels the result is an upper bound; hot things beside the body, as a urine bag, belong into the mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from planar3d.shapes import ViewPair

__all__ = ["RoomBackground"]

STANDARD_ERRORS = 2.0


@dataclass(frozen=True, kw_only=True)
class RoomBackground:
    """Even background of each head.

    Attributes:
        rate_cps: Rate over the head's whole field of view, one for each view [cps].
        head_mm: Width (x) and length (z) of the field of view [mm].
        standard_error_cps: Of an estimated rate by counting noise alone, one for each view [cps]; None where the rate was given.

    Raises:
        ValueError: A figure is not possible.
    """

    rate_cps: tuple[float, ...]
    head_mm: tuple[float, float]
    standard_error_cps: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.rate_cps or not all(math.isfinite(r) and r >= 0 for r in self.rate_cps):
            raise ValueError(
                f"rate_cps must hold a finite rate, not negative, for each view, got {self.rate_cps}; give cps over the whole head"
            )
        _require_positive("head_mm", self.head_mm)

    def expected_counts(self, dwell_time_s: Float[Tensor, " z"], *, pixels_x: int, pixel_mm: tuple[float, float]) -> ViewPair:
        """Expected counts of the background, ``(1, view, x, z)``.

        Args:
            dwell_time_s: Time for which each row is recorded, ``(z,)`` [s].
            pixels_x: Number of pixels along x; those outside the head's width are not known to this and count as inside.
            pixel_mm: Pixel edges along x and z [mm].
        """
        rates = dwell_time_s.new_tensor(self.rate_cps)
        per_row = rates[:, None] * dwell_time_s * _area_share(pixel_mm, self.head_mm)
        return per_row[None, :, None].expand(-1, -1, pixels_x, -1).contiguous()

    @classmethod
    def estimate(
        cls,
        counts: ViewPair,
        body: Bool[Tensor, "b view x z"],
        *,
        dwell_time_s: Float[Tensor, " z"],
        pixel_mm: tuple[float, float],
        head_mm: tuple[float, float],
        groups: int = 16,
    ) -> RoomBackground:
        """Background from the pixels outside the body; not differentiable.

        Args:
            counts: Recorded counts of one patient, ``(1, view, x, z)``.
            body: Pixels on which the body, or anything else that is hot, projects; same shape.
            dwell_time_s: Time for which each row was recorded, ``(z,)`` [s]; rows of zero are left out.
            pixel_mm: Pixel edges along x and z [mm].
            head_mm: Width (x) and length (z) of the head's field of view [mm].
            groups: Number of groups by distance from the body, of as many pixels each.

        Raises:
            ValueError: There is more than one patient, shapes differ, or no view-wise inside and outside of the body.
        """
        if counts.shape[0] != 1 or body.shape != counts.shape or dwell_time_s.numel() != counts.shape[3]:
            raise ValueError(
                f"counts, body and dwell_time_s must be of one patient and the same pixels, got {tuple(counts.shape)}, "
                f"{tuple(body.shape)} and {tuple(dwell_time_s.shape)}; give (1, view, x, z), the same and (z,)"
            )
        if groups < 1:
            raise ValueError(f"groups must be at least 1, got {groups}")
        _require_positive("pixel_mm", pixel_mm)
        _require_positive("head_mm", head_mm)
        exposure_s = dwell_time_s.detach().to("cpu", torch.float64).numpy() * _area_share(pixel_mm, head_mm)
        rates, errors = [], []
        for view, (image, inside) in enumerate(zip(counts.detach()[0].cpu().numpy(), body[0].cpu().numpy(), strict=True)):
            outside = ~inside & (exposure_s > 0)
            if not inside.any() or outside.sum() < groups:
                raise ValueError(
                    f"body covers {int(inside.sum())} of {inside.size} pixels of view {view}; it must mark the body and leave at "
                    f"least {groups} recorded pixels beside it: give a wider image, or a measured rate_cps"
                )
            distance_mm = np.asarray(ndimage.distance_transform_edt(~inside, sampling=pixel_mm))[outside]
            order = np.argsort(-distance_mm, kind="stable")
            seconds = np.broadcast_to(exposure_s, image.shape)[outside]
            rate, error = _plateau(_sums(image[outside][order], groups), _sums(seconds[order], groups))
            rates.append(rate)
            errors.append(error)
        return cls(rate_cps=tuple(rates), head_mm=head_mm, standard_error_cps=tuple(errors))


def _plateau(counts: np.ndarray, seconds: np.ndarray) -> tuple[float, float]:
    """Rate and standard error [cps] of the groups, farthest first, before the first that is above those so far."""
    joined_counts, joined_seconds = float(counts[0]), float(seconds[0])
    for more_counts, more_seconds in zip(counts[1:], seconds[1:], strict=True):
        predicted = joined_counts * more_seconds / joined_seconds
        # noise of the group and of the prediction; one count at least, as none seen does not mean none to be expected
        variance = max(predicted, 1.0) * (1.0 + more_seconds / joined_seconds)
        if more_counts > predicted + STANDARD_ERRORS * math.sqrt(variance):
            break
        joined_counts, joined_seconds = joined_counts + float(more_counts), joined_seconds + float(more_seconds)
    return joined_counts / joined_seconds, math.sqrt(max(joined_counts, 1.0)) / joined_seconds


def _sums(values: np.ndarray, groups: int) -> np.ndarray:
    """Sums over consecutive parts of about equal length."""
    return np.array([part.sum(dtype=np.float64) for part in np.array_split(values, groups)])


def _area_share(pixel_mm: tuple[float, float], head_mm: tuple[float, float]) -> float:
    """Share of the head's field of view that one pixel covers."""
    return pixel_mm[0] * pixel_mm[1] / (head_mm[0] * head_mm[1])


def _require_positive(name: str, edges_mm: tuple[float, float]) -> None:
    """Raise unless both edges are positive."""
    if not all(math.isfinite(e) and e > 0 for e in edges_mm):
        raise ValueError(f"{name} must be positive and finite along x and z, got {edges_mm}; give millimetres")
