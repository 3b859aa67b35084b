"""Absorbed dose to the red marrow, by image and from blood.

    image:  D = sum_b f_b D_b                                  over bones b that hold a share f_b of the active marrow
    blood:  D = RMBLR [A_blood / m_blood] Delta_e + D_ph,      RMBLR = 0.19 / (1 - hematocrit)

with D_b the mean dose of bone and marrow together on the image, A_blood / m_blood the decays per mass of blood, RMBLR the red
marrow to blood ratio of activity concentration (Sgouros, J Nucl Med 1993;34:689: extracellular fluid is 0.19 of the marrow; for a
large molecule that does not bind there), and D_ph the dose that photons from everywhere bring, from the kernel. For peptides and
other small molecules the EANM takes RMBLR = 1 (Hindorf et al., Eur J Nucl Med Mol Imaging 2010;37:1238). The image sees bone, fat
and marrow as one, at its resolution; it is the method for tracers that bind in marrow or where metastases lie in bone, the blood
method for those that do not. Shares of active marrow: adult of ICRP Publication 70 (1995); sternum, clavicles and shoulder blades
are counted with the ribs, the sacrum with the pelvis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.emissions import Emissions
from planar3d.dosimetry.organ import OrganDoses
from planar3d.dosimetry.voxel_dose import GRAY_PER_KEV_PER_G
from planar3d.organs import organ_id

__all__ = ["ACTIVE_MARROW", "marrow_dose_from_blood", "marrow_dose_from_image", "marrow_to_blood_ratio"]

ACTIVE_MARROW: dict[str, float] = {"spine": 0.323, "ribs": 0.228, "pelvis": 0.274, "skull": 0.084, "limb_bones": 0.091}
"""Share of the active marrow in each of the library's bones."""

EXTRACELLULAR_SHARE = 0.19
USUAL_HEMATOCRIT = 0.42


def marrow_dose_from_image(doses: OrganDoses, *, bones: Sequence[str] = tuple(ACTIVE_MARROW)) -> tuple[Float[Tensor, " b"], float]:
    """Mean dose of bones, weighted by the active marrow that they hold.

    Args:
        doses: Mean doses of organs, bones among them.
        bones: Bones to use; those not in ``doses`` are left out.

    Returns:
        Dose, ``(b,)`` [Gy], and the share of the active marrow that the bones found hold.

    Raises:
        ValueError: A name is not one of the marrow-bearing bones, or none of them has a dose.
    """
    for bone in bones:
        if bone not in ACTIVE_MARROW:
            raise ValueError(f"bones has {bone!r}, which holds no active marrow; give some of {', '.join(ACTIVE_MARROW)}")
    found = [bone for bone in bones if organ_id(bone) in doses.ids]
    if not found:
        raise ValueError(f"doses has none of the bones {', '.join(bones)}; label the skeleton or use the blood method")
    columns = [doses.ids.index(organ_id(bone)) for bone in found]
    share = doses.dose_gy.new_tensor([ACTIVE_MARROW[bone] for bone in found])
    return doses.dose_gy[:, columns] @ (share / share.sum()), float(share.sum())


def marrow_to_blood_ratio(*, hematocrit: float = USUAL_HEMATOCRIT) -> float:
    """RMBLR of a large molecule that does not bind in marrow.

    Raises:
        ValueError: The hematocrit does not lie between 0 and 1.
    """
    if not 0.0 < hematocrit < 1.0:
        raise ValueError(f"hematocrit must lie between 0 and 1, got {hematocrit}; write 42 % as 0.42")
    return EXTRACELLULAR_SHARE / (1.0 - hematocrit)


def marrow_dose_from_blood(
    blood_decays_per_g: Float[Tensor, "*batch"],
    *,
    isotope: str,
    ratio: float = 1.0,
    photon_dose_gy: Float[Tensor, "*batch"] | float = 0.0,
) -> Float[Tensor, "*batch"]:
    """Dose by the concentration in blood.

    Args:
        blood_decays_per_g: Time-integrated activity per mass of blood [Bq s/g].
        isotope: Radionuclide.
        ratio: RMBLR; 1 for peptides, `marrow_to_blood_ratio` for antibodies.
        photon_dose_gy: Dose to the marrow from photons of the whole body [Gy].

    Returns:
        Of the same shape [Gy].

    Raises:
        ValueError: The concentration is negative or the ratio not positive.
    """
    if not (math.isfinite(ratio) and ratio > 0.0):
        raise ValueError(f"ratio must be positive, got {ratio}; 1 for peptides, marrow_to_blood_ratio() for antibodies")
    if not bool((blood_decays_per_g >= 0.0).all()):
        raise ValueError("blood_decays_per_g must be zero or more; check the blood samples")
    return ratio * blood_decays_per_g * (Emissions.of(isotope).electron_kev * GRAY_PER_KEV_PER_G) + photon_dose_gy
