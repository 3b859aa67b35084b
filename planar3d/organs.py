"""Organ names, their ids in the library's own label map, and groups of them.

Whatever labels a file has, reading translates them to these ids (`planar3d.anatomy.labels`). Id 0 is outside the body and id 1
the body where nothing else is labelled. Lesions that a user has outlined are ``lesion_1`` ... ``lesion_16``.
"""

__all__ = ["ABSENT_IN_POOR_SEGMENTATION", "BACKGROUND", "BODY", "GROUPS", "LESIONS", "ORGANS", "organ_id", "organ_name", "without_side"]

BACKGROUND = 0
BODY = 1

LESIONS: tuple[str, ...] = tuple(f"lesion_{i}" for i in range(1, 17))

ORGANS: tuple[str, ...] = (
    "background", "body",
    "liver", "spleen", "kidney_left", "kidney_right", "stomach", "duodenum", "small_bowel", "colon", "urinary_bladder", "gallbladder",
    "pancreas", "adrenal_left", "adrenal_right", "heart", "vessels", "lung_left", "lung_right", "esophagus", "trachea",
    "spine", "ribs", "pelvis", "limb_bones", "skull", "muscle", "fat", "spinal_cord", "brain", "prostate", "thyroid",
    "parotid_left", "parotid_right", "submandibular_left", "submandibular_right", "lacrimal_left", "lacrimal_right", "mucosa",
    *LESIONS,
    "uterus",
)  # fmt: skip
"""Name of each id: ``ORGANS[id]``. Append only: ids stand in files and in trained weights."""

_IDS = {name: index for index, name in enumerate(ORGANS)}

GROUPS: dict[str, tuple[str, ...]] = {
    "kidneys": ("kidney_left", "kidney_right"),
    "bowel": ("duodenum", "small_bowel", "colon"),
    "lungs": ("lung_left", "lung_right"),
    "skeleton": ("spine", "ribs", "pelvis", "limb_bones", "skull"),
    "salivary_glands": ("parotid_left", "parotid_right", "submandibular_left", "submandibular_right"),
    "lacrimal_glands": ("lacrimal_left", "lacrimal_right"),
    "soft_tissue": ("body", "muscle", "fat", "spinal_cord", "esophagus", "uterus"),
    "lesions": LESIONS,
}
"""Organs that are drawn, reported or given to a network together."""

ABSENT_IN_POOR_SEGMENTATION: tuple[str, ...] = (
    *GROUPS["bowel"], *GROUPS["salivary_glands"], *GROUPS["lacrimal_glands"], "mucosa", "vessels", "adrenal_left", "adrenal_right",
    "pancreas", "gallbladder",
)  # fmt: skip
"""What a poorer segmentation than the anatomy imaged lacks: there its label is ``body``."""


def organ_id(name: str) -> int:
    """Id of an organ.

    Raises:
        ValueError: No organ has this name.
    """
    if name not in _IDS:
        raise ValueError(f"organ {name!r} is not known; known are {', '.join(ORGANS)}")
    return _IDS[name]


def organ_name(identifier: int) -> str:
    """Name of an organ id.

    Raises:
        ValueError: The id is out of range.
    """
    if not 0 <= identifier < len(ORGANS):
        raise ValueError(f"organ id {identifier} is not known; ids run from 0 to {len(ORGANS) - 1}")
    return ORGANS[identifier]


def without_side(name: str) -> str:
    """What an organ and the other of its pair are called: ``"kidney"`` of ``"kidney_left"``; of an organ without a pair its own name."""
    return name.removesuffix("_left").removesuffix("_right")
