"""Sums of a volume over each organ of a label map."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.organs import ORGANS
from planar3d.shapes import LabelMap

__all__ = ["organ_sums"]


def organ_sums(volumes: Float[Tensor, "*draw b 1 x y z"], labels: LabelMap) -> Float[Tensor, "*draw b organ"]:
    """Sum over the voxels of every organ id; zero where an organ is absent.

    Args:
        volumes: One volume per patient, or several along leading axes, ``(..., b, 1, x, y, z)``.
        labels: Organ ids, ``(b, 1, x, y, z)``.

    Returns:
        ``(..., b, organ)``, by id; in the unit of the volumes.
    """
    values = volumes.flatten(-4)
    index = labels.flatten(1).long().expand_as(values)
    return torch.scatter_add(values.new_zeros(*values.shape[:-1], len(ORGANS)), -1, index, values)
