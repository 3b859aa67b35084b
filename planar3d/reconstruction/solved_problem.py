"""A reconstruction problem with its answer, for methods that learn."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from planar3d.batch import Batch
from planar3d.reconstruction.problem import PlanarProblem

__all__ = ["SolvedProblem"]


@dataclass(frozen=True, kw_only=True)
class SolvedProblem:
    """A batch to learn from: what a method is given, and the truth.

    Attributes:
        problem: What is given.
        truth: The synthetic patients that it was made from.
        weight: Importance of each sample, ``(b,)``, of mean one over a training; None where all count alike.
    """

    problem: PlanarProblem
    truth: Batch
    weight: Float[Tensor, " b"] | None = None

    def __len__(self) -> int:
        return len(self.truth)
