"""Lesions: number, site, size and uptake, added over the background.

By default the number is geometric (negative binomial with one failure, so many patients with few and few with many) up to the 16 ids that
a label map has; `planar3d.phantom.lesion_count.LesionCount` gives other distributions. Volumes are log-normal; sites are those of
`planar3d.phantom.lesion_site`. Concentrations are those of the biodistribution's lesions, one per slot, times a factor of the site.
Where a user has outlined lesions, those keep their ids and the drawn ones take the free ids; beyond sixteen, those of the highest
activity come first and the rest is activity without an id.

Sites follow lesion series of metastatic prostate cancer: bone in 66 % of patients (median highest SUV 24), nodes in 60 % (16.7), prostate
bed in 21 % (10.1), viscera in 15 % (17.5) (PMC10241018).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.organs import LESIONS, ORGANS, organ_id
from planar3d.phantom.biodistribution import LESION_SLOTS
from planar3d.phantom.hot_spot import HotSpots, SpotShape, resolve_sites
from planar3d.phantom.lesion_count import LesionCount
from planar3d.phantom.lesion_site import LesionSites
from planar3d.shapes import LabelMap, Volume

__all__ = ["LesionPopulation", "lesions_alone"]

_FIRST = organ_id(LESIONS[0])


class LesionPopulation:
    """Draws and adds lesions.

    Args:
        mean_count: Mean number of lesions in view where it is geometric; 0 for none.
        volume_ml: Median volume [mL].
        volume_log_sd: Standard deviation of its logarithm.
        largest_ml: Largest volume [mL].
        site_probability: Probability of each of `planar3d.phantom.lesion_site.SITES`; they sum to one.
        count: Another distribution of the number; up to 60.
        site_uptake: Factor on the concentration at each site; 1 where it is not given.
    """

    def __init__(
        self,
        *,
        mean_count: float = 5.0,
        volume_ml: float = 3.0,
        volume_log_sd: float = 1.1,
        largest_ml: float = 80.0,
        site_probability: Mapping[str, float] | None = None,
        count: LesionCount | None = None,
        site_uptake: Mapping[str, float] | None = None,
    ) -> None:
        if not mean_count >= 0:
            raise ValueError(f"mean_count must be zero or more, got {mean_count}")
        if count is not None and count.most > LESION_SLOTS:
            raise ValueError(f"count must reach no further than {LESION_SLOTS} lesions, got {count.most}")
        self.mean_count = mean_count
        self.count = count
        self.slots = len(LESIONS) if count is None else max(count.most, len(LESIONS))
        self.shape = SpotShape(volume_ml=volume_ml, volume_log_sd=volume_log_sd, largest_ml=largest_ml)
        self.sites = LesionSites(site_probability)
        uptake = dict(site_uptake or {})
        if set(uptake) - set(self.sites.names) or min(uptake.values(), default=1.0) <= 0:
            raise ValueError(f"site_uptake must give positive factors for {', '.join(self.sites.names)}, got {uptake}")
        self._uptake = torch.tensor([uptake.get(name, 1.0) for name in self.sites.names])

    def draw(self, generator: torch.Generator) -> HotSpots:
        """The lesions of one sample."""
        count = self._geometric(generator) if self.count is None else self.count.draw(generator)
        site = self.sites.draw(generator, self.slots)
        return self.shape.draw(generator, torch.arange(self.slots) < count, site)

    def activity_bq(self, record: HotSpots, concentration: Tensor) -> Tensor:
        """Activity of each lesion, ``(b, k)`` [Bq]; zero for a slot not in use.

        Args:
            record: What `draw` gave, batched or of one sample.
            concentration: Of the biodistribution's lesions in the same slots, ``(b, k)`` or more [Bq/mL].
        """
        factor = self._uptake.to(concentration)[record.site]
        return concentration[..., : record.site.shape[-1]] * factor * record.volume_ml * record.in_use

    def render(
        self, record: HotSpots, concentration: Tensor, activity: Volume, labels: LabelMap, grid: Grid, *, most: int | None = None
    ) -> tuple[Volume, LabelMap]:
        """Add the lesions.

        Args:
            record: What `draw` gave, batched.
            concentration: Of the biodistribution's lesions, ``(b, 60)`` [Bq/mL].
            activity: ``(b, 1, x, y, z)`` [Bq/mL].
            labels: Organ ids in the same position, ``(b, 1, x, y, z)``.
            grid: Grid of both.
            most: Number of lesions of the sample with most; slots beyond cost no time. All slots if None.

        Returns:
            The activity, and the labels with lesion ids where a lesion has at least half of its highest weight.
        """
        slot, free = _free_slots(labels)
        if self.slots > len(LESIONS):
            record, concentration = self._hottest_first(record, concentration)
            slot, free, keep = _with_nameless(slot, free, self.slots)
        else:
            concentration, keep = concentration.gather(1, slot), free
        slot, free, keep, concentration = (values[:, :most] for values in (slot, free, keep, concentration))
        record = record.first(self.slots if most is None else most)
        voxel, found = resolve_sites(record, self.sites.weights(labels, activity.dtype, grid))
        record = replace(record, in_use=record.in_use & keep & found)
        spots = self.shape.render(record, voxel, labels > 0, grid)
        added = self.activity_bq(record, concentration) / grid.voxel_volume_ml
        activity = (
            activity.flatten(1).scatter_add(1, spots.index.flatten(1), (spots.weight * added[..., None]).flatten(1)).view_as(activity)
        )

        core = (spots.weight > 0) & (spots.weight >= 0.5 * spots.weight.amax(dim=-1, keepdim=True)) & free[..., None]
        ids = torch.where(core, (_FIRST + slot)[..., None], 0)
        lesion = torch.zeros_like(labels).flatten(1).scatter_reduce(1, spots.index.flatten(1), ids.flatten(1), "amax").view_as(labels)
        return activity, torch.where(lesion > 0, lesion, labels)

    def _geometric(self, generator: torch.Generator) -> int:
        """A number up to sixteen."""
        uniform = torch.rand((), generator=generator).item()
        failure = self.mean_count / (1.0 + self.mean_count)
        return 0 if failure == 0.0 else min(len(LESIONS), int(math.log(max(1.0 - uniform, 1e-12)) / math.log(failure)))

    def _hottest_first(self, record: HotSpots, concentration: Tensor) -> tuple[HotSpots, Tensor]:
        """Lesions and their concentrations by falling activity."""
        order = self.activity_bq(record, concentration).argsort(dim=1, descending=True, stable=True)
        return record.take(order), concentration.gather(1, order)


def lesions_alone(labels: LabelMap) -> LabelMap:
    """Lesion ids, and zero for all else, ``(b, 1, x, y, z)``."""
    return torch.where((labels >= _FIRST) & (labels < _FIRST + len(LESIONS)), labels, 0)


def _free_slots(labels: LabelMap) -> tuple[Tensor, Tensor]:
    """For the k-th drawn lesion the k-th slot that the labels leave free, and whether there is one; both ``(b, 16)``."""
    flat = labels.flatten(1)
    taken = flat.new_zeros(len(flat), len(ORGANS)).scatter_(1, flat, 1)[:, _FIRST : _FIRST + len(LESIONS)]
    slot = taken.argsort(dim=1, stable=True)
    return slot, taken.gather(1, slot) == 0


def _with_nameless(slot: Tensor, free: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Slots for more lesions than there are ids: which id, whether there is one, and that each is kept; all ``(b, count)``."""
    more = (0, count - slot.shape[1])
    free = torch.nn.functional.pad(free, more)
    return torch.nn.functional.pad(slot, more), free, torch.ones_like(free)
