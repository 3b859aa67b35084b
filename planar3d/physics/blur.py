"""A Gaussian blur from voxels to detector pixels as a matrix per width.

Voxels are boxes of uniform activity and a pixel counts what arrives on its area, so the weight of voxel x (edge v) in pixel u
(edge p) at a distance D between their centres is the Gaussian averaged over the one and integrated over the other,

``K(u, x) = [F(D + (p+v)/2) - F(D + (p-v)/2) - F(D - (p-v)/2) + F(D - (p+v)/2)] / v``,  ``F(t) = t Phi(t/s) + s phi(t/s)``,

exact for any width, however small against the voxel. The variance of the response is ``s^2 + v^2/12 + p^2/12``. What falls beyond
the outermost pixel is lost, as it is on a detector.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from planar3d.physics.raster import Raster

__all__ = ["blur_matrix"]


def blur_matrix(sigma_mm: Tensor, voxels: Raster, pixels: Raster) -> Tensor:
    """Weights of a row of voxels in a row of pixels.

    Args:
        sigma_mm: Standard deviations, any shape ``(...)``, non-negative [mm].
        voxels: Where the voxels lie.
        pixels: Where the pixels lie, along the same axis.

    Returns:
        ``(..., pixel, voxel)`` float64; a column sums to one but for what leaves the detector.
    """
    sigma = sigma_mm.to(torch.float64)
    v, p = voxels.step_mm, pixels.step_mm
    distance = (pixels.centres_mm[:, None] - voxels.centres_mm[None, :]).to(sigma.device)
    sigma = sigma[..., None, None].clamp(min=1e-6 * v)
    outer, inner = 0.5 * (p + v), 0.5 * (p - v)
    rise = _second_integral(distance + outer, sigma) - _second_integral(distance + inner, sigma)
    fall = _second_integral(distance - inner, sigma) - _second_integral(distance - outer, sigma)
    return ((rise - fall) / v).clamp(min=0.0)


def _second_integral(t: Tensor, sigma: Tensor) -> Tensor:
    """``t Phi(t/s) + s phi(t/s)``, the second antiderivative of a Gaussian."""
    u = t / sigma
    return t * torch.special.ndtr(u) + sigma * torch.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)
