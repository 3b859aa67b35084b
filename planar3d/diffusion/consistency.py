"""How samples are brought to agree with the measured counts while they are drawn.

A consistency is asked for the denoised volume at every step and may change it; the sampler goes on from what it returns.

- `NoConsistency`: the denoiser's own answer. A conditional denoiser has seen the counts already.
- `EMConsistency`: a few non-negative EM steps on the denoised volume, each of which raises its Poisson likelihood (the decomposed
  diffusion sampling of Chung et al. 2024, arXiv:2303.05754, in the Poisson form of Singh et al. 2024, arXiv:2308.14190).
- `GradientConsistency`: diffusion posterior sampling (Chung et al. 2023, arXiv:2209.14687), ``D' = D + zeta sigma^2 C grad log p(y | D)``
  with the gradient taken through the denoiser and C the covariance of the noise; by Tweedie's formula the mean under the likelihood of
  the denoised volume for ``zeta = 1``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.shapes import Volume

__all__ = ["Consistency", "Denoise", "EMConsistency", "GradientConsistency", "Measurement", "NoConsistency"]


Correlate = Callable[[Volume], Volume]
"""The covariance of the noise, of unit variance, times a volume."""


@runtime_checkable
class Denoise(Protocol):
    """Volumes with noise and its standard deviation to the expected volumes."""

    def __call__(self, noisy: Volume, sigma: Float[Tensor, " n"]) -> Volume:
        """``(n, 1, x, y, z)`` and ``(n,)`` to ``(n, 1, x, y, z)``."""
        ...


@runtime_checkable
class Measurement(Protocol):
    """What was measured, for volumes as the denoiser knows them."""

    def em(self, volume: Volume, steps: int) -> Volume:
        """Volumes of higher likelihood."""
        ...

    def log_likelihood(self, volume: Volume) -> Float[Tensor, " n"]:
        """Logarithm of the likelihood of each volume, up to a constant."""
        ...


@runtime_checkable
class Consistency(Protocol):
    """Denoised volumes in agreement with a measurement."""

    def __call__(
        self, denoise: Denoise, measurement: Measurement, noisy: Volume, sigma: Float[Tensor, " n"], correlate: Correlate
    ) -> Volume:
        """``(n, 1, x, y, z)``."""
        ...


class NoConsistency:
    """The denoiser's own answer."""

    def __call__(
        self, denoise: Denoise, measurement: Measurement, noisy: Volume, sigma: Float[Tensor, " n"], correlate: Correlate
    ) -> Volume:
        """The denoised volumes."""
        return denoise(noisy, sigma)


class EMConsistency:
    """EM steps on the denoised volumes.

    Args:
        steps: EM steps per evaluation of the denoiser.
        below: Noise level from which on they are made; above it there is nothing yet to be corrected.
    """

    def __init__(self, *, steps: int = 1, below: float = 2.0) -> None:
        if steps < 1 or not below > 0:
            raise ValueError(f"steps must be at least 1 and below positive, got {steps} and {below}")
        self.steps = steps
        self.below = below

    def __call__(
        self, denoise: Denoise, measurement: Measurement, noisy: Volume, sigma: Float[Tensor, " n"], correlate: Correlate
    ) -> Volume:
        """The denoised volumes after EM."""
        denoised = denoise(noisy, sigma)
        return measurement.em(denoised, self.steps) if float(sigma.max()) < self.below else denoised


class GradientConsistency:
    """The gradient of the likelihood through the denoiser.

    Args:
        scale: Factor on the gradient; 1 is that of Bayes' theorem for a likelihood of the denoised volume.
        limit: Largest change of a voxel, in units of the noise level; a gradient far from the measurement would throw the sample off.
    """

    def __init__(self, *, scale: float = 1.0, limit: float = 1.0) -> None:
        if not (scale > 0 and limit > 0):
            raise ValueError(f"scale and limit must be positive, got {scale} and {limit}")
        self.scale = scale
        self.limit = limit

    def __call__(
        self, denoise: Denoise, measurement: Measurement, noisy: Volume, sigma: Float[Tensor, " n"], correlate: Correlate
    ) -> Volume:
        """The denoised volumes moved up the gradient."""
        with torch.enable_grad():
            start = noisy.detach().requires_grad_(True)
            denoised = denoise(start, sigma)
            (gradient,) = torch.autograd.grad(measurement.log_likelihood(denoised).sum(), start)
        s = sigma.view(-1, 1, 1, 1, 1).to(gradient)
        step = self.scale * s.square() * correlate(gradient)
        # noise of that level has a root mean square of sigma: a step of more would leave the volumes that the denoiser knows
        size = step.square().mean(dim=(1, 2, 3, 4), keepdim=True).sqrt()
        return denoised.detach() + step * (self.limit * s / size.clamp(min=1e-30)).clamp(max=1.0)
