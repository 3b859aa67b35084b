"""What a regression of activity minimises.

``loss = w_v sum|x - x_hat| / sum x  +  w_r sum|sqrt(x) - sqrt(x_hat)| / sum sqrt(x)  +  w_o sum_k |sum_{v in k} (x - x_hat)| / sum x``

per sample, then the mean, weighted by importance where samples were drawn from a proposal. The first term is the NMAE itself. Its
optimum is the median of the posterior, which lies below the mean where activity is sparse; the organ term (``k`` runs over organs) holds
the totals that dosimetry needs. The root term gives faint regions a say.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from planar3d.organs import ORGANS
from planar3d.shapes import LabelMap, Volume

__all__ = ["ActivityLoss"]

ROOT_FLOOR = 1e-3  # of the mean activity: keeps the derivative of the root finite at zero


class ActivityLoss(nn.Module):
    """Voxel, root and organ errors, each relative to the truth, so that the count scale does not matter.

    Args:
        voxel: Weight of the absolute error per voxel.
        root: Weight of the absolute error of square roots.
        organ: Weight of the absolute error of organ totals.
    """

    def __init__(self, *, voxel: float = 1.0, root: float = 0.0, organ: float = 0.0) -> None:
        super().__init__()
        if min(voxel, root, organ) < 0 or voxel + root + organ == 0:
            raise ValueError(f"weights must be non-negative and one of them positive, got voxel {voxel}, root {root}, organ {organ}")
        self.voxel = voxel
        self.root = root
        self.organ = organ

    def forward(self, estimate: Volume, truth: Volume, labels: LabelMap, weight: Float[Tensor, " b"] | None = None) -> Float[Tensor, ""]:
        """The loss.

        Args:
            estimate: Activity estimated, ``(b, 1, x, y, z)`` [Bq/mL].
            truth: Activity, ``(b, 1, x, y, z)`` [Bq/mL].
            labels: Organ ids over which the organ term sums, ``(b, 1, x, y, z)``.
            weight: Importance of each sample, ``(b,)``; None where all count alike.
        """
        truth = truth.to(estimate)
        error = (estimate - truth).flatten(1)
        total = truth.flatten(1).sum(dim=1).clamp(min=torch.finfo(truth.dtype).tiny)
        loss = self.voxel * error.abs().sum(dim=1) / total
        if self.root:
            loss = loss + self.root * _root_error(estimate.flatten(1), truth.flatten(1))
        if self.organ:
            sums = error.new_zeros(len(error), len(ORGANS)).scatter_add(1, labels.flatten(1).long(), error)
            loss = loss + self.organ * sums.abs().sum(dim=1) / total
        return loss.mean() if weight is None else (loss * weight).mean()


def _root_error(estimate: Tensor, truth: Tensor) -> Tensor:
    """Relative absolute error of the square roots of rows."""
    floor = ROOT_FLOOR * truth.mean(dim=1, keepdim=True) + torch.finfo(truth.dtype).tiny
    error = torch.sqrt(estimate + floor) - torch.sqrt(truth + floor)
    return error.abs().sum(dim=1) / torch.sqrt(truth + floor).sum(dim=1)
