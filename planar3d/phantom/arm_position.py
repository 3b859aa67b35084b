"""Arms that the anatomy given lacks: raised or out of the field in the CT, beside the trunk in the planar image.

An arm is a round tube beside the trunk. With e(z) the half-width of the body on that side, smoothed along z, its middle lies at

    x(z) = e(z) + gap + r(z),   y(z) = middle of the body + forward,

r falling from shoulder to fingers, with a core of bone. The shoulder lies where the lungs end, or at the top of the field without
lungs. An arm fills air alone; what reaches beyond the grid is cut. It attenuates as the patient's soft tissue does, its bone `BONE_MU`
times as much, and holds the mean activity of the soft tissue (and of the bones of limbs) there is, so the patient holds more in all by
what is in the arms.

Left as it is: an anatomy with bones of limbs beside the waist, whose arms are down already. Arms are never taken away: for a CT with arms
down and an image with arms raised, render a digital patient in both poses (`planar3d.anatomy.digital_patient`) and give
`planar3d.simulation.PlanarSimulator.simulate` both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from planar3d.grid import Grid
from planar3d.organs import GROUPS, organ_id
from planar3d.phantom.gaussian import centred_axis
from planar3d.phantom.record import TensorRecord
from planar3d.shapes import LabelMap, Volume

__all__ = ["ArmPosition", "ArmRecord"]

BONE_MU = 1.3
"""Attenuation of a humerus over that of soft tissue at 100 to 400 keV: half of its section is cortical bone of some 1000 HU."""

_BELOW_SHOULDER_MM = (0.0, 35.0, 160.0, 310.0, 430.0, 550.0, 635.0, 705.0)
_RADIUS_MM = (44.0, 41.0, 38.0, 33.0, 35.0, 23.0, 25.0, 13.0)
_BONE_SHARE = 0.3
"""Radii of `planar3d.anatomy.arms`, muscle alone; of a bone over its arm (judgement: 11 mm in 38 mm)."""
_FAT_MM = 6.0
_SMOOTH_MM = 40.0
_DEPTH_MM = 70.0  # from the middle of the body, of what counts as its side
_SOFT = ("body", "muscle", "fat")
_WATERY = ("muscle", "liver", "spleen", *GROUPS["kidneys"])


@dataclass(frozen=True, kw_only=True)
class ArmRecord(TensorRecord):
    """What was drawn.

    Attributes:
        present: Whether the arms are added, ``(b,)``.
        gap_mm: Between trunk and arm, left and right, ``(b, 2)`` [mm].
        forward_mm: How far before the middle of the body, left and right, ``(b, 2)`` [mm].
        girth: Thickness against that of a man, ``(b,)``.
    """

    present: Tensor
    gap_mm: Tensor
    forward_mm: Tensor
    girth: Tensor


class ArmPosition:
    """Arms beside the trunk.

    Args:
        probability: Share of the patients whose arms come down.
        gap_mm: Least and largest gap between trunk and arm [mm].
        forward_mm: Standard deviation of how far the arms lie before the middle of the body [mm].
    """

    def __init__(self, *, probability: float = 0.5, gap_mm: Sequence[float] = (0.0, 30.0), forward_mm: float = 12.0) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must lie between 0 and 1, got {probability}")
        if not (len(gap_mm) == 2 and 0 <= gap_mm[0] <= gap_mm[1] and forward_mm >= 0):
            raise ValueError(
                f"gap_mm must be two figures in order, none negative, and forward_mm zero or more, got {tuple(gap_mm)} and {forward_mm}"
            )
        self.probability = probability
        self.gap_mm = (float(gap_mm[0]), float(gap_mm[1]))
        self.forward_mm = forward_mm

    def draw(self, generator: torch.Generator) -> ArmRecord:
        """The arms of one sample."""
        low, high = self.gap_mm
        present = torch.rand((), generator=generator) < self.probability
        gap = low + (high - low) * torch.rand(2, generator=generator)
        forward = self.forward_mm * torch.randn(2, generator=generator)
        girth = 0.94 + 0.08 * torch.randn((), generator=generator).clamp(-2.0, 2.0)
        return ArmRecord(present=present, gap_mm=gap, forward_mm=forward, girth=girth)

    def render(self, record: ArmRecord, activity: Volume, mu_map: Volume, labels: LabelMap, grid: Grid) -> tuple[Volume, Volume, LabelMap]:
        """Activity, attenuation and labels with the arms.

        Args:
            record: What `draw` gave, batched.
            activity: ``(b, 1, x, y, z)`` [Bq/mL].
            mu_map: ``(b, 1, x, y, z)`` [1/mm].
            labels: ``(b, 1, x, y, z)``.
            grid: Grid of all three.
        """
        radius, middle_z = _radius(labels, grid, activity)
        depth, limb = _inside(record, labels, radius * record.girth[:, None], middle_z, grid)
        width_mm = sum(grid.spacing_mm) / 3.0
        free = (labels == 0) & (record.present & ~_arms_are_down(labels)).view(-1, 1, 1, 1, 1)
        water = _mean(mu_map, labels, _WATERY, otherwise=_mean(mu_map, labels, _SOFT))
        room = (1.0 - mu_map / water.clamp_min(torch.finfo(mu_map.dtype).tiny)).clamp(0.0, 1.0)  # the rim of the skin is half full
        share = torch.minimum((0.5 + depth / width_mm).clamp(0.0, 1.0), room) * free
        bone = torch.minimum((0.5 + limb / width_mm).clamp(0.0, 1.0), share)
        soft = _mean(activity, labels, _SOFT)
        marrow = _mean(activity, labels, ("limb_bones",), otherwise=soft)
        activity = activity + soft * (share - bone) + marrow * bone
        mu_map = mu_map + water * (share + (BONE_MU - 1.0) * bone)
        labels = torch.where(share > 0.5, organ_id("body"), labels)
        return activity, mu_map, torch.where(bone > 0.5, organ_id("limb_bones"), labels)


def _radius(labels: LabelMap, grid: Grid, like: Tensor) -> tuple[Float[Tensor, "b z"], Float[Tensor, " z"]]:
    """Radius of a man's arm in every plane, negative where there is none, and heights from the middle of the grid [mm]."""
    z = centred_axis(grid, 2, like)
    lungs = _is_any(labels, GROUPS["lungs"]).flatten(1, 3).any(dim=1)  # (b, z)
    top = torch.where(lungs, z, -torch.inf).amax(dim=1, keepdim=True)
    below = torch.where(torch.isfinite(top), top, z[-1]) - z
    knots, radii = (like.new_tensor(values) for values in (_BELOW_SHOULDER_MM, _RADIUS_MM))
    upper = torch.searchsorted(knots, below.contiguous()).clamp(1, len(knots) - 1)
    share = (below - knots[upper - 1]) / (knots[upper] - knots[upper - 1])
    radius = torch.lerp(radii[upper - 1], radii[upper], share.clamp(0.0, 1.0)) + _FAT_MM
    return torch.where((below < 0) | (below > knots[-1]), -1e3, radius), z


def _inside(record: ArmRecord, labels: LabelMap, radius: Float[Tensor, "b z"], z: Float[Tensor, " z"], grid: Grid) -> tuple[Volume, Volume]:
    """How far each voxel lies inside an arm, and inside its bone [mm]."""
    x, y = centred_axis(grid, 0, radius), centred_axis(grid, 1, radius)
    body = labels[:, 0] > 0
    rows = body.any(dim=1).any(dim=-1)  # (b, y)
    front, back = torch.where(rows, y, -torch.inf).amax(dim=1), torch.where(rows, y, torch.inf).amin(dim=1)
    middle = torch.where(rows.any(dim=1), 0.5 * (front + back), 0.0)
    beside = (body & ((y - middle[:, None]).abs() < _DEPTH_MM)[:, None, :, None]).any(dim=2)  # (b, x, z)
    weight = torch.exp(-0.5 * ((z[:, None] - z) / _SMOOTH_MM).square())
    weight = weight / weight.sum(dim=1, keepdim=True)
    off = []
    for side, sign in enumerate((-1.0, 1.0)):  # left, right: x grows toward the right
        reach = torch.where(beside, sign * x[:, None] + 0.5 * grid.spacing_mm[0], 0.0).amax(dim=1)  # (b, z)
        reach = torch.maximum(reach @ weight.T, reach)
        at = sign * (reach + record.gap_mm[:, side, None] + radius)
        across = (x[:, None] - at[:, None, :])[:, :, None, :]  # (b, x, 1, z)
        along = (y - (middle + record.forward_mm[:, side])[:, None])[:, None, :, None]  # (b, 1, y, 1)
        off.append(torch.sqrt(across.square() + along.square()))
    distance = torch.minimum(*off)
    outer = radius[:, None, None, :]
    return (outer - distance)[:, None], (_BONE_SHARE * outer - distance)[:, None]


def _arms_are_down(labels: LabelMap) -> Bool[Tensor, " b"]:
    """Whether bones of limbs lie between the foot of the lungs and the top of the pelvis."""
    height = torch.arange(labels.shape[-1], device=labels.device)
    lungs, pelvis, limbs = (_is_any(labels, names).flatten(1, 3).any(dim=1) for names in (GROUPS["lungs"], ("pelvis",), ("limb_bones",)))
    foot = torch.where(lungs, height, labels.shape[-1]).amin(dim=1, keepdim=True)
    crest = torch.where(pelvis, height, -1).amax(dim=1, keepdim=True)
    return (limbs & (height < foot) & (height > crest)).any(dim=1)


def _is_any(labels: LabelMap, names: tuple[str, ...]) -> Bool[Tensor, "b 1 x y z"]:
    """Whether a voxel belongs to one of some organs."""
    return torch.isin(labels, torch.tensor([organ_id(n) for n in names], device=labels.device, dtype=labels.dtype))


def _mean(values: Volume, labels: LabelMap, names: tuple[str, ...], *, otherwise: Tensor | None = None) -> Tensor:
    """Mean over some organs, ``(b, 1, 1, 1, 1)``; another value, or 0, where there are none."""
    inside = _is_any(labels, names)
    every = (1, 2, 3, 4)
    count = inside.sum(dim=every, keepdim=True)
    mean = (values * inside).sum(dim=every, keepdim=True) / count.clamp_min(1)
    return mean if otherwise is None else torch.where(count > 0, mean, otherwise)
