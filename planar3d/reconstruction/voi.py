"""Volumes of interest: the organs of a label map as masks, and their images.

Organ k with mask ``m_k`` and volume ``V_k`` has unit map ``m_k / V_k`` (1 Bq spread evenly), so a piecewise-constant activity is
``x = sum_k a_k m_k / V_k`` and its image ``A x = P a`` with ``P[:, k] = A m_k / V_k`` [counts/Bq].
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from planar3d.organs import BACKGROUND
from planar3d.physics import PlanarProjector
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.shapes import LabelMap

__all__ = ["organ_masks", "organ_volumes_ml", "project_each", "project_organs", "unit_maps"]

# volumes projected at once: few enough for a processor's cache, many enough to fill a GPU
_VOXELS_AT_ONCE = {"cpu": 2**20}
_VOXELS_AT_ONCE_ELSEWHERE = 2**25


def organ_masks(labels: LabelMap) -> tuple[Integer[Tensor, " k"], Float[Tensor, "b k x y z"]]:
    """The organs of a label map.

    Args:
        labels: Organ ids, ``(b, 1, x, y, z)``.

    Returns:
        Ids present in any sample, background left out, ascending, ``(k,)``; and a mask of ones and zeros for each, ``(b, k, x, y, z)``.
    """
    ids = labels.unique()
    ids = ids[ids != BACKGROUND]
    return ids, (labels == ids.view(1, -1, 1, 1, 1)).float()


def organ_volumes_ml(masks: Float[Tensor, "b k x y z"], voxel_volume_ml: float) -> Float[Tensor, "b k"]:
    """Volume of each organ [mL]; zero where a sample lacks it."""
    return masks.sum(dim=(2, 3, 4)) * voxel_volume_ml


def unit_maps(masks: Float[Tensor, "b k x y z"], voxel_volume_ml: float) -> Float[Tensor, "b k x y z"]:
    """1 Bq spread evenly over each organ [1/mL]; zero for an organ that a sample lacks."""
    volumes = organ_volumes_ml(masks, voxel_volume_ml)
    per_ml = torch.where(volumes > 0, 1.0 / volumes.clamp(min=voxel_volume_ml), 0.0)
    return masks * per_ml[:, :, None, None, None]


def project_each(projector: PlanarProjector, volumes: Float[Tensor, "b k x y z"]) -> Float[Tensor, "b k view x z"]:
    """Views of several volumes per patient, as few calls of the projector as memory allows.

    Args:
        projector: The camera before ``b`` patients.
        volumes: Activity maps, ``(b, k, x, y, z)`` [Bq/mL].

    Returns:
        Expected counts of each, ``(b, k, view, x, z)``.
    """
    voxels = _VOXELS_AT_ONCE.get(volumes.device.type, _VOXELS_AT_ONCE_ELSEWHERE)
    at_once = max(1, voxels * volumes.shape[1] // volumes.numel())
    parts = []
    for part in volumes.split(at_once, dim=1):
        views = projector(part.flatten(0, 1).unsqueeze(1))
        parts.append(views.unflatten(0, part.shape[:2]))
    return torch.cat(parts, dim=1)


def project_organs(problem: PlanarProblem) -> Float[Tensor, "b k view x z"]:
    """Expected counts of 1 Bq spread evenly over each organ; zero for an organ that a sample lacks [counts/Bq].

    Organs are those of ``organ_masks(problem.organ_labels)``, in that order.
    """
    _, masks = organ_masks(problem.organ_labels)
    return project_each(problem.projector, unit_maps(masks.to(problem.views), problem.grid.voxel_volume_ml))
