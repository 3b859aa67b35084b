"""Where the voxels of a grid lie in the reference body.

    q = S(z)^-1 (p + w(p)),   q_x += bow(q_z)

p is a place in the patient, w a smooth warp, S the patient's size: along z one factor, across it one for the trunk and one for the
head, with the shoulders and hips of the sex between. `Place` keeps the walls that many parts share, and can be cut to a box, so that
a part is evaluated only where it can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from planar3d.anatomy.habitus import Habitus
from planar3d.anatomy.implicit import Field, Points, Profile
from planar3d.grid import Grid

__all__ = ["Box", "Place", "Window", "place_of"]

Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
"""Limits along x, y, z in the reference body [mm]."""
Window = tuple[slice, slice, slice]

WARP_SPAN_MM = (672.0, 336.0, 1280.0)
WARP_CENTRE_Z_MM = 140.0
FORWARD_MM = 4.0
BOW_REACH_MM = 300.0

_BREADTH = {
    True: Profile({-300: 0.97, -190: 0.97, -40: 1.0, 130: 1.0, 260: 1.03}),
    False: Profile({-450: 1.02, -300: 1.05, -190: 1.06, -40: 0.98, 130: 0.97, 260: 0.96}),
}
"""Breadth of a man and a woman by height, against the frame."""
_HEAD_SHARE = Profile({255: 0.0, 275: 0.05, 340: 0.95, 360: 1.0})


@dataclass(frozen=True, kw_only=True)
class Place(Points):
    """Places in the reference body, and the walls that several parts share there."""

    walls: dict[str, Field] = field(default_factory=dict)
    _limits: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def wall(self, name: str, solid: Callable[[Points], Field]) -> Field:
        """A solid that is evaluated once."""
        if name not in self.walls:
            self.walls[name] = solid(self)
        return self.walls[name]

    def window(self, box: Box) -> Window | None:
        """The smallest block of voxels that holds a box; None where none does."""
        if not self._limits:
            for axis, coordinate in enumerate((self.x, self.y, self.z)):
                others = [a for a in range(3) if a != axis]
                self._limits.append((coordinate.amin(dim=others).cpu(), coordinate.amax(dim=others).cpu()))
        slices = []
        for (least, most), (low, high) in zip(self._limits, box, strict=True):
            index = torch.nonzero((most >= low) & (least <= high)).flatten().tolist()
            if not index:
                return None
            slices.append(slice(index[0], index[-1] + 1))
        return cast(Window, tuple(slices))

    def cut(self, window: Window) -> Place:
        """The part in a block of voxels, with the walls known so far."""
        return Place(x=self.x[window], y=self.y[window], z=self.z[window], walls={n: w[window] for n, w in self.walls.items()})


def place_of(habitus: Habitus, grid: Grid, device: torch.device | str = "cpu") -> Place:
    """Where each voxel of a grid lies in the reference body.

    Args:
        habitus: Size and warp of the patient.
        grid: Its voxels.
        device: Where to compute.
    """
    axes = [
        torch.arange(n, dtype=torch.float32, device=device) * s + o
        for n, s, o in zip(grid.shape, grid.spacing_mm, grid.origin_mm, strict=True)
    ]
    at = torch.meshgrid(*axes, indexing="ij")
    middle = (0.0, 0.0, WARP_CENTRE_Z_MM)
    lattice = torch.stack([(p - m) / (0.5 * span) for p, m, span in zip(at, middle, WARP_SPAN_MM, strict=True)][::-1], dim=-1)
    warp = torch.nn.functional.grid_sample(
        _smooth(habitus.warp_mm.to(device))[None], lattice[None], mode="bilinear", padding_mode="border", align_corners=True
    )[0]
    x, y, z = (p + w for p, w in zip(at, warp, strict=True))
    z = z / habitus.scale[2]
    head = _HEAD_SHARE(z)
    x = x / torch.lerp(habitus.scale[0] * _BREADTH[habitus.is_male](z), torch.full_like(z, habitus.head_scale), head)
    y = y / torch.lerp(torch.full_like(z, habitus.scale[1]), torch.full_like(z, habitus.head_scale), head)
    reach = (z / BOW_REACH_MM).clamp(-1.0, 1.0)
    bow = habitus.bend_mm * torch.sin(1.2 * torch.pi * reach) * (1.0 - reach**2)
    return Place(x=x + bow, y=y - FORWARD_MM, z=z)  # the back bulges more than the front: centre the trunk in the field


def _smooth(lattice: Tensor) -> Tensor:
    """A displacement lattice refined by cubic interpolation, so that its trilinear reading has no creases."""
    refined = lattice
    for axis in (1, 2, 3):
        count = refined.shape[axis]
        moved = refined.movedim(axis, -1)
        flat = moved.reshape(1, 1, -1, count)
        fine = torch.nn.functional.interpolate(flat, size=(flat.shape[2], 4 * (count - 1) + 1), mode="bicubic", align_corners=True)
        refined = fine.reshape(*moved.shape[:-1], -1).movedim(-1, axis)
    return refined
