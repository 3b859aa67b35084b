"""Which organs the labels hold that a method is given: all, those of a poorer segmentation, or those that somebody happened to outline.

What a reader outlines differs from place to place; of a dosimetry little more than liver, spleen, kidneys and lesions is left. Of a sparse
segmentation a share is therefore drawn, uniform between none and all, and with that chance each organ is there, both of a pair together.
Lungs and skeleton always are: where nobody outlined them they are taken from the CT (`planar3d.anatomy.segmentation`).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from planar3d.organs import ABSENT_IN_POOR_SEGMENTATION, BODY, GROUPS, LESIONS, ORGANS, organ_id, without_side
from planar3d.shapes import LabelMap

__all__ = ["holding", "segmented_organs"]

_ALWAYS_THERE = ("background", "body", "liver", "spleen", *GROUPS["kidneys"], *GROUPS["lungs"], *GROUPS["skeleton"], *LESIONS)
_ALWAYS = torch.tensor([organ_id(name) for name in _ALWAYS_THERE])
_ABSENT = torch.tensor([organ_id(name) for name in ABSENT_IN_POOR_SEGMENTATION])
_PAIRS = [without_side(name) for name in ORGANS]
_PAIR_OF_ID = torch.tensor([_PAIRS.index(pair) for pair in _PAIRS])


def segmented_organs(*, poor: bool, sparse_seed: int | None = None) -> Bool[Tensor, " id"]:
    """Whether the labels given hold each organ of `planar3d.organs.ORGANS`, ``(id,)``.

    Args:
        poor: Whether they lack `planar3d.organs.ABSENT_IN_POOR_SEGMENTATION`.
        sparse_seed: Decides what a sparse segmentation holds; None for one that is not.
    """
    held = torch.ones(len(ORGANS), dtype=torch.bool)
    if sparse_seed is not None:
        generator = torch.Generator().manual_seed(sparse_seed)
        share = torch.rand(1, generator=generator)
        held = (torch.rand(len(ORGANS), generator=generator) < share)[_PAIR_OF_ID]
        held[_ALWAYS] = True
    if poor:
        held[_ABSENT] = False
    return held


def holding(labels: LabelMap, held: Bool[Tensor, "b id"]) -> LabelMap:
    """Labels of the organs held; where the others lie they are ``body``.

    Args:
        labels: Organ ids, ``(b, 1, x, y, z)``.
        held: Whether each sample has each organ, ``(b, id)``.
    """
    there = held.gather(1, labels.flatten(1)).view_as(labels)
    return torch.where(there, labels, BODY)
