"""Where a fit of curves starts: the best of a grid of rates, amplitudes solved for.

At given rates a curve is linear in its amplitudes, so each node of the grid costs a regression of one or two non-negative amplitudes, and
no start has to be guessed from noisy slopes. Pairs of rates are all those of the grid.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.curve_data import CurveData
from planar3d.dosimetry.curve_model import LN2, CurveModel

__all__ = ["grid_start"]

_NODES = {1: 40, 2: 24}
_SLOWEST = 1e-3  # least excess over the physical rate, relative to it
_FASTEST = 6.0  # highest rate times the shortest gap between times
_SMALLEST = 1e-9  # of an amplitude, relative to the scale of its curve


def grid_start(data: CurveData, model: CurveModel) -> Float[Tensor, "n p"]:
    """Theta of the best node of each curve, ``(n, p)``."""
    rates = _rates(data, model.n_rates)
    basis = torch.exp(-rates[:, :, None] * data.times_s)
    shapes = torch.einsum("ar,grt->gat", basis.new_tensor(model.mixing), basis)
    whitened = torch.einsum("nst,gat->ngas", data.whitener, shapes)
    target = torch.einsum("nst,nt->ns", data.whitener, data.activity)
    amplitudes, cost = _amplitudes(whitened, target)
    if data.priors is not None:
        log_half_life = (LN2 / rates[:, 0]).log()
        cost = cost + ((log_half_life - data.priors.location[:, None]) / data.priors.log_sd[:, None]).square()
    best = cost.argmin(dim=1)
    chosen = amplitudes[torch.arange(len(best), device=best.device), best]
    steps = torch.cat([rates[:, :1] - data.physical_rate_per_s, rates.diff(dim=1)], dim=1)[best]
    return torch.cat([chosen.clamp(min=_SMALLEST), steps], dim=1).log()


def _rates(data: CurveData, n: int) -> Tensor:
    """Rates of the nodes, slowest first, ``(node, n)`` [1/s]."""
    slowest = data.physical_rate_per_s * (1.0 + _SLOWEST)
    gaps = torch.cat([data.times_s[:1], data.times_s.diff()])
    fastest = max(_FASTEST / float(gaps[gaps > 0].min()), 2.0 * slowest) if bool((gaps > 0).any()) else 100.0 * slowest
    exponents = torch.linspace(0.0, 1.0, _NODES[n], dtype=torch.float64, device=data.times_s.device)
    nodes = slowest * (fastest / slowest) ** exponents
    return nodes[:, None] if n == 1 else torch.combinations(nodes, n)


def _amplitudes(basis: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Non-negative least squares of one or two amplitudes: ``(n, g, a)``, and its cost up to a constant, ``(n, g)``."""
    projected = torch.einsum("ngas,ns->nga", basis, target)
    gram = torch.einsum("ngas,ngbs->ngab", basis, basis)
    tiny = torch.finfo(gram.dtype).tiny
    alone = (projected / gram.diagonal(dim1=2, dim2=3).clamp(min=tiny)).clamp(min=0.0)
    gains = alone * projected
    if basis.shape[2] == 1:
        return alone, -gains.squeeze(2)
    determinant = gram[..., 0, 0] * gram[..., 1, 1] - gram[..., 0, 1].square()
    both = (
        torch.stack(
            [
                gram[..., 1, 1] * projected[..., 0] - gram[..., 0, 1] * projected[..., 1],
                gram[..., 0, 0] * projected[..., 1] - gram[..., 0, 1] * projected[..., 0],
            ],
            dim=2,
        )
        / determinant.clamp(min=1e-12 * gram[..., 0, 0] * gram[..., 1, 1] + tiny)[..., None]
    )
    first = gains[..., 0] >= gains[..., 1]
    single = alone * torch.stack([first, ~first], dim=2)
    chosen = torch.where((both > 0).all(dim=2, keepdim=True), both, single)
    quadratic = torch.einsum("nga,ngab,ngb->ng", chosen, gram, chosen)
    return chosen, quadratic - 2.0 * (chosen * projected).sum(dim=2)
