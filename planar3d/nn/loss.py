"""What a regression of activity minimises.

    loss = w_v sum|x - x_hat| / sum x  +  w_r sum|sqrt(x) - sqrt(x_hat)| / sum sqrt(x)
         + w_o sum_k|a_k - a_hat_k| / sum a  +  w_s sum_k|sqrt(a_k) - sqrt(a_hat_k)| / sum sqrt(a)

per sample with organ activities ``a_k``, then the mean, weighted by importance where samples were drawn from a proposal. The first term is
the NMAE itself. Its optimum is the median of the posterior, which lies below the mean where activity is sparse; the organ terms (``k`` runs
over organs and lesions) hold the totals that dosimetry needs. The root terms give faint regions, and small organs and lesions, a say.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from planar3d.organ_sums import organ_sums
from planar3d.shapes import LabelMap, Volume

__all__ = ["ActivityLoss"]

ROOT_FLOOR = 1e-3  # of the mean activity: keeps the derivative of the root finite at zero


class ActivityLoss(nn.Module):
    """Voxel, root and organ errors, each relative to the truth, so that the count scale does not matter.

    Args:
        voxel: Weight of the absolute error per voxel.
        root: Weight of the absolute error of square roots.
        organ: Weight of the absolute error of organ totals.
        organ_root: Weight of the absolute error of the square roots of organ totals.
    """

    def __init__(self, *, voxel: float = 1.0, root: float = 0.0, organ: float = 0.0, organ_root: float = 0.0) -> None:
        super().__init__()
        weights = {"voxel": voxel, "root": root, "organ": organ, "organ_root": organ_root}
        if min(weights.values()) < 0 or sum(weights.values()) == 0:
            raise ValueError(f"weights must be non-negative and one of them positive, got {weights}")
        self.voxel = voxel
        self.root = root
        self.organ = organ
        self.organ_root = organ_root

    def forward(self, estimate: Volume, truth: Volume, labels: LabelMap, weight: Float[Tensor, " b"] | None = None) -> Float[Tensor, ""]:
        """The loss.

        Args:
            estimate: Activity estimated, ``(b, 1, x, y, z)`` [Bq/mL].
            truth: Activity, ``(b, 1, x, y, z)`` [Bq/mL].
            labels: Ids over which the organ terms sum, ``(b, 1, x, y, z)``.
            weight: Importance of each sample, ``(b,)``; None where all count alike.
        """
        truth = truth.to(estimate)
        error = (estimate - truth).flatten(1)
        total = truth.flatten(1).sum(dim=1).clamp(min=torch.finfo(truth.dtype).tiny)
        loss = self.voxel * error.abs().sum(dim=1) / total
        if self.root:
            loss = loss + self.root * _root_error(estimate.flatten(1), truth.flatten(1))
        if self.organ or self.organ_root:
            estimated, true = organ_sums(estimate, labels), organ_sums(truth, labels)
            loss = loss + self.organ * (estimated - true).abs().sum(dim=1) / total
            loss = loss + self.organ_root * _root_error(estimated, true)
        return loss.mean() if weight is None else (loss * weight).mean()


def _root_error(estimate: Tensor, truth: Tensor) -> Tensor:
    """Relative absolute error of the square roots of rows."""
    floor = ROOT_FLOOR * truth.mean(dim=1, keepdim=True) + torch.finfo(truth.dtype).tiny
    error = torch.sqrt(estimate + floor) - torch.sqrt(truth + floor)
    return error.abs().sum(dim=1) / torch.sqrt(truth).sum(dim=1).clamp(min=torch.finfo(truth.dtype).tiny)
