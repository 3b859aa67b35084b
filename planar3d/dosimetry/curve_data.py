"""Measured activities made ready to be fitted: scaled to about one, and what makes their errors independent and alike.

With covariance ``C = L L^T`` of a curve's points, ``L^-1 (a - A(theta))`` has independent entries of variance one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.effective_half_life import HalfLifePriors

__all__ = ["CurveData"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveData:
    """Points of several curves, in float64.

    Attributes:
        activity: In units of ``scale``, ``(n, t)``.
        whitener: ``L^-1``, in units of one over scale, ``(n, t, t)``.
        scale: What a curve was divided by, ``(n,)``.
        times_s: After injection, ``(t,)`` [s].
        physical_rate_per_s: Decay constant [1/s].
        priors: Of the half-lives; None for none.
    """

    activity: Float[Tensor, "n t"]
    whitener: Float[Tensor, "n t t"]
    scale: Float[Tensor, " n"]
    times_s: Float[Tensor, " t"]
    physical_rate_per_s: float
    priors: HalfLifePriors | None = None

    @classmethod
    def of(
        cls,
        activity: Float[Tensor, "n t"],
        covariance: Float[Tensor, "n t t"],
        *,
        times_s: Float[Tensor, " t"],
        physical_rate_per_s: float,
        priors: HalfLifePriors | None,
    ) -> CurveData:
        """Scale and whiten.

        Args:
            activity: Measured, ``(n, t)``.
            covariance: Of each curve's points, positive definite, ``(n, t, t)``.
            times_s: After injection, ``(t,)`` [s].
            physical_rate_per_s: Decay constant [1/s].
            priors: Of the half-lives; None for none.

        Raises:
            ValueError: A covariance is not positive definite.
        """
        error = covariance.diagonal(dim1=1, dim2=2).sqrt()
        scale = torch.maximum(activity.amax(dim=1), error.amax(dim=1))
        factor, failed = torch.linalg.cholesky_ex(covariance / scale.square()[:, None, None])
        if bool((failed != 0).any()):
            raise ValueError(
                f"covariance of curve {int(failed.nonzero()[0])} is not positive definite; give standard errors above zero, or a true "
                f"covariance"
            )
        unit = torch.eye(len(times_s), dtype=activity.dtype, device=activity.device)
        return cls(
            activity=activity / scale[:, None],
            whitener=torch.linalg.solve_triangular(factor, unit.expand_as(factor), upper=False),
            scale=scale,
            times_s=times_s,
            physical_rate_per_s=physical_rate_per_s,
            priors=priors,
        )
