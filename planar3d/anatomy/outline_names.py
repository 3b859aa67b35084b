"""What organ a structure is that was outlined under some name.

Known are the organ names of planar3d, the classes of TotalSegmentator, the names of AAPM TG-263 for organs that planar3d has, and common
English ones. Case, order of words, blanks, hyphens, dots and underscores do not count; sides are left, lt, l, right, rt, r.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from planar3d.anatomy.totalsegmentator import ORGAN_OF_CLASS
from planar3d.organs import ORGANS

__all__ = ["LESION", "fold", "organ_of", "pair_of"]

LESION = "lesion"
"""Organ of an outlined tumour, before it gets a number."""

_SIDES = {"left": "left", "lt": "left", "l": "left", "right": "right", "rt": "right", "r": "right"}
_FILLERS = {"gland", "glands", "glnd", "organ", "the"}
_BOTH = {"both", "bilateral"}
_TUMOUR = re.compile(r"(gtv[a-z]?|lesions?|tumou?rs?|mets?|metastas[ie]s|neoplasm)\d*")
_NO_TUMOUR = re.compile(r"-\s*gtv|\b[pci]tv|minus|ring|\bbed\b|cavity", re.ASCII)
_VERTEBRA = re.compile(r"(?:vb|vertebrae?)([ctls])\d{1,2}")

_PAIRS: dict[str, str] = {
    "kidney": "kidney, ren",
    "lung": "lung",
    "adrenal": "adrenal, suprarenal",
    "parotid": "parotid, parotis",
    "submandibular": "submandibular, submand, submandibula, smg",
    "lacrimal": "lacrimal",
}
"""Words of organs that come as a pair, without the side."""

_SINGLE: dict[str, str] = {
    "body": "body, external, ext, skin, outline, body contour, external contour, body outline, patient outline, patient, eye, lens,"
    " cochlea, optic nerve, opticnrv, optic chiasm, opticchiasm",
    "background": "couch, table, bed, couch surface, couch interior, couch exterior, couch outer, couch inner, couch shell, couch top",
    "liver": "liver, hepar",
    "spleen": "spleen, lien",
    "stomach": "stomach",
    "duodenum": "duodenum",
    "small_bowel": "bowel small, intestine small, jejunum, ileum, jejunum ileum, smallbowel",
    "colon": "colon, bowel large, intestine large, largebowel, colon ascending, colon transverse, colon descending, colon sigmoid, sigmoid,"
    " cecum, caecum, appendix, rectum",
    "urinary_bladder": "bladder, bladder urinary, vesica",
    "gallbladder": "gallbladder, bladder gall",
    "pancreas": "pancreas",
    "heart": "heart",
    "vessels": "a aorta, aorta, ivc, svc, v venacava, v venacava i, v venacava s, vena cava, venacava, a pulmonary, v pulmonary, v portal,"
    " vessels, greatves, great vessels",
    "esophagus": "esophagus, oesophagus",
    "trachea": "trachea",
    "spine": "spine, vertebrae, vertebra, vertebral column, spinal column, spinalcolumn, vbs, bone spine",
    "ribs": "rib, ribs, sternum, bone sternum",
    "pelvis": "pelvis, bone pelvic, bone pelvis, pelvic bone, pelvic bones, sacrum, hip, bone hip, ilium, bone ilium, ischium, bone"
    " ischium, pubis, bone pubis",
    "limb_bones": "femur, femurs, femur head, femoral head, femoralhead, femurhead, femur neck, femoral neck, humerus, humerus head,"
    " scapula, clavicle, clavicula, tibia, fibula, radius, ulna",
    "skull": "skull, cranium, bone mandible, mandible, maxilla",
    "muscle": "muscle, muscles, musc, psoas, musc psoas, musc iliopsoas",
    "fat": "fat, adipose, adipose tissue",
    "spinal_cord": "spinal cord, spinalcord, cord, spinal canal, spinalcanal",
    "brain": "brain, brainstem, brain stem, cerebellum, cerebrum",
    "prostate": "prostate",
    "thyroid": "thyroid",
    "mucosa": "mucosa, nasopharynx, oropharynx, hypopharynx, pharynx, nasal cavity, cavity nasal, soft palate, palate soft, oral mucosa,"
    " nasal mucosa",
    "uterus": "uterus",
}
"""Names of other organs; one with a side is the same organ."""


def fold(name: str) -> str:
    """A name less what does not count."""
    return re.sub(r"[\W_]+", "", name.lower())


def organ_of(name: str) -> str | None:
    """The organ of a structure.

    Args:
        name: As it stands in the file.

    Returns:
        Name of `planar3d.organs`, `LESION` for a tumour without a number that planar3d has, or None if the name says nothing.
    """
    if (known := _EXACT.get(fold(name))) is not None:
        return known
    words = _words(name)
    if any(_TUMOUR.fullmatch(word) for word in words):
        # nobody knows of Liver-GTV whether it is the tumour or the liver without it; margins about a tumour are no tumour
        return None if _NO_TUMOUR.search(re.sub(r"_", " ", name.lower())) else LESION
    if level := _VERTEBRA.fullmatch("".join(words)):
        return "pelvis" if level[1] == "s" else "spine"
    sides = [_SIDES[word] for word in words if word in _SIDES]
    bare = _key(word for word in words if word not in _SIDES)
    if bare in _PAIR_WORDS:
        return f"{_PAIR_WORDS[bare]}_{sides[0]}" if len(sides) == 1 else None
    return _SINGLE_WORDS.get(_key(words)) or (_SINGLE_WORDS.get(bare) if len(sides) == 1 else None)


def pair_of(name: str) -> str | None:
    """What the organs are that a structure holds both of, as ``"kidney"`` for Kidneys; None if it is no such structure."""
    return _PAIR_WORDS.get(_key(word.removesuffix("s") for word in _words(name) if word not in _BOTH))


def _words(name: str) -> list[str]:
    """Words of a name, parted at capitals within it too."""
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).lower().split()


def _key(words: Iterable[str]) -> tuple[str, ...]:
    """Words in an order of their own, less those that add nothing; a rib by any number is a rib."""
    return tuple(sorted(re.sub(r"^rib\d+$", "rib", word) for word in words if word not in _FILLERS))


_EXACT = {fold(name): name for name in ORGANS} | {fold(name): organ for name, organ in ORGAN_OF_CLASS.items()}
_PAIR_WORDS = {_key(name.split()): organ for organ, names in _PAIRS.items() for name in names.split(", ")}
_SINGLE_WORDS = {_key(name.split()): organ for organ, names in _SINGLE.items() for name in names.split(", ")}
