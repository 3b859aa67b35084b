"""Organs of the reference torso (`planar3d.anatomy.torso` states the frame), placed for one habitus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from planar3d.anatomy.habitus import Habitus
from planar3d.anatomy.implicit import Field, Number, Points, Tube, ball, ellipsoid, union
from planar3d.anatomy.torso import SPINE_Y

__all__ = [
    "aorta_and_veins", "bladder", "colon", "duodenum", "erectors", "gallbladder", "gas", "gullet", "heart", "kidney", "liver",
    "mediastinum", "pancreas", "prostate", "psoas", "small_bowel", "spleen", "stomach", "suprarenal", "windpipe",
]  # fmt: skip

BOWEL_ROWS = 5
BOWEL_LAYERS = 3


def moved(at: Points, habitus: Habitus, organ: str, about: Sequence[Number]) -> Points:
    """Places seen from an organ that is shifted and turned about a point."""
    shift, turn = habitus.shifts_mm.get(organ, (0.0,) * 3), habitus.turns_deg.get(organ, (0.0,) * 3)
    rx, ry, rz = (float(np.deg2rad(t)) for t in turn)
    x, y, z = at.x - about[0] - shift[0], at.y - about[1] - shift[1], at.z - about[2] - shift[2]
    # Small turns: first order is enough, and keeps volumes to a percent.
    return Points(x=x + rz * y - ry * z + about[0], y=y - rz * x + rx * z + about[1], z=z + ry * x - rx * y + about[2])


def liver(at: Points, habitus: Habitus) -> Field:
    """Depth below the liver's lower surface, a slanted and hollowed face; it is cut to size from below.

    The wall of the trunk and the diaphragm bound it elsewhere.
    """
    p = moved(at, habitus, "liver", (50.0, 10.0, 0.0))
    slant = -0.50 * p.x - 0.22 * p.y - 0.84 * p.z
    hollow = 14.0 * torch.exp(-(((p.x - 15.0) / 45.0) ** 2) - ((p.y + 25.0) / 50.0) ** 2)
    tip = (-28.0 - p.x).clamp(min=0.0) + 2.0 * (-55.0 - p.x).clamp(min=0.0)  # the left lobe ends short of the spleen
    return slant + hollow + 1.2 * tip


def spleen(at: Points, habitus: Habitus) -> Field:
    """A flattened bean against the left back ribs, its hollow side toward the stomach."""
    p = moved(at, habitus, "spleen", (-88.0, -42.0, 4.0))
    bean = ellipsoid(p, (-86.0, -36.0, 8.0), (26.0, 42.0, 54.0), turn_deg=(24.0, 10.0, 26.0))
    return torch.maximum(bean, -ball(p, (-38.0, 6.0, 0.0), 28.0))


def kidney(at: Points, habitus: Habitus, organ: str) -> Field:
    """A bean beside the spine, upper pole inward and backward, hollowed at the hilum."""
    side = 1.0 if organ == "kidney_right" else -1.0
    centre = (side * 60.0, -46.0, -48.0 if side > 0 else -42.0)
    p = moved(at, habitus, organ, centre)
    bean = ellipsoid(p, centre, (27.0, 22.5, 54.0), turn_deg=(20.0, side * -14.0, side * -25.0), power=2.2)
    hilum = ball(p, (centre[0] - side * 29.0, centre[1] + 12.0, centre[2]), 16.0)
    return torch.maximum(bean, -hilum)


def suprarenal(at: Points, habitus: Habitus, organ: str) -> Field:
    """Adrenal gland, a small wedge over the kidney's upper pole."""
    side = 1.0 if organ == "adrenal_right" else -1.0
    shift = habitus.shifts_mm["kidney_right" if side > 0 else "kidney_left"]
    centre = (side * 36.0 + shift[0], -42.0 + shift[1], (12.0 if side > 0 else 16.0) + shift[2])
    return ellipsoid(at, centre, (7.0, 11.0, 14.0), turn_deg=(0.0, side * 15.0, side * -30.0))


def heart(at: Points, habitus: Habitus) -> Field:
    """An egg on the diaphragm, apex to the left, front and below."""
    p = moved(at, habitus, "heart", (-18.0, 28.0, 78.0))
    chambers = ellipsoid(p, (-22.0, 30.0, 74.0), (64.0, 45.0, 44.0), turn_deg=(0.0, -28.0, -32.0), power=2.1)
    base = ellipsoid(p, (10.0, 14.0, 96.0), (36.0, 34.0, 40.0))
    return union(chambers, base)


def aorta_and_veins(at: Points) -> Field:
    """Aorta to the groin, both caval veins, iliac veins and pulmonary arteries."""
    front = [(z, SPINE_Y.at(z)) for z in (120.0, 80.0, 40.0, 0.0, -40.0, -80.0, -112.0)]
    arch = [(6, 16, 112), (14, 14, 140), (8, -2, 160), (-10, -28, 158), (-20, -44, 140)]
    descending = [(-20 + 2.4 * i, y + 25, z) for i, (z, y) in enumerate(front)]
    cava = [(20, SPINE_Y.at(z) + 27, z) for z in (-114.0, -80.0, -40.0, -5.0)]
    arteries = [
        Tube.along([*arch, *descending], [14, 14, 13, 12, 11.5, 11, 11, 10.5, 10, 9.5, 9, 8.5]),
        *[
            Tube.along([(-4, -8, -112), (s * 30, -14, -150), (s * 54, 12, -190), (s * 66, 48, -228), (s * 72, 52, -280)], 6.0)
            for s in (1, -1)
        ],
    ]
    veins = [
        Tube.along([*cava, (24, -8, 30), (22, 4, 62)], 11.0),
        Tube.along([(24, 4, 110), (27, 2, 150), (24, 6, 186)], 9.5),
        *[
            Tube.along([(18, -10, -114), (s * 34 + 4, -20, -150), (s * 48, 4, -190), (s * 58, 44, -228), (s * 62, 48, -280)], 7.0)
            for s in (1, -1)
        ],
    ]
    lungs = [Tube.along([(-6, 34, 104), (-4, 14, 126), (s * 30 - 2, -8, 124), (s * 52, -18, 112)], [13, 12, 10, 6]) for s in (1, -1)]
    return Tube.joined([*arteries, *veins, *lungs])(at)


def windpipe(at: Points) -> Field:
    """Trachea and main bronchi."""
    stem = Tube.along([(0, -12, 260), (0, -14, 200), (2, -16, 158)], 8.5)
    bronchi = [Tube.along([(2, -16, 158), (s * 22 + 2, -20, 140), (s * 40, -22, 126)], 6.5) for s in (1, -1)]
    return Tube.joined([stem, *bronchi])(at)


def gullet(at: Points) -> Field:
    """Esophagus from the neck to the stomach."""
    return Tube.along([(-3, -26, 260), (-4, -32, 190), (-2, -34, 120), (-8, -26, 60), (-26, -8, 24)], 7.0)(at)


def mediastinum(at: Points) -> Field:
    """What lies between the lungs beside heart and vessels."""
    width = 15.0 + 15.0 * torch.exp(-(((at.z - 110.0) / 60.0) ** 2)) + 0.1 * (at.y - 20.0).clamp(min=0.0)
    return (at.x + 5.0).abs() - width


def stomach(at: Points, habitus: Habitus) -> Field:
    """A J under the left dome: fundus, body, antrum, and the pylorus right of the midline."""
    p = moved(at, habitus, "stomach", (-50.0, 15.0, -10.0))
    knots = [(-58, -12, 10), (-62, 6, -6), (-60, 30, -32), (-42, 46, -54), (-12, 50, -58), (16, 42, -46)]
    return Tube.along(knots, [32, 33, 29, 24, 20, 13])(p, reach_mm=30.0)


def pancreas(at: Points, habitus: Habitus) -> Field:
    """Head in the loop of the duodenum, body across the spine, tail toward the spleen."""
    p = moved(at, habitus, "pancreas", (-10.0, 5.0, -30.0))
    return Tube.along([(30, 12, -62), (26, 14, -46), (4, 18, -32), (-24, 8, -26), (-48, -12, -18), (-68, -28, -8)], [13, 13, 9, 9.5, 9, 7])(
        p
    )


def duodenum(at: Points, habitus: Habitus) -> Field:
    """A C from the pylorus round the head of the pancreas, back across the spine."""
    p = moved(at, habitus, "pancreas", (-10.0, 5.0, -30.0))
    return Tube.along([(20, 40, -44), (46, 24, -44), (52, 4, -62), (48, -2, -86), (22, 2, -98), (-10, 6, -92), (-28, 10, -78)], 11.0)(p)


def gallbladder(at: Points, habitus: Habitus) -> Field:
    """A pear under the right lobe."""
    p = moved(at, habitus, "gallbladder", (52.0, 44.0, -50.0))
    return ellipsoid(p, (52.0, 44.0, -50.0), (13.0, 26.0, 15.0), turn_deg=(-35.0, 0.0, 0.0))


def colon(at: Points, habitus: Habitus) -> Field:
    """Caecum, ascending, transverse, descending and sigmoid colon, and rectum."""
    p = moved(at, habitus, "colon", (0.0, 0.0, -100.0))
    sag = 9.0 * float(habitus.bowel[-1].clamp(-2.0, 2.0))
    knots = [
        (76, 24, -166), (84, 18, -140), (88, 8, -110), (84, 16, -82), (60, 58, -84 + 0.3 * sag), (30, 74, -94 + 0.8 * sag),
        (-5, 77, -98 + sag), (-40, 72, -86 + 0.7 * sag), (-72, 44, -58), (-88, 4, -38), (-94, -18, -66), (-93, -14, -110), (-86, 4, -146),
        (-62, 20, -172), (-28, 8, -164), (4, -18, -168), (6, -48, -190), (0, -54, -214), (0, -42, -240), (0, -40, -275),
    ]  # fmt: skip
    return Tube.along(knots, [24, 23, 20, 18, 17, 17, 17, 16, 15, 15, 14, 14, 14, 14, 14, 14, 16, 18, 15, 12])(p, reach_mm=30.0)


def small_bowel(at: Points, habitus: Habitus) -> Field:
    """Coils that fill the abdomen's middle: rows laid to and fro in layers, each bend displaced at random."""
    p = moved(at, habitus, "small_bowel", (0.0, 30.0, -125.0))
    jitter = iter(habitus.bowel.tolist())
    knots = []
    for layer in range(BOWEL_LAYERS):
        rows = range(BOWEL_ROWS) if layer % 2 == 0 else reversed(range(BOWEL_ROWS))
        for row in rows:
            height = -80.0 - 23.0 * row
            reach = 74.0 - 5.0 * row
            stops = np.linspace(-reach, reach, 5) * (1.0 if (row + layer) % 2 == 0 else -1.0)
            knots += [(x + 5 * next(jitter), 6.0 + 27.0 * layer + 7 * next(jitter), height + 8 * next(jitter)) for x in stops]
    return Tube.along(knots, 11.0)(p, reach_mm=15.0)


def bladder(at: Points, habitus: Habitus) -> Field:
    """Behind the pubic symphysis; it rises as it fills."""
    radius = (habitus.volumes_ml["urinary_bladder"] * 750.0 / np.pi) ** (1.0 / 3.0)
    base = -214.0 if habitus.is_male else -236.0
    return ellipsoid(at, (0.0, 26.0, base + 0.9 * radius), (1.15 * radius, 0.95 * radius, 0.92 * radius))


def prostate(at: Points) -> Field:
    """Under the bladder."""
    return ellipsoid(at, (0.0, 18.0, -230.0), (22.0, 16.0, 17.0))


def erectors(at: Points) -> Field:
    """Muscles in the grooves beside the spinous processes."""
    heights = (250.0, 180.0, 100.0, 40.0, -20.0, -80.0, -130.0, -170.0)
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
    course = [(24, -48, -10), (36, -42, -60), (44, -36, -110), (60, -10, -165), (82, 22, -215), (100, 10, -250)]
    return Tube.joined([Tube.along([(s * x, y, z) for x, y, z in course], radii) for s in (1, -1)])(at)
