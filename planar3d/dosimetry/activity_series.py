"""Activity of one patient at several times: maps, what they hold of each organ, and how well that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.time_axis import TimeAxis
from planar3d.dosimetry.time_integrated_activity import TimeIntegratedActivity
from planar3d.grid import Grid
from planar3d.organs import BACKGROUND
from planar3d.shapes import LabelMap

__all__ = ["ActivitySeries", "activity_in"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ActivitySeries:
    """Activity over time of one patient.

    Attributes:
        maps: At each time, ``(t, 1, x, y, z)`` [Bq/mL].
        labels: Organ ids, at least ``body`` where the patient is, ``(1, 1, x, y, z)``.
        grid: Where the volumes lie.
        times: When.
        ids: Organs, ``k`` of them.
        activity_bq: Of each organ at each time, ``(k, t)`` [Bq].
        covariance_bq2: Between all, ``(k, t, k, t)`` [Bq^2]; None where errors are not known.
        curves: Of the organs where all times were reconstructed together; None where they are still to be fitted.
        method: How the activity was found.
    """

    maps: Float[Tensor, "t 1 x y z"]
    labels: LabelMap
    grid: Grid
    times: TimeAxis
    ids: tuple[int, ...]
    activity_bq: Float[Tensor, "k t"]
    covariance_bq2: Float[Tensor, "k t k t"] | None
    curves: TimeIntegratedActivity | None = None
    method: str

    @classmethod
    def of_maps(
        cls, maps: Float[Tensor, "t 1 x y z"], labels: LabelMap, grid: Grid, times: TimeAxis, *, relative_error: float | None
    ) -> ActivitySeries:
        """Of activity maps.

        Args:
            maps: At each time, ``(t, 1, x, y, z)`` [Bq/mL].
            labels: Organ ids, ``(1, 1, x, y, z)``.
            grid: Where all lie.
            times: When.
            relative_error: Of an organ's activity, at each time anew; None where it is not known.

        Raises:
            ValueError: A map holds activity that is negative or not finite, or no organ has a voxel.
        """
        for i, activity in enumerate(maps, start=1):
            bad = int((~(torch.isfinite(activity) & (activity >= 0))).sum())
            if bad:
                raise ValueError(f"activity of image {i} has {bad} voxels that are negative or not finite; clip or repair the map first")
        ids = tuple(i for i in labels.unique().tolist() if i != BACKGROUND)
        if not ids:
            raise ValueError("labels have no organ where the activity maps lie; check that both are in the coordinates of one scan [mm]")
        activity = activity_in(maps, labels, ids, grid).T
        covariance = None
        if relative_error is not None:
            variance = (relative_error * activity).square()
            covariance = torch.diag(variance.flatten()).view(*activity.shape, *activity.shape)
        return cls(
            maps=maps,
            labels=labels,
            grid=grid,
            times=times,
            ids=ids,
            activity_bq=activity,
            covariance_bq2=covariance,
            method="activity map",
        )

    @property
    def standard_error_bq(self) -> Float[Tensor, "k t"] | None:
        """Of each organ's activity at each time [Bq]; None where it is not known."""
        if self.covariance_bq2 is None:
            return None
        k, t = self.activity_bq.shape
        return self.covariance_bq2.reshape(k * t, k * t).diagonal().clamp(min=0.0).sqrt().view(k, t)

    def of_organs(self, ids: Sequence[int]) -> ActivitySeries:
        """The same with these organs alone in the figures; maps and labels stay whole.

        Args:
            ids: Some of the organs.
        """
        index = [self.ids.index(i) for i in ids]
        covariance = None if self.covariance_bq2 is None else self.covariance_bq2[index][:, :, index]
        return replace(self, ids=tuple(ids), activity_bq=self.activity_bq[index], covariance_bq2=covariance)


def activity_in(maps: Float[Tensor, "t 1 x y z"], labels: LabelMap, ids: Sequence[int], grid: Grid) -> Float[Tensor, "t k"]:
    """Activity of organs in maps.

    Args:
        maps: ``(t, 1, x, y, z)`` [Bq/mL].
        labels: Organ ids, ``(1, 1, x, y, z)``.
        ids: Organs, ``k`` of them.
        grid: Where both lie.

    Returns:
        ``(t, k)`` [Bq].
    """
    flat, place = maps.flatten(1).double(), labels.flatten().long()
    sums = flat.new_zeros(len(maps), max(int(place.max()), *ids) + 1).index_add_(1, place, flat)
    return sums[:, list(ids)] * grid.voxel_volume_ml
