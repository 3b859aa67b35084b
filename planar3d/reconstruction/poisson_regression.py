"""Non-negative Poisson regression: maximum likelihood of a few amplitudes ``a >= 0`` in ``y ~ Poisson(P^T a + b)``, b known.

EM steps from a flat start come near; projected Newton steps (Bertsekas 1982) with the step length of highest likelihood finish. The
Fisher information ``F = P diag(1 / (P^T a + b)) P^T`` gives the covariance of noise, ``F^-1``.

Everything runs in float64, whatever the input: the matrices are small, and organs whose images nearly coincide make them badly conditioned.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["fisher_covariance", "fit_amplitudes", "one_count"]

_EM_STEPS = 10
_CONVERGED = 1e-7
_SMALLEST_EIGENVALUE = 1e-6


def fit_amplitudes(
    P: Float[Tensor, "b k n"], y: Float[Tensor, "b n"], *, background: Float[Tensor, "b n"] | None = None, iterations: int = 25
) -> Float[Tensor, "b k"]:
    """Maximum-likelihood amplitudes.

    Args:
        P: Expected counts of a unit of each amplitude, ``(b, k, n)``; an amplitude that a sample lacks has zeros and comes out as zero.
        y: Counts, ``(b, n)``.
        background: Expected counts beside those of the amplitudes, ``(b, n)``; None for none.
        iterations: Newton steps at most; they end when no amplitude moves by more than 1e-7 of all counts.
    """
    Q, sums = _normalised(P)
    y = y.double()
    known = torch.zeros_like(y) if background is None else background.double()
    # amplitudes in counts: u = a * sums, of which sum(u) is the total expected
    u = (sums > 0) * y.sum(dim=1, keepdim=True) / (sums > 0).sum(dim=1, keepdim=True).clamp(min=1)
    for _ in range(_EM_STEPS):
        u = u * _back(Q, y / _expected(Q, u, y, known))
    for _ in range(iterations):
        previous, u = u, _newton_step(Q, u, y, known)
        if bool(((u - previous).abs() <= _CONVERGED * y.sum(dim=1, keepdim=True)).all()):
            break
    return torch.where(sums > 0, u / sums.clamp(min=torch.finfo(sums.dtype).tiny), 0.0).to(P.dtype)


def fisher_covariance(
    P: Float[Tensor, "b k n"], expected: Float[Tensor, "b n"], *, prior_precision: Float[Tensor, " k"] | None = None
) -> Float[Tensor, "b k k"]:
    """Covariance of maximum-likelihood amplitudes from the Fisher information.

    An amplitude at the bound of zero is treated like any other: its standard error is the one it would have if it could be negative, which
    is wide rather than narrow. Where amplitudes cannot be told apart, eigenvalues of the correlation-scaled information below 1e-6 count as
    1e-6: such an amplitude gets at most a thousand times the standard error that it would have on its own, not infinity.

    Args:
        P: Expected counts of a unit of each amplitude, ``(b, k, n)``.
        expected: Expected counts of the fit, background included, ``(b, n)``; pixels where it is zero are left out.
        prior_precision: Of an independent Gaussian prior on each amplitude, ``(k,)``; None for none.

    Returns:
        ``(b, k, k)``; zero rows and columns for an amplitude that a sample lacks.
    """
    P64, m = P.double(), expected.double()
    weight = torch.where(m > 0, 1.0 / m.clamp(min=torch.finfo(m.dtype).tiny), 0.0)
    information = (P64 * weight[:, None]) @ P64.mT
    if prior_precision is not None:
        information = information + torch.diag(prior_precision.double())
    scale = information.diagonal(dim1=1, dim2=2).sqrt()
    inverse_scale = torch.where(scale > 0, 1.0 / scale.clamp(min=torch.finfo(m.dtype).tiny), 0.0)
    correlation = information * inverse_scale[:, :, None] * inverse_scale[:, None, :]
    values, vectors = torch.linalg.eigh(correlation + torch.diag_embed((scale == 0).double()))
    inverse = (vectors / values.clamp(min=_SMALLEST_EIGENVALUE)[:, None, :]) @ vectors.mT
    return (inverse * inverse_scale[:, :, None] * inverse_scale[:, None, :]).to(P.dtype)


def one_count(P: Float[Tensor, "b k n"]) -> Float[Tensor, "b k"]:
    """The amplitude that gives one count: where nothing is counted it is known no better, though the Fisher information says it is.

    Args:
        P: Expected counts of a unit of each amplitude, ``(b, k, n)``.

    Returns:
        ``(b, k)`` in float64; zero for an amplitude that a sample lacks.
    """
    counts = P.double().sum(dim=2)
    return torch.where(counts > 0, 1.0 / counts.clamp(min=torch.finfo(counts.dtype).tiny), 0.0)


def _newton_step(Q: Tensor, u: Tensor, y: Tensor, known: Tensor) -> Tensor:
    """A Newton step over the amplitudes not held at zero, as long as serves the likelihood best."""
    expected = _expected(Q, u, y, known)
    gradient = _back(Q, y / expected) - (Q.sum(dim=2) > 0).double()
    total = y.sum(dim=1, keepdim=True)
    held = (u <= 1e-9 * total) & (gradient <= 0)
    free = (~held).double()
    information = (Q * (y / expected.square())[:, None]) @ Q.mT * free[:, :, None] * free[:, None, :]
    diagonal = information.diagonal(dim1=1, dim2=2)
    ridge = 1e-12 * diagonal + torch.where(diagonal > 0, 0.0, 1.0)
    direction = torch.linalg.solve(information + torch.diag_embed(ridge), (gradient * free).unsqueeze(2)).squeeze(2)
    lengths = 0.5 ** torch.arange(12, dtype=u.dtype, device=u.device)
    lengths = torch.cat([lengths, lengths.new_zeros(1)])
    trials = (u[:, None] + lengths[None, :, None] * direction[:, None]).clamp(min=0.0)
    best = _log_likelihood(Q, trials, y, known).argmax(dim=1)
    return trials[torch.arange(len(u), device=u.device), best]


def _log_likelihood(Q: Tensor, trials: Tensor, y: Tensor, known: Tensor) -> Tensor:
    """Log-likelihood of several amplitude vectors per sample, ``(b, trial)``; columns of Q sum to one."""
    expected = _expected(Q, trials, y[:, None], known[:, None])
    return torch.xlogy(y[:, None], expected).sum(dim=2) - trials.sum(dim=2)


def _expected(Q: Tensor, u: Tensor, y: Tensor, known: Tensor) -> Tensor:
    """Expected counts, kept off zero."""
    product = u @ Q if u.dim() == 3 else (u.unsqueeze(1) @ Q).squeeze(1)
    return (product + known).clamp(min=1e-9 * y.mean(dim=-1, keepdim=True) + 1e-30)


def _back(Q: Tensor, ratio: Tensor) -> Tensor:
    """``Q ratio``, ``(b, k)``."""
    return (Q @ ratio.unsqueeze(2)).squeeze(2)


def _normalised(P: Tensor) -> tuple[Tensor, Tensor]:
    """P in float64 with amplitudes that sum to one count, and the sums taken out, ``(b, k)``."""
    P64 = P.double().clamp(min=0.0)
    sums = P64.sum(dim=2)
    return P64 / torch.where(sums > 0, sums, torch.ones_like(sums))[:, :, None], sums
