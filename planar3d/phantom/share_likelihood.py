"""What an estimate of organ shares says about the uptake: ``s = s_0 + b + H z + e`` with ``e ~ N(0, R)``.

Bias b and covariance R of an estimator are measured on the patient's own phantoms, so that whatever makes it err counts: noise, a patient
who has moved, lesions and blobs in no mask, uneven organs. Given the estimate ``s*`` of the measured views, z is Gaussian by linear
conditioning, which is the proposal, with R inflated so that it reaches beyond what the estimate allows:

    K = H^T (H H^T + R)^-1,   m = K (s* - s_0 - b),   S = I - K H.

An organ whose estimate lies farther from the phantoms' than they ever do has its error widened until it does not, and an estimate that
the phantoms would hardly give as a whole inflates R by as much more.

The importance that a learner needs is not p / q alone. Nearly all phantoms drawn by the prior look unlike the measurement, and p / q gives
them nearly all the weight. But a loss may be weighted by any function of what the learner is given: the posterior at each image stays what
it is. So p / q is multiplied by ``q(s) / p(s)`` of the estimate ``s`` that each phantom's own images give, which is one on average over q
for every s (`ShareLikelihood.log_gain`): phantoms that are like the measurement keep weights near one.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.phantom.organ_share import OrganShares
from planar3d.phantom.proposal import UptakeProposal, effective_share, mixed

__all__ = ["ShareLikelihood"]

SMALLEST_ERROR = 0.05  # standard deviation: no estimate is better than that
CLIPPED_AT = 4.0  # times the usual error; a few phantoms in which the estimator fails do not rule the rest
FARTHEST_SD = 3.0  # from the mean of the phantoms, beyond which the estimate of an organ is not taken at its word


class ShareLikelihood:
    """Errors of an estimator of organ shares.

    Args:
        shares: The shares.
        true: Logarithms of shares of some phantoms, ``(m, k)``.
        found: What the estimator makes of their images, ``(m, k)``.
    """

    def __init__(self, shares: OrganShares, *, true: Float[Tensor, "m k"], found: Float[Tensor, "m k"]) -> None:
        m, k = found.shape
        if m < 4 or true.shape != found.shape or k != len(shares.ids):
            raise ValueError(
                f"true and found must hold the {len(shares.ids)} shares of at least 4 phantoms, got {tuple(true.shape)} and "
                f"{tuple(found.shape)}"
            )
        error = found.double().cpu() - true.double().cpu()
        middle = error.median(dim=0).values
        usual = 1.4826 * (error - middle).abs().median(dim=0).values.clamp(min=1e-9)
        error = torch.maximum(torch.minimum(error, middle + CLIPPED_AT * usual), middle - CLIPPED_AT * usual)
        covariance = error.mT.cov()
        kept = m / (m + k)  # of correlations, shrunk toward none by as much as there are fewer phantoms than organs
        diagonal = torch.diag(covariance.diagonal())
        self.mean = shares.median + error.mean(dim=0)
        self.slopes = shares.slopes
        self.covariance = kept * covariance + (1.0 - kept) * diagonal + SMALLEST_ERROR**2 * torch.eye(k).double()

    def surprise(self, found: Float[Tensor, " k"]) -> float:
        """Squared distance of an estimate from those of the prior's phantoms over what is usual: about one, more where it is unusual."""
        away, R = self._taken(found)
        return float(-2.0 * _log_normal(away, self.slopes @ self.slopes.mT + R, constant=False) / len(away))

    def proposal(self, found: Float[Tensor, " k"], *, inflation: float = 4.0, defence: float = 0.2) -> UptakeProposal:
        """Where to draw from, given an estimate.

        Args:
            found: Logarithms of shares by the estimator, ``(k,)``.
            inflation: Factor on R, at least 1.
            defence: As in `UptakeProposal`.
        """
        if not inflation >= 1:
            raise ValueError(f"inflation must be at least 1, got {inflation}; below, a proposal is narrower than the posterior it serves")
        H, (away, R) = self.slopes, self._taken(found)
        R = inflation * max(1.0, self.surprise(found)) * R
        gain = torch.linalg.solve(H @ H.mT + R, H).mT
        covariance = torch.eye(H.shape[1]).double() - gain @ H
        return UptakeProposal(mean=gain @ away, covariance=0.5 * (covariance + covariance.mT), defence=defence)

    def log_gain(self, found: Float[Tensor, "b k"], proposal: UptakeProposal) -> Float[Tensor, " b"]:
        """Logarithm of ``q(s) / p(s)`` for estimates, ``(b,)``: how much more often the proposal gives them than the prior.

        Args:
            found: Logarithms of shares by the estimator, ``(b, k)``.
            proposal: q.
        """
        away = found.cpu().double() - self.mean
        moved = _log_normal(away - self.slopes @ proposal.mean, self._spread(proposal))
        return mixed(moved - _log_normal(away, self._spread(None)), proposal.defence).to(found.device)

    def foreseen_share(self, proposal: UptakeProposal, *, count: int = 2000, seed: int = 0) -> float:
        """Effective share of the weights of a learner, as this likelihood foresees it, without imaging a phantom.

        Args:
            proposal: q.
            count: Draws.
            seed: Fixes them.
        """
        generator = torch.Generator().manual_seed(seed)
        normal = torch.randn(count, self.slopes.shape[1], dtype=torch.float64, generator=generator)
        stays = torch.rand(count, 1, generator=generator) < proposal.defence
        z = torch.where(stays, normal, proposal.mean + normal @ proposal.root.mT)
        error = torch.randn(count, len(self.mean), dtype=torch.float64, generator=generator) @ torch.linalg.cholesky(self.covariance).mT
        found = self.mean + z @ self.slopes.mT + error
        return effective_share(proposal.log_weight(z) + self.log_gain(found, proposal))

    def _taken(self, found: Tensor) -> tuple[Tensor, Tensor]:
        """How far an estimate lies from the mean, ``(k,)``, and its covariance, wider for organs that lie too far, ``(k, k)``."""
        away = found.cpu().double() - self.mean
        wider = (away.square() / FARTHEST_SD**2 - self.slopes.square().sum(dim=1)).clamp(min=0.0) / self.covariance.diagonal()
        factor = wider.clamp(min=1.0).sqrt()
        return away, self.covariance * factor[:, None] * factor

    def _spread(self, proposal: UptakeProposal | None) -> Tensor:
        """Covariance of estimates of the proposal's phantoms, or of the prior's, ``(k, k)``."""
        H = self.slopes if proposal is None else self.slopes @ proposal.root
        return H @ H.mT + self.covariance


def _log_normal(away: Tensor, covariance: Tensor, *, constant: bool = True) -> Tensor:
    """Log-density of a Gaussian up to what does not depend on it; without ``constant`` its exponent alone."""
    root = torch.linalg.cholesky(covariance)
    whitened = torch.linalg.solve_triangular(root.mT, torch.atleast_2d(away), upper=True, left=False).view_as(away)
    return -0.5 * whitened.square().sum(dim=-1) - (root.diagonal().log().sum() if constant else 0.0)
