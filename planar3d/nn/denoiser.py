"""The denoiser of a diffusion model, preconditioned voxel by voxel by an estimate and its spread.

A volume ``r`` with white noise of standard deviation ``sigma`` added, ``r_t = r + sigma n``, and an estimate ``m`` of spread ``tau`` per
voxel: were ``r`` normal around it, its mean given ``r_t`` would be a weighted mean of both. The network ``F`` corrects that:

    D = c_skip r_t + (1 - c_skip) m + c_out F(c_in (r_t - m), ...),
    c_skip = tau^2 / (tau^2 + sigma^2),  c_out = sigma tau / sqrt(tau^2 + sigma^2),  c_in = 1 / sqrt(tau^2 + sigma^2)

This is the preconditioning of Karras et al. 2022 (arXiv:2206.00364, equation 7) with the data's standard deviation and mean taken voxel by
voxel: what ``F`` sees and answers has about unit variance at every noise level, in a hot kidney as in faint muscle. Untrained (``F = 0``)
it denoises exactly what an uncorrelated normal posterior would ask for. Noise stays white, so the estimate may be exchanged along the
way: without a measurement it is a uniform body.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from planar3d.shapes import Volume

__all__ = ["PreconditionedDenoiser"]


class PreconditionedDenoiser(nn.Module):
    """A network as denoiser of volumes.

    Args:
        net: Channels ``(n, extra_channels + condition, x, y, z)`` to one value per voxel, as `planar3d.nn.CorrectionUNet`.
    """

    extra_channels = 4
    """Channels that the network is shown after those of the condition."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(
        self,
        noisy: Volume,
        sigma: Float[Tensor, " n"],
        *,
        mean: Volume,
        spread: Volume,
        condition: Float[Tensor, "n c x y z"],
    ) -> Volume:
        """The expected volume, ``(n, 1, x, y, z)``.

        Args:
            noisy: Volumes with noise, ``(n, 1, x, y, z)``.
            sigma: Standard deviation of the noise of each, positive, ``(n,)``.
            mean: Estimate, ``(n, 1, x, y, z)``.
            spread: Its standard deviation per voxel, positive, ``(n, 1, x, y, z)``.
            condition: What else is known, ``(n, c, x, y, z)``.
        """
        skip, out, scale, level = self.factors(sigma, spread)
        answer = self.net(torch.cat([condition, scale * (noisy - mean), mean, torch.log(spread), level], dim=1))
        return skip * noisy + (1.0 - skip) * mean + out * answer.to(noisy)

    @staticmethod
    def factors(sigma: Float[Tensor, " n"], spread: Volume) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``c_skip``, ``c_out``, ``c_in`` and the channel that tells the noise level, ``log(sigma / tau) / 4``, ``(n, 1, x, y, z)``."""
        s = sigma.view(-1, 1, 1, 1, 1).to(spread)
        total = spread.square() + s.square()
        return spread.square() / total, s * spread / total.sqrt(), total.rsqrt(), 0.25 * torch.log(s / spread)
