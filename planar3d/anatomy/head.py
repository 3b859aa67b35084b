"""Head and neck of the reference body (`planar3d.anatomy.torso` states the frame)."""

from __future__ import annotations

import torch

from planar3d.anatomy.implicit import Field, Points, Profile, Section, Tube, ball, ellipsoid, mirrored, smooth_union, union

__all__ = [
    "airway", "brain", "eyes", "head_and_neck", "lacrimal", "mucosa", "parotid", "sinuses", "skull", "submandibular", "thyroid",
    "tongue",
]  # fmt: skip

SKULL_MM = 5.5
GAP_MM = 0.5
SCALP_MM = 3.5

_NECK = Section(
    half_width=Profile({230: 84, 290: 66, 330: 57, 380: 55, 420: 55}),
    half_depth=Profile({230: 60, 300: 56, 340: 56, 380: 60, 420: 62}),
    middle_y=Profile({230: -24, 290: -16, 330: -10, 380: -8, 420: -8}),
    power=2.1,
)


def head_and_neck(at: Points) -> Field:
    """Scalp, face and neck without their skin."""
    cranium = ellipsoid(at, (0, -2, 494), (74, 93, 72))
    face = ellipsoid(at, (0, 34, 424), (62, 62, 84), turn_deg=(-6, 0, 0), power=2.3)
    jaw = ellipsoid(at, (0, 54, 374), (46, 36, 24), power=2.3)
    nose = ellipsoid(at, (0, 94, 424), (12, 18, 20))
    lids = ellipsoid(mirrored(at), (33, 66, 449), (28, 33, 26), power=2.3)
    ears = ellipsoid(mirrored(at), (80, -12, 448), (5, 14, 28))
    neck = torch.maximum(_NECK(at), torch.maximum(at.z - 425.0, 232.0 - at.z))
    head = smooth_union(smooth_union(cranium, face, 14.0), union(jaw, nose, lids, ears), 8.0)
    return union(smooth_union(head, neck, 14.0), skull(at) - SCALP_MM)


def brain(at: Points) -> Field:
    """Cerebrum and cerebellum."""
    cerebrum = ellipsoid(at, (0, -2, 500), (64, 82, 60), power=2.1)
    floor = 458.0 - 0.14 * at.y - at.z  # the base of the skull rises toward the front
    cerebellum = ellipsoid(at, (0, -46, 452), (48, 34, 26))
    stem = ellipsoid(at, (0, -26, 446), (15, 15, 26))
    return union(torch.maximum(cerebrum, floor), cerebellum, stem)


def skull(at: Points) -> Field:
    """Braincase about the brain, bones of the face, and mandible; the brain lies in front of it."""
    side = mirrored(at)
    case = brain(at) - SKULL_MM - GAP_MM
    upper_jaw = ellipsoid(at, (0, 62, 412), (32, 26, 22), power=2.4)
    brow = ellipsoid(side, (30, 80, 470), (24, 9, 8))
    orbit = torch.maximum(ellipsoid(side, (33, 62, 450), (27, 30, 24)), -ellipsoid(side, (33, 70, 450), (21, 34, 19)))
    nasal_bone = ellipsoid(at, (0, 90, 442), (7, 8, 14))
    bars = Tube.joined(
        [
            Tube.along([(44, 74, 432), (60, 50, 430), (68, 22, 436), (66, 2, 446)], [8, 6, 4.5, 6]),
            Tube.along([(54, 6, 438), (52, 8, 408), (48, 18, 382), (34, 52, 366), (14, 76, 360), (-4, 80, 360)], [6.5, 7.5, 9, 8.5, 9, 9]),
            Tube.along([(58, -18, 446), (58, -16, 428)], [13, 9]),
        ]
    )
    return union(case, upper_jaw, brow, orbit, nasal_bone, bars(side))


def sinuses(at: Points) -> Field:
    """Air of the nose and of the maxillary and frontal sinuses."""
    side = mirrored(at)
    nose = ellipsoid(side, (5, 62, 428), (3.5, 30, 15))
    maxillary = ellipsoid(side, (25, 58, 422), (10, 13, 13))
    frontal = ellipsoid(side, (12, 82, 476), (10, 5, 8))
    return union(nose, maxillary, frontal)


def mucosa(at: Points) -> Field:
    """Mucosa of the nose about its air, and of mouth and throat about the tongue."""
    nose = ellipsoid(at, (0, 60, 428), (14, 35, 20))
    mouth = torch.maximum(tongue(at) - 4.0, 372.0 - at.z)
    throat = torch.maximum(airway(at) - 3.5, 350.0 - at.z)
    return union(nose, mouth, throat)


def tongue(at: Points) -> Field:
    """Tongue and floor of the mouth."""
    return ellipsoid(at, (0, 44, 382), (21, 32, 18))


def airway(at: Points) -> Field:
    """Throat and larynx, down to the windpipe."""
    return Tube.along([(0, 24, 428), (0, 10, 410), (0, 4, 380), (0, 6, 345), (0, 8, 322), (0, 4, 300)], [8, 8, 8, 8, 7, 8])(at)


def eyes(at: Points) -> Field:
    """Both eyeballs."""
    return ball(mirrored(at), (32, 80, 450), 12.0)


def lacrimal(at: Points, side: float) -> Field:
    """Lacrimal gland, above and outside the eye."""
    return ellipsoid(at, (side * 45, 78, 461), (4.0, 7.0, 6.0), turn_deg=(0, side * 30, 0))


def parotid(at: Points, side: float) -> Field:
    """Parotid gland, over and behind the mandible's ramus, below the ear."""
    return ellipsoid(at, (side * 62, 4, 410), (13, 20, 26), turn_deg=(0, side * -6, side * 24))


def submandibular(at: Points, side: float) -> Field:
    """Submandibular gland, inside and below the mandible's body."""
    return ellipsoid(at, (side * 30, 38, 356), (11, 17, 13))


def thyroid(at: Points) -> Field:
    """Two lobes beside the windpipe and the isthmus before it."""
    lobes = ellipsoid(mirrored(at), (19, 4, 318), (10, 11, 24), turn_deg=(0, 8, 0))
    isthmus = ellipsoid(at, (0, 18, 310), (18, 5, 8))
    return union(lobes, isthmus)
