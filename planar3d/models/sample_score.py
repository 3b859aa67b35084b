"""What samples of a posterior minimise: a proper score against the truth, in voxels and in organs.

``loss = w_v sum_v crps(x_v) / sum x  +  w_o sum_k crps(sqrt(a_k)) / sum sqrt(a)``

per patient, with the continuous ranked probability score over the samples (`planar3d.metrics.crps`) of voxels x and organ activities a. It
is least, on average, for samples of the true posterior of each voxel and organ (Gneiting and Raftery 2007): samples that lie too near each
other pay for their distance from the truth, and samples too far apart for their own. A denoiser learns the posterior one noise level at a
time, and what it misses at each of them makes samples too narrow in the end; this sees the end.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.metrics import crps
from planar3d.organ_sums import organ_sums
from planar3d.shapes import LabelMap, Volume

__all__ = ["SampleScore"]

ROOT_FLOOR = 1e-6  # of the whole activity: keeps the derivative of the root of an organ's finite at zero


class SampleScore:
    """Score of samples, relative to the truth, so that the count scale does not matter.

    Args:
        voxel: Weight of the voxels.
        organ: Weight of the organs and lesions, by the roots of their activities.
        samples: Samples drawn of each patient.
        differentiable: Evaluations at the end of the sampling through which the gradient goes (DRaFT-K, Clark et al. 2024,
            arXiv:2309.17400).
    """

    def __init__(self, *, voxel: float = 1.0, organ: float = 1.0, samples: int = 4, differentiable: int = 6) -> None:
        if min(voxel, organ) < 0 or voxel + organ == 0:
            raise ValueError(f"weights must be non-negative and one of them positive, got voxel {voxel} and organ {organ}")
        if samples < 2 or differentiable < 1:
            raise ValueError(f"samples must be at least 2 and differentiable at least 1, got {samples} and {differentiable}")
        self.voxel = voxel
        self.organ = organ
        self.samples = samples
        self.differentiable = differentiable

    def __call__(
        self, samples: Float[Tensor, "sample b 1 x y z"], truth: Volume, labels: LabelMap, weight: Float[Tensor, " b"] | None = None
    ) -> Float[Tensor, ""]:
        """The score; less is better.

        Args:
            samples: At least two, ``(sample, b, 1, x, y, z)`` [Bq/mL].
            truth: Activity, ``(b, 1, x, y, z)`` [Bq/mL].
            labels: Ids over which organs are summed, ``(b, 1, x, y, z)``.
            weight: Importance of each patient, ``(b,)``; None where all count alike.

        Raises:
            ValueError: There is but one sample.
        """
        truth = truth.to(samples)
        total = truth.flatten(1).sum(dim=1).clamp(min=torch.finfo(truth.dtype).tiny)
        loss = self.voxel * crps(samples, truth).flatten(1).sum(dim=1) / total
        if self.organ:
            floor = ROOT_FLOOR * total[:, None]
            roots, true_roots = (torch.sqrt(organ_sums(volumes, labels) + floor) for volumes in (samples, truth))
            present = organ_sums(torch.ones_like(truth), labels) > 0
            loss = loss + self.organ * (crps(roots, true_roots) * present).sum(dim=1) / (true_roots * present).sum(dim=1)
        return loss.mean() if weight is None else (loss * weight).mean()
