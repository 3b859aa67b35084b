"""Great vessels and airways of the reference body (`planar3d.anatomy.torso` states the frame)."""

from __future__ import annotations

from functools import cache

from planar3d.anatomy.implicit import Field, Points, Tube
from planar3d.anatomy.torso import SPINE_Y

__all__ = ["gullet", "vessels", "windpipe"]


def vessels(at: Points) -> Field:
    """Aorta and its branches to neck and thigh, both caval veins, iliac veins and pulmonary arteries."""
    return _tree()(at)


@cache
def _tree() -> Tube:
    """All vessels as one tube."""
    front = [(z, SPINE_Y.at(z)) for z in (160.0, 110.0, 60.0, 10.0, -40.0, -80.0, -112.0)]
    arch = [(6, 18, 172), (14, 14, 202), (8, -2, 222), (-10, -28, 222), (-20, -42, 204)]
    descending = [(-20 + 2.4 * i, y + 26, z) for i, (z, y) in enumerate(front)]
    cava = [(20, SPINE_Y.at(z) + 28, z) for z in (-114.0, -80.0, -40.0, 10.0)]
    tubes = [
        Tube.along([*arch, *descending], [15, 14, 13, 12.5, 12, 11.5, 11, 11, 10.5, 9.5, 9, 8.5]),
        Tube.along([*cava, (24, -10, 66), (22, 2, 110)], 11.0),
        Tube.along([(24, 4, 166), (27, 2, 212), (24, 8, 246)], 9.5),
    ]
    for s in (1, -1):
        groin = [(s * 30, -14, -154), (s * 54, 12, -205), (s * 66, 46, -246), (s * 74, 44, -330), (s * 70, 20, -480)]
        tubes += [
            Tube.along([(-4, -8, -112), *groin], 6),
            Tube.along([(18, -10, -114), (s * 34 + 4, -20, -154), *((x - s * 7, y - 5, z) for x, y, z in groin[1:])], 7),
            Tube.along([(-6, 34, 164), (-4, 14, 186), (s * 30 - 2, -8, 182), (s * 52, -18, 168)], [13, 12, 10, 6]),
            Tube.along([(s * 4 - 2, 4, 226), (s * 14, 0, 264), (s * 26, 0, 300), (s * 27, 2, 370), (s * 28, 4, 420)], [6, 5, 4.5, 4, 3.5]),
            Tube.along([(s * 20 + 3, 10, 244), (s * 30, 8, 270), (s * 33, 4, 320), (s * 34, -4, 420)], [8, 6.5, 6, 5]),
        ]
    return Tube.joined(tubes)


def windpipe(at: Points) -> Field:
    """Trachea and main bronchi."""
    stem = Tube.along([(0, 4, 304), (0, -8, 262), (2, -14, 212)], 8.5)
    bronchi = [Tube.along([(2, -14, 212), (s * 22 + 2, -20, 194), (s * 40, -22, 178)], 6.5) for s in (1, -1)]
    return Tube.joined([stem, *bronchi])(at)


def gullet(at: Points) -> Field:
    """Esophagus from the throat to the stomach."""
    return Tube.along([(-2, -10, 306), (-3, -24, 262), (-4, -34, 225), (-2, -36, 160), (-8, -26, 100), (-26, -8, 68)], 7.0)(at)
