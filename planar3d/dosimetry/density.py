"""Mass density of tissue from its CT number.

Piecewise linear after Schneider, Bortfeld and Schlegel, Phys Med Biol 2000;45:459: air to fat, fat to soft tissue, soft tissue to bone.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["hu_to_density"]

# CT number [HU] and density [g/mL] at the corners of the paper's lines
_CORNERS_HU = (-1000.0, -98.0, 14.0, 23.0, 100.0, 1600.0, 3000.0)
_CORNERS_G_PER_ML = (0.00121, 0.930, 1.030, 1.031, 1.1199, 1.9642, 2.7)


def hu_to_density(ct_hu: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Mass density.

    Args:
        ct_hu: CT numbers, any shape; beyond -1000 and 3000 HU the ends hold [HU].

    Returns:
        Of the same shape [g/mL].
    """
    hu, density = ct_hu.new_tensor(_CORNERS_HU), ct_hu.new_tensor(_CORNERS_G_PER_ML)
    inside = ct_hu.clamp(_CORNERS_HU[0], _CORNERS_HU[-1])
    upper = torch.searchsorted(hu, inside.contiguous()).clamp(1, len(hu) - 1)
    slope = (density[upper] - density[upper - 1]) / (hu[upper] - hu[upper - 1])
    return density[upper - 1] + slope * (inside - hu[upper - 1])
