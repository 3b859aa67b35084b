"""A reconstruction problem with its answer, for methods that learn."""

from __future__ import annotations

from dataclasses import dataclass

from planar3d.batch import Batch
from planar3d.reconstruction.problem import PlanarProblem

__all__ = ["SolvedProblem"]


@dataclass(frozen=True, kw_only=True)
class SolvedProblem:
    """A batch to learn from: what a method is given, and the truth.

    Attributes:
        problem: What is given.
        truth: The synthetic patients that it was made from.
    """

    problem: PlanarProblem
    truth: Batch

    def __len__(self) -> int:
        return len(self.truth)
