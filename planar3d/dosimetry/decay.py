"""Decay correction to a named reference time: ``A(t_ref) = A(t) 2^((t - t_ref) / T)``, as if nothing but decay had happened between."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["decay_correct"]


def decay_correct(activity: Tensor, *, measured_s: Tensor | float, reference_s: float, half_life_s: float) -> Tensor:
    """Activity that decay alone would have left, or have had, at the reference time.

    Args:
        activity: As at ``measured_s``, any shape and unit.
        measured_s: Time after injection at which it is what it is; a number, or a tensor that broadcasts [s].
        reference_s: Time after injection to bring it to; 0 is the injection [s].
        half_life_s: Physical half-life [s].

    Raises:
        ValueError: The half-life is not positive, or a time is not finite.
    """
    if not (math.isfinite(half_life_s) and half_life_s > 0):
        raise ValueError(f"half_life_s must be positive, got {half_life_s}")
    measured = torch.as_tensor(measured_s, dtype=activity.dtype, device=activity.device)
    if not (math.isfinite(reference_s) and bool(torch.isfinite(measured).all())):
        raise ValueError("measured_s and reference_s must be finite seconds after injection")
    return activity * torch.exp2((measured - reference_s) / half_life_s)
