"""Where lesions lie: sites as weights over the voxels of a label map, so that no mask of nodes or of a thyroid bed is needed.

    bone, liver, lung        inside the organ
    node                     soft tissue along the great vessels and the spine
    pelvic_node              soft tissue inside the pelvis and along its brim, toward the middle
    neck_node                soft tissue beside trachea, gullet and thyroid, above the upper third of the lungs
    remnant                  the thyroid bed: thyroid, or what lies just before and beside the uppermost trachea
    elsewhere                other soft tissue, lungs, prostate and adrenals

A site that an anatomy lacks gives way to ``node`` if it is one of nodes, and to ``elsewhere`` otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.grid import Grid
from planar3d.organs import ORGANS
from planar3d.phantom.gaussian import blur, centred_axis
from planar3d.shapes import LabelMap

__all__ = ["SITES", "LesionSites"]

_SOFT = ("body", "fat", "muscle", "vessels")

SITES: dict[str, tuple[str, ...]] = {
    "bone": ("spine", "pelvis", "ribs", "limb_bones"),
    "node": _SOFT,
    "pelvic_node": _SOFT,
    "neck_node": _SOFT,
    "liver": ("liver",),
    "lung": ("lung_left", "lung_right"),
    "remnant": (*_SOFT, "thyroid"),
    "elsewhere": ("body", "muscle", "lung_left", "lung_right", "prostate", "adrenal_left", "adrenal_right"),
}
"""Organs in which the lesions of a site are centred."""

_NEAR: dict[str, tuple[tuple[str, ...], float]] = {
    "node": (("vessels", "spine"), 15.0),
    "pelvic_node": (("pelvis", "urinary_bladder"), 20.0),
    "neck_node": (("trachea", "esophagus", "thyroid"), 20.0),
    "remnant": (("thyroid", "trachea"), 10.0),
}
"""Structures that a site lies along, and how far from them [mm]."""

_USUAL: dict[str, float] = {"bone": 0.5, "node": 0.3, "liver": 0.08, "elsewhere": 0.12}
_MEDIAL_MM = 60.0


class LesionSites:
    """Sites by probability.

    Args:
        probability: Probability of each of `SITES`; they sum to one. None for 0.5 bone, 0.3 node, 0.08 liver, 0.12 elsewhere.
    """

    def __init__(self, probability: Mapping[str, float] | None = None) -> None:
        chosen = dict(probability or _USUAL)
        if set(chosen) - set(SITES) or abs(sum(chosen.values()) - 1.0) > 1e-6 or min(chosen.values()) < 0:
            raise ValueError(f"site_probability must give {', '.join(SITES)} shares that sum to one, got {chosen}")
        self.names = tuple(name for name in SITES if chosen.get(name, 0.0) > 0.0 or name == "elsewhere")
        """Sites in use, ``elsewhere`` last."""
        self.probability = torch.tensor([chosen.get(name, 0.0) for name in self.names])
        self._inside = torch.tensor([[float(organ in SITES[name]) for organ in ORGANS] for name in self.names])
        self._along = {name: torch.tensor([float(organ in _NEAR[name][0]) for organ in ORGANS]) for name in _NEAR}
        self._among = torch.tensor([float(organ in _SOFT) for organ in ORGANS])

    def draw(self, generator: torch.Generator, count: int) -> Tensor:
        """Index into `names` of each of some lesions, ``(count,)``."""
        site = torch.searchsorted(self.probability.cumsum(0), torch.rand(count, generator=generator), right=True)
        return site.clamp_max(len(self.names) - 1)

    def weights(self, labels: LabelMap, dtype: torch.dtype, grid: Grid) -> Float[Tensor, "b site x y z"]:
        """How likely each voxel of each site is.

        Args:
            labels: Organ ids, ``(b, 1, x, y, z)``.
            dtype: Floating-point type.
            grid: Grid of the labels.
        """
        inside = self._inside.to(labels.device, dtype)
        along = self._near("node", labels, dtype, grid) if {"node", "pelvic_node", "neck_node"} & set(self.names) else None
        weights = []
        for name, table in zip(self.names, inside, strict=True):
            weight = table[labels]
            if name == "node" and along is not None:
                weight = weight * along
            elif name in _NEAR:
                weight = weight * self._near(name, labels, dtype, grid) * self._region(name, labels, grid, weight)
            if name.endswith("_node") and along is not None:
                is_there = weight.flatten(1).amax(dim=1).view(-1, 1, 1, 1, 1) > 0
                weight = torch.where(is_there, weight, self._among.to(weight)[labels] * along)
            weights.append(weight)
        return torch.cat(weights, dim=1)

    def _near(self, name: str, labels: LabelMap, dtype: torch.dtype, grid: Grid) -> Tensor:
        """How near a voxel is to what a site lies along, ``(b, 1, x, y, z)``."""
        return blur(self._along[name].to(labels.device, dtype)[labels], _NEAR[name][1], grid)

    def _region(self, name: str, labels: LabelMap, grid: Grid, like: Tensor) -> Tensor:
        """Which part of a site's surroundings belongs to it, ``(b, 1, x, y, z)`` or wider."""
        x, z = centred_axis(grid, 0, like)[:, None, None], centred_axis(grid, 2, like)
        if name == "pelvic_node":
            pelvis = self._along[name].to(like)[labels]
            middle = (pelvis * x).sum(dim=(1, 2, 3, 4), keepdim=True) / pelvis.sum(dim=(1, 2, 3, 4), keepdim=True).clamp_min(1.0)
            return torch.exp(-0.5 * ((x - middle) / _MEDIAL_MM).square())
        lungs = (self._lungs.to(like)[labels]).sum(dim=(1, 2, 3), keepdim=True)  # (b, 1, 1, 1, z)
        row = torch.where(lungs > 0, z, torch.full_like(z, -torch.inf)).amax(dim=-1, keepdim=True)
        foot = torch.where(lungs > 0, z, torch.full_like(z, torch.inf)).amin(dim=-1, keepdim=True)
        share = 0.67 if name == "neck_node" else 0.85
        floor = torch.where(torch.isfinite(row), foot + share * (row - foot), torch.full_like(row, -torch.inf))
        return (z >= floor).to(like.dtype)

    @property
    def _lungs(self) -> Tensor:
        """One for the lungs, by organ id."""
        return torch.tensor([float(organ in SITES["lung"]) for organ in ORGANS])
