"""The reference torso in which a digital patient is built, and its walls.

Reference frame: mm, x toward the patient's right, y anterior, z superior; origin in the middle of the trunk at the height of the first
lumbar vertebra. The lung apices lie near z = 220, the diaphragm between -20 and 40, the iliac crests near -105, the hip joints near -222.
"""

from __future__ import annotations

import torch

from planar3d.anatomy.implicit import Field, Points, Profile, Section

__all__ = ["CAVITY", "LEAN_BODY", "SPINE_Y", "diaphragm", "fat_thickness"]

THINNEST_FAT_MM = 5.0

CAVITY = Section(
    half_width=Profile(
        {232: 30, 224: 48, 212: 66, 195: 84, 165: 103, 120: 116, 80: 122, 40: 124, 0: 122, -40: 114, -80: 109, -120: 106, -160: 92,
         -200: 68, -240: 50}
    ),
    half_depth=Profile(
        {232: 22, 224: 36, 212: 49, 195: 60, 165: 73, 120: 83, 80: 88, 40: 89, 0: 87, -40: 84, -80: 82, -120: 80, -160: 72, -200: 64,
         -240: 52}
    ),
    middle_y=Profile({232: -20, 195: -8, 150: 0, 100: 3, 40: 5, -40: 6, -120: 6, -160: 2, -240: 0}),
)  # fmt: skip
"""Inner wall of chest and abdomen: inside the ribs, the abdominal muscles and the pelvic bones."""

LEAN_BODY = Section(
    half_width=Profile(
        {245: 112, 232: 138, 215: 156, 195: 162, 150: 158, 100: 152, 50: 149, 0: 141, -50: 134, -90: 136, -130: 146, -170: 158,
         -210: 166, -245: 168}
    ),
    half_depth=Profile(
        {245: 62, 232: 72, 200: 86, 160: 96, 120: 103, 60: 108, 0: 104, -60: 100, -120: 100, -170: 103, -210: 104, -245: 98}
    ),
    middle_y=Profile({245: -22, 195: -9, 150: -3, 60: 0, -60: 0, -120: -2, -170: -6, -245: -4}),
    power=2.5,
)  # fmt: skip
"""The body without the fat under its skin."""

SPINE_Y = Profile({245: -42, 200: -58, 150: -66, 100: -66, 50: -60, 0: -50, -50: -40, -100: -34, -140: -40, -165: -54})
"""Middle of the vertebral bodies along y by height: thoracic kyphosis, lumbar lordosis."""


def diaphragm(at: Points) -> Field:
    """Height above the diaphragm, negative below it [mm]: a right dome, a lower left dome, and a rim that falls to sides and back."""
    right = 46.0 - ((at.x - 62.0) / 64.0) ** 2 * 42.0
    left = 34.0 - ((at.x + 66.0) / 64.0) ** 2 * 42.0
    crest = 8.0 * torch.logsumexp(torch.stack([right, left, torch.full_like(right, 16.0)]) / 8.0, dim=0)
    return at.z - (crest - 34.0 * ((at.y - 18.0) / 80.0) ** 2).clamp(min=-48.0)


def fat_thickness(at: Points, fat_mm: float) -> Field:
    """Thickness of the fat under the skin [mm]: thick on belly, flanks and buttocks, thin on the chest."""
    bearing = torch.atan2(at.y, at.x.abs())  # -90 degrees behind, 90 in front
    front = torch.sin(bearing).clamp(min=0.0)
    behind = torch.sin(-bearing).clamp(min=0.0)
    belly = torch.exp(-(((at.z + 70.0) / 95.0) ** 2))
    seat = torch.exp(-(((at.z + 200.0) / 60.0) ** 2))
    share = 0.5 + belly * (0.25 + 0.35 * front) + seat * (0.4 + 0.6 * behind)
    return (fat_mm * share.clamp(max=1.25)).clamp(min=THINNEST_FAT_MM)
