"""Organ activities read off a map whose voxels straddle the edges of organs.

A voxel holds the mean over its extent, so beside an edge a part of an organ's activity stands in voxels of its neighbour, and a sum over
a mask of whole voxels misses it: of a kidney of 150 mL on 8 mm about a seventh. With masks ``m_i`` of ``n_i`` voxels and K the blur
``[s, 1 - 2 s, s]`` along each axis, a map of one concentration ``c_j`` in each organ sums to

    S_i = sum_j G_ij c_j,    G_ij = sum_p m_i(p) (K m_j)(p),

the geometric transfer matrix of Rousset et al. 1998 (J Nucl Med 39:904-911); the activity of organ i is ``n_i (G^-1 S)_i``. K is
positive definite for ``s < 1/4``, so that G can always be solved. An edge that crosses voxels anywhere with equal chance leaves ``s = 1/8``
of a voxel on the other side; a map of a method that trusts its masks holds sharper edges, and asks for less.

An organ colder than what lies around it would give back more than it holds of others where such a map keeps it cold: lungs of the
networks, right as sums, would come out a quarter low (`experiments/18_organ_table`). So organs only gain; the tissue between them gives.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from planar3d.organ_sums import organ_sums
from planar3d.organs import GROUPS, organ_id
from planar3d.reconstruction.posterior import OrganActivities, Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.shapes import LabelMap, Volume

__all__ = ["edge_recovered", "read_organs", "transfer_matrix"]

SOFT_TISSUE = tuple(organ_id(name) for name in GROUPS["soft_tissue"])


def read_organs(posterior: Posterior, problem: PlanarProblem, spill: float = 0.0) -> OrganActivities:
    """Organ activities as a table shows them: what the method states itself, else sums over masks, and with what lies across their edges.

    Args:
        posterior: The estimate.
        problem: What it was made from.
        spill: As `edge_recovered` takes it; zero takes nothing back.
    """
    stated = posterior.organs or OrganActivities.of_map(posterior.mean, problem.organ_labels, problem.grid.voxel_volume_ml)
    return edge_recovered(stated, problem.organ_labels, spill) if spill else stated


def edge_recovered(organs: OrganActivities, labels: LabelMap, spill: float) -> OrganActivities:
    """Organ activities with what lies across the edges of their masks; only soft tissue falls, and not below zero.

    Args:
        organs: Sums over masks, with or without errors.
        labels: Organ ids in which every voxel of the body belongs to an organ, ``(b, 1, x, y, z)``.
        spill: s, the share of a voxel's activity that an edge leaves in the neighbour along an axis.

    Raises:
        ValueError: ``spill`` does not lie in [0, 1/4).
    """
    transfer = transfer_matrix(labels, organs.ids, spill)
    counts = organ_sums(torch.ones_like(labels, dtype=transfer.dtype), labels)[:, organs.ids.long()]
    recovery = counts[:, :, None] * torch.linalg.inv(transfer)
    summed = organs.activity_bq.to(recovery)
    gains = torch.einsum("bij,bj->bi", recovery, summed) > summed
    gives = torch.isin(organs.ids, torch.tensor(SOFT_TISSUE, device=organs.ids.device))
    recovery = torch.where((gains | gives)[:, :, None], recovery, torch.eye(recovery.shape[1]).to(recovery))
    activity = torch.einsum("bij,bj->bi", recovery, summed).clamp(min=0.0).to(organs.activity_bq)
    covariance = organs.covariance_bq2
    if covariance is None and organs.standard_error_bq is not None:
        covariance = torch.diag_embed(organs.standard_error_bq.square())
    if covariance is None:
        return replace(organs, activity_bq=activity)
    covariance = (recovery @ covariance.to(recovery) @ recovery.mT).to(organs.activity_bq)
    return replace(
        organs, activity_bq=activity, covariance_bq2=covariance, standard_error_bq=covariance.diagonal(dim1=1, dim2=2).clamp(min=0.0).sqrt()
    )


def transfer_matrix(labels: LabelMap, ids: Integer[Tensor, " k"], spill: float) -> Float[Tensor, "b k k"]:
    """G in double precision; one on the diagonal for an organ that a sample lacks, ``(b, k, k)`` [voxel].

    Args:
        labels: Organ ids, ``(b, 1, x, y, z)``.
        ids: Those of the rows and columns, ``(k,)``.
        spill: As `edge_recovered` takes it.

    Raises:
        ValueError: ``spill`` does not lie in [0, 1/4).
    """
    if not 0.0 <= spill < 0.25:
        raise ValueError(f"edge_spill must lie in [0, 0.25), got {spill}; it is a share of a voxel, 0.125 at most for a sharp object")
    # an organ at a time: masks of all of a whole body would not fit
    columns = [organ_sums(_blurred((labels == i).double(), spill), labels)[:, ids.long()] for i in ids.tolist()]
    matrix = torch.stack(columns, dim=2)
    absent = matrix.diagonal(dim1=1, dim2=2) == 0
    return matrix + torch.diag_embed(absent.to(matrix))


def _blurred(volume: Volume, spill: float) -> Volume:
    """``[s, 1 - 2 s, s]`` along each axis; past the edge of the grid the outermost voxel goes on."""
    for axis in (2, 3, 4):
        n = volume.shape[axis]
        index = torch.arange(n, device=volume.device)
        lower, upper = (volume.index_select(axis, (index + step).clamp(0, n - 1)) for step in (-1, 1))
        volume = (1.0 - 2.0 * spill) * volume + spill * (lower + upper)
    return volume
