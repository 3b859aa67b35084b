"""Two-view maximum-likelihood expectation maximisation (Shepp and Vardi 1982).

``x <- x / (A^T w) . A^T (w y / (A x + r))``, ``r`` a known background, raises the Poisson likelihood of the pixels with weight ``w = 1`` at
every step and keeps x non-negative. Two views cannot tell depth, so what comes out is the uniform start, shaped by the images.
"""

from __future__ import annotations

import torch
from torch import Tensor

from planar3d.physics import LinearOperator
from planar3d.reconstruction.posterior import Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.shapes import BodyMask, Views, Volume

__all__ = ["MLEM", "mlem_iterate", "mlem_update", "uniform_start"]

LEAST_START = 0.05


def mlem_update(
    x: Volume, projector: LinearOperator, y: Views, sensitivity: Volume, mask: BodyMask, *, background: Views | None = None
) -> Volume:
    """One EM step.

    Args:
        x: Activity, ``(b, 1, x, y, z)`` [Bq/mL].
        projector: Activity to expected counts, of any views.
        y: Counts, zero in pixels left out of the fit, ``(b, view, u, w)``.
        sensitivity: ``projector.adjoint(w)``, where ``w`` is one in the pixels fitted and zero elsewhere, ``(b, 1, x, y, z)``.
        mask: Where activity may lie, ``(b, 1, x, y, z)``.
        background: Counts expected beside those of the activity, ``(b, view, u, w)``; None for none.

    Returns:
        Activity of higher likelihood, ``(b, 1, x, y, z)`` [Bq/mL].
    """
    expected = projector(x) if background is None else projector(x) + background
    # far below any pixel that matters; without it the round-off of an empty pixel would be divided by
    floor = 1e-6 * expected.detach().amax(dim=(1, 2, 3), keepdim=True) + torch.finfo(expected.dtype).tiny
    ratio = y / expected.clamp(min=floor)
    usable = mask & (sensitivity > 0)
    safe = torch.where(usable, sensitivity, torch.ones_like(sensitivity))
    return torch.where(usable, x * projector.adjoint(ratio) / safe, torch.zeros_like(x))


def mlem_iterate(problem: PlanarProblem, start: Volume, iterations: int, *, mask: BodyMask | None = None) -> Volume:
    """EM steps from a start, over the pixels that see the body and the voxels of the body.

    Args:
        problem: What is given.
        start: Activity to start from, ``(b, 1, x, y, z)`` [Bq/mL]; what is zero stays zero.
        iterations: Number of EM steps; none returns the start.
        mask: Where activity may lie, ``(b, 1, x, y, z)``; the body if None.
    """
    if iterations == 0:
        return start
    y = problem.views * problem.seen
    x, mask = start, problem.body if mask is None else mask
    for _ in range(iterations):
        x = mlem_update(x, problem.projector, y, problem.sensitivity, mask, background=problem.background)
    return x


class MLEM:
    """Two-view MLEM from a uniform body that gives the counts measured.

    Args:
        iterations: Number of EM steps.
    """

    name = "mlem"

    def __init__(self, *, iterations: int = 30) -> None:
        if iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {iterations}")
        self.iterations = iterations

    def __call__(self, problem: PlanarProblem) -> Posterior:
        """Reconstruct a batch."""
        x = mlem_iterate(problem, uniform_start(problem), self.iterations)
        return Posterior(mean=x, expected_views=problem.expected_counts(x))


def uniform_start(problem: PlanarProblem) -> Volume:
    """Uniform activity in the body that gives the counts measured beyond the background, ``(b, 1, x, y, z)`` [Bq/mL].

    At least `LEAST_START` of all counts: what starts at zero stays there.
    """
    body = problem.body.to(problem.views)
    counts, known = (_total(views * problem.seen) for views in (problem.views, problem.known_counts))
    return body * torch.maximum(counts - known, LEAST_START * counts) / _total(problem.silhouette * problem.seen)


def _total(views: Tensor) -> Tensor:
    """Counts of each sample, shaped to multiply a volume."""
    return views.flatten(1).sum(dim=1).view(-1, 1, 1, 1, 1)
