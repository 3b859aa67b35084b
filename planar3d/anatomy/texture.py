"""Texture and noise of a CT, functions of place alone: a voxel at one place has the same in every field.

    n(p) = a_smooth(organ) u(p) + sigma v(p)

u is a smooth field, standard normal values on an endless lattice joined linearly; v is white from voxel to voxel. Both come from a
hash of integer coordinates and a seed (the finaliser of MurmurHash3, Appleby 2011), the sum of four uniform variates.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from planar3d.grid import Grid
from planar3d.organs import GROUPS, ORGANS

__all__ = ["ct_texture"]

LATTICE_MM = 14.0
NOISE_HU = 11.0
PLACE_STEP_MM = 0.05  # two voxels nearer than this are the same place

_SMOOTH_HU = {
    **dict.fromkeys(GROUPS["lungs"], 45.0), **dict.fromkeys(GROUPS["skeleton"], 60.0), **dict.fromkeys(GROUPS["bowel"], 22.0),
    "fat": 9.0, "body": 12.0, "muscle": 18.0, "stomach": 15.0, "pancreas": 14.0, "mucosa": 30.0,
}  # fmt: skip
_OTHER_SMOOTH_HU = 5.0


def ct_texture(labels: Integer[Tensor, "x y z"], grid: Grid, seed: int) -> Float[Tensor, "x y z"]:
    """What a CT shows beside the mean of each tissue [HU].

    Args:
        labels: Organ ids; nothing is added outside the body.
        grid: Their grid.
        seed: Decides the texture.
    """
    amplitude = torch.tensor([_SMOOTH_HU.get(name, _OTHER_SMOOTH_HU) for name in ORGANS], device=labels.device)
    texture = amplitude[labels] * _smooth(grid, seed, labels.device) + NOISE_HU * _white(grid, seed, labels.device)
    return texture * (labels > 0)


def _white(grid: Grid, seed: int, device: torch.device) -> Float[Tensor, "x y z"]:
    """White noise, one value a voxel."""
    axes = [
        torch.round((torch.arange(n, device=device, dtype=torch.float64) * s + o) / PLACE_STEP_MM).long()
        for n, s, o in zip(grid.shape, grid.spacing_mm, grid.origin_mm, strict=True)
    ]
    return _normal(axes, seed)


def _smooth(grid: Grid, seed: int, device: torch.device) -> Float[Tensor, "x y z"]:
    """Values on a lattice, joined linearly and brought to unit variance."""
    axes, places = [], []
    for n, s, o in zip(grid.shape, grid.spacing_mm, grid.origin_mm, strict=True):
        first, last = math.floor(o / LATTICE_MM), math.floor((o + (n - 1) * s) / LATTICE_MM) + 1
        axes.append(torch.arange(first, last + 1, device=device))
        at = (torch.arange(n, device=device, dtype=torch.float32) * s + o) / LATTICE_MM - first
        places.append(2.0 * at / (last - first) - 1.0)
    lattice = _normal(axes, seed + 1)
    where = torch.stack(torch.meshgrid(*places, indexing="ij")[::-1], dim=-1)
    smooth = torch.nn.functional.grid_sample(lattice[None, None], where[None], mode="bilinear", padding_mode="border", align_corners=True)
    return smooth[0, 0] * 1.5**1.5  # linear interpolation leaves 2/3 of the variance along each axis, on average


def _normal(axes: list[Tensor], seed: int) -> Float[Tensor, "x y z"]:
    """About standard normal values at all combinations of integer coordinates."""
    x, y, z = axes
    start = _mixed(torch.tensor(seed, device=x.device))
    h = _mixed(_mixed(_mixed(start + x)[:, None, None] + y[:, None]) + z)
    total = sum(((h >> shift) & 0xFFFF for shift in (0, 16, 32, 48)), start=torch.zeros_like(h))
    return (total.to(torch.float32) / 65536.0 - 2.0) * math.sqrt(3.0)


def _mixed(h: Integer[Tensor, "*n"]) -> Integer[Tensor, "*n"]:
    """64 well-mixed bits of an integer."""
    h = (h ^ ((h >> 33) & 0x7FFFFFFF)) * -49064778989728563  # 0xff51afd7ed558ccd
    h = (h ^ ((h >> 33) & 0x7FFFFFFF)) * -4265267296055464877  # 0xc4ceb9fe1a85ec53
    return h ^ ((h >> 33) & 0x7FFFFFFF)
