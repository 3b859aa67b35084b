"""Class names of TotalSegmentator's tasks in the order of their ids, and the organ that each class is to us.

Source: class_map in totalsegmentator/map_to_binary.py of github wasserth/TotalSegmentator (`total_v1`, `total`,
`head_glands_cavities`). Ids start at 1.
"""

from __future__ import annotations

__all__ = ["HEAD_GLANDS_CLASSES", "ORGAN_OF_CLASS", "V1_CLASSES", "V2_CLASSES"]

_SIDES = ("left", "right")
_VERTEBRAE = tuple(
    f"vertebrae_{v}" for v in ("L5", "L4", "L3", "L2", "L1", *(f"T{i}" for i in range(12, 0, -1)), *(f"C{i}" for i in range(7, 0, -1)))
)
_RIBS = tuple(f"rib_{side}_{i}" for side in _SIDES for i in range(1, 13))
_LUNG_LOBES = ("lung_upper_lobe_left", "lung_lower_lobe_left", "lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right")
_LIMBS = tuple(f"{bone}_{side}" for bone in ("humerus", "scapula", "clavicula") for side in _SIDES)
_GLUTEI = tuple(f"gluteus_{part}_{side}" for part in ("maximus", "medius", "minimus") for side in _SIDES)
_BACK_MUSCLES = tuple(f"{muscle}_{side}" for muscle in ("autochthon", "iliopsoas") for side in _SIDES)
_HIPS = ("femur_left", "femur_right", "hip_left", "hip_right")
_ILIAC_VESSELS = ("iliac_artery_left", "iliac_artery_right", "iliac_vena_left", "iliac_vena_right")

V1_CLASSES: tuple[str, ...] = (
    "spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach",
    "aorta", "inferior_vena_cava", "portal_vein_and_splenic_vein", "pancreas", "adrenal_gland_right", "adrenal_gland_left",
    *_LUNG_LOBES, *_VERTEBRAE, "esophagus", "trachea",
    "heart_myocardium", "heart_atrium_left", "heart_ventricle_left", "heart_atrium_right", "heart_ventricle_right", "pulmonary_artery",
    "brain", *_ILIAC_VESSELS, "small_bowel", "duodenum", "colon", *_RIBS, *_LIMBS, *_HIPS, "sacrum", "face",
    *_GLUTEI, *_BACK_MUSCLES, "urinary_bladder",
)  # fmt: skip
"""Task ``total`` of version 1, ids 1 to 104."""

V2_CLASSES: tuple[str, ...] = (
    "spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "pancreas", "adrenal_gland_right", "adrenal_gland_left",
    *_LUNG_LOBES, "esophagus", "trachea", "thyroid_gland", "small_bowel", "duodenum", "colon", "urinary_bladder", "prostate",
    "kidney_cyst_left", "kidney_cyst_right", "sacrum", "vertebrae_S1", *_VERTEBRAE, "heart", "aorta", "pulmonary_vein",
    "brachiocephalic_trunk", "subclavian_artery_right", "subclavian_artery_left", "common_carotid_artery_right",
    "common_carotid_artery_left", "brachiocephalic_vein_left", "brachiocephalic_vein_right", "atrial_appendage_left",
    "superior_vena_cava", "inferior_vena_cava", "portal_vein_and_splenic_vein", *_ILIAC_VESSELS, *_LIMBS, *_HIPS, "spinal_cord",
    *_GLUTEI, *_BACK_MUSCLES, "brain", "skull", *_RIBS, "sternum", "costal_cartilages",
)  # fmt: skip
"""Task ``total`` of version 2, ids 1 to 117."""

HEAD_GLANDS_CLASSES: tuple[str, ...] = (
    "eye_left", "eye_right", "eye_lens_left", "eye_lens_right", "optic_nerve_left", "optic_nerve_right",
    "parotid_gland_left", "parotid_gland_right", "submandibular_gland_right", "submandibular_gland_left",
    "nasopharynx", "oropharynx", "hypopharynx", "nasal_cavity_right", "nasal_cavity_left",
    "auditory_canal_right", "auditory_canal_left", "soft_palate", "hard_palate",
)  # fmt: skip
"""Task ``head_glands_cavities``, ids 1 to 19."""

_ORGAN_CLASSES: dict[str, tuple[str, ...]] = {
    **{
        organ: (organ,)
        for organ in (
            "spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "pancreas", "esophagus", "trachea", "small_bowel",
            "duodenum", "colon", "urinary_bladder", "prostate", "spinal_cord", "brain", "skull",
        )
    },
    "thyroid": ("thyroid_gland",),
    "adrenal_left": ("adrenal_gland_left",),
    "adrenal_right": ("adrenal_gland_right",),
    "lung_left": tuple(lobe for lobe in _LUNG_LOBES if lobe.endswith("left")),
    "lung_right": tuple(lobe for lobe in _LUNG_LOBES if lobe.endswith("right")),
    "heart": (
        "heart", "heart_myocardium", "heart_atrium_left", "heart_ventricle_left", "heart_atrium_right", "heart_ventricle_right",
        "atrial_appendage_left",
    ),
    "vessels": (
        "aorta", "inferior_vena_cava", "superior_vena_cava", "portal_vein_and_splenic_vein", "pulmonary_artery", "pulmonary_vein",
        "brachiocephalic_trunk", "subclavian_artery_right", "subclavian_artery_left", "common_carotid_artery_right",
        "common_carotid_artery_left", "brachiocephalic_vein_left", "brachiocephalic_vein_right", *_ILIAC_VESSELS,
    ),
    "spine": _VERTEBRAE,
    "ribs": (*_RIBS, "sternum"),
    "pelvis": ("hip_left", "hip_right", "sacrum", "vertebrae_S1"),
    "limb_bones": (*_LIMBS, "femur_left", "femur_right"),
    "muscle": (*_GLUTEI, *_BACK_MUSCLES),
    "parotid_left": ("parotid_gland_left",),
    "parotid_right": ("parotid_gland_right",),
    "submandibular_left": ("submandibular_gland_left",),
    "submandibular_right": ("submandibular_gland_right",),
    "mucosa": ("nasopharynx", "oropharynx", "hypopharynx", "nasal_cavity_right", "nasal_cavity_left", "soft_palate"),
    # Cysts take up no tracer, the rest has no organ of its own: body like any other unlabelled tissue.
    "body": (
        "kidney_cyst_left", "kidney_cyst_right", "costal_cartilages", "face", "hard_palate", "auditory_canal_right", "auditory_canal_left",
        "eye_left", "eye_right", "eye_lens_left", "eye_lens_right", "optic_nerve_left", "optic_nerve_right",
    ),
}  # fmt: skip

ORGAN_OF_CLASS: dict[str, str] = {name: organ for organ, names in _ORGAN_CLASSES.items() for name in names}
"""Organ name of each class name."""
