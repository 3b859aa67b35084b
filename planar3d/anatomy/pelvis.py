"""Bones of pelvis and thighs of the reference body (`planar3d.anatomy.torso` states the frame)."""

from __future__ import annotations

import torch

from planar3d.anatomy.implicit import Field, Points, Tube, ball, ellipsoid, mirrored, union
from planar3d.anatomy.spine import SACRUM_TOP_Z

__all__ = ["femora", "hip_bones", "sacrum"]

CREST_Z = -106.0
SYMPHYSIS = (0.0, 58.0, -254.0)
HIP_JOINT = (86.0, -2.0, -240.0)


def sacrum(at: Points) -> Field:
    """Sacrum and tail bone, a wedge that narrows and curves backward and down."""
    share = ((SACRUM_TOP_Z - at.z) / 95.0).clamp(0.0, 1.0)
    middle = -54.0 - 34.0 * torch.sin(share * 2.4) + 4.0 * share - 0.006 * at.x**2
    plate = torch.maximum((at.y - middle).abs() - (18.0 - 10.0 * share), at.x.abs() - (48.0 - 37.0 * share))
    return torch.maximum(plate, (at.z - (SACRUM_TOP_Z - 47.0)).abs() - 50.0)


def hip_bones(at: Points) -> Field:
    """Iliac wings, hip sockets, pubic and sitting bones."""
    side = mirrored(at)
    down = ((CREST_Z - at.z) / 118.0).clamp(0.0, 1.0)  # 0 at the crest, 1 at the socket
    # The wing is a plate that leans outward: a slanted line in the axial plane from the sacrum to the front spine.
    wall = 118.0 - 34.0 * down - 0.55 * (15.0 - at.y).clamp(min=0.0) - 0.004 * (at.y - 5.0) ** 2
    plate = (side.x - wall).abs() * 0.86 - (4.8 + 3.0 * down)
    crest = at.z - CREST_Z + 0.0062 * (at.y + 12.0) ** 2
    notch = 42.0 * ((down - 0.55) / 0.45).clamp(0.0, 1.0)  # behind, the wing joins the sacrum; below it the sciatic notch
    extent = torch.maximum(torch.maximum(at.y - (54.0 - 26.0 * down), -72.0 + notch - at.y), -(at.z + 232.0))
    wing = torch.maximum(torch.maximum(plate, crest), extent)
    socket = torch.maximum(ball(side, HIP_JOINT, 33.0), side.x - HIP_JOINT[0] - 12.0)
    struts = Tube.joined(
        [
            Tube.along([(76, 20, -230), (45, 48, -234), (8, SYMPHYSIS[1], SYMPHYSIS[2] + 4)], (11.0, 8.5, 10.0)),
            Tube.along([(80, -24, -246), (68, -36, -274), (54, -26, -298)], (15.0, 15.0, 12.0)),
            Tube.along([(8, SYMPHYSIS[1], SYMPHYSIS[2] - 8), (30, 26, -284), (54, -26, -298)], 8.0),
        ]
    )
    return union(wing, socket, struts(side))


def femora(at: Points) -> Field:
    """Heads, necks and shafts of the thigh bones."""
    side = mirrored(at)
    neck = Tube.along([HIP_JOINT, (116, -6, -256), (136, -10, -270)], (15.0, 15.0, 19.0))
    shaft = Tube.along([(136, -10, -266), (131, -4, -310), (118, 2, -400), (96, 2, -540)], (17.0, 15.0, 14.0, 15.0))
    return union(ball(side, HIP_JOINT, 23.5), neck(side), shaft(side), ellipsoid(side, (142, -14, -256), (15, 18, 20)))
