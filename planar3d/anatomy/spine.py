"""Spine, ribs, sternum and shoulder girdle of the reference body (`planar3d.anatomy.torso` states the frame).

Vertebrae are counted by height: `VERTEBRA` is an integer at the middle of each, 0 at the first lumbar, positive upward.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from planar3d.anatomy.implicit import Field, Points, Profile, Tube, union
from planar3d.anatomy.place import Place
from planar3d.anatomy.torso import CAVITY, SPINE_Y, cavity

__all__ = ["SACRUM_TOP_Z", "disc", "ribs", "shoulder_girdle", "spinal_canal", "spine", "sternum"]

SACRUM_TOP_Z = -162.0
ATLAS_TOP_Z = 432.0
RIB_COUNT = 12
RIB_TOP_Z = 300.0
RIB_SPACING_MM = 24.5
RIB_DROP_MM = (40, 56, 64, 70, 74, 76, 76, 74, 66, 56, 40, 26)
RIB_END_DEG = (66, 68, 70, 70, 70, 68, 64, 52, 44, 32, -5, -35)

VERTEBRA = Profile({-180: -5, -144: -4, -108: -3, -72: -2, -36: -1, 0: 0, 33: 1, 302: 12, 322: 13, 424: 19, 441: 20})
_WIDTH = Profile({-160: 24, 0: 21, 150: 17, 290: 14, 330: 12, 430: 12})
_CANAL_BACK = Profile({-160: 26, 0: 25, 290: 21, 330: 18, 430: 17})


def _relief(z: Field) -> Field:
    """1 at the middle of each vertebra, -1 between two."""
    return torch.cos(2.0 * torch.pi * VERTEBRA(z))


def spine(at: Points) -> Field:
    """Vertebral bodies with arches, transverse and spinous processes, from the atlas to the fifth lumbar."""
    y = at.y - SPINE_Y(at.z)
    width, back, relief = _WIDTH(at.z), _CANAL_BACK(at.z), _relief(at.z)
    neck = torch.sigmoid((at.z - 310.0) / 8.0)
    body = torch.sqrt(at.x**2 + (1.25 * y) ** 2) - width - 1.2 * (0.5 - relief)  # waisted
    arch = torch.maximum(torch.sqrt(at.x**2 + (y + back) ** 2) - 15.0, -(y + back + 10.0) - 4.0)
    transverse = torch.maximum(torch.maximum(at.x.abs() - 30.0 + 6.0 * neck, (y + back - 2.0).abs() - 6.0), -relief * 8.0)
    spinous = torch.maximum(torch.maximum(at.x.abs() - 4.0, (y + back + 11.0).abs() - 14.0 + 3.0 * neck), -relief * 8.0 - 3.0)
    whole = union(body, arch, transverse, spinous)
    return torch.maximum(whole, torch.maximum(SACRUM_TOP_Z - at.z, at.z - ATLAS_TOP_Z))


def disc(at: Points) -> Field:
    """Share of a disc between two vertebrae, 0 to 1."""
    front = torch.sigmoid((at.y - SPINE_Y(at.z) + 14.0) / 2.0)
    return front * torch.sigmoid(12.0 * (-0.72 - _relief(at.z)))


def spinal_canal(at: Points) -> Field:
    """Cord and its sac behind the vertebral bodies."""
    y = at.y - SPINE_Y(at.z)
    tube = torch.sqrt(at.x**2 + (y + _CANAL_BACK(at.z)) ** 2) - 7.5
    return torch.maximum(tube, torch.maximum(SACRUM_TOP_Z - at.z, at.z - ATLAS_TOP_Z))


def ribs(at: Points) -> Field:
    """Twelve pairs of ribs: round the chest wall from the spine, falling toward the front."""
    return _cage()(at)


@cache
def _cage() -> Tube:
    """All ribs as one tube."""
    tubes = []
    for index, (drop, end) in enumerate(zip(RIB_DROP_MM, RIB_END_DEG, strict=True)):
        top = RIB_TOP_Z - RIB_SPACING_MM * index
        share = np.linspace(0.0, 1.0, 16)
        angle = -76.0 + (end + 76.0) * share
        height = top + 4.0 - drop * (3.0 * share**2 - 2.0 * share**3)
        curve = np.array([CAVITY.rim(a, z, outward_mm=6.0) for a, z in zip(angle, height, strict=True)])
        for side in (1.0, -1.0):
            tubes.append(Tube.along(curve * (side, 1.0, 1.0), 5.2))
    return Tube.joined(tubes)


def sternum(at: Points) -> Field:
    """Breastbone on the front of the chest."""
    front = at.y - (CAVITY.middle_y(at.z) + CAVITY.half_depth(at.z) + 7.0)
    plate = torch.maximum(front.abs() - 6.0, at.x.abs() - (12.0 + 12.0 * ((at.z - 205.0) / 45.0).clamp(0.0, 1.0)))
    return torch.maximum(plate, (at.z - 178.0).abs() - 80.0)


def shoulder_girdle(at: Place) -> Field:
    """Shoulder blades on the back of the chest, with spine and acromion, and collar bones."""
    plate = (cavity(at) - 17.0).abs() - 4.0
    inner = 50.0 + 0.10 * (262.0 - at.z).abs()
    outer = 66.0 + 0.55 * (at.z - 150.0)
    outline = torch.maximum(torch.maximum(inner - at.x.abs(), at.x.abs() - outer.clamp(max=128.0)), (at.z - 212.0).abs() - 60.0)
    blades = torch.maximum(torch.maximum(plate, outline), at.y - (CAVITY.middle_y(at.z) - 12.0))
    crests = []
    for s in (1, -1):
        crests.append(Tube.along([(s * 66, -74, 236), (s * 120, -62, 256), (s * 162, -34, 272), (s * 168, -12, 272)], [6, 8, 9, 8]))
        crests.append(Tube.along([(s * 14, 44, 256), (s * 58, 46, 266), (s * 110, 16, 276), (s * 160, -8, 276)], [8, 6, 6, 7]))
        crests.append(Tube.along([(s * 118, -52, 226), (s * 146, -32, 244)], 13))
    return union(blades, Tube.joined(crests)(at))
