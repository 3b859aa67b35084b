"""Biologically effective dose, and uniform doses of equal effect.

    BED = D [1 + G D / (alpha / beta)],    G = T_rep / (T_rep + T_eff)
    EUD = (sum_v w_v D_v^a)^(1/a)                                generalised
    EUBED = -(1 / alpha) ln sum_v w_v exp(-alpha BED_v)          uniform BED of the same survival

for a dose rate that falls with half-life T_eff and damage that is repaired with half-time T_rep (Dale, Br J Radiol 1996;69:626;
Baechler et al., Med Phys 2008;35:1123), the generalised EUD of Niemierko (Med Phys 1999;26:1100) and that of MIRD Pamphlet 20
(Wessels et al., J Nucl Med 2008;49:1884). Usual values: kidney alpha/beta 2.6 Gy and T_rep 2.8 h (Wessels et al.), tumour
alpha/beta 10 Gy. BED of cycles adds up when they are far apart; that of their summed dose is another, greater number.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["biologically_effective_dose", "equivalent_uniform_bed", "equivalent_uniform_dose"]


def biologically_effective_dose(
    dose_gy: Float[Tensor, "*shape"],
    *,
    alpha_beta_gy: float,
    repair_half_time_s: float,
    effective_half_life_s: Float[Tensor, "*#shape"] | float,
) -> Float[Tensor, "*shape"]:
    """BED of one administration.

    Args:
        dose_gy: Absorbed dose, of organs or voxels [Gy].
        alpha_beta_gy: alpha over beta [Gy].
        repair_half_time_s: Half-time of repair [s].
        effective_half_life_s: Effective half-life, one or for each entry [s].

    Returns:
        Of the same shape [Gy].

    Raises:
        ValueError: A parameter is not positive.
    """
    for name, value in (("alpha_beta_gy", alpha_beta_gy), ("repair_half_time_s", repair_half_time_s)):
        if not (math.isfinite(value) and value > 0.0):
            raise ValueError(f"{name} must be positive, got {value}; take it from the literature on the tissue")
    effective = torch.as_tensor(effective_half_life_s, dtype=dose_gy.dtype, device=dose_gy.device)
    if not bool((effective > 0.0).all()):
        raise ValueError("effective_half_life_s must be positive everywhere; leave out what has no curve")
    protraction = repair_half_time_s / (repair_half_time_s + effective)
    return dose_gy * (1.0 + protraction * dose_gy / alpha_beta_gy)


def equivalent_uniform_dose(
    dose_gy: Float[Tensor, " n"], *, exponent: float, share: Float[Tensor, " n"] | None = None
) -> Float[Tensor, ""]:
    """Generalised EUD; exponent 1 is the mean, a large one nears the maximum, a negative one is for tumours.

    Args:
        dose_gy: Voxel doses of a region [Gy].
        exponent: a, not zero.
        share: Share of each voxel; None for equal ones.

    Raises:
        ValueError: The exponent is zero.
    """
    if exponent == 0.0 or not math.isfinite(exponent):
        raise ValueError(f"exponent must be finite and not zero, got {exponent}; 1 is the mean dose, negative ones are for tumours")
    # scaled by the maximum, or a large exponent overflows; and by logarithms, or a dose of 0 with a negative one fails
    log_dose = dose_gy.clamp(min=torch.finfo(dose_gy.dtype).tiny).log()
    return (torch.logsumexp(exponent * log_dose + _log_share(dose_gy, share), dim=0) / exponent).exp()


def equivalent_uniform_bed(
    bed_gy: Float[Tensor, " n"], *, alpha_per_gy: float, share: Float[Tensor, " n"] | None = None
) -> Float[Tensor, ""]:
    """Uniform BED with the same mean survival.

    Args:
        bed_gy: Voxel BED of a region [Gy].
        alpha_per_gy: Radiosensitivity alpha [1/Gy].
        share: Share of each voxel; None for equal ones.

    Raises:
        ValueError: alpha is not positive.
    """
    if not (math.isfinite(alpha_per_gy) and alpha_per_gy > 0.0):
        raise ValueError(f"alpha_per_gy must be positive, got {alpha_per_gy}; take it from the literature on the tissue")
    return -torch.logsumexp(_log_share(bed_gy, share) - alpha_per_gy * bed_gy, dim=0) / alpha_per_gy


def _log_share(like: Tensor, share: Tensor | None) -> Tensor:
    """Logarithm of shares that add up to 1."""
    weight = torch.ones_like(like) if share is None else share
    return (weight / weight.sum()).log()
