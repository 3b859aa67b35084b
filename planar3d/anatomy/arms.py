"""Arms of the reference body, beside the trunk or raised above the head (`planar3d.anatomy.torso` states the frame)."""

from __future__ import annotations

import numpy as np

from planar3d.anatomy.habitus import Habitus
from planar3d.anatomy.implicit import Field, Number, Points, Tube, mirrored, smooth_union, union
from planar3d.anatomy.torso import LEAN_TRUNK

__all__ = ["arm_bones", "arms", "neighbourhood"]

Knots = list[tuple[Number, Number, Number]]

GAP_MM = 4.0
_FAT_BETWEEN = 1.4  # of the thickness at the belly, between a flank and the arm beside it
_DOWN: Knots = [
    (170, -14, 250), (180, -16, 215), (202, -18, 90), (216, -18, -60), (220, 0, -180), (221, 12, -300), (217, 20, -385), (211, 26, -455)
]  # fmt: skip
_UP: Knots = [
    (168, -12, 266), (176, -10, 300), (200, -4, 400), (220, 4, 510), (160, 12, 562), (96, 22, 602), (30, 28, 613), (-30, 32, 613)
]  # fmt: skip
_RADII = (44.0, 41.0, 38.0, 33.0, 35.0, 23.0, 25.0, 13.0)
"""Shoulder, upper arm, its middle, elbow, forearm, wrist, hand, fingers, for each pose [mm]."""


def _knots(habitus: Habitus) -> Knots:
    """Course of the right arm, pushed out by a broad trunk."""
    if habitus.arms_up:
        return _UP
    fat_mm = habitus.fat_mm * 2.0 / (habitus.scale[0] + habitus.scale[1])
    beside = zip(_DOWN[2:6], _RADII[2:6], strict=True)
    room_mm = [x - GAP_MM - _girth(habitus) * radius - LEAN_TRUNK.half_width.at(z) - _FAT_BETWEEN * fat_mm for (x, _, z), radius in beside]
    out_mm = habitus.arm_spread_mm + max(0.0, -min(room_mm))
    return [(x + min(max((200.0 - z) / 150.0, 0.0), 1.0) * out_mm, y, z) for x, y, z in _DOWN]


def _girth(habitus: Habitus) -> float:
    """Thickness of the arms against a man's."""
    return 1.0 if habitus.is_male else 0.88


def arms(at: Points, habitus: Habitus) -> Field:
    """Muscles of both arms, shoulder to fingers."""
    side = mirrored(at)
    knots = _knots(habitus)
    limb = Tube.along(knots, [_girth(habitus) * r for r in _RADII])(side, reach_mm=60.0)
    rise = 16.0 if habitus.arms_up else 0.0
    shoulder = Tube.along([(118, -14, 226 + rise), (150, -14, 246 + rise), (168, -14, 252 + rise)], [44, 47, 47])(side, reach_mm=60.0)
    return smooth_union(limb, shoulder, 10.0)


def arm_bones(at: Points, habitus: Habitus) -> Field:
    """Humerus, radius, ulna and hand of both arms."""
    side = mirrored(at)
    shoulder, upper, middle, elbow, forearm, wrist, hand, fingers = np.array(_knots(habitus), dtype=float)
    apart = np.array([0.0, 11.0, 0.0])
    humerus = Tube.along(np.stack([shoulder, upper, middle, elbow]), [22, 14, 11.5, 17])
    radius = Tube.along(np.stack([elbow + 0.5 * apart, forearm + apart, wrist + 0.8 * apart]), [11, 7.5, 10])
    ulna = Tube.along(np.stack([elbow - 0.8 * apart, forearm - apart, wrist - 0.8 * apart]), [13, 7.5, 7])
    palm = Tube.along(np.stack([wrist, hand, fingers]), [15, 13, 6])
    return union(humerus(side), Tube.joined([radius, ulna])(side), palm(side))


def neighbourhood(habitus: Habitus) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
    """A box that holds both arms with their fat."""
    knots = np.array([*_knots(habitus), (110.0, -14.0, 226.0)])
    margin = 60.0 + habitus.fat_mm
    low, high = knots.min(axis=0) - margin, knots.max(axis=0) + margin
    return (-float(high[0]), float(high[0])), (float(low[1]), float(high[1])), (float(low[2]), float(high[2]))
