"""Where the truth stands among samples of a posterior.

If the samples come from the posterior, the number of them below the truth is uniform over 0 to N (simulation-based calibration, Talts et
al. 2018, arXiv:1804.06788): heaps at both ends tell of too narrow a posterior, a slope of a bias. The continuous ranked probability score
``E|s - t| - E|s - s'| / 2`` (Gneiting and Raftery 2007) is smallest on average for the true posterior, in the unit of the quantity.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Integer
from torch import Tensor

__all__ = ["crps", "sample_ranks"]


def sample_ranks(
    samples: Float[Tensor, "sample ..."], truth: Float[Tensor, " ..."], generator: torch.Generator | None = None
) -> Integer[Tensor, " ..."]:
    """Number of samples below the truth, of the shape of the truth; samples equal to it count half of the time.

    Args:
        samples: Draws along the first axis, ``(sample, ...)``.
        truth: Of the shape of a draw.
        generator: Decides between equals, as where an organ has no activity; None counts them as above.
    """
    below, equal = (samples < truth).sum(dim=0), (samples == truth).sum(dim=0)
    if generator is None:
        return below
    share = torch.rand(truth.shape, generator=generator, device=generator.device).to(truth)
    return below + torch.floor(share * (equal + 1)).to(below)


def crps(samples: Float[Tensor, "sample ..."], truth: Float[Tensor, " ..."]) -> Float[Tensor, " ..."]:
    """Continuous ranked probability score, of the shape and unit of the truth, without the bias of a finite number of samples.

    Args:
        samples: At least two draws along the first axis, ``(sample, ...)``.
        truth: Of the shape of a draw.

    Raises:
        ValueError: There is but one sample.
    """
    n = len(samples)
    if n < 2:
        raise ValueError(f"samples must be at least two, got {n}; draw more")
    ordered = samples.sort(dim=0).values
    weight = (2 * torch.arange(n, device=samples.device) - n + 1).to(samples).view(-1, *[1] * truth.ndim)
    apart = 2.0 * (weight * ordered).sum(dim=0) / (n * (n - 1))
    return (samples - truth).abs().mean(dim=0) - 0.5 * apart
