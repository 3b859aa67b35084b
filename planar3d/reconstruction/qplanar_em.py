"""QPlanar followed by a few EM steps, which let activity leave the piecewise-constant picture.

QPlanar says how much lies in each organ, EM then moves it along and across the lines of sight until the views are met better. Few steps:
with many, noise is fitted. An EM step keeps a voxel at zero that starts there, so every voxel of the body starts with at least a part of
the body's mean activity; a generous part, because QPlanar takes whole organs to zero to make up for what its model lacks.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from planar3d.reconstruction.mlem import mlem_iterate
from planar3d.reconstruction.posterior import Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.qplanar import QPlanar
from planar3d.reconstruction.registration import move_problem

__all__ = ["QPlanarEM"]


class QPlanarEM:
    """QPlanar, then EM steps over the voxels of the body.

    Args:
        qplanar: What gives the start; None for a plain `QPlanar`.
        iterations: Number of EM steps.
        floor: Least start of a voxel in the body, as a fraction of the body's mean activity.
    """

    name = "qplanar_em"

    def __init__(self, *, qplanar: QPlanar | None = None, iterations: int = 12, floor: float = 0.2) -> None:
        if iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {iterations}")
        if not 0 <= floor < 1:
            raise ValueError(f"floor must lie in [0, 1), got {floor}; it is a fraction of the body's mean activity")
        self.qplanar = qplanar or QPlanar()
        self.iterations = iterations
        self.floor = floor

    def __call__(self, problem: PlanarProblem) -> Posterior:
        """Reconstruct a batch."""
        first = self.qplanar(problem)
        if first.offset is not None:
            problem = move_problem(problem, first.offset)
        body = problem.body.to(first.mean)
        mean_activity = (first.mean * body).sum(dim=(1, 2, 3, 4), keepdim=True) / body.sum(dim=(1, 2, 3, 4), keepdim=True)
        start = torch.maximum(first.mean, self.floor * mean_activity) * body
        x = mlem_iterate(problem, start, self.iterations)
        return replace(first, mean=x, std=None, organs=None, expected_views=problem.expected_counts(x))
