"""Weighted least squares of many curves at once, or their maximum a posteriori with priors on the half-lives.

``|L^-1 (a - A(theta))|^2 + ((ln T_1(theta) - m) / s)^2`` with ``T_1`` the slowest half-life, minimised by Levenberg-Marquardt steps
(Marquardt 1963) for all curves together from the best node of a grid (`planar3d.dosimetry.curve_start`). The covariance of theta is
``H^-1``, H the Gauss-Newton matrix at the minimum, prior included; the derivative of theta by the data is ``H^-1 J^T L^-1``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.curve_data import CurveData
from planar3d.dosimetry.curve_model import LN2, CurveModel, Exponentials
from planar3d.dosimetry.curve_start import grid_start

__all__ = ["CurveFit", "fit_curves", "scaled_inverse"]

_ITERATIONS = 80
_LONGEST_STEP = 2.0
_CONVERGED = 1e-10
_LOG_AMPLITUDE = (-25.0, 25.0)
_SLOWEST_STEPS = (1e-6, 1e-3)  # of the first and the second rate, relative to the physical one
_FASTEST_STEP = 1e4
_SMALLEST_EIGENVALUE = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveFit:
    """Curves found, in units of the scale of each curve.

    Attributes:
        curves: The curves.
        chi_square: ``|L^-1 (a - A)|^2``, without the prior, ``(n,)``.
        integral: From injection to infinity, ``(n,)`` [s].
        tail: Of it, what comes after the last time, ``(n,)`` [s].
        variance: Of the integral, ``(n,)`` [s^2].
        points_variance: Of it, what the errors of the points account for, ``(n,)`` [s^2].
        sensitivity_s: Derivative of the integral by each point, ``(n, t)`` [s].
        log_half_life_error: Standard error of the logarithm of the slowest half-life, ``(n,)``.
    """

    curves: Exponentials
    chi_square: Float[Tensor, " n"]
    integral: Float[Tensor, " n"]
    tail: Float[Tensor, " n"]
    variance: Float[Tensor, " n"]
    points_variance: Float[Tensor, " n"]
    sensitivity_s: Float[Tensor, "n t"]
    log_half_life_error: Float[Tensor, " n"]


def fit_curves(data: CurveData, model: CurveModel) -> CurveFit:
    """Fit one model to every curve."""
    theta = _levenberg_marquardt(data, model, grid_start(data, model))
    curves = model.curves(theta, data.physical_rate_per_s)
    residual, slope = _system(data, model, theta)
    covariance = scaled_inverse(slope.mT @ slope)
    gradient = curves.integral_slope()
    t = len(data.times_s)
    moved = torch.einsum("np,npq,nsq->ns", gradient, covariance, slope[:, :t])
    half_life = _log_half_life_slope(curves, model)
    return CurveFit(
        curves=curves,
        chi_square=residual[:, :t].square().sum(dim=1),
        integral=curves.integral(),
        tail=curves.integral(float(data.times_s[-1])),
        variance=torch.einsum("np,npq,nq->n", gradient, covariance, gradient),
        points_variance=moved.square().sum(dim=1),
        sensitivity_s=torch.einsum("ns,nst->nt", moved, data.whitener),
        log_half_life_error=torch.einsum("np,npq,nq->n", half_life, covariance, half_life).sqrt(),
    )


def scaled_inverse(matrix: Float[Tensor, "n p p"]) -> Float[Tensor, "n p p"]:
    """Inverse of information matrices, whatever the scale of each parameter; a parameter without information counts as known.

    Eigenvalues of the matrix scaled to a unit diagonal below 1e-12 count as 1e-12.
    """
    scale = matrix.diagonal(dim1=1, dim2=2).sqrt()
    inverse_scale = torch.where(scale > 0, 1.0 / scale.clamp(min=torch.finfo(scale.dtype).tiny), 0.0)
    scaled = matrix * inverse_scale[:, :, None] * inverse_scale[:, None, :]
    values, vectors = torch.linalg.eigh(scaled + torch.diag_embed((scale == 0).to(scale)))
    inverse = (vectors / values.clamp(min=_SMALLEST_EIGENVALUE)[:, None, :]) @ vectors.mT
    return inverse * inverse_scale[:, :, None] * inverse_scale[:, None, :]


def _levenberg_marquardt(data: CurveData, model: CurveModel, theta: Tensor) -> Tensor:
    """Theta of the least cost of each curve; curves that have converged wait for the rest."""
    low, high = _bounds(data, model)
    theta = theta.clamp(low, high)
    damping = torch.full_like(theta[:, 0], 1e-3)
    residual, slope = _system(data, model, theta)
    cost = residual.square().sum(dim=1)
    for _ in range(_ITERATIONS):
        H, gradient = slope.mT @ slope, torch.einsum("nsp,ns->np", slope, residual)
        diagonal = H.diagonal(dim1=1, dim2=2)
        floor = 1e-15 * diagonal.amax(dim=1, keepdim=True) + torch.finfo(H.dtype).tiny
        damped = H + torch.diag_embed(damping[:, None] * diagonal + floor)
        step = torch.linalg.solve_ex(damped, gradient[..., None])[0].squeeze(2).clamp(-_LONGEST_STEP, _LONGEST_STEP)
        trial = (theta + step).clamp(low, high)
        trial_residual, trial_slope = _system(data, model, trial)
        trial_cost = trial_residual.square().sum(dim=1)
        better = trial_cost <= cost
        moved = (trial - theta).abs().amax(dim=1)
        theta, residual, slope = (
            torch.where(better.view(-1, *[1] * (new.dim() - 1)), new, old)
            for new, old in ((trial, theta), (trial_residual, residual), (trial_slope, slope))
        )
        cost = torch.where(better, trial_cost, cost)
        damping = torch.where(better, 0.2 * damping, 8.0 * damping).clamp(1e-12, 1e12)
        if bool(((better & (moved < _CONVERGED)) | (damping >= 1e8)).all()):
            break
    return theta


def _system(data: CurveData, model: CurveModel, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Whitened residuals ``(n, s)``, that of the prior last, and the derivative of what was subtracted, ``(n, s, p)``."""
    curves = model.curves(theta, data.physical_rate_per_s)
    residual = torch.einsum("nst,nt->ns", data.whitener, data.activity - curves.activity(data.times_s))
    slope = data.whitener @ curves.activity_slope(data.times_s)
    if data.priors is None:
        return residual, slope
    log_half_life = (LN2 / curves.rates_per_s[:, 0]).log()
    prior = (data.priors.location - log_half_life) / data.priors.log_sd
    prior_slope = _log_half_life_slope(curves, model) / data.priors.log_sd[:, None]
    return torch.cat([residual, prior[:, None]], dim=1), torch.cat([slope, prior_slope[:, None]], dim=1)


def _log_half_life_slope(curves: Exponentials, model: CurveModel) -> Tensor:
    """Derivative of the logarithm of the slowest half-life by theta, ``(n, p)``."""
    slope = curves.amplitudes.new_zeros(len(curves.amplitudes), model.n_parameters)
    slope[:, model.n_amplitudes] = -curves.steps_per_s[:, 0] / curves.rates_per_s[:, 0]
    return slope


def _bounds(data: CurveData, model: CurveModel) -> tuple[Tensor, Tensor]:
    """Ends of theta, beyond which nothing changes that data could show, ``(p,)``."""
    steps = data.times_s.new_tensor(_SLOWEST_STEPS[: model.n_rates]) * data.physical_rate_per_s
    ends = []
    for amplitude, rates in zip(_LOG_AMPLITUDE, (steps, torch.full_like(steps, _FASTEST_STEP * data.physical_rate_per_s)), strict=True):
        ends.append(torch.cat([torch.full_like(steps[:1], amplitude).expand(model.n_amplitudes), rates.log()]))
    return ends[0], ends[1]
