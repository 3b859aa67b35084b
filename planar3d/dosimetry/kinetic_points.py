"""Activities at times after injection with their errors, checked: what every model of kinetics is given."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.one_count import missing_variance
from planar3d.dosimetry.time_axis import TimeAxis
from planar3d.dosimetry.time_integrated_activity import TimeIntegratedActivity

__all__ = ["KineticPoints"]

_LEAST_ERROR = 1e-6  # of a standard error, relative to the largest activity of its curve


@dataclass(frozen=True, kw_only=True, eq=False)
class KineticPoints:
    """In float64.

    Attributes:
        activity: ``(n, t)`` [Bq].
        covariance: Of each curve's points, ``(n, t, t)`` [Bq^2].
        times_s: After injection, ``(t,)`` [s].
        half_life_s: Physical half-life [s].
        errors_known: Whether the covariance was given; otherwise it is that of a relative error of one.
        between_curves: Covariance of all points of all curves, ``(n, t, n, t)`` [Bq^2]; None where not given.
    """

    activity: Float[Tensor, "n t"]
    covariance: Float[Tensor, "n t t"]
    times_s: Float[Tensor, " t"]
    half_life_s: float
    errors_known: bool
    between_curves: Float[Tensor, "n t n t"] | None

    @property
    def n(self) -> int:
        """Number of curves."""
        return self.activity.shape[0]

    @property
    def t(self) -> int:
        """Number of times."""
        return self.activity.shape[1]

    @classmethod
    def of(
        cls,
        activity_bq: Tensor,
        *,
        times: TimeAxis,
        half_life_s: float,
        standard_error_bq: Tensor | None,
        covariance_bq2: Tensor | None,
        model_log_sd: float,
    ) -> KineticPoints:
        """Check and complete; arguments and errors as for `planar3d.dosimetry.fit_kinetics`."""
        t = activity_bq.shape[1]
        if t != len(times.times_s):
            raise ValueError(f"activity_bq has {t} times and the time axis {len(times.times_s)}; give one activity for each time")
        if not (math.isfinite(half_life_s) and half_life_s > 0):
            raise ValueError(f"half_life_s must be positive, got {half_life_s}")
        if not model_log_sd >= 0:
            raise ValueError(f"model_log_sd must be zero or more, got {model_log_sd}")
        a = activity_bq.double()
        bad = (~(a >= 0) | torch.isinf(a)).nonzero()
        if len(bad):
            i, j = bad[0].tolist()
            raise ValueError(f"activity of curve {i} at time {j + 1} is {float(a[i, j]):g} Bq; give activities of zero or more")
        covariance, between = _covariance(a, standard_error_bq, covariance_bq2)
        known = covariance is not None
        largest = a.amax(dim=1, keepdim=True)
        if covariance is None:
            covariance = torch.diag_embed(torch.maximum(a, 1e-3 * largest).square())
        variance = covariance.diagonal(dim1=1, dim2=2)
        no_error = (largest == 0) & (variance == 0)
        least = missing_variance(a, variance) + (_LEAST_ERROR * largest).square() + no_error
        floor = torch.diag_embed(least + (model_log_sd * a).square())
        times_s = times.tensor(a)
        return cls(
            activity=a,
            covariance=covariance + floor,
            times_s=times_s,
            half_life_s=half_life_s,
            errors_known=known,
            between_curves=between if between is None else between + _own(floor),
        )

    def in_type_of(self, found: TimeIntegratedActivity, like: Tensor) -> TimeIntegratedActivity:
        """A result in the type of the activities given."""
        tensors = {f.name: getattr(found, f.name) for f in fields(found)}
        return replace(found, **{k: v.to(like.dtype) for k, v in tensors.items() if isinstance(v, Tensor) and v.is_floating_point()})


def _covariance(a: Tensor, standard_error: Tensor | None, covariance: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Covariance of each curve's points ``(n, t, t)``, and that between all where given."""
    n, t = a.shape
    if standard_error is not None and covariance is not None:
        raise ValueError("standard_error_bq and covariance_bq2 are both given; give one of them")
    if standard_error is not None:
        if standard_error.shape != a.shape or not bool(((standard_error >= 0) & torch.isfinite(standard_error)).all()):
            raise ValueError(
                f"standard_error_bq must be finite, zero or more and have the shape of the activities, {(n, t)}; got "
                f"{tuple(standard_error.shape)}"
            )
        return torch.diag_embed(standard_error.double().square()), None
    if covariance is None:
        return None, None
    C = covariance.double()
    if tuple(C.shape) == (n, t, t):
        return C, None
    if tuple(C.shape) == (n, t, n, t):
        return C.diagonal(dim1=0, dim2=2).movedim(2, 0).contiguous(), C
    raise ValueError(f"covariance_bq2 must have shape {(n, t, t)} or {(n, t, n, t)}, got {tuple(C.shape)}")


def _own(each: Tensor) -> Tensor:
    """Covariances of single curves ``(n, t, t)`` as one between curves that share nothing, ``(n, t, n, t)``."""
    return torch.einsum("nst,nm->nsmt", each, torch.eye(len(each), dtype=each.dtype, device=each.device))
