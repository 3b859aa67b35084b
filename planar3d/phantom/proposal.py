"""Proposals: where the uptake of one patient's phantoms is drawn from, once images of that patient say where it lies.

A patient is made of standard normals z, ``p(z) = N(0, I)`` (`planar3d.phantom.biodistribution`). A proposal is the defensive mixture

    q(z) = eps p(z) + (1 - eps) N(z; m, S),   w = p / q = 1 / (eps + (1 - eps) N(z; m, S) / p(z)) <= 1 / eps

(Hesterberg 1995): whatever m and S are, the importance w is bounded, has mean one under q, and averages weighted by it are those of the
prior. Draws are those of the prior moved, ``z -> m + L z`` with ``S = L L^T``, so that a seed stands for the same patient but for that.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["UptakeProposal", "effective_share"]


class UptakeProposal:
    """A Gaussian beside the prior, over the standard normals of a patient.

    Args:
        mean: m, ``(n,)``.
        covariance: S, ``(n, n)``, positive definite.
        defence: Share eps of the draws that stay those of the prior, in (0, 1].
    """

    def __init__(self, *, mean: Float[Tensor, " n"], covariance: Float[Tensor, "n n"], defence: float = 0.2) -> None:
        if not 0 < defence <= 1:
            raise ValueError(f"defence must lie in (0, 1], got {defence}; it is the share of draws that stay those of the prior")
        root, failed = torch.linalg.cholesky_ex(covariance.double())
        if int(failed) or not (torch.isfinite(mean).all() and torch.isfinite(root).all()):
            raise ValueError("covariance must be positive definite and mean finite, got others; check the estimate they were made from")
        self.mean = mean.double()
        self.root = root
        self.defence = defence
        self._whitening = torch.linalg.solve_triangular(root, torch.eye(len(root)).double(), upper=False)

    def draw(self, normals: Float[Tensor, " n"], generator: torch.Generator) -> tuple[Float[Tensor, " n"], Float[Tensor, ""]]:
        """A patient of the proposal.

        Args:
            normals: A draw of the prior, ``(n,)``.
            generator: Decides whether it stays one.

        Returns:
            Standard normals, ``(n,)``, and the logarithm of their importance w.
        """
        if len(normals) != len(self.mean):
            raise ValueError(
                f"proposal is over {len(self.mean)} numbers, a patient of this biodistribution has {len(normals)}; fit it anew"
            )
        stays = float(torch.rand((), generator=generator)) < self.defence
        moved = normals if stays else (self.mean + self.root @ normals.double()).to(normals.dtype)
        return moved, self.log_weight(moved).to(normals.dtype)

    def log_weight(self, normals: Float[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
        """Logarithm of the importance w of patients, ``(b,)``."""
        return -mixed(self.log_ratio(normals), self.defence)

    def log_ratio(self, normals: Float[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
        """Logarithm of ``N(z; m, S) / p(z)``, ``(b,)``."""
        z = normals.double()
        whitened = (z - self.mean) @ self._whitening.mT
        return 0.5 * (z.square().sum(dim=-1) - whitened.square().sum(dim=-1)) - self.root.diagonal().log().sum()

    def divergence(self, other: UptakeProposal | None) -> float:
        """Kullback-Leibler divergence of the Gaussian from that of another proposal, or from the prior if None [nats]."""
        n = len(self.mean)
        mean, whitening = (torch.zeros(n).double(), torch.eye(n).double()) if other is None else (other.mean, other._whitening)
        spread, away = whitening @ self.root, whitening @ (self.mean - mean)
        logs = -spread.diagonal().log().sum()
        return float(0.5 * (spread.square().sum() + away.square().sum() - n) + logs)


def mixed(log_ratio: Tensor, defence: float) -> Tensor:
    """Logarithm of ``eps + (1 - eps) r`` for the logarithm of r."""
    if defence == 1:
        return torch.zeros_like(log_ratio)
    return torch.logaddexp(torch.full_like(log_ratio, math.log(defence)), log_ratio + math.log1p(-defence))


def effective_share(log_weight: Float[Tensor, " b"]) -> float:
    """Effective sample size of weights over their number, ``(sum w)^2 / (b sum w^2)``: one where all are alike (Kong 1992).

    Args:
        log_weight: Logarithms of the weights, ``(b,)``.
    """
    w = log_weight.double()
    return float(torch.exp(2.0 * torch.logsumexp(w, dim=0) - torch.logsumexp(2.0 * w, dim=0)) / len(w))
