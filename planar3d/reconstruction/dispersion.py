"""By how much a fit misses the counts beyond noise: the dispersion of quasi-Poisson regression (Wedderburn 1974).

``phi = mean over blocks of (sum y - sum m)^2 / sum m``, at least one, with expected counts m. Blocks of about 3 cm are summed up first
because what a model gets wrong (a wrong mask, an uneven organ) is smooth: pixel by pixel it hides below the noise, block by block it does
not. Where the model is right phi is one. The log-likelihood divided by phi, and standard errors times its root, take the misfit for
noise of that size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from planar3d.grid import Grid
from planar3d.shapes import ViewPair

__all__ = ["dispersion"]

_BLOCK_MM = 32.0


def dispersion(y: ViewPair, expected: ViewPair, grid: Grid) -> Float[Tensor, " b"]:
    """Dispersion of each sample, ``(b,)``, at least one.

    Args:
        y: Counts, zero in pixels left out of the fit, ``(b, view, x, z)``.
        expected: Expected counts, background included, zero in the same pixels, ``(b, view, x, z)``.
        grid: Where the views lie.
    """
    size = tuple(max(1, round(_BLOCK_MM / s)) for s in (grid.spacing_mm[0], grid.spacing_mm[2]))
    pooled = [F.avg_pool2d(v, size, ceil_mode=True, count_include_pad=True, divisor_override=1).flatten(1) for v in (y, expected)]
    counts, m = pooled
    # a block that expects next to nothing says nothing about the model
    used = m > 1e-3 * m.mean(dim=1, keepdim=True)
    terms = torch.where(used, (counts - m).square() / torch.where(used, m, torch.ones_like(m)), 0.0)
    return (terms.sum(dim=1) / used.sum(dim=1).clamp(min=1)).clamp(min=1.0)
