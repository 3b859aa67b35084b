"""Activities of organs that lie on curves over time, and their integrals."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["KineticActivities"]


@dataclass(frozen=True, kw_only=True, eq=False)
class KineticActivities:
    """Of a batch of patients; zero for an organ that a sample lacks.

    Attributes:
        times_s: After injection, ``(t,)`` [s].
        activity_bq: At each time, ``(b, t, k)`` [Bq].
        covariance_bq2: Between organs at each time, ``(b, t, k, k)`` [Bq^2].
        time_integrated_bq_s: From injection to infinity, of the curves without what the activities miss them by, ``(b, k)`` [Bq s].
        time_integrated_covariance_bq2_s2: Between organs, ``(b, k, k)`` [Bq^2 s^2].
        half_life_s: Effective, ``(b, k)`` [s].
        half_life_log_sd: Standard error of its logarithm, ``(b, k)``.
    """

    times_s: Float[Tensor, " t"]
    activity_bq: Float[Tensor, "b t k"]
    covariance_bq2: Float[Tensor, "b t k k"]
    time_integrated_bq_s: Float[Tensor, "b k"]
    time_integrated_covariance_bq2_s2: Float[Tensor, "b k k"]
    half_life_s: Float[Tensor, "b k"]
    half_life_log_sd: Float[Tensor, "b k"]

    @property
    def standard_error_bq(self) -> Float[Tensor, "b t k"]:
        """Of each activity [Bq]."""
        return self.covariance_bq2.diagonal(dim1=2, dim2=3).clamp(min=0.0).sqrt()

    @property
    def time_integrated_error_bq_s(self) -> Float[Tensor, "b k"]:
        """Standard error of the time-integrated activity [Bq s]."""
        return self.time_integrated_covariance_bq2_s2.diagonal(dim1=1, dim2=2).clamp(min=0.0).sqrt()

    @property
    def extrapolated_fraction(self) -> Float[Tensor, "b k"]:
        """Share of the time-integrated activity after the last time."""
        return torch.exp2(-float(self.times_s[-1]) / self.half_life_s)
