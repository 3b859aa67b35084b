"""Maximum-likelihood expectation maximisation over ordered subsets of any views (Hudson and Larkin 1994).

``y ~ Poisson(A x + r)`` with known additive counts ``r``: scatter as side windows tell it, or the room. A step over subset s of the views,

``x <- x / (A_s^T 1) . A_s^T (y_s / (A_s x + r_s))``,

is one EM step (`planar3d.reconstruction.mlem.mlem_update`) on those views alone. With one subset it is MLEM (Shepp and Vardi 1982), which
raises the likelihood at every step; with n it goes about n times as far per iteration and ends in a cycle, not at the maximum. A voxel
that one subset sets to zero stays zero, so subsets should not be so small that their pixels are mostly empty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from planar3d.physics import LinearOperator
from planar3d.reconstruction.mlem import LEAST_START, mlem_update
from planar3d.reconstruction.posterior import Posterior
from planar3d.shapes import BodyMask, Views, Volume

__all__ = ["OSEM", "Divisible", "TomographicProblem"]


@runtime_checkable
class Divisible(Protocol):
    """An operator whose views can be divided, as `planar3d.physics.RotatingProjector`."""

    def subsets(self, count: int) -> Iterator[tuple[LinearOperator, tuple[int, ...]]]:
        """The operator of each part, and the places of its views in the list of all."""
        ...


@dataclass(frozen=True, kw_only=True)
class TomographicProblem:
    """Views of a batch of patients from any angles.

    Attributes:
        views: Counts measured, ``(b, view, u, w)``.
        projector: Activity [Bq/mL] to expected counts of these views; of each patient, or of one that serves the batch.
        mask: Where activity may lie, ``(b, 1, x, y, z)``.
        background: Counts expected beside those of the activity, ``(b, view, u, w)``; None for none.
    """

    views: Views
    projector: LinearOperator
    mask: BodyMask
    background: Views | None = None

    def __post_init__(self) -> None:
        shape = getattr(self.projector, "shape", None)
        if shape is not None and tuple(self.mask.shape[2:]) != tuple(shape):
            raise ValueError(f"mask must have the projector's grid of {tuple(shape)} voxels, got {tuple(self.mask.shape[2:])}; resample it")
        if not self.mask.flatten(1).any(dim=1).all():
            raise ValueError("mask is empty for a sample; give the voxels in which activity may lie, as those of the body")
        expected = tuple(self.silhouette.shape)
        for name, counts in (("views", self.views), ("background", self.background)):
            if counts is None:
                continue
            if tuple(counts.shape) != expected:
                raise ValueError(
                    f"{name} must have shape {expected}, as the projector gives of the mask, got {tuple(counts.shape)}; "
                    f"give the orbit and the detector with which they were acquired"
                )
            if not (torch.isfinite(counts).all() and (counts >= 0).all()):
                raise ValueError(f"{name} must be counts, non-negative and finite; got others. Check the file they were read from")

    @cached_property
    def silhouette(self) -> Views:
        """Expected counts of 1 Bq/mL everywhere in the mask, ``(b, view, u, w)``."""
        return self.projector(self.mask.to(self.views))

    def uniform_start(self) -> Volume:
        """Uniform activity in the mask that gives the counts measured less the background, ``(b, 1, x, y, z)`` [Bq/mL].

        At least `LEAST_START` of all counts: what starts at zero stays there.
        """
        silhouette = self.silhouette
        measured = _total(self.views.to(silhouette))
        above = measured if self.background is None else measured - _total(self.background.to(silhouette))
        wanted = torch.maximum(above, LEAST_START * measured)
        return self.mask.to(silhouette) * (wanted / _total(silhouette).clamp(min=torch.finfo(silhouette.dtype).tiny))

    def subsets(self, count: int) -> Iterator[tuple[LinearOperator, Views, Views | None]]:
        """Projector, counts and background of each subset, in the order in which they are used.

        Args:
            count: Number of subsets; one takes the views as they are.
        """
        if count == 1:
            parts = [(self.projector, tuple(range(self.views.shape[1])))]
        elif isinstance(self.projector, Divisible):
            parts = self.projector.subsets(count)
        else:
            raise ValueError(
                f"subsets must be 1 for a {type(self.projector).__name__}, got {count}; more need GammaCamera.rotating_projector"
            )
        for projector, views in parts:
            index = list(views)
            yield projector, self.views[:, index], None if self.background is None else self.background[:, index]


class OSEM:
    """Ordered-subset EM.

    Args:
        iterations: Passes over all views.
        subsets: Parts into which they are divided, at most the number of lines of view; 1 is MLEM.
    """

    name = "osem"

    def __init__(self, *, iterations: int = 5, subsets: int = 6) -> None:
        for name, value in (("iterations", iterations), ("subsets", subsets)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.iterations = iterations
        self.subsets = subsets

    def __call__(self, problem: TomographicProblem, *, start: Volume | None = None) -> Posterior:
        """Reconstruct a batch.

        Args:
            problem: What is given.
            start: Activity to start from, ``(b, 1, x, y, z)`` [Bq/mL]; what is zero stays zero. None for uniform in the mask.

        Returns:
            Activity map, and the expected counts of it and the background together.
        """
        x = deque(self.estimates(problem, start=start), maxlen=1).pop()
        expected = problem.projector(x)
        return Posterior(mean=x, expected_views=expected if problem.background is None else expected + problem.background.to(expected))

    def estimates(self, problem: TomographicProblem, *, start: Volume | None = None) -> Iterator[Volume]:
        """The activity map after each iteration, ``(b, 1, x, y, z)`` [Bq/mL]: to see how resolution and noise grow.

        Args:
            problem: What is given.
            start: Activity to start from, ``(b, 1, x, y, z)`` [Bq/mL]; None for uniform in the mask.
        """
        x = problem.uniform_start() if start is None else _checked_start(start, problem)
        parts = [(*part, part[0].adjoint(torch.ones_like(part[1]))) for part in problem.subsets(self.subsets)]
        for _ in range(self.iterations):
            for projector, y, background, sensitivity in parts:
                x = mlem_update(
                    x, projector, y.to(x), sensitivity, problem.mask, background=None if background is None else background.to(x)
                )
            yield x


def _checked_start(start: Tensor, problem: TomographicProblem) -> Tensor:
    """The start in the mask; raise if it cannot be one."""
    if start.shape != problem.mask.shape:
        raise ValueError(f"start must have shape {tuple(problem.mask.shape)} like the mask, got {tuple(start.shape)}; resample it first")
    if not (torch.isfinite(start).all() and (start >= 0).all()):
        raise ValueError("start must be activity, non-negative and finite; got other values. Leave it out to start from a uniform mask")
    return start.to(problem.silhouette) * problem.mask


def _total(views: Tensor) -> Tensor:
    """Counts of each sample, shaped to multiply a volume."""
    return views.flatten(1).sum(dim=1).view(-1, 1, 1, 1, 1)
