"""Lesions: number, site, size and uptake, added over the background.

The number is geometric (negative binomial with one failure, so many patients with few and few with many) up to the 16 ids that a label
map has; volumes are log-normal; sites are bone, node (soft tissue near the great vessels and the spine), liver, or elsewhere in soft
tissue. Concentrations are those of the biodistribution's lesions, one per slot. Where a user has outlined lesions, those keep their
ids and the drawn ones take the free ids.

Counts by site follow lesion series of metastatic prostate cancer (bone in 66 % of patients, nodes in 60 %, viscera in 15 %).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.organs import LESIONS, ORGANS, organ_id
from planar3d.phantom.gaussian import blur
from planar3d.phantom.hot_spot import HotSpots, SpotShape, resolve_sites
from planar3d.shapes import LabelMap, Volume

__all__ = ["SITES", "LesionPopulation"]

SITES: dict[str, tuple[str, ...]] = {
    "bone": ("spine", "pelvis", "ribs", "limb_bones"),
    "node": ("body", "fat", "muscle", "vessels"),
    "liver": ("liver",),
    "elsewhere": ("body", "muscle", "lung_left", "lung_right", "prostate", "adrenal_left", "adrenal_right"),
}
"""Organs in which the lesions of a site are centred; the last serves where an anatomy has none of a site's."""

_NEAR_VESSELS_MM = 15.0
_FIRST = organ_id(LESIONS[0])


class LesionPopulation:
    """Draws and adds lesions.

    Args:
        mean_count: Mean number of lesions in view; 0 for none.
        volume_ml: Median volume [mL].
        volume_log_sd: Standard deviation of its logarithm.
        largest_ml: Largest volume [mL].
        site_probability: Probability of each of `SITES`; they sum to one.
    """

    def __init__(
        self,
        *,
        mean_count: float = 5.0,
        volume_ml: float = 3.0,
        volume_log_sd: float = 1.1,
        largest_ml: float = 80.0,
        site_probability: Mapping[str, float] | None = None,
    ) -> None:
        probability = dict(site_probability or {"bone": 0.5, "node": 0.3, "liver": 0.08, "elsewhere": 0.12})
        if set(probability) - set(SITES) or abs(sum(probability.values()) - 1.0) > 1e-6 or min(probability.values()) < 0:
            raise ValueError(f"site_probability must give {', '.join(SITES)} shares that sum to one, got {probability}")
        if not mean_count >= 0:
            raise ValueError(f"mean_count must be zero or more, got {mean_count}")
        self.mean_count = mean_count
        self.shape = SpotShape(volume_ml=volume_ml, volume_log_sd=volume_log_sd, largest_ml=largest_ml)
        self._probability = torch.tensor([probability.get(name, 0.0) for name in SITES])
        self._organ_of_site = torch.tensor([[float(organ in organs) for organ in ORGANS] for organs in SITES.values()])
        self._near = torch.tensor([float(organ in ("vessels", "spine")) for organ in ORGANS])

    def draw(self, generator: torch.Generator) -> HotSpots:
        """The lesions of one sample."""
        k = len(LESIONS)
        uniform = torch.rand((), generator=generator).item()
        failure = self.mean_count / (1.0 + self.mean_count)
        count = 0 if failure == 0.0 else min(k, int(math.log(max(1.0 - uniform, 1e-12)) / math.log(failure)))
        site = torch.searchsorted(self._probability.cumsum(0), torch.rand(k, generator=generator), right=True)
        return self.shape.draw(generator, torch.arange(k) < count, site.clamp_max(len(SITES) - 1))

    def render(self, record: HotSpots, concentration: Tensor, activity: Volume, labels: LabelMap, grid: Grid) -> tuple[Volume, LabelMap]:
        """Add the lesions.

        Args:
            record: What `draw` gave, batched.
            concentration: Of every organ id, lesions among them, ``(b, organs)`` [Bq/mL].
            activity: ``(b, 1, x, y, z)`` [Bq/mL].
            labels: Organ ids in the same position, ``(b, 1, x, y, z)``.
            grid: Grid of both.

        Returns:
            The activity, and the labels with lesion ids where a lesion has at least half of its highest weight.
        """
        slot, free = _free_slots(labels)
        voxel, found = resolve_sites(record, self._site_weights(labels, activity.dtype, grid))
        record = replace(record, in_use=record.in_use & free & found)
        spots = self.shape.render(record, voxel, labels > 0, grid)
        lesion_concentration = concentration[:, _FIRST : _FIRST + len(LESIONS)].gather(1, slot)
        added = lesion_concentration * record.volume_ml / grid.voxel_volume_ml
        activity = (
            activity.flatten(1).scatter_add(1, spots.index.flatten(1), (spots.weight * added[..., None]).flatten(1)).view_as(activity)
        )

        core = (spots.weight > 0) & (spots.weight >= 0.5 * spots.weight.amax(dim=-1, keepdim=True))
        ids = torch.where(core, (_FIRST + slot)[..., None], 0)
        lesion = torch.zeros_like(labels).flatten(1).scatter_reduce(1, spots.index.flatten(1), ids.flatten(1), "amax").view_as(labels)
        return activity, torch.where(lesion > 0, lesion, labels)

    def _site_weights(self, labels: LabelMap, dtype: torch.dtype, grid: Grid) -> Tensor:
        """How likely each voxel of each site is, ``(b, site, x, y, z)``."""
        organ_of_site = self._organ_of_site.to(labels.device, dtype)
        near = blur(self._near.to(labels.device, dtype)[labels], _NEAR_VESSELS_MM, grid)
        weights = [table[labels] * (near if name == "node" else 1.0) for name, table in zip(SITES, organ_of_site, strict=True)]
        return torch.cat(weights, dim=1)


def _free_slots(labels: LabelMap) -> tuple[Tensor, Tensor]:
    """For the k-th drawn lesion the k-th slot that the labels leave free, and whether there is one; both ``(b, 16)``."""
    flat = labels.flatten(1)
    taken = flat.new_zeros(len(flat), len(ORGANS)).scatter_(1, flat, 1)[:, _FIRST : _FIRST + len(LESIONS)]
    slot = taken.argsort(dim=1, stable=True)
    return slot, taken.gather(1, slot) == 0
