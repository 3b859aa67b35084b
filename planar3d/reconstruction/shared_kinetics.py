"""Activities of organs at several times that lie on curves: what the images of each time say, made consistent over time.

``ln a_k(t_i) = alpha_k - lambda_k (t_i - t_1) + delta_ki`` with ``lambda_k = lambda_phys + e^(u_k)``: a mono-exponential per organ, never
slower than physical decay, that may be missed by a little at each time, ``delta ~ N(0, tau_k^2)``. With the log-normal prior of the
effective half-life ``T_k = ln 2 / lambda_k``, the maximum a posteriori of

    sum_i log p(y_i | a(t_i)) - sum_k ((ln T_k - m_k) / s_k)^2 / 2 - sum_ki (delta_ki / tau_k)^2 / 2

is found by Levenberg-Marquardt steps over all organs and times of a patient together, a batch at once; the likelihood is any that gives
its value, gradient and Fisher information by a. The covariance is the inverse of the Gauss-Newton matrix (Laplace). An organ whose
activity follows no exponential (the bladder) takes a large tau and is then free at each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from planar3d.dosimetry.curve_fit import scaled_inverse
from planar3d.dosimetry.curve_model import LN2
from planar3d.dosimetry.effective_half_life import HalfLifePriors
from planar3d.reconstruction.kinetic_activities import KineticActivities

__all__ = ["Likelihood", "LikelihoodTerms", "SharedKinetics"]

_ITERATIONS = 60
_LONGEST_STEP = 1.5
_CONVERGED = 1e-7
_SMALLEST = 1e-8  # of an organ's activity, relative to the largest of all
_SLOWEST_STEP = 1e-6  # of the rate beyond the physical one, relative to it
_SLOWEST_START = 1e-2
_HALF_LIVES_BEFORE = 6.0  # between injection and the first image at most: what went faster leaves no trace
_LEAST_TAU = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class LikelihoodTerms:
    """A log-likelihood at activities ``a`` and what a step needs.

    Attributes:
        value: ``(b,)``, up to a constant.
        gradient: By a, ``(b, t, k)`` [1/Bq].
        information: Fisher information of a, times being independent, ``(b, t, k, k)`` [1/Bq^2].
    """

    value: Float[Tensor, " b"]
    gradient: Float[Tensor, "b t k"]
    information: Float[Tensor, "b t k k"]


Likelihood = Callable[[Tensor], LikelihoodTerms]
"""From activities ``(b, t, k)`` [Bq] to its terms."""


class SharedKinetics:
    """Curves of the organs of a batch of patients.

    Args:
        times_s: After injection, ``(t,)`` float64 [s].
        half_life_s: Physical half-life [s].
        priors: Of the effective half-life of each organ; None for none.
        tau: Standard deviation of the logarithm by which an activity may miss its curve, ``(k,)``.
    """

    def __init__(
        self, *, times_s: Float[Tensor, " t"], half_life_s: float, priors: HalfLifePriors | None, tau: Float[Tensor, " k"]
    ) -> None:
        self.times_s = times_s
        self.half_life_s = half_life_s
        self.physical = LN2 / half_life_s
        self.priors = priors
        self.tau = tau.double().clamp(min=_LEAST_TAU)
        self.elapsed = times_s - times_s[0]
        self.k, self.t = len(tau), len(times_s)

    def fit(
        self, likelihood: Likelihood, *, first_bq: Float[Tensor, "b k"], rates_per_s: Float[Tensor, "b k"], present: Bool[Tensor, "b k"]
    ) -> KineticActivities:
        """Maximum a posteriori.

        Args:
            likelihood: Of the activities at each time.
            first_bq: Activities at the first time to start from, ``(b, k)`` [Bq].
            rates_per_s: Effective rates to start from, ``(b, k)`` [1/s].
            present: Whether a sample has the organ, ``(b, k)``.
        """
        phi = self._start(first_bq, rates_per_s)
        damping = torch.full_like(phi[:, 0], 1e-3)
        terms = likelihood(self._activity(phi, present))
        cost = self._cost(phi, terms)
        for _ in range(_ITERATIONS):
            H, gradient = self._system(phi, terms, present)
            diagonal = H.diagonal(dim1=1, dim2=2)
            # an organ that a sample lacks has no information and does not move
            damped = H + torch.diag_embed(damping[:, None] * diagonal + 1e-12 * diagonal + (diagonal == 0))
            step = torch.linalg.solve_ex(damped, gradient[..., None])[0].squeeze(2).clamp(-_LONGEST_STEP, _LONGEST_STEP)
            trial = self._bounded(phi + step)
            trial_terms = likelihood(self._activity(trial, present))
            trial_cost = self._cost(trial, trial_terms)
            better = trial_cost <= cost
            moved = (trial - phi).abs().amax(dim=1)
            phi, cost = torch.where(better[:, None], trial, phi), torch.where(better, trial_cost, cost)
            terms = _better_of(better, trial_terms, terms)
            damping = torch.where(better, 0.2 * damping, 8.0 * damping).clamp(1e-9, 1e9)
            if bool(((better & (moved < _CONVERGED)) | (damping >= 1e6)).all()):
                break
        return self._result(phi, terms, present)

    def _parts(self, phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """alpha ``(b, k)``, u ``(b, k)`` and delta ``(b, t, k)`` of phi."""
        alpha, u, delta = phi.split([self.k, self.k, self.t * self.k], dim=1)
        return alpha, u, delta.unflatten(1, (self.t, self.k))

    def _activity(self, phi: Tensor, present: Tensor) -> Tensor:
        """``(b, t, k)`` [Bq]."""
        alpha, u, delta = self._parts(phi)
        log = alpha[:, None] - (self.physical + u.exp())[:, None] * self.elapsed[:, None] + delta
        return log.exp() * present[:, None]

    def _slope(self, phi: Tensor) -> Tensor:
        """Derivative of the logarithm of the activities by phi, ``(b, t, k, p)``."""
        u = self._parts(phi)[1]
        unit = torch.eye(self.k, dtype=phi.dtype, device=phi.device)
        by_alpha = unit.expand(len(phi), self.t, -1, -1)
        by_u = -self.elapsed[:, None, None] * (u.exp()[:, None, :, None] * unit)
        own = torch.eye(self.t * self.k, dtype=phi.dtype, device=phi.device).view(self.t, self.k, -1)
        return torch.cat([by_alpha, by_u, own.expand(len(phi), -1, -1, -1)], dim=3)

    def _half_life_residual(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """``(ln T - m) / s`` and its derivative by u, ``(b, k)``; zero without priors."""
        if self.priors is None:
            return torch.zeros_like(u), torch.zeros_like(u)
        rate = self.physical + u.exp()
        residual = ((LN2 / rate).log() - self.priors.location) / self.priors.log_sd
        return residual, -u.exp() / rate / self.priors.log_sd

    def _cost(self, phi: Tensor, terms: LikelihoodTerms) -> Tensor:
        """Negative logarithm of the posterior up to a constant, ``(b,)``."""
        _, u, delta = self._parts(phi)
        prior = self._half_life_residual(u)[0].square().sum(dim=1) + (delta / self.tau).square().sum(dim=(1, 2))
        return 0.5 * prior - terms.value

    def _system(self, phi: Tensor, terms: LikelihoodTerms, present: Tensor) -> tuple[Tensor, Tensor]:
        """Gauss-Newton matrix ``(b, p, p)`` and the direction of steepest ascent ``(b, p)`` of the posterior."""
        _, u, delta = self._parts(phi)
        a, J = self._activity(phi, present), self._slope(phi)
        weighted = terms.information * a[..., :, None] * a[..., None, :]
        H = torch.einsum("btkp,btkl,btlq->bpq", J, weighted, J)
        gradient = torch.einsum("btkp,btk->bp", J, a * terms.gradient)
        residual, slope = self._half_life_residual(u)
        precision = (present[:, None] / self.tau.square()).expand_as(delta)
        prior_gradient = torch.cat([torch.zeros_like(u), residual * slope * present, (delta * precision).flatten(1)], dim=1)
        prior_precision = torch.cat([torch.zeros_like(u), slope.square() * present, precision.flatten(1)], dim=1)
        return H + torch.diag_embed(prior_precision), gradient - prior_gradient

    def _start(self, first_bq: Tensor, rates: Tensor) -> Tensor:
        """Phi of a start, deviations zero."""
        smallest = _SMALLEST * first_bq.amax(dim=1, keepdim=True) + torch.finfo(first_bq.dtype).tiny
        u = (rates - self.physical).clamp(min=_SLOWEST_START * self.physical).log()
        return self._bounded(torch.cat([torch.maximum(first_bq, smallest).log(), u, u.new_zeros(len(u), self.t * self.k)], dim=1))

    def _bounded(self, phi: Tensor) -> Tensor:
        """Phi with rates off the physical one by a trifle at least, and none that the first image could not have seen."""
        alpha, u, delta = phi.split([self.k, self.k, self.t * self.k], dim=1)
        reach = float(self.times_s[0]) or float(self.times_s[1])
        ends = phi.new_tensor([_SLOWEST_STEP * self.physical, max(_HALF_LIVES_BEFORE * LN2 / reach, 2.0 * self.physical)]).log()
        return torch.cat([alpha, u.clamp(ends[0], ends[1]), delta], dim=1)

    def _result(self, phi: Tensor, terms: LikelihoodTerms, present: Tensor) -> KineticActivities:
        """Activities, their integrals and errors."""
        alpha, u, _ = self._parts(phi)
        H, _ = self._system(phi, terms, present)
        covariance = scaled_inverse(H)
        a, J = self._activity(phi, present), self._slope(phi)
        at_each_time = torch.einsum("btkp,bpq,btlq->btkl", J, covariance, J) * a[..., :, None] * a[..., None, :]
        rate = self.physical + u.exp()
        first = float(self.times_s[0])
        integral = torch.exp(alpha + rate * first) / rate * present
        unit = torch.eye(self.k, dtype=phi.dtype, device=phi.device)
        by_u = torch.diag_embed(u.exp() * (first - 1.0 / rate))
        slope = torch.cat([unit.expand_as(by_u), by_u, by_u.new_zeros(len(phi), self.k, self.t * self.k)], dim=2)
        log_covariance = slope @ covariance @ slope.mT
        half_life = -u.exp() / rate
        u_variance = covariance.diagonal(dim1=1, dim2=2)[:, self.k : 2 * self.k]
        return KineticActivities(
            times_s=self.times_s,
            activity_bq=a,
            covariance_bq2=at_each_time,
            time_integrated_bq_s=integral,
            time_integrated_covariance_bq2_s2=log_covariance * integral[:, :, None] * integral[:, None, :],
            half_life_s=LN2 / rate,
            half_life_log_sd=u_variance.sqrt() * half_life.abs(),
        )


def _better_of(better: Tensor, new: LikelihoodTerms, old: LikelihoodTerms) -> LikelihoodTerms:
    """Terms of the samples whose trial was better, and the old ones of the rest."""
    return LikelihoodTerms(
        value=torch.where(better, new.value, old.value),
        gradient=torch.where(better[:, None, None], new.gradient, old.gradient),
        information=torch.where(better[:, None, None, None], new.information, old.information),
    )
