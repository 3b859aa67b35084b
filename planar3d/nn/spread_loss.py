"""What a prediction of spread minimises: the normal likelihood of errors that have already been made.

``loss = mean over the mask of  (e / tau)^2 / 2 + log tau``

with the error ``e`` of the estimate held fixed, so that ``tau`` becomes its root mean square given what the network sees, and
the estimate is not bent to make its own error predictable (Nix and Weigend 1994; Seitzer et al. 2022, arXiv:2203.09168).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.shapes import BodyMask, Volume

__all__ = ["spread_loss"]


def spread_loss(error: Volume, spread: Volume, mask: BodyMask, weight: Float[Tensor, " b"] | None = None) -> Float[Tensor, ""]:
    """The loss.

    Args:
        error: Truth less estimate, ``(b, 1, x, y, z)``; no gradient goes into it.
        spread: Standard deviation predicted, positive in the mask, ``(b, 1, x, y, z)``, of the same unit.
        mask: Voxels that count, ``(b, 1, x, y, z)``.
        weight: Importance of each sample, ``(b,)``; None where all count alike.
    """
    inside = mask.to(spread)
    tau = torch.where(mask, spread, torch.ones_like(spread))
    value = (0.5 * (error.detach().to(tau) / tau).square() + torch.log(tau)) * inside
    per_sample = value.flatten(1).sum(dim=1) / inside.flatten(1).sum(dim=1).clamp(min=1.0)
    return per_sample.mean() if weight is None else (per_sample * weight).mean()
