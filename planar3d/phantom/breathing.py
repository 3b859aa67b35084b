"""Breathing: the upper abdomen slides along z while it is imaged, and a CT shows it at one place.

Phases k = 1 ... K of equal duration lie below end-expiration by ``a x_k``, ``x = cos^4(pi t)`` (patients rest in expiration: Lujan et al.,
Med Phys 1999;26:715), the CT by ``a x_CT``. In phase k what was at p comes to

    p - a (x_k - x_CT) w(p) m(p) e_z,

w one from the diaphragm to 60 mm below and Gaussian beyond (90 mm; 60 mm above the diaphragm, in the lungs), such that kidneys move by two
thirds of the diaphragm (PMC4539151: 0.6 to 0.7), and m the blurred mask of what moves: viscera, not spine, ribs and skin. The image is the
mean over phases, a shift and a blur in one. Activity is moved as a quantity, by differences of its running sum along z at the
displaced faces of the voxels, so its sum stays; attenuation and labels are moved by the mean displacement.

The diaphragm is taken as the top of the liver, or the foot of the lungs; an anatomy without either does not breathe. Amplitude a: a
median of 12 mm (judgement; free breathing moves liver and diaphragm by 5 to 25 mm).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.organs import GROUPS, LESIONS, ORGANS
from planar3d.phantom.gaussian import blur, centred_axis
from planar3d.phantom.record import TensorRecord
from planar3d.shapes import LabelMap, Volume

__all__ = ["Breathing", "BreathingRecord"]

_MOVING = (
    "liver", "spleen", *GROUPS["kidneys"], *GROUPS["bowel"], *GROUPS["lungs"], "stomach", "gallbladder", "pancreas", "adrenal_left",
    "adrenal_right", "heart", *LESIONS,
)  # fmt: skip
_PLATEAU_MM, _BELOW_MM, _ABOVE_MM = 60.0, 90.0, 60.0
_EDGE_MM = 20.0
_SMALLEST_MM, _LARGEST_MM = 3.0, 25.0


@dataclass(frozen=True, kw_only=True)
class BreathingRecord(TensorRecord):
    """What was drawn.

    Attributes:
        amplitude_mm: Amplitude a of the diaphragm, ``(b,)`` [mm].
        ct_place: Where the CT caught it, x_CT: 0 expiration, 1 inspiration, ``(b,)``.
    """

    amplitude_mm: Tensor
    ct_place: Tensor


class Breathing:
    """Motion of the upper abdomen along z.

    Args:
        amplitude_mm: Median amplitude of the diaphragm [mm].
        amplitude_log_sd: Standard deviation of its logarithm.
        phases: Number K of phases.
    """

    def __init__(self, *, amplitude_mm: float = 12.0, amplitude_log_sd: float = 0.35, phases: int = 4) -> None:
        if not (amplitude_mm >= 0 and phases >= 1):
            raise ValueError(f"amplitude_mm must be zero or more and phases at least one, got {amplitude_mm} and {phases}")
        self.amplitude_mm = amplitude_mm
        self.amplitude_log_sd = amplitude_log_sd
        self.places = tuple(math.cos(math.pi * (k + 0.5) / (2 * phases)) ** 4 for k in range(phases))
        self._moves = torch.tensor([float(name in _MOVING) for name in ORGANS])
        self._is = {name: torch.tensor([organ in organs for organ in ORGANS]) for name, organs in
                    (("liver", ("liver",)), ("lungs", GROUPS["lungs"]))}  # fmt: skip

    def draw(self, generator: torch.Generator) -> BreathingRecord:
        """The breathing of one sample."""
        normal, uniform = torch.randn((), generator=generator), torch.rand((), generator=generator)
        amplitude = self.amplitude_mm * torch.exp(self.amplitude_log_sd * normal)
        bounded = amplitude.clamp(_SMALLEST_MM, _LARGEST_MM) if self.amplitude_mm > 0 else torch.zeros(())
        return BreathingRecord(amplitude_mm=bounded, ct_place=1.2 * uniform.square())  # mostly near expiration, at times a deep breath

    def render(
        self, record: BreathingRecord, activity: Volume, mu_map: Volume, labels: LabelMap, grid: Grid
    ) -> tuple[Volume, Volume, LabelMap]:
        """Activity as imaged over all phases, attenuation and labels at the mean position.

        Args:
            record: What `draw` gave, batched.
            activity: ``(b, 1, x, y, z)`` [Bq/mL].
            mu_map: ``(b, 1, x, y, z)`` [1/mm].
            labels: ``(b, 1, x, y, z)``.
            grid: Grid of all three.
        """
        share = self.share(labels, activity.dtype, grid)
        reach = (record.amplitude_mm / grid.spacing_mm[2]).view(-1, 1, 1, 1, 1) * share  # voxels at inspiration, downward
        faces = 0.5 * (reach[..., 1:] + reach[..., :-1])
        faces = torch.cat([reach[..., :1], faces, reach[..., -1:]], dim=-1)
        ct = record.ct_place.view(-1, 1, 1, 1, 1)
        running = torch.nn.functional.pad(activity.cumsum(dim=-1), (1, 0))
        moved = torch.zeros_like(activity)
        for place in self.places:
            moved = moved + _between_faces(running, faces * (place - ct))
        mean = sum(self.places) / len(self.places) - ct
        return moved / len(self.places), _along_z(mu_map, reach * mean), _nearest_along_z(labels, reach * mean)

    def share(self, labels: LabelMap, dtype: torch.dtype, grid: Grid) -> Volume:
        """How much of the diaphragm's motion each voxel takes part in, ``w m``, ``(b, 1, x, y, z)``.

        Args:
            labels: Organ ids, ``(b, 1, x, y, z)``.
            dtype: Floating-point type.
            grid: Grid of the labels.
        """
        moves = self._moves.to(labels.device, dtype)[labels]
        mask = blur(moves, _EDGE_MM, grid)
        z = centred_axis(grid, 2, mask)
        liver, lungs = (self._is[name].to(labels.device)[labels].flatten(1, 3).any(dim=1) for name in ("liver", "lungs"))  # (b, z)
        top = torch.where(liver, z, -torch.inf).amax(dim=1)
        foot = torch.where(lungs, z, torch.inf).amin(dim=1) + _PLATEAU_MM
        diaphragm = torch.where(torch.isfinite(top), top, foot)[:, None]
        below = torch.where(torch.isfinite(diaphragm), diaphragm - z, torch.inf)
        outside = (below - _PLATEAU_MM).clamp_min(0.0) / _BELOW_MM + (-below).clamp_min(0.0) / _ABOVE_MM
        return torch.exp(-0.5 * outside.square())[:, None, None, None, :] * mask


def _between_faces(running: Tensor, shift: Tensor) -> Volume:
    """Differences of a running sum along z between faces of voxels that came from ``shift`` voxels above."""
    last = running.shape[-1] - 1
    at = torch.arange(last + 1, device=running.device, dtype=running.dtype) + shift
    at = at.clamp(0.0, float(last))
    at = torch.cat([torch.zeros_like(at[..., :1]), at[..., 1:-1], torch.full_like(at[..., -1:], float(last))], dim=-1)
    low = at.floor().clamp_max(float(last - 1))
    index = low.long()
    first = running.gather(-1, index)
    value = torch.lerp(first, running.gather(-1, index + 1), at - low)
    return (value[..., 1:] - value[..., :-1]).clamp_min(0.0)  # a difference of nearly equal sums may round below zero


def _along_z(volume: Volume, shift: Tensor) -> Volume:
    """A volume interpolated at places ``shift`` voxels above."""
    last = volume.shape[-1] - 1
    at = (torch.arange(last + 1, device=volume.device, dtype=volume.dtype) + shift).clamp(0.0, float(last))
    low = at.floor().clamp_max(float(max(last - 1, 0)))
    index = low.long()
    return torch.lerp(volume.gather(-1, index), volume.gather(-1, (index + 1).clamp_max(last)), at - low)


def _nearest_along_z(labels: LabelMap, shift: Tensor) -> LabelMap:
    """Labels of the nearest voxel ``shift`` voxels above."""
    last = labels.shape[-1] - 1
    at = torch.arange(last + 1, device=labels.device, dtype=shift.dtype) + shift
    return labels.gather(-1, at.round().long().clamp(0, last))
