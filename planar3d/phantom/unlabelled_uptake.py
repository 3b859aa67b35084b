"""Uptake where the label map says no more than ``body``.

In a real patient a third of the activity can lie in no mask: glands, mucosa, vessels, bowel that nobody segmented. Two parts stand for
it. *Blobs*: smooth, often elongated hot spots in soft tissue, which share an amount of activity drawn for the patient. *Bowel*: where
a label map has no bowel at all, loops (where a smooth random field is high) in the lower abdomen in front of the spine count as small
bowel, for the uptake and its texture; the labels stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.organs import BODY, GROUPS, ORGANS, organ_id
from planar3d.phantom.gaussian import blur, centred_axis
from planar3d.phantom.hot_spot import HotSpots, SpotShape, resolve_sites
from planar3d.phantom.random_field import RandomField
from planar3d.phantom.record import TensorRecord
from planar3d.shapes import LabelMap, Volume

__all__ = ["UnlabelledRecord", "UnlabelledUptake"]

_SITE_WEIGHT: dict[str, float] = {"body": 1.0, "fat": 0.3, "muscle": 0.2}
_BLOBS = 16
_DEEP_MM = 15.0
_DEEP = 0.95  # of the blurred body mask: some 25 mm under the skin
_BOWEL_MARGIN_MM = 30.0


@dataclass(frozen=True, kw_only=True)
class UnlabelledRecord(TensorRecord):
    """What was drawn.

    Attributes:
        blobs: The blobs.
        activity_bq: Activity of each, ``(b, k)`` [Bq].
        loops: White noise of the field whose high places are loops of bowel, ``(b, 1, i, j, k)``.
    """

    blobs: HotSpots
    activity_bq: Tensor
    loops: Tensor


class UnlabelledUptake:
    """Draws and adds uptake that no label explains.

    Args:
        fraction: Median share of the administered activity in the blobs in view; 0 for none.
        fraction_log_sd: Standard deviation of its logarithm.
        mean_count: Mean number of blobs.
        volume_ml: Median volume of a blob [mL].
        volume_log_sd: Standard deviation of its logarithm.
        largest_ml: Largest volume [mL].
        bowel_share: Share of the region in front of the spine that is bowel where no label map says so; 0 for none.
    """

    def __init__(
        self,
        *,
        fraction: float = 0.008,
        fraction_log_sd: float = 0.7,
        mean_count: float = 10.0,
        volume_ml: float = 12.0,
        volume_log_sd: float = 0.9,
        largest_ml: float = 60.0,
        bowel_share: float = 0.25,
    ) -> None:
        if not (0.0 <= fraction <= 1.0 and 0.0 <= bowel_share < 1.0):
            raise ValueError(f"fraction must lie in 0 to 1 and bowel_share be at least 0 and below 1, got {fraction} and {bowel_share}")
        self.fraction = fraction
        self.fraction_log_sd = fraction_log_sd
        self.mean_count = mean_count
        self.shape = SpotShape(
            volume_ml=volume_ml, volume_log_sd=volume_log_sd, largest_ml=largest_ml, axis_log_sd=0.35, roughness=0.2, edge=0.3
        )
        self.field = RandomField(correlation_mm=20.0, lattice=(32, 24, 40))
        self.bowel_threshold = NormalDist().inv_cdf(1.0 - bowel_share) if bowel_share > 0.0 else math.inf
        self._site = torch.tensor([_SITE_WEIGHT.get(organ, 0.0) for organ in ORGANS])

    def draw(self, generator: torch.Generator, administered_bq: float) -> UnlabelledRecord:
        """The unlabelled uptake of one sample."""
        count = int(torch.poisson(torch.tensor(self.mean_count), generator=generator).clamp(1, _BLOBS))
        in_use = torch.arange(_BLOBS) < count
        total = administered_bq * self.fraction * torch.exp(self.fraction_log_sd * torch.randn((), generator=generator))
        share = torch.exp(0.8 * torch.randn(_BLOBS, generator=generator)) * in_use
        blobs = self.shape.draw(generator, in_use, torch.zeros(_BLOBS, dtype=torch.int64))
        share = share * blobs.volume_ml
        return UnlabelledRecord(blobs=blobs, activity_bq=total * share / share.sum(), loops=self.field.draw(generator))

    def add_blobs(self, record: UnlabelledRecord, activity: Volume, labels: LabelMap, grid: Grid) -> Volume:
        """The activity with the blobs added, ``(b, 1, x, y, z)`` [Bq/mL].

        Args:
            record: What `draw` gave, batched.
            activity: ``(b, 1, x, y, z)`` [Bq/mL].
            labels: Organ ids in the same position, ``(b, 1, x, y, z)``.
            grid: Grid of both.
        """
        deep = (2.0 * _depth(labels, activity.dtype, grid) - 1.0).clamp_min(0.0)
        weights = self._site.to(activity)[labels] * deep
        voxel, found = resolve_sites(record.blobs, weights)
        blobs = replace(record.blobs, in_use=record.blobs.in_use & found)
        spots = self.shape.render(blobs, voxel, labels > 0, grid)
        added = spots.weight * (record.activity_bq / grid.voxel_volume_ml)[..., None]
        return activity.flatten(1).scatter_add(1, spots.index.flatten(1), added.flatten(1)).view_as(activity)

    def with_bowel(self, record: UnlabelledRecord, labels: LabelMap, grid: Grid) -> LabelMap:
        """The labels with loops of small bowel where a sample's label map has no bowel.

        Args:
            record: What `draw` gave, batched.
            labels: Organ ids, ``(b, 1, x, y, z)``.
            grid: Grid of the labels.
        """
        lacks = ~_exists(_any_of(labels, GROUPS["bowel"]))
        height = self.field.render(record.loops, grid) - _distance_from_abdomen(labels, record.loops.dtype, grid) / _BOWEL_MARGIN_MM
        return torch.where((height > self.bowel_threshold) & (labels == BODY) & lacks, organ_id("small_bowel"), labels)


def _distance_from_abdomen(labels: LabelMap, dtype: torch.dtype, grid: Grid) -> Tensor:
    """How far a voxel lies outside the lower abdomen, ``(b, 1, x, y, z)`` [mm]; infinite just under the skin.

    The lower abdomen is in front of the body's middle, below the liver's middle and above the pelvis' (or the body's middle and the
    end of the field where these are not labelled).
    """
    inside = labels > 0
    depth = _depth(labels, dtype, grid)
    y = centred_axis(grid, 1, depth)[:, None]
    z = centred_axis(grid, 2, depth)
    liver, pelvis = _any_of(labels, ("liver",)), _any_of(labels, ("pelvis",))
    ceiling = torch.where(_exists(liver), _mean_position(liver, z), _mean_position(inside, z))
    floor = torch.where(_exists(pelvis), _mean_position(pelvis, z), z[0])
    behind = (_mean_position(inside, y) + 0.5 * _BOWEL_MARGIN_MM - y).clamp_min(0.0)
    distance = behind + (z - ceiling + 0.5 * _BOWEL_MARGIN_MM).clamp_min(0.0) + (floor - z).clamp_min(0.0)
    return torch.where(depth > _DEEP, distance, math.inf)


def _depth(labels: LabelMap, dtype: torch.dtype, grid: Grid) -> Tensor:
    """Blurred body mask: one half at the skin, one deep inside."""
    return blur((labels > 0).to(dtype), _DEEP_MM, grid)


def _any_of(labels: LabelMap, organs: tuple[str, ...]) -> Tensor:
    """Mask of a few organs."""
    return torch.tensor([name in organs for name in ORGANS], device=labels.device)[labels]


def _exists(mask: Tensor) -> Tensor:
    """Whether a mask has any voxel, ``(b, 1, 1, 1, 1)``."""
    return mask.flatten(1).any(dim=1).view(-1, 1, 1, 1, 1)


def _mean_position(mask: Tensor, position: Tensor) -> Tensor:
    """Mean coordinate over a mask, ``(b, 1, 1, 1, 1)``; zero where it is empty."""
    weight = mask.to(position.dtype)
    total = weight.sum(dim=(1, 2, 3, 4), keepdim=True).clamp_min(1.0)
    return (weight * position).sum(dim=(1, 2, 3, 4), keepdim=True) / total
