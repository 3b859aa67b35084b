"""Bones of the reference torso (`planar3d.anatomy.torso` states the frame)."""

from __future__ import annotations

import numpy as np
import torch

from planar3d.anatomy.implicit import Field, Points, Tube, ball, ellipsoid, union
from planar3d.anatomy.torso import CAVITY, SPINE_Y

__all__ = ["disc", "femora", "hip_bones", "ribs", "sacrum", "shoulder_girdle", "spinal_canal", "spine", "sternum"]

RIB_COUNT = 12
RIB_TOP_Z = 212.0
RIB_SPACING_MM = 20.5
RIB_DROP_MM = (18, 36, 50, 60, 68, 74, 78, 76, 70, 58, 40, 26)
RIB_END_DEG = (66, 68, 70, 70, 70, 68, 64, 52, 44, 32, -5, -35)
VERTEBRA_MM = 26.0
SACRUM_TOP_Z = -160.0
SYMPHYSIS = (0.0, 58.0, -226.0)
HIP_JOINT = (86.0, -2.0, -220.0)


def spine(at: Points) -> Field:
    """Vertebral bodies with arches, transverse and spinous processes, from the neck to the fifth lumbar."""
    y = at.y - SPINE_Y(at.z)
    width = 15.0 + 9.0 * ((150.0 - at.z) / 300.0).clamp(0.0, 1.0)  # vertebrae widen downward
    body = torch.sqrt(at.x**2 + (1.25 * y) ** 2) - width
    level = torch.cos(at.z * (2.0 * np.pi / VERTEBRA_MM))
    arch = torch.maximum(torch.sqrt(at.x**2 + (y + 24.0) ** 2) - 15.0, -(y + 34.0) - 4.0)
    transverse = torch.maximum(torch.maximum(at.x.abs() - 30.0, (y + 22.0).abs() - 6.0), -level * 8.0)
    spinous = torch.maximum(torch.maximum(at.x.abs() - 4.5, (y + 36.0).abs() - 16.0), -level * 8.0 - 3.0)
    return torch.maximum(union(body, arch, transverse, spinous), SACRUM_TOP_Z - at.z)


def disc(at: Points) -> Field:
    """Share of a disc between two vertebrae, 0 to 1."""
    front = torch.sigmoid((at.y - SPINE_Y(at.z) + 14.0) / 2.0)
    return front * torch.sigmoid(12.0 * (-0.72 - torch.cos(at.z * (2.0 * np.pi / VERTEBRA_MM))))


def spinal_canal(at: Points) -> Field:
    """Cord and its sac behind the vertebral bodies."""
    y = at.y - SPINE_Y(at.z)
    return torch.maximum(torch.sqrt(at.x**2 + (y + 25.0) ** 2) - 7.5, SACRUM_TOP_Z - at.z)


def ribs(at: Points) -> Field:
    """Twelve pairs of ribs: round the chest wall from the spine, falling toward the front."""
    tubes = []
    for index, (drop, end) in enumerate(zip(RIB_DROP_MM, RIB_END_DEG, strict=True)):
        top = RIB_TOP_Z - RIB_SPACING_MM * index
        share = np.linspace(0.0, 1.0, 16)
        angle = -76.0 + (end + 76.0) * share
        height = top + 6.0 - drop * (3.0 * share**2 - 2.0 * share**3)
        curve = np.array([CAVITY.rim(a, z, outward_mm=6.5) for a, z in zip(angle, height, strict=True)])
        for side in (1.0, -1.0):
            tubes.append(Tube.along(curve * (side, 1.0, 1.0), 4.9))
    return Tube.joined(tubes)(at)


def sternum(at: Points) -> Field:
    """Breastbone on the front of the chest."""
    front = at.y - (CAVITY.middle_y(at.z) + CAVITY.half_depth(at.z) + 7.0)
    plate = torch.maximum(front.abs() - 6.0, at.x.abs() - (11.0 + 8.0 * ((at.z - 130.0) / 60.0).clamp(0.0, 1.0)))
    return torch.maximum(plate, (at.z - 130.0).abs() - 66.0)


def shoulder_girdle(at: Points) -> Field:
    """Shoulder blades on the back of the chest, and collar bones."""
    plate = (CAVITY(at) - 17.0).abs() - 4.0
    inner = 48.0 + 0.12 * (205.0 - at.z).abs()
    outline = torch.maximum(torch.maximum(inner - at.x.abs(), at.x.abs() - (62.0 + 0.42 * (at.z - 95.0))), (at.z - 155.0).abs() - 56.0)
    blades = torch.maximum(torch.maximum(plate, outline), at.y - (CAVITY.middle_y(at.z) - 12.0))
    collar = Tube.joined([Tube.along([(s * 16, 40, 200), (s * 60, 42, 212), (s * 105, 12, 224), (s * 140, -8, 228)], 6.0) for s in (1, -1)])
    return union(blades, collar(at))


def sacrum(at: Points) -> Field:
    """Sacrum and tail bone, a wedge that narrows and curves backward and down."""
    share = ((SACRUM_TOP_Z - at.z) / 75.0).clamp(0.0, 1.0)
    middle = -54.0 - 34.0 * torch.sin(share * 2.4) + 4.0 * share - 0.006 * at.x**2
    plate = torch.maximum((at.y - middle).abs() - (18.0 - 10.0 * share), at.x.abs() - (46.0 - 34.0 * share))
    return torch.maximum(plate, (at.z - (SACRUM_TOP_Z - 37.0)).abs() - 40.0)


def hip_bones(at: Points) -> Field:
    """Iliac wings, hip sockets, pubic and sitting bones."""
    side = Points(x=at.x.abs(), y=at.y, z=at.z)
    down = ((-105.0 - at.z) / 100.0).clamp(0.0, 1.0)  # 0 at the crest, 1 at the socket
    # The wing is a plate that leans outward: a slanted line in the axial plane from the sacrum to the front spine.
    wall = 118.0 - 34.0 * down - 0.55 * (15.0 - at.y).clamp(min=0.0) - 0.004 * (at.y - 5.0) ** 2
    plate = (side.x - wall).abs() * 0.86 - (4.8 + 3.0 * down)
    crest = at.z + 104.0 + 0.0062 * (at.y + 12.0) ** 2
    notch = 42.0 * ((down - 0.55) / 0.45).clamp(0.0, 1.0)  # behind, the wing joins the sacrum; below it the sciatic notch
    extent = torch.maximum(torch.maximum(at.y - (54.0 - 26.0 * down), -72.0 + notch - at.y), -(at.z + 212.0))
    wing = torch.maximum(torch.maximum(plate, crest), extent)
    socket = torch.maximum(ball(side, HIP_JOINT, 33.0), side.x - HIP_JOINT[0] - 12.0)
    struts = Tube.joined(
        [
            Tube.along([(76, 20, -212), (45, 48, -212), (8, SYMPHYSIS[1], SYMPHYSIS[2])], (11.0, 8.5, 10.0)),
            Tube.along([(80, -24, -222), (66, -36, -245), (52, -26, -262)], (15.0, 15.0, 11.0)),
            Tube.along([(8, SYMPHYSIS[1], SYMPHYSIS[2]), (30, 25, -250), (52, -26, -262)], 8.0),
        ]
    )
    return union(wing, socket, struts(side))


def femora(at: Points) -> Field:
    """Heads, necks and upper shafts of the thigh bones."""
    side = Points(x=at.x.abs(), y=at.y, z=at.z)
    neck = Tube.along([HIP_JOINT, (116, -6, -236), (136, -10, -250)], (15.0, 15.0, 19.0))
    shaft = Tube.along([(136, -10, -246), (130, -4, -285), (122, 0, -330)], 15.0)
    return union(ball(side, HIP_JOINT, 23.5), neck(side), shaft(side), ellipsoid(side, (142, -14, -236), (15, 18, 20)))
