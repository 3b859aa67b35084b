"""Digital patients: a torso with random build, made of smooth solids, on any grid.

    q = (p + w(p)) / s            place p in the patient, warp w, size s: place q in the reference torso
    label(p) = first part k with max(clip_k(q), solid_k(q) - level_k) < 0

Parts come in an order of priority, so no two overlap. The level of an organ, a shift of its wall, is solved on a fixed lattice such
that it has the volume drawn for it, and so does not depend on the grid. CT numbers blend over a voxel's width at each wall, as
partial volume does.
`draw_habitus` draws, `render_patient` is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from planar3d.anatomy import skeleton, viscera
from planar3d.anatomy.ct import AIR_HU
from planar3d.anatomy.habitus import Habitus, draw_habitus
from planar3d.anatomy.implicit import Field, Points
from planar3d.anatomy.patient import Patient
from planar3d.anatomy.torso import CAVITY, LEAN_BODY, diaphragm, fat_thickness
from planar3d.grid import Grid
from planar3d.organs import organ_id

__all__ = ["FIELD", "digital_patient", "render_patient"]

FIELD = Grid.centred((50, 34, 60), 8.0)
"""Field of view of a digital patient: lung apices to hip joints."""

_SOLVING_GRID = Grid.centred((50, 34, 74), 8.0)
_LEVEL_RANGE_MM = 18.0
_LIVER_LEVEL_RANGE_MM = 300.0
_WARP_SPAN_MM = (440.0, 320.0, 640.0)
_FORWARD_MM = 4.0
_NOISE_HU = 12.0
_ORGAN_HU_SPREAD = 4.0


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One solid of the patient.

    Attributes:
        organ: Its name.
        solid: Its wall, moved by the level that is solved for its volume.
        hu: Its CT number [HU].
        clip: A wall that stays.
        is_sized: Whether its volume is that of the habitus.
    """

    organ: str
    solid: Field
    hu: float | Field
    clip: Field | None = None
    is_sized: bool = False

    def wall(self, level: float) -> Field:
        """Distance to the wall [mm]."""
        moved = self.solid - level
        return moved if self.clip is None else torch.maximum(moved, self.clip)


def digital_patient(seed: int, spacing_mm: float = 8.0) -> Patient:
    """A digital patient in the default field.

    Args:
        seed: Decides the patient.
        spacing_mm: Voxel edge length [mm].
    """
    habitus = draw_habitus(torch.Generator().manual_seed(seed))
    patient = render_patient(habitus, FIELD.resampled(spacing_mm))
    return Patient(grid=patient.grid, ct_hu=patient.ct_hu, labels=patient.labels, name=f"digital_{seed}")


def render_patient(habitus: Habitus, grid: Grid) -> Patient:
    """CT and organs of a habitus.

    Args:
        habitus: The build.
        grid: Where to render; the patient's reference origin lies at 0, 0, 0.
    """
    levels = _solve_levels(habitus)
    shape = grid.shape
    labels = torch.zeros(shape, dtype=torch.int64)
    ct_hu = torch.zeros(shape)
    unseen = torch.ones(shape)  # share of each voxel that no part has filled yet
    outline = torch.full(shape, torch.inf)
    width_mm = sum(grid.spacing_mm) / 3.0
    for index, part in enumerate(_parts(habitus, _reference_points(habitus, grid))):
        wall = part.wall(levels[index])
        identifier = organ_id(part.organ)
        labels = torch.where((labels == 0) & (wall < 0), identifier, labels)
        outline = torch.minimum(outline, wall)
        share = (0.5 - wall / width_mm).clamp(0.0, 1.0) * unseen
        ct_hu = ct_hu + share * (part.hu + _ORGAN_HU_SPREAD * float(habitus.hu_shift[identifier % len(habitus.hu_shift)]))
        unseen = unseen - share
    # Thin layers under the skin overlap within a voxel: the outline alone says how much of it is air.
    filled = (0.5 - outline / width_mm).clamp(0.0, 1.0)
    ct_hu = torch.lerp(torch.full(shape, AIR_HU), ct_hu / (1.0 - unseen).clamp(min=1e-6), filled)
    generator = torch.Generator().manual_seed(habitus.noise_seed)
    noise = _NOISE_HU * torch.randn(shape, generator=generator) * (labels > 0)
    return Patient(grid=grid, ct_hu=(ct_hu + noise)[None], labels=labels[None], name="digital")


def _solve_levels(habitus: Habitus) -> dict[int, float]:
    """Shift of each part's wall that gives it the volume of the habitus, by position in the order of painting."""
    grid = _SOLVING_GRID
    free = torch.ones(grid.shape, dtype=torch.bool)
    levels = {}
    for index, part in enumerate(_parts(habitus, _reference_points(habitus, grid))):
        level = 0.0
        if part.is_sized:
            inside = free if part.clip is None else free & (part.clip < 0)
            count = round(habitus.volumes_ml[part.organ] / grid.voxel_volume_ml)
            values = part.solid[inside]
            most = _LIVER_LEVEL_RANGE_MM if part.organ == "liver" else _LEVEL_RANGE_MM
            level = max(-most, min(most, float(values.kthvalue(max(1, min(count, len(values)))).values)))
        levels[index] = level
        free &= part.wall(level) >= 0
    return levels


def _reference_points(habitus: Habitus, grid: Grid) -> Points:
    """Where each voxel of a grid lies in the reference torso."""
    axes = [torch.arange(n, dtype=torch.float32) * s + o for n, s, o in zip(grid.shape, grid.spacing_mm, grid.origin_mm, strict=True)]
    place = torch.meshgrid(*axes, indexing="ij")
    lattice = torch.stack([p / (0.5 * span) for p, span in zip(place, _WARP_SPAN_MM, strict=True)][::-1], dim=-1)
    warp = torch.nn.functional.grid_sample(
        _smooth(habitus.warp_mm)[None], lattice[None], mode="bilinear", padding_mode="border", align_corners=True
    )[0]
    x, y, z = ((p + w) / s for p, w, s in zip(place, warp, habitus.scale, strict=True))
    y = y - _FORWARD_MM  # the back bulges more than the front: centre the trunk in the field
    bow = habitus.bend_mm * torch.sin(z * (torch.pi / 250.0))
    return Points(x=x + bow, y=y, z=z)


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


def _parts(habitus: Habitus, at: Points) -> Iterator[_Part]:
    """All solids, the one that is in front first."""
    yield from _bones_and_vessels(habitus, at)
    yield from _organs(habitus, at)
    yield from _tissues(habitus, at)


def _bones_and_vessels(habitus: Habitus, at: Points) -> Iterator[_Part]:
    bone_hu = 250.0 - 160.0 * skeleton.disc(at)
    bones: list[tuple[str, Callable[[Points], Field], float | Field]] = [
        ("spinal_cord", skeleton.spinal_canal, 30.0),
        ("spine", skeleton.spine, bone_hu),
        ("limb_bones", skeleton.femora, 330.0),
        ("pelvis", skeleton.hip_bones, 330.0),
        ("pelvis", skeleton.sacrum, 250.0),
        ("ribs", skeleton.ribs, 420.0),
        ("ribs", skeleton.sternum, 220.0),
        ("limb_bones", skeleton.shoulder_girdle, 330.0),
        ("vessels", viscera.aorta_and_veins, 42.0),
        ("trachea", viscera.windpipe, -950.0),
        ("esophagus", viscera.gullet, 20.0),
    ]
    for organ, solid, hu in bones:
        yield _Part(organ=organ, solid=solid(at), hu=hu)


def _organs(habitus: Habitus, at: Points) -> Iterator[_Part]:
    cavity = CAVITY(at)
    above = diaphragm(at)
    abdomen = torch.maximum(cavity + 3.0, above + 3.0)
    chest = torch.maximum(cavity + 3.0, 2.0 - above)
    for side in ("left", "right"):
        kidney, adrenal = f"kidney_{side}", f"adrenal_{side}"
        yield _Part(organ=kidney, solid=viscera.kidney(at, habitus, kidney), hu=34.0, clip=abdomen, is_sized=True)
        yield _Part(organ=adrenal, solid=viscera.suprarenal(at, habitus, adrenal), hu=25.0, clip=abdomen, is_sized=True)
    yield _Part(organ="urinary_bladder", solid=viscera.bladder(at, habitus), hu=6.0, is_sized=True)
    if habitus.is_male:
        yield _Part(organ="prostate", solid=viscera.prostate(at), hu=38.0, is_sized=True)
    yield _Part(organ="heart", solid=viscera.heart(at, habitus), hu=42.0, clip=chest, is_sized=True)
    gas = viscera.gas(at, habitus)
    sized: list[tuple[str, Callable[[Points, Habitus], Field], float | Field]] = [
        ("spleen", viscera.spleen, 48.0),
        ("pancreas", viscera.pancreas, 36.0),
        ("duodenum", viscera.duodenum, 24.0),
        ("gallbladder", viscera.gallbladder, 8.0),
        ("stomach", viscera.stomach, 18.0 - 850.0 * torch.sigmoid((at.y - 62.0) / 2.0)),
        ("liver", viscera.liver, 58.0),
        ("colon", viscera.colon, 20.0 - 800.0 * gas),
        ("small_bowel", viscera.small_bowel, 26.0),
    ]
    for organ, solid, hu in sized:
        yield _Part(organ=organ, solid=solid(at, habitus), hu=hu, clip=abdomen, is_sized=True)
    lungs = torch.maximum(chest, -viscera.mediastinum(at))
    lung_hu = -790.0 - 0.4 * at.y  # blood sinks to the back
    yield _Part(organ="lung_right", solid=-at.x, hu=lung_hu, clip=lungs)
    yield _Part(organ="lung_left", solid=at.x, hu=lung_hu, clip=lungs)


def _tissues(habitus: Habitus, at: Points) -> Iterator[_Part]:
    cavity = CAVITY(at)
    lean = LEAN_BODY(at)
    yield _Part(organ="muscle", solid=viscera.psoas(at), hu=52.0)
    yield _Part(organ="muscle", solid=viscera.erectors(at), hu=48.0, clip=lean)
    yield _Part(organ="body", solid=cavity, hu=0.0, clip=-diaphragm(at))
    yield _Part(organ="fat", solid=cavity, hu=-95.0)
    yield _Part(organ="muscle", solid=lean, hu=50.0)
    size = (habitus.scale[0] + habitus.scale[1]) / 2.0
    yield _Part(organ="fat", solid=lean - fat_thickness(at, habitus.fat_mm) / size, hu=-100.0)
