"""Organs of the reference body (`planar3d.anatomy.torso` states the frame), placed for one habitus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from planar3d.anatomy.habitus import Habitus
from planar3d.anatomy.implicit import Field, Number, Points, Tube, ball, ellipsoid, union
from planar3d.anatomy.torso import SPINE_Y

__all__ = [
    "bladder", "colon", "duodenum", "erectors", "gallbladder", "gas", "heart", "kidney", "liver", "mediastinum", "pancreas", "prostate",
    "psoas", "small_bowel", "spleen", "stomach", "suprarenal", "uterus",
]  # fmt: skip

_SHAPE_ML = {"spleen": 190.0, "kidney_left": 125.0, "kidney_right": 125.0, "heart": 680.0, "gallbladder": 46.0}
"""Volume of the shapes below, of those that grow as a whole."""
BOWEL_ROWS = 5
BOWEL_LAYERS = 3


def moved(at: Points, habitus: Habitus, organ: str, about: Sequence[Number]) -> Points:
    """Places seen from an organ that is shifted, turned and grown about a point."""
    shift, turn = habitus.shifts_mm.get(organ, (0.0,) * 3), habitus.turns_deg.get(organ, (0.0,) * 3)
    rx, ry, rz = (float(np.deg2rad(t)) for t in turn)
    x, y, z = at.x - about[0] - shift[0], at.y - about[1] - shift[1], at.z - about[2] - shift[2]
    # Small turns: first order is enough, and keeps volumes to a percent.
    x, y, z = x + rz * y - ry * z, y - rz * x + rx * z, z + ry * x - rx * y
    growth = _growth(habitus, organ)
    return Points(x=x / growth + about[0], y=y / growth + about[1], z=z / growth + about[2])


def _growth(habitus: Habitus, organ: str) -> float:
    """Size of an organ against its reference shape; the level of its wall does the rest."""
    if organ not in _SHAPE_ML or organ not in habitus.volumes_ml:
        return 1.0
    size = habitus.scale[0] * habitus.scale[1] * habitus.scale[2]
    return min(1.5, max(0.65, (habitus.volumes_ml[organ] / (size * _SHAPE_ML[organ])) ** (1.0 / 3.0)))


def liver(at: Points, habitus: Habitus) -> Field:
    """Depth below the liver's lower surface, a slanted and hollowed face; it is cut to size from below.

    The wall of the trunk and the diaphragm bound it elsewhere.
    """
    p = moved(at, habitus, "liver", (50.0, 10.0, 24.0))
    slant = -0.50 * p.x - 0.22 * p.y - 0.84 * p.z
    hollow = 14.0 * torch.exp(-(((p.x - 15.0) / 45.0) ** 2) - ((p.y + 25.0) / 50.0) ** 2)
    tip = (-28.0 - p.x).clamp(min=0.0) + 2.0 * (-55.0 - p.x).clamp(min=0.0)  # the left lobe ends short of the spleen
    return slant + hollow + 1.2 * tip


def spleen(at: Points, habitus: Habitus) -> Field:
    """A flattened bean against the left back ribs, its hollow side toward the stomach."""
    p = moved(at, habitus, "spleen", (-86.0, -36.0, 34.0))
    bean = ellipsoid(p, (-86.0, -36.0, 34.0), (26.0, 42.0, 52.0), turn_deg=(24.0, 10.0, 26.0))
    return torch.maximum(bean, -ball(p, (-38.0, 6.0, 26.0), 28.0))


def kidney(at: Points, habitus: Habitus, organ: str) -> Field:
    """A bean beside the spine, upper pole inward and backward, hollowed at the hilum."""
    side = 1.0 if organ == "kidney_right" else -1.0
    centre = (side * 60.0, -46.0, -30.0 if side > 0 else -20.0)
    p = moved(at, habitus, organ, centre)
    bean = ellipsoid(p, centre, (27.0, 22.5, 52.0), turn_deg=(20.0, side * -14.0, side * -25.0), power=2.2)
    hilum = ball(p, (centre[0] - side * 29.0, centre[1] + 12.0, centre[2]), 16.0)
    return torch.maximum(bean, -hilum)


def suprarenal(at: Points, habitus: Habitus, organ: str) -> Field:
    """Adrenal gland, a small wedge over the kidney's upper pole."""
    side = 1.0 if organ == "adrenal_right" else -1.0
    shift = habitus.shifts_mm["kidney_right" if side > 0 else "kidney_left"]
    centre = (side * 37.0 + shift[0], -46.0 + shift[1], (32.0 if side > 0 else 38.0) + shift[2])
    return ellipsoid(at, centre, (7.0, 11.0, 14.0), turn_deg=(0.0, side * 15.0, side * -30.0))


def heart(at: Points, habitus: Habitus) -> Field:
    """An egg on the diaphragm, apex to the left, front and below."""
    p = moved(at, habitus, "heart", (-20.0, 26.0, 136.0))
    chambers = ellipsoid(p, (-26.0, 30.0, 129.0), (66.0, 46.0, 46.0), turn_deg=(0.0, -30.0, -32.0), power=2.1)
    base = ellipsoid(p, (8.0, 14.0, 156.0), (38.0, 36.0, 42.0))
    return union(chambers, base)


def mediastinum(at: Points) -> Field:
    """What lies between the lungs beside heart and vessels."""
    width = 20.0 + 15.0 * torch.exp(-(((at.z - 165.0) / 60.0) ** 2)) + 0.1 * (at.y - 20.0).clamp(min=0.0)
    return (at.x + 5.0).abs() - width


def stomach(at: Points, habitus: Habitus) -> Field:
    """A J under the left dome: fundus, body, antrum, and the pylorus right of the midline."""
    p = moved(at, habitus, "stomach", (-50.0, 15.0, 16.0))
    knots = [(-56, -14, 50), (-62, 4, 32), (-60, 30, 4), (-44, 46, -24), (-14, 50, -34), (16, 42, -24)]
    return Tube.along(knots, [32, 33, 29, 24, 20, 13])(p, reach_mm=30.0)


def pancreas(at: Points, habitus: Habitus) -> Field:
    """Head in the loop of the duodenum, body across the spine, tail toward the spleen."""
    p = moved(at, habitus, "pancreas", (-10.0, 5.0, -20.0))
    knots = [(30, 10, -56), (27, 13, -36), (4, 18, -18), (-24, 8, -8), (-48, -12, 6), (-66, -26, 20)]
    return Tube.along(knots, [14, 15, 11, 11.5, 11, 8.5])(p)


def duodenum(at: Points, habitus: Habitus) -> Field:
    """A C from the pylorus round the head of the pancreas, back across the spine."""
    p = moved(at, habitus, "pancreas", (-10.0, 5.0, -20.0))
    return Tube.along([(20, 40, -24), (46, 24, -26), (53, 4, -46), (48, -2, -76), (22, 2, -90), (-10, 6, -84), (-28, 10, -68)], 11.0)(p)


def gallbladder(at: Points, habitus: Habitus) -> Field:
    """A pear under the right lobe."""
    p = moved(at, habitus, "gallbladder", (52.0, 44.0, -28.0))
    return ellipsoid(p, (52.0, 44.0, -28.0), (17.0, 34.0, 19.0), turn_deg=(-35.0, 0.0, 0.0))


def colon(at: Points, habitus: Habitus) -> Field:
    """Caecum, ascending, transverse, descending and sigmoid colon, and rectum."""
    p = moved(at, habitus, "colon", (0.0, 0.0, -100.0))
    sag = 9.0 * float(habitus.bowel[-1].clamp(-2.0, 2.0))
    knots = [
        (76, 24, -176), (84, 18, -146), (88, 8, -112), (84, 14, -74), (60, 58, -74 + 0.3 * sag), (30, 74, -88 + 0.8 * sag),
        (-5, 77, -94 + sag), (-40, 72, -78 + 0.7 * sag), (-72, 44, -36), (-88, 2, -8), (-94, -18, -50), (-93, -14, -108), (-86, 4, -154),
        (-62, 20, -184), (-28, 8, -178), (4, -18, -182), (6, -50, -206), (0, -58, -234), (0, -46, -264), (0, -42, -300),
    ]  # fmt: skip
    return Tube.along(knots, [25, 24, 21, 19, 18, 18, 18, 17, 16, 16, 15, 15, 15, 15, 15, 15, 17, 19, 16, 12])(p, reach_mm=30.0)


def small_bowel(at: Points, habitus: Habitus) -> Field:
    """Coils that fill the abdomen's middle: rows laid to and fro in layers, each bend displaced at random."""
    p = moved(at, habitus, "small_bowel", (0.0, 30.0, -125.0))
    jitter = iter(habitus.bowel.tolist())
    knots = []
    for layer in range(BOWEL_LAYERS):
        rows = range(BOWEL_ROWS) if layer % 2 == 0 else reversed(range(BOWEL_ROWS))
        for row in rows:
            height = -76.0 - 26.0 * row
            reach = 74.0 - 5.0 * row
            stops = np.linspace(-reach, reach, 5) * (1.0 if (row + layer) % 2 == 0 else -1.0)
            knots += [(x + 5 * next(jitter), 6.0 + 27.0 * layer + 7 * next(jitter), height + 8 * next(jitter)) for x in stops]
    return Tube.along(knots, 11.0)(p, reach_mm=26.0)


def bladder(at: Points, habitus: Habitus) -> Field:
    """Behind the pubic symphysis; it rises as it fills."""
    radius = (habitus.volumes_ml["urinary_bladder"] * 750.0 / np.pi) ** (1.0 / 3.0)
    base = -238.0 if habitus.is_male else -254.0
    return ellipsoid(at, (0.0, 26.0, base + 0.9 * radius), (1.15 * radius, 0.95 * radius, 0.92 * radius))


def prostate(at: Points) -> Field:
    """Under the bladder."""
    return ellipsoid(at, (0.0, 18.0, -250.0), (21.0, 15.0, 16.0))


def uterus(at: Points, habitus: Habitus) -> Field:
    """Between bladder and rectum, bent forward over the bladder, which lifts it as it fills."""
    radius = (habitus.volumes_ml["urinary_bladder"] * 750.0 / np.pi) ** (1.0 / 3.0)
    rise = 0.5 * radius
    body = ellipsoid(at, (0.0, -4.0, -212.0 + rise), (25.0, 30.0, 20.0), turn_deg=(20.0, 0.0, 0.0))
    neck = Tube.along([(0, -16, -214 + rise), (0, -22, -244 + 0.4 * rise), (0, -20, -262)], [14, 12, 9])(at)
    return union(body, neck)


def erectors(at: Points) -> Field:
    """Muscles in the grooves beside the spinous processes."""
    heights = (330.0, 260.0, 160.0, 70.0, -15.0, -80.0, -135.0, -175.0)
    pair = [
        Tube.along([(s * r * 1.25, SPINE_Y.at(z) - 31.0 - 0.25 * r, z) for r, z in zip(radii, heights, strict=True)], radii)
        for s in (1, -1)
        for radii in [(14.0, 14.0, 15.0, 17.0, 21.0, 23.0, 22.0, 14.0)]
    ]
    return Tube.joined(pair)(at)


def gas(at: Points, habitus: Habitus) -> Field:
    """Share of gas in the bowel's content, 0 to 1: pockets between stretches of stool."""
    a, b, c = (3.0 * float(v) for v in habitus.bowel[-4:-1])
    pattern = torch.sin(at.x / 15.0 + a) * torch.sin(at.y / 14.0 + b) + torch.sin(at.z / 17.0 + c) + 0.012 * at.y
    return torch.sigmoid(8.0 * (pattern - 1.15))


def psoas(at: Points) -> Field:
    """Muscles beside the lumbar spine, down to the groin."""
    radii = [9, 16, 20, 20, 18, 15]
    course = [(26, -50, 6), (36, -42, -50), (44, -36, -108), (60, -10, -168), (82, 22, -230), (100, 8, -272)]
    return Tube.joined([Tube.along([(s * x, y, z) for x, y, z in course], radii) for s in (1, -1)])(at)
