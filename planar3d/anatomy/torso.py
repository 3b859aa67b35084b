"""The reference body in which a digital patient is built, and its walls.

Reference frame: mm, x toward the patient's right, y anterior, z superior; origin in the middle of the trunk at the height of the first
lumbar vertebra; an adult of 170 cm. Heights follow from landmarks as shares of the height above the floor: vertex 1, chin 0.87, notch
of the breastbone 0.815, iliac crest 0.60, hip joint 0.525, mid-thigh 0.405, and from vertebrae 36 mm apart in the loin, 24.5 mm in
the chest and 17 mm in the neck (judgement, from anthropometric and anatomical tables).

    vertex 572, chin 347, lung apices 278, notch 257, fork of the windpipe 212, right dome of the diaphragm 102, promontory -162,
    iliac crests -106, hip joints -240, mid-thigh -440
"""

from __future__ import annotations

import torch

from planar3d.anatomy.habitus import Habitus
from planar3d.anatomy.implicit import Field, Points, Profile, Section, ellipsoid, mirrored
from planar3d.anatomy.place import Place

__all__ = ["CAVITY", "INTERMUSCULAR_MM", "LEAN_TRUNK", "SPINE_Y", "breasts", "cavity", "diaphragm", "fat_thickness", "lean_trunk", "thighs"]

THINNEST_FAT_MM = 5.0
INTERMUSCULAR_MM = 3.0
"""Fat and connective tissue between the muscles, as a layer taken off them and added to the fat; with it muscle and fat weigh about what
they should."""
HEAD_SKIN_MM = 6.0
SKIN_MM = {True: 3.5, False: 2.0}
"""Skin of a man and a woman, with what lies under it at the thinnest; judgement."""

CAVITY = Section(
    half_width=Profile(
        {283: 22, 275: 42, 262: 60, 246: 78, 217: 97, 172: 111, 125: 119, 70: 123, 0: 122, -40: 114, -80: 109, -120: 106, -170: 94,
         -215: 71, -245: 56, -265: 40, -290: 18}
    ),
    half_depth=Profile(
        {283: 17, 275: 31, 262: 44, 246: 57, 217: 71, 172: 82, 125: 87, 70: 89, 0: 87, -40: 84, -80: 82, -120: 80, -170: 74, -215: 67,
         -245: 58, -265: 46, -290: 26}
    ),
    middle_y=Profile({283: -24, 246: -9, 200: -1, 150: 3, 60: 5, -40: 6, -120: 6, -170: 2, -245: 2, -290: -6}),
)  # fmt: skip
"""Inner wall of chest and abdomen: inside the ribs, the abdominal muscles and the pelvic bones."""

LEAN_TRUNK = Section(
    half_width=Profile(
        {340: 54, 322: 59, 305: 76, 290: 104, 277: 130, 262: 148, 240: 154, 190: 154, 140: 150, 75: 145, 0: 137, -50: 131, -90: 133,
         -130: 143, -175: 155, -225: 162, -260: 162, -290: 146, -320: 106}
    ),
    half_depth=Profile(
        {340: 54, 322: 56, 305: 60, 290: 66, 277: 74, 250: 87, 205: 99, 165: 105, 120: 107, 60: 106, 0: 102, -60: 98, -120: 98, -175: 100,
         -225: 100, -260: 95, -290: 78, -320: 48}
    ),
    middle_y=Profile({340: -12, 300: -22, 246: -11, 205: -5, 60: 0, -60: 0, -120: -2, -175: -6, -320: -8}),
    power=2.5,
)  # fmt: skip
"""The trunk without the fat under its skin."""

SPINE_Y = Profile(
    {440: -30, 400: -26, 350: -32, 300: -44, 250: -54, 205: -58, 150: -58, 75: -54, 0: -47, -50: -40, -100: -34, -143: -39, -165: -53}
)
"""Middle of the vertebral bodies along y by height: lordosis of the neck, kyphosis of the chest, lordosis of the loin."""

_THIGH_X = Profile({-520: 80, -440: 82, -300: 88, -215: 92})
_THIGH_RADIUS = Profile({-520: 61, -440: 68, -360: 75, -305: 77, -260: 68, -215: 46})


def cavity(at: Place) -> Field:
    """The cavity's wall, evaluated once."""
    return at.wall("cavity", CAVITY)


def lean_trunk(at: Place) -> Field:
    """The lean trunk's wall, evaluated once."""
    return at.wall("lean_trunk", lambda p: torch.maximum(LEAN_TRUNK(p), torch.maximum(p.z - 335.0, -318.0 - p.z)))


def diaphragm(at: Points, breath_mm: float = 0.0) -> Field:
    """Height above the diaphragm, negative below it [mm]: a right dome, a lower left dome, and a rim that falls to sides and back."""
    right = 102.0 - ((at.x - 60.0) / 64.0) ** 2 * 46.0
    left = 89.0 - ((at.x + 74.0) / 58.0) ** 2 * 44.0
    crest = 8.0 * torch.logsumexp(torch.stack([right, left, torch.full_like(right, 72.0)]) / 8.0, dim=0)
    return at.z - breath_mm - (crest - 42.0 * ((at.y - 18.0) / 80.0) ** 2).clamp(min=-6.0)


def thighs(at: Points) -> Field:
    """Muscles of both thighs, from the buttocks down."""
    side = mirrored(at)
    column = torch.sqrt((side.x - _THIGH_X(at.z)) ** 2 + (0.94 * (at.y + 4.0)) ** 2) - _THIGH_RADIUS(at.z)
    return torch.maximum(column, at.z + 215.0)


def breasts(at: Points, habitus: Habitus) -> Field:
    """Breasts of a woman, fuller the fatter she is."""
    size = 0.75 + 0.014 * min(habitus.fat_mm, 30.0)
    return ellipsoid(mirrored(at), (74.0, 92.0, 166.0), (60.0 * size, 28.0 * size, 58.0 * size), turn_deg=(0.0, 0.0, -20.0))


def fat_thickness(at: Points, habitus: Habitus) -> Field:
    """Thickness of the fat under the skin, skin included [mm].

    Thick on belly, flanks and buttocks, and more so on a woman's hips and thighs; thin on chest, limbs, neck and head.
    """
    bearing = torch.atan2(at.y, at.x.abs())  # -90 degrees behind, 90 in front
    front = torch.sin(bearing).clamp(min=0.0)
    behind = torch.sin(-bearing).clamp(min=0.0)
    belly, hips = (1.0, 0.8) if habitus.is_male else (0.85, 1.1)
    waist = torch.exp(-(((at.z + 60.0) / 105.0) ** 2))
    seat = torch.exp(-(((at.z + 215.0) / 70.0) ** 2))
    thigh = torch.sigmoid((-270.0 - at.z) / 20.0)
    share = 0.58 + belly * waist * (0.25 + 0.35 * front) + hips * (seat * (0.35 + 0.45 * behind) + 0.25 * thigh)
    beside = torch.sigmoid((at.x.abs() - LEAN_TRUNK.half_width(at.z) - 1.1 * habitus.fat_mm) / 5.0)  # the arms
    share = torch.lerp(share.clamp(max=1.25), torch.full_like(share, 0.5), beside)
    thickness = (habitus.fat_mm * share).clamp(min=THINNEST_FAT_MM) + INTERMUSCULAR_MM + SKIN_MM[habitus.is_male]
    head = torch.sigmoid((at.z - 325.0) / 12.0) * torch.sigmoid((125.0 - torch.hypot(at.x, at.y)) / 5.0)
    return torch.lerp(thickness, torch.full_like(thickness, HEAD_SKIN_MM), head)
