"""The solids of a digital patient, in order of priority: the first that holds a place gives it its label.

A part is evaluated within its box alone. Those of the head and neck stand in a region of their own, so that a field that ends below
the neck need not know of them. CT numbers are those of a low-dose CT without contrast; bones have a dense shell about their marrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch

from planar3d.anatomy import arms, head, pelvis, spine, torso, vessels, viscera
from planar3d.anatomy.habitus import Habitus
from planar3d.anatomy.implicit import Field, Number, Points, smooth_union
from planar3d.anatomy.place import Box, Place

__all__ = ["HEAD_FROM_Z", "Part", "parts_of"]

HEAD_FROM_Z = 262.0
"""Parts of head and neck lie above this height of the reference body [mm]."""

_EVERYWHERE: Box = ((-1e4, 1e4), (-1e4, 1e4), (-1e4, 1e4))
_TRUNK: Box = ((-190.0, 190.0), (-130.0, 130.0), (-310.0, 345.0))
_HEAD: Box = ((-100.0, 100.0), (-115.0, 130.0), (300.0, 600.0))
_NECK: Box = ((-45.0, 45.0), (-30.0, 40.0), (HEAD_FROM_Z, 440.0))
_AXIS: Box = ((-75.0, 75.0), (-120.0, 20.0), (-275.0, 450.0))
_BELLY: Box = ((-135.0, 135.0), (-95.0, 105.0), (-320.0, 105.0))
_CHEST: Box = ((-135.0, 135.0), (-100.0, 105.0), (-5.0, 300.0))

Solid = Callable[[Place], Field]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One solid of the patient.

    Attributes:
        organ: Its name.
        solid: Its wall, moved by the level that is solved for its volume.
        hu: CT number inside [HU].
        box: Where it can be.
        clip: A wall that stays.
        is_sized: Whether its volume is that of the habitus.
        shell_mm: Thickness of a denser shell inside the wall [mm].
        shell_hu: CT number of the shell [HU].
        is_of_head: Whether it belongs to the region of head and neck.
    """

    organ: str
    solid: Solid
    hu: float | Solid
    box: Box
    clip: Solid | None = None
    is_sized: bool = False
    shell_mm: float = 0.0
    shell_hu: float = 0.0
    is_of_head: bool = False

    def wall(self, at: Place, level: float) -> Field:
        """Distance to the wall [mm]."""
        moved = self.solid(at) - level
        return moved if self.clip is None else torch.maximum(moved, self.clip(at))

    def hu_at(self, at: Place) -> float | Field:
        """CT number inside the shell [HU]."""
        return self.hu(at) if callable(self.hu) else self.hu


def parts_of(habitus: Habitus) -> Iterator[Part]:
    """All solids, the one that is in front first."""
    yield from _head(habitus)
    yield from _bones(habitus)
    yield from _tubes()
    yield from _organs(habitus)
    yield from _chest(habitus)
    yield from _tissues(habitus)


def _around(x: Number, y: Number, z: Number, reach_mm: float) -> Box:
    """A cube."""
    return cast(Box, tuple((float(c - reach_mm), float(c + reach_mm)) for c in (x, y, z)))


def _head(habitus: Habitus) -> Iterator[Part]:
    yield Part(organ="brain", solid=head.brain, hu=36.0, box=_HEAD, is_sized=True, is_of_head=True)
    yield Part(organ="body", solid=head.eyes, hu=12.0, box=_HEAD, is_of_head=True)
    for name, side in (("left", -1.0), ("right", 1.0)):
        glands: list[tuple[str, Callable[..., Field], float, Box]] = [
            ("lacrimal", head.lacrimal, 30.0, _around(side * 45, 78, 461, 22.0)),
            ("parotid", head.parotid, -8.0, _around(side * 62, 4, 410, 48.0)),
            ("submandibular", head.submandibular, 38.0, _around(side * 30, 38, 356, 34.0)),
        ]
        for gland, solid, hu, box in glands:
            yield Part(organ=f"{gland}_{name}", solid=partial(solid, side=side), hu=hu, box=box, is_sized=True, is_of_head=True)
    yield Part(organ="trachea", solid=head.airway, hu=-880.0, box=_NECK, clip=lambda at: 296.0 - at.z, is_of_head=True)
    yield Part(organ="thyroid", solid=head.thyroid, hu=95.0, box=_around(0, 8, 316, 50.0), is_sized=True, is_of_head=True)
    yield Part(organ="body", solid=head.sinuses, hu=-900.0, box=_HEAD, is_of_head=True)
    yield Part(organ="muscle", solid=head.tongue, hu=55.0, box=_HEAD, is_of_head=True)
    yield Part(organ="mucosa", solid=head.mucosa, hu=30.0, box=_HEAD, is_of_head=True)


def _bones(habitus: Habitus) -> Iterator[Part]:
    legs: Box = ((-175.0, 175.0), (-70.0, 70.0), (-1e4, -200.0))
    hips: Box = ((-150.0, 150.0), (-110.0, 90.0), (-325.0, -90.0))
    neck: Box = ((-190.0, 190.0), (-110.0, 75.0), (130.0, 300.0))
    yield Part(organ="spinal_cord", solid=spine.spinal_canal, hu=28.0, box=_AXIS)
    yield Part(organ="spine", solid=spine.spine, hu=lambda at: 180.0 - 100.0 * spine.disc(at), box=_AXIS, shell_mm=1.4, shell_hu=560.0)
    yield Part(organ="skull", solid=head.skull, hu=480.0, box=_HEAD, shell_mm=2.2, shell_hu=1150.0, is_of_head=True)
    yield Part(organ="limb_bones", solid=pelvis.femora, hu=_femoral_marrow, box=legs, shell_mm=4.0, shell_hu=1050.0)
    yield Part(organ="pelvis", solid=pelvis.hip_bones, hu=110.0, box=hips, shell_mm=1.5, shell_hu=680.0)
    yield Part(organ="pelvis", solid=pelvis.sacrum, hu=70.0, box=hips, shell_mm=1.5, shell_hu=420.0)
    yield Part(organ="ribs", solid=spine.ribs, hu=80.0, box=_TRUNK, shell_mm=1.5, shell_hu=520.0)
    yield Part(organ="ribs", solid=spine.sternum, hu=80.0, box=_CHEST, shell_mm=1.2, shell_hu=420.0)
    yield Part(organ="limb_bones", solid=spine.shoulder_girdle, hu=170.0, box=neck, shell_mm=1.6, shell_hu=700.0)
    box = arms.neighbourhood(habitus)
    yield Part(organ="limb_bones", solid=lambda at: arms.arm_bones(at, habitus), hu=40.0, box=box, shell_mm=3.2, shell_hu=1000.0)


def _femoral_marrow(at: Points) -> Field:
    """Spongy in the head and neck, fatty in the shaft."""
    return torch.lerp(torch.full_like(at.z, -40.0), torch.full_like(at.z, 190.0), torch.sigmoid((at.z + 290.0) / 12.0))


def _tubes() -> Iterator[Part]:
    yield Part(organ="vessels", solid=vessels.vessels, hu=42.0, box=((-100.0, 100.0), (-80.0, 75.0), (-1e4, 440.0)))
    yield Part(organ="trachea", solid=vessels.windpipe, hu=-930.0, box=_CHEST)
    yield Part(organ="esophagus", solid=vessels.gullet, hu=20.0, box=((-60.0, 60.0), (-70.0, 30.0), (30.0, 320.0)))


def _above(habitus: Habitus) -> Solid:
    """Height above the patient's diaphragm, evaluated once."""
    return lambda at: at.wall("diaphragm", lambda p: torso.diaphragm(p, habitus.breath_mm))


def _organs(habitus: Habitus) -> Iterator[Part]:
    above = _above(habitus)

    def abdomen(at: Place) -> Field:
        return torch.maximum(torso.cavity(at), above(at)) + 3.0

    def placed(solid: Callable[[Points, Habitus], Field]) -> Solid:
        return lambda at: solid(at, habitus)

    for side, x in (("left", -60.0), ("right", 60.0)):
        kidney, adrenal = f"kidney_{side}", f"adrenal_{side}"
        bean, wedge = partial(viscera.kidney, habitus=habitus, organ=kidney), partial(viscera.suprarenal, habitus=habitus, organ=adrenal)
        if kidney in habitus.volumes_ml:
            yield Part(organ=kidney, solid=bean, hu=32.0, box=_around(x, -46, -25, 95.0), clip=abdomen, is_sized=True)
        yield Part(organ=adrenal, solid=wedge, hu=15.0, box=_around(0.62 * x, -46, 35, 40.0), clip=abdomen, is_sized=True)
    pelvic: Box = ((-100.0, 100.0), (-95.0, 120.0), (-320.0, -60.0))
    yield Part(organ="urinary_bladder", solid=placed(viscera.bladder), hu=6.0, box=pelvic, is_sized=True)
    if habitus.is_male:
        yield Part(organ="prostate", solid=viscera.prostate, hu=38.0, box=_around(0, 18, -250, 45.0), is_sized=True)
    else:
        yield Part(organ="uterus", solid=placed(viscera.uterus), hu=42.0, box=pelvic, is_sized=True)
    sized: list[tuple[str, Callable[[Points, Habitus], Field], float | Solid]] = [
        ("spleen", viscera.spleen, 48.0),
        ("pancreas", viscera.pancreas, 24.0),
        ("duodenum", viscera.duodenum, 22.0),
        ("gallbladder", viscera.gallbladder, 8.0),
        ("stomach", viscera.stomach, lambda at: 20.0 - 850.0 * torch.sigmoid((at.y - 62.0) / 2.0)),
        ("liver", viscera.liver, 56.0),
        ("colon", viscera.colon, lambda at: 15.0 - 800.0 * viscera.gas(at, habitus)),
        ("small_bowel", viscera.small_bowel, 22.0),
    ]
    for organ, solid, hu in sized:
        yield Part(organ=organ, solid=placed(solid), hu=hu, box=_BELLY, clip=abdomen, is_sized=True)


def _chest(habitus: Habitus) -> Iterator[Part]:
    above = _above(habitus)

    def chest(at: Place) -> Field:
        return torch.maximum(torso.cavity(at) + 3.0, 2.0 - above(at))

    def lungs(at: Place) -> Field:
        return torch.maximum(chest(at), -viscera.mediastinum(at))

    def lung_hu(at: Place) -> Field:
        return -775.0 - 0.6 * at.y  # blood sinks to the back

    yield Part(organ="heart", solid=lambda at: viscera.heart(at, habitus), hu=40.0, box=_CHEST, clip=chest, is_sized=True)
    yield Part(organ="lung_right", solid=lambda at: -at.x, hu=lung_hu, box=_CHEST, clip=lungs)
    yield Part(organ="lung_left", solid=lambda at: at.x, hu=lung_hu, box=_CHEST, clip=lungs)


def _tissues(habitus: Habitus) -> Iterator[Part]:
    def lean(at: Place) -> Field:
        return at.wall("lean", lambda p: _lean(cast(Place, p), habitus))

    def under_skin(at: Place) -> Field:
        size = (habitus.scale[0] + habitus.scale[1]) / 2.0
        skin = lean(at) - torso.fat_thickness(at, habitus) / size
        return skin if habitus.is_male else smooth_union(skin, torso.breasts(at, habitus), 12.0)

    above = _above(habitus)
    yield Part(organ="muscle", solid=viscera.psoas, hu=42.0, box=_TRUNK)
    yield Part(organ="muscle", solid=viscera.erectors, hu=34.0, box=_TRUNK, clip=torso.lean_trunk)
    yield Part(organ="body", solid=torso.cavity, hu=5.0, box=_CHEST, clip=lambda at: -above(at))
    yield Part(organ="fat", solid=torso.cavity, hu=-98.0, box=_BELLY, clip=lambda at: -282.0 - at.z)
    yield Part(organ="muscle", solid=lean, hu=38.0, box=_EVERYWHERE)
    yield Part(organ="fat", solid=under_skin, hu=-102.0, box=_EVERYWHERE)


def _lean(at: Place, habitus: Habitus) -> Field:
    """Trunk, head, arms and thighs without the fat under their skin."""
    walls: list[tuple[Solid, Box, float]] = [
        (torso.thighs, ((-1e4, 1e4), (-200.0, 200.0), (-1e4, -200.0)), 24.0),
        (head.head_and_neck, ((-160.0, 160.0), (-190.0, 200.0), (215.0, 1e4)), 22.0),
        (lambda p: arms.arms(p, habitus), arms.neighbourhood(habitus), 10.0),
    ]
    whole = torso.lean_trunk(at).clone()  # what follows is in place
    for solid, box, blend_mm in walls:
        window = at.window(box)
        if window is not None:
            whole[window] = smooth_union(whole[window], solid(at.cut(window)), blend_mm)
    return whole + torso.INTERMUSCULAR_MM
