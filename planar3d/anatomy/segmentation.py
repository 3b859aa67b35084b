"""Lungs and skeleton from the CT where a label map has none.

Lungs are large parts of the body of low CT number; gas in the bowel is lower still. Bone is dense, closed and filled so that marrow
belongs to it. It is parted by position: the spine runs in the middle behind; lateral bone is ribs above the waist, the level between
ribs and iliac crests where there is least of it, and pelvis below; far out or far down it is limb bones. These are rules of thumb for
an adult trunk, meant for uptake in marrow; where a true segmentation is at hand it is used instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer
from scipy import ndimage
from torch import Tensor

from planar3d.anatomy.morphology import ball, connected_parts, fill_slices, volumes_of_parts
from planar3d.grid import Grid
from planar3d.organs import BODY, GROUPS, organ_id

__all__ = ["fill_from_ct"]

LUNG_MAX_HU = -500.0
GAS_MEDIAN_HU = -930.0
LUNG_MIN_ML = 30.0
BONE_MIN_HU = 170.0
BONE_MIN_ML = 1.5
MARROW_CLOSING_MM = 8.0
SPINE_HALF_WIDTH_MM = 36.0
VERTEBRA_FRONT_MM = 30.0
"""How far before the middle of the trunk a lumbar vertebra may reach."""
WAIST_REACH_MM = 190.0
"""How far below the lungs the waist may lie."""
PELVIS_MIN_SLICE_MM2 = 700.0
SACRUM_BELOW_CREST_MM = 48.0
HIP_BELOW_CREST_MM = 95.0
THIGH_BELOW_CREST_MM = 200.0
SKULL_ABOVE_LUNGS_MM = 110.0


def fill_from_ct(ct_hu: Float[Tensor, "1 x y z"], labels: Integer[Tensor, "1 x y z"], grid: Grid) -> Integer[Tensor, "1 x y z"]:
    """Label lungs and skeleton in the unlabelled body.

    A group of which the map has any label is left alone.

    Args:
        ct_hu: CT numbers [HU].
        labels: Organ ids, 1 where the body is unlabelled.
        grid: Grid of both.
    """
    hu, organs = ct_hu[0].cpu().numpy(), labels[0].cpu().numpy().copy()
    frame = _Frame.of(organs > 0, grid)
    if not _has(organs, "lungs"):
        _fill_lungs(hu, organs, grid, frame)
    if not _has(organs, "skeleton"):
        _fill_bones(hu, organs, grid, frame)
    return torch.from_numpy(organs)[None].to(labels)


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """Voxel coordinates against the body, each to be broadcast [mm].

    Attributes:
        x: From the middle of the body toward the right ``(x, 1, 1)``.
        y: From the middle of each axial slice of the body, forward ``(1, y, z)``.
        z: Height ``(z,)``.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray

    @classmethod
    def of(cls, body: np.ndarray, grid: Grid) -> _Frame:
        x, y, z = (np.arange(n) * s + o for n, s, o in zip(grid.shape, grid.spacing_mm, grid.origin_mm, strict=True))
        middle_x = np.average(x, weights=body.sum(axis=(1, 2))) if body.any() else 0.0
        rows = body.any(axis=0)  # (y, z)
        front = np.where(rows, y[:, None], -np.inf).max(axis=0)
        back = np.where(rows, y[:, None], np.inf).min(axis=0)
        middle_y = np.where(rows.any(axis=0), (front + back) / 2.0, 0.0)
        return cls(x=(x - middle_x)[:, None, None], y=(y[:, None] - middle_y)[None], z=z)


def _fill_lungs(hu: np.ndarray, organs: np.ndarray, grid: Grid, frame: _Frame) -> None:
    """Write both lungs into the labels."""
    light = (organs == BODY) & (hu < LUNG_MAX_HU)
    parts = connected_parts(light)
    large = np.flatnonzero(volumes_of_parts(parts) * grid.voxel_volume_ml > LUNG_MIN_ML)
    lungs = np.isin(parts, [i for i in large if np.median(hu[parts == i]) > GAS_MEDIAN_HU])
    closed = np.logical_or(ndimage.binary_closing(lungs), lungs)
    for name, side in (("lung_right", frame.x >= 0), ("lung_left", frame.x < 0)):
        organs[closed & side & (organs == BODY)] = organ_id(name)


def _fill_bones(hu: np.ndarray, organs: np.ndarray, grid: Grid, frame: _Frame) -> None:
    """Write the skeleton into the labels, parted by position."""
    bone = _bone_mask((organs == BODY) & (hu > BONE_MIN_HU), grid) & (organs == BODY)
    central = np.abs(frame.x) < SPINE_HALF_WIDTH_MM
    is_lung = np.isin(organs, [organ_id(n) for n in GROUPS["lungs"]]).any(axis=(0, 1))
    lateral_mm2 = (bone & ~central).sum(axis=(0, 1)) * grid.spacing_mm[0] * grid.spacing_mm[1]
    crest = _crest_height(lateral_mm2, frame.z, frame.z[is_lung])
    z = frame.z[None, None]
    pelvic = np.broadcast_to(z <= crest, bone.shape)
    behind = frame.y < VERTEBRA_FRONT_MM
    limb = ((np.abs(frame.x) > 105.0) & (z < crest - HIP_BELOW_CREST_MM)) | ((np.abs(frame.x) > 50.0) & (z < crest - THIGH_BELOW_CREST_MM))
    spine = central & behind & (z > crest - SACRUM_BELOW_CREST_MM)
    skull = z > (frame.z[is_lung].max() + SKULL_ABOVE_LUNGS_MM if is_lung.any() else np.inf)
    for name, region in (("ribs", ~pelvic), ("pelvis", pelvic), ("limb_bones", limb), ("spine", spine), ("skull", skull)):
        organs[bone & region] = organ_id(name)


def _bone_mask(dense: np.ndarray, grid: Grid) -> np.ndarray:
    """Dense parts without specks, marrow included."""
    parts = connected_parts(dense, by_corners=True)
    kept = (volumes_of_parts(parts) * grid.voxel_volume_ml > BONE_MIN_ML)[parts]
    element = ball(MARROW_CLOSING_MM, grid.spacing_mm)
    margin = [n // 2 for n in element.shape]
    padded = np.pad(kept, [(m, m) for m in margin])
    closed = ndimage.binary_closing(padded, element)[tuple(slice(m, -m) for m in margin)]
    return fill_slices(closed) | kept


def _crest_height(lateral_mm2: np.ndarray, z: np.ndarray, lung_z: np.ndarray) -> float:
    """Height of the iliac crests, minus infinity where the field holds no pelvis.

    Args:
        lateral_mm2: Area of bone off the midline by slice.
        z: Height of each slice [mm].
        lung_z: Heights of the slices with lung, perhaps none [mm].
    """
    smooth = ndimage.uniform_filter1d(lateral_mm2, size=max(1, round(12.0 / abs(z[1] - z[0]))) if len(z) > 1 else 1)
    if not len(lung_z):  # no chest in the field: any large lateral bone is pelvis
        return float(z.max()) if smooth.max() > PELVIS_MIN_SLICE_MM2 else -np.inf
    window = (z < lung_z.min() - 20.0) & (z > lung_z.min() - WAIST_REACH_MM)
    if not window.any():
        return -np.inf
    waist = z[window][smooth[window] == smooth[window].min()].min()
    below = z < waist
    if not below.any() or smooth[below].max() < PELVIS_MIN_SLICE_MM2:
        return -np.inf
    return float(z[below & (smooth > 0.25 * PELVIS_MIN_SLICE_MM2)].max())


def _has(organs: np.ndarray, group: str) -> bool:
    """Whether any organ of a group is labelled."""
    return bool(np.isin(organs, [organ_id(n) for n in GROUPS[group]]).any())
