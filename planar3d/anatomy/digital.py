"""Digital patients: a body of random build from vertex to mid-thigh, made of smooth solids, on any grid.

    label(p) = first part k with max(clip_k(q), solid_k(q) - level_k) < 0,   q the place of p in the reference body

Parts come in an order of priority, so no two overlap (`planar3d.anatomy.parts`). The level of an organ is solved such that it has the
volume drawn for it (`planar3d.anatomy.levels`), and so does not depend on the grid. CT numbers blend over a voxel's width at
each wall, as partial volume does. An organ that reaches within half a voxel of a centre but holds none gets that voxel.

`draw_habitus` draws, `render_patient` is deterministic. A voxel at one place has the same label in every field; its CT number too,
texture and noise included.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from planar3d.anatomy.ct import AIR_HU
from planar3d.anatomy.field import TORSO, WHOLE_BODY
from planar3d.anatomy.habitus import Habitus, draw_habitus
from planar3d.anatomy.levels import solve_levels
from planar3d.anatomy.parts import HEAD_FROM_Z, Part, parts_of
from planar3d.anatomy.patient import Patient
from planar3d.anatomy.place import Place, place_of
from planar3d.anatomy.texture import ct_texture
from planar3d.grid import Grid
from planar3d.organs import GROUPS, organ_id

__all__ = ["TORSO", "WHOLE_BODY", "digital_patient", "render_patient"]

_ORGAN_HU_SPREAD = 4.0
_BONE_HU_SPREAD = 20.0  # between people; judgement


def digital_patient(
    seed: int,
    spacing_mm: float = 8.0,
    field: Grid = TORSO,
    *,
    arms: str | None = None,
    device: torch.device | str = "cpu",
) -> Patient:
    """The digital patient of a seed.

    Args:
        seed: Decides the patient.
        spacing_mm: Voxel edge length [mm].
        field: What of the patient to render, `TORSO` or `WHOLE_BODY`; the patient is the same in both.
        arms: ``"up"`` or ``"down"`` for a pose other than the one drawn, as of a CT and an image that differ in it; None for that drawn.
        device: Where to render.

    Raises:
        ValueError: There is no such pose.
    """
    if arms not in (None, "up", "down"):
        raise ValueError(f"arms must be 'up', 'down' or None, got {arms!r}")
    habitus = draw_habitus(torch.Generator().manual_seed(seed))
    if arms is not None:
        habitus = habitus.with_arms(up=arms == "up")
    return replace(render_patient(habitus, field.resampled(spacing_mm), device=device), name=f"digital_{seed}")


def render_patient(habitus: Habitus, grid: Grid, *, device: torch.device | str = "cpu") -> Patient:
    """CT and organs of a habitus.

    Args:
        habitus: The build.
        grid: Where to render; the patient's reference origin lies at 0, 0, 0.
        device: Where to compute, and where the volumes are.
    """
    at = place_of(habitus, grid, device)
    with_head = bool(at.z.max() > HEAD_FROM_Z)
    parts = [p for p in parts_of(habitus) if with_head or not p.is_of_head]
    levels = solve_levels(habitus, parts, device)
    canvas = _Canvas(grid=grid, at=at)
    for part, level in zip(parts, levels, strict=True):
        canvas.paint(part, level, _hu_shift(habitus, part.organ))
    texture = ct_texture(canvas.labels, grid, habitus.noise_seed)
    return Patient(grid=grid, ct_hu=(canvas.ct_hu() + texture)[None], labels=canvas.labels[None], name="digital")


def _hu_shift(habitus: Habitus, organ: str) -> float:
    """How this patient's organ differs from the usual CT number; all bones together [HU]."""
    if organ in GROUPS["skeleton"]:
        return _BONE_HU_SPREAD * float(habitus.hu_shift[organ_id("spine") % len(habitus.hu_shift)])
    return _ORGAN_HU_SPREAD * float(habitus.hu_shift[organ_id(organ) % len(habitus.hu_shift)])


class _Canvas:
    """Labels and CT numbers while parts are painted onto them.

    Args:
        grid: The voxels.
        at: Their places in the reference body.
    """

    def __init__(self, *, grid: Grid, at: Place) -> None:
        self.at = at
        self.labels = torch.zeros(grid.shape, dtype=torch.int64, device=at.x.device)
        self.width_mm = sum(grid.spacing_mm) / 3.0
        self._total = torch.zeros_like(at.x)
        self._unseen = torch.ones_like(at.x)  # share of each voxel that no part has filled yet
        self._outline = torch.full_like(at.x, torch.inf)

    def paint(self, part: Part, level: float, shift_hu: float) -> None:
        """Add a part behind those painted so far."""
        window = self.at.window(part.box)
        if window is None:
            return
        at = self.at.cut(window)
        wall = part.wall(at, level)
        for name, shared in at.walls.items():  # keep a wall that covers the whole field
            if shared.shape == self.at.x.shape:
                self.at.walls[name] = shared
        labels, unseen = self.labels[window], self._unseen[window]
        inside = (labels == 0) & (wall < 0)
        if part.is_sized and not inside.any():
            nearest = torch.where(labels == 0, wall, torch.inf)
            inside = (nearest == nearest.min()) & (nearest < 0.5 * self.width_mm)
        labels[inside] = organ_id(part.organ)
        share = self._share(wall) * unseen
        hu = part.hu_at(at)
        if part.shell_mm:
            core = self._share(wall + part.shell_mm) * unseen
            self._total[window] += core * (hu - part.shell_hu)
            hu = part.shell_hu
        self._total[window] += share * (hu + shift_hu)
        unseen -= share
        outline = self._outline[window]
        torch.minimum(outline, wall, out=outline)

    def ct_hu(self) -> Tensor:
        """CT numbers; layers thinner than a voxel overlap within it, so the outline alone says how much of it is air."""
        filled = self._share(self._outline)
        return torch.lerp(torch.full_like(filled, AIR_HU), self._total / (1.0 - self._unseen).clamp(min=1e-6), filled)

    def _share(self, wall: Tensor) -> Tensor:
        """Share of a voxel that lies inside a wall."""
        return (0.5 - wall / self.width_mm).clamp(0.0, 1.0)
