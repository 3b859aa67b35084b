"""Hollow organs that fill or empty between CT and imaging: bladder and stomach.

An organ with centre c and semi-axes a (of the ellipsoid of the same second moments) has its volume multiplied by V = k^3. With
``rho = |(p - c) / a|`` what the image shows at p lay at

    q = c + (p - c) (1 + (1 / k - 1) h(rho / k)),   h = 1 inside, exp(-(rho / k - 1)^2 / (2 0.6^2)) outside,

so the organ swells by k and its neighbours give way. It is labels and attenuation that move, before they are filled: the organ's
concentration stays as drawn, and its activity grows with its volume. An organ that an anatomy lacks does nothing.

Log-normal V: the bladder's log-sd 0.5 (it fills by 1 mL/min or more, and patients void before an image), the stomach's 0.4: judgement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from planar3d.grid import Grid
from planar3d.organs import organ_id
from planar3d.phantom.gaussian import centred_axis
from planar3d.phantom.record import TensorRecord
from planar3d.shapes import LabelMap, Volume

__all__ = ["Filling", "FillingRecord"]

_LARGEST = 1.2  # |ln V|; keeps the map one to one
_DECAY = 0.6
_USUAL: dict[str, float] = {"urinary_bladder": 0.5, "stomach": 0.4}


@dataclass(frozen=True, kw_only=True)
class FillingRecord(TensorRecord):
    """What was drawn.

    Attributes:
        log_ratio: Logarithm of the volume imaged over the volume given, ``(b, organs)`` in the order of `Filling.organs`.
    """

    log_ratio: Tensor


class Filling:
    """Hollow organs larger or smaller than in the anatomy given.

    Args:
        log_sd: Standard deviation of the logarithm of the volume ratio by organ; None for bladder 0.5 and stomach 0.4.
    """

    def __init__(self, log_sd: Mapping[str, float] | None = None) -> None:
        chosen = dict(log_sd or _USUAL)
        self.organs = tuple(chosen)
        self._ids = [organ_id(name) for name in self.organs]
        self._log_sd = torch.tensor([chosen[name] for name in self.organs])
        if not (self._log_sd >= 0).all():
            raise ValueError(f"log_sd must be zero or more for every organ, got {chosen}")

    def draw(self, generator: torch.Generator) -> FillingRecord:
        """The filling of one sample."""
        normal = torch.randn(len(self.organs), generator=generator)
        return FillingRecord(log_ratio=(self._log_sd * normal).clamp(-_LARGEST, _LARGEST))

    def render(self, record: FillingRecord, mu_map: Volume, labels: LabelMap, grid: Grid) -> tuple[Volume, LabelMap]:
        """Attenuation and labels of the anatomy imaged.

        Args:
            record: What `draw` gave, batched.
            mu_map: ``(b, 1, x, y, z)``, interpolated [1/mm].
            labels: ``(b, 1, x, y, z)``, nearest voxel.
            grid: Grid of both.
        """
        x, y, z = (centred_axis(grid, axis, mu_map) for axis in range(3))
        place = [x[:, None, None], y[:, None], z]
        moved = [p.expand(len(labels), 1, *grid.shape) for p in place]
        for index, identifier in enumerate(self._ids):
            factor, centre = _swelling(labels == identifier, record.log_ratio[:, index], place)
            moved = [m + (p - c) * factor for m, p, c in zip(moved, place, centre, strict=True)]
        scale = [2.0 / extent for extent in grid.extent_mm]
        at = torch.stack([m[:, 0] * s for m, s in zip(moved[::-1], scale[::-1], strict=True)], dim=-1)
        filled = grid_sample(labels.to(at.dtype), at, mode="nearest", padding_mode="border", align_corners=False).to(labels.dtype)
        return grid_sample(mu_map, at, mode="bilinear", padding_mode="border", align_corners=False), filled


def _swelling(mask: Tensor, log_ratio: Tensor, place: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """``(1 / k - 1) h`` at every voxel, ``(b, 1, x, y, z)``, and the centre of the organ, three ``(b, 1, 1, 1, 1)`` [mm]."""
    every = (1, 2, 3, 4)
    weight = mask.to(log_ratio.dtype)
    count = weight.sum(dim=every, keepdim=True)
    centre, square = [], torch.zeros_like(weight)
    k = torch.exp(log_ratio / 3.0).view(-1, 1, 1, 1, 1)
    for axis, p in enumerate(place):
        profile = weight.sum(dim=[d for d in every if d != axis + 2], keepdim=True)
        c = (profile * p).sum(dim=every, keepdim=True) / count.clamp_min(1.0)
        variance = (profile * (p - c).square()).sum(dim=every, keepdim=True) / count.clamp_min(1.0)
        centre.append(c)
        square = square + (p - c).square() / (5.0 * variance).clamp_min(1.0)
    outside = (square.sqrt() / k - 1.0).clamp_min(0.0)
    factor = (1.0 / k - 1.0) * torch.exp(-0.5 * (outside / _DECAY).square())
    return factor * (count > 0), centre
