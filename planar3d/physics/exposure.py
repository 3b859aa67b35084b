"""Where a head stands in the course of an acquisition, what it sees there, and the dead time that follows from it.

At each position p the head records some rows for ``seconds(p, z)`` and sees the share ``seen(p, z)`` of all rows. The true rate of what it
sees, ``n(p) = sum of r_z seen(p, z)``, sets the live fraction, and a row of true rate ``r_z`` is recorded with

``counts_z = r_z sum over p of seconds(p, z) exp(-tau n(p))``

(Hobbs et al., Phys. Med. Biol. 55 (2010) 817, doi:10.1088/0031-9155/55/3/018). Each view has its own head and its own n. The way back
solves the rows of a view together by Newton's method. The live fraction hangs on sums over whole rows and is nearly free of noise; to
keep measured counts Poisson, multiply the expected counts of a model by it instead of dividing the measured ones.

What lies outside the imaged rows has no known rate and counts for nothing, though a head passing the end of the range may see it: where
such a part is hot, the losses near that end are underestimated. All rates are rates in the imaged window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.physics.dead_time import DeadTime
from planar3d.shapes import ViewPair

__all__ = ["Exposure", "apply_dead_time", "correct_dead_time", "live_fraction", "recorded_live_fraction", "row_spacing_mm"]

NEWTON_STEPS = 40
TOLERANCE = 1e-11


@dataclass(frozen=True, kw_only=True, eq=False)
class Exposure:
    """Where a head stands in the course of an acquisition, and what it sees there; on the device of the image.

    Attributes:
        seen: Share of each row in the head's field of view at each position, ``(position, z)``.
        seconds: Time for which each row is recorded at each position, ``(position, z)`` [s].
    """

    seen: Float[Tensor, "position z"]
    seconds: Float[Tensor, "position z"]

    @classmethod
    def static(cls, z_mm: Float[Tensor, " z"], *, time_s: float) -> Exposure:
        """A head that sees all rows ``z_mm`` [mm] for ``time_s`` [s]: one position, one live fraction for the whole image."""
        return cls(seen=torch.ones_like(z_mm)[None], seconds=torch.full_like(z_mm, time_s)[None])

    @property
    def dwell_time_s(self) -> Float[Tensor, " z"]:
        """Time for which each row is recorded, ``(z,)`` [s]."""
        return self.seconds.sum(dim=0)


def apply_dead_time(expected_counts: ViewPair, dead_time: DeadTime | Sequence[DeadTime], exposure: Exposure) -> ViewPair:
    """Expected counts less what the dead time takes.

    Args:
        expected_counts: Expected counts without dead time, ``(b, view, x, z)``.
        dead_time: Of both heads, or one for each view.
        exposure: Of the acquisition, on the rows of the image.

    Raises:
        ValueError: Rows do not fit the exposure, or counts are negative, not finite or where nothing is recorded.
    """
    return expected_counts * live_fraction(expected_counts, dead_time, exposure)[:, :, None]


def correct_dead_time(counts: ViewPair, dead_time: DeadTime | Sequence[DeadTime], exposure: Exposure) -> ViewPair:
    """Counts without dead time of recorded ones; no longer Poisson. Arguments and errors as for `recorded_live_fraction`."""
    return counts / recorded_live_fraction(counts, dead_time, exposure)[:, :, None]


def live_fraction(expected_counts: ViewPair, dead_time: DeadTime | Sequence[DeadTime], exposure: Exposure) -> Float[Tensor, "b view z"]:
    """Share of its events that each row records, mean over its dwell time; one for rows never seen. As for `apply_dead_time`."""
    rates = _row_rates("expected_counts", expected_counts, exposure)
    tau = _tau_s(dead_time, rates)
    return _row_means(_live(rates, tau, exposure), exposure).to(expected_counts.dtype)


def recorded_live_fraction(counts: ViewPair, dead_time: DeadTime | Sequence[DeadTime], exposure: Exposure) -> Float[Tensor, "b view z"]:
    """The live fraction of `live_fraction`, from recorded counts; differentiable once.

    Args:
        counts: Recorded counts, ``(b, view, x, z)``; noise is welcome, the sums over rows bear it.
        dead_time: Of both heads, or one for each view.
        exposure: Of the acquisition, on the rows of the image.

    Raises:
        ValueError: As for `apply_dead_time`; or no true rates below saturation can have given the counts.
    """
    recorded = _row_rates("counts", counts, exposure)
    tau = _tau_s(dead_time, recorded)
    known = recorded.detach()
    rates, steps, converged = known, 0, False
    while not converged and steps < NEWTON_STEPS:
        step, gap = _newton(rates, known, tau, exposure)
        converged = bool((gap.abs() <= TOLERANCE * known).all())
        rates, steps = rates - step, steps + 1
    _require_below_saturation(rates, known, tau, exposure, converged)
    # the last step of the iteration once more, now with the derivative by the counts
    rates = rates - _newton(rates, recorded, tau, exposure)[0]
    return _row_means(_live(rates, tau, exposure), exposure).to(counts.dtype)


def row_spacing_mm(z_mm: Float[Tensor, " z"]) -> float:
    """Distance of the rows [mm].

    Args:
        z_mm: Middle of each row, ``(z,)`` [mm].

    Raises:
        ValueError: Fewer than two rows, or they are not ascending and evenly spaced.
    """
    if z_mm.numel() < 2:
        raise ValueError(f"z_mm holds {z_mm.numel()} rows; at least two are needed to know how high a row is")
    steps = z_mm.detach().to(torch.float64).diff()
    mean = float(steps.mean())
    if not (mean > 0 and float((steps - mean).abs().max()) < 1e-2 * mean):
        raise ValueError(
            f"z_mm must be ascending and evenly spaced, got steps from {float(steps.min()):g} to {float(steps.max()):g} mm; "
            f"resample the rows first"
        )
    return mean


def _row_rates(name: str, counts: Tensor, exposure: Exposure) -> Tensor:
    """Rate of each row while it is recorded, ``(b, view, z)`` float64 [cps]."""
    known, dwell = counts.detach(), exposure.dwell_time_s.to(torch.float64)
    if counts.shape[3] != dwell.numel():
        raise ValueError(f"{name} has {counts.shape[3]} rows and exposure {dwell.numel()}; make the exposure on the rows of the image")
    if not ((known >= 0) & torch.isfinite(known)).all():
        raise ValueError(f"{name} must be non-negative and finite; give counts before anything is subtracted")
    if (known[..., dwell == 0] > 0).any():
        raise ValueError(f"{name} holds counts in rows that exposure says are never recorded; check the range of the acquisition")
    return counts.to(torch.float64).sum(dim=2) / torch.where(dwell > 0, dwell, 1.0)


def _tau_s(dead_time: DeadTime | Sequence[DeadTime], rates: Tensor) -> Tensor:
    """Dead time per count of each view, ``(view, 1)`` [s]."""
    views = rates.shape[1]
    heads = [dead_time] * views if isinstance(dead_time, DeadTime) else list(dead_time)
    if len(heads) != views:
        raise ValueError(f"dead_time holds {len(heads)} heads and the image {views} views; give one for all or one for each view")
    return rates.new_tensor([head.window_tau_s for head in heads])[:, None]


def _live(rates: Tensor, tau: Tensor, exposure: Exposure) -> Tensor:
    """Live fraction of a head at each position, ``(b, view, position)``."""
    return torch.exp(-tau * (rates @ exposure.seen.to(rates).T))


def _shares(exposure: Exposure) -> Tensor:
    """Share of each row's dwell time spent at each position, ``(position, z)`` float64."""
    seconds = exposure.seconds.to(torch.float64)
    return seconds / torch.where(seconds.sum(dim=0) > 0, seconds.sum(dim=0), 1.0)


def _row_means(live: Tensor, exposure: Exposure) -> Tensor:
    """Mean over each row's dwell time, ``(b, view, z)``; one for rows never recorded."""
    return torch.where(exposure.dwell_time_s > 0, live @ _shares(exposure), 1.0)


def _newton(rates: Tensor, recorded: Tensor, tau: Tensor, exposure: Exposure) -> tuple[Tensor, Tensor]:
    """Newton's step for ``rates * live = recorded`` and what is missing from it, both ``(b, view, z)`` [cps]."""
    live = _live(rates, tau, exposure)
    mean = _row_means(live, exposure)
    gap = rates * mean - recorded
    slope = (_shares(exposure).T * live[..., None, :]) @ exposure.seen.to(rates)
    jacobian = torch.diag_embed(mean) - (tau * rates)[..., None] * slope
    return torch.linalg.solve_ex(jacobian, gap[..., None])[0][..., 0], gap


def _require_below_saturation(rates: Tensor, recorded: Tensor, tau: Tensor, exposure: Exposure, converged: bool) -> None:
    """Raise unless rates were found on the lower of the two branches: mean of ``tau n`` over what each row records below one."""
    live = _live(rates, tau, exposure)
    drive = _row_means(-torch.log(live) * live, exposure) / _row_means(live, exposure)
    if converged and (rates >= 0).all() and (drive[..., exposure.dwell_time_s > 0] < 1.0).all():
        return
    seen = (recorded @ exposure.seen.to(rates).T).amax(dim=(0, 2))
    view = int((seen * tau[:, 0]).argmax())
    raise ValueError(
        f"counts of view {view} come from no true rate below saturation: the head records about {float(seen[view]):g} cps where it sees "
        f"most and a dead time of {float(tau[view]):g} s per window count lets at most {1.0 / (math.e * float(tau[view])):g} cps through; "
        f"check tau_s, rate_per_window_count and the dwell time"
    )
