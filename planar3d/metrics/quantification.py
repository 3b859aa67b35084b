"""How near the activity of organs and lesions is to the truth.

Relative error of an organ ``(a_hat - a) / a``, where ``a`` is the true activity in the region that the organ had when imaged and
``a_hat`` the estimated activity in the same region. Recovery of a lesion: estimated over true mean activity concentration in it, given
with its volume, as the smallest are those that resolution takes away.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from planar3d.grid import Grid
from planar3d.organs import BACKGROUND, LESIONS, organ_id
from planar3d.shapes import LabelMap, Volume

__all__ = ["LesionRecovery", "OrganErrors", "lesion_recovery", "organ_errors", "region_activities"]


@dataclass(frozen=True, kw_only=True)
class OrganErrors:
    """Activities of organs, true and estimated.

    Attributes:
        ids: Organ ids present in any sample, background left out, ``(k,)``.
        volume_ml: ``(b, k)`` [mL]; zero where a sample lacks the organ.
        true_bq: ``(b, k)`` [Bq].
        estimated_bq: ``(b, k)`` [Bq].
        relative_error: ``(b, k)``; NaN where the truth is zero.
    """

    ids: Integer[Tensor, " k"]
    volume_ml: Float[Tensor, "b k"]
    true_bq: Float[Tensor, "b k"]
    estimated_bq: Float[Tensor, "b k"]
    relative_error: Float[Tensor, "b k"]


@dataclass(frozen=True, kw_only=True)
class LesionRecovery:
    """Recovery of each lesion of a batch, one entry per lesion.

    Attributes:
        sample: Index of its sample in the batch, ``(n,)``.
        ids: Organ id of the lesion, ``(n,)``.
        volume_ml: ``(n,)`` [mL].
        true_bq: True activity, ``(n,)`` [Bq].
        recovery: Estimated over true mean concentration, ``(n,)``; one is perfect.
    """

    sample: Integer[Tensor, " n"]
    ids: Integer[Tensor, " n"]
    volume_ml: Float[Tensor, " n"]
    true_bq: Float[Tensor, " n"]
    recovery: Float[Tensor, " n"]


def organ_errors(estimate: Volume, truth: Volume, imaged_labels: LabelMap, grid: Grid) -> OrganErrors:
    """Activity of every organ in the position imaged.

    Args:
        estimate: Activity map, ``(b, 1, x, y, z)`` [Bq/mL].
        truth: The true one, ``(b, 1, x, y, z)`` [Bq/mL].
        imaged_labels: Organ ids in the position imaged, ``(b, 1, x, y, z)``.
        grid: Where they lie.
    """
    ids = imaged_labels.unique()
    ids = ids[ids != BACKGROUND]
    true_bq = region_activities(truth, imaged_labels, ids, grid)
    estimated_bq = region_activities(estimate, imaged_labels, ids, grid)
    return OrganErrors(
        ids=ids,
        volume_ml=region_activities(torch.ones_like(truth), imaged_labels, ids, grid),
        true_bq=true_bq,
        estimated_bq=estimated_bq,
        relative_error=torch.where(true_bq > 0, (estimated_bq - true_bq) / true_bq, torch.nan),
    )


def lesion_recovery(estimate: Volume, truth: Volume, imaged_labels: LabelMap, grid: Grid) -> LesionRecovery:
    """Recovery of every lesion with activity against its volume.

    Args:
        estimate: Activity map, ``(b, 1, x, y, z)`` [Bq/mL].
        truth: The true one, ``(b, 1, x, y, z)`` [Bq/mL].
        imaged_labels: Organ ids in the position imaged, lesions included, ``(b, 1, x, y, z)``.
        grid: Where they lie.
    """
    ids = torch.tensor([organ_id(name) for name in LESIONS], dtype=imaged_labels.dtype, device=imaged_labels.device)
    true_bq = region_activities(truth, imaged_labels, ids, grid)
    sample, index = (true_bq > 0).nonzero(as_tuple=True)
    volumes = region_activities(torch.ones_like(truth), imaged_labels, ids, grid)
    true = true_bq[sample, index]
    recovery = region_activities(estimate, imaged_labels, ids, grid)[sample, index] / true
    return LesionRecovery(sample=sample, ids=ids[index], volume_ml=volumes[sample, index], true_bq=true, recovery=recovery)


def region_activities(activity: Volume, labels: LabelMap, ids: Integer[Tensor, " k"], grid: Grid) -> Float[Tensor, "b k"]:
    """Total activity in each label [Bq].

    Args:
        activity: Activity map, ``(b, 1, x, y, z)`` [Bq/mL].
        labels: Organ ids, ``(b, 1, x, y, z)``.
        ids: The labels wanted, ``(k,)``.
        grid: Where the volumes lie.
    """
    inside = labels.flatten(1)[:, None] == ids.view(1, -1, 1)
    return torch.einsum("bv,bkv->bk", activity.flatten(1), inside.to(activity)) * grid.voxel_volume_ml
