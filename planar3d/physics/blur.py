"""A Gaussian blur from voxels to detector pixels as a matrix per width.

Voxels are boxes of uniform activity and a pixel counts what arrives on its area, so the weight of voxel x (edge v) in pixel u
(edge p) at a distance D between their centres is the Gaussian averaged over the one and integrated over the other,

``K(u, x) = [F(D + (p+v)/2) - F(D + (p-v)/2) - F(D - (p-v)/2) + F(D - (p+v)/2)] / v``,  ``F(t) = t Phi(t/s) + s phi(t/s)``,

exact for any width, however small against the voxel. The variance of the response is ``s^2 + v^2/12 + p^2/12``. What falls beyond
the outermost pixel is lost, as it is on a detector.

A blur whose width depends on depth is then two batched matrix products, the second of which also sums over depth; dense products
beat short convolutions here because they run at the speed of the hardware's matrix units.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["blur_matrix"]


def blur_matrix(sigma_mm: Tensor, voxels: int, voxel_mm: float) -> Tensor:
    """Weights of a row of voxels in a row of as many pixels of the same size and place.

    Args:
        sigma_mm: Standard deviations, any shape ``(...)``, non-negative [mm].
        voxels: Number of voxels (and pixels) along the row.
        voxel_mm: Edge of a voxel (and pixel) [mm].

    Returns:
        ``(..., pixel, voxel)`` float64; a column sums to one but for what leaves the detector.
    """
    index = torch.arange(voxels, dtype=torch.float64, device=sigma_mm.device)
    distance = (index[:, None] - index[None, :]) * voxel_mm
    sigma = sigma_mm.to(torch.float64)[..., None, None].clamp(min=1e-6 * voxel_mm)
    far, middle, near = (_second_integral(distance + shift, sigma) for shift in (voxel_mm, 0.0, -voxel_mm))
    return ((far - 2.0 * middle + near) / voxel_mm).clamp(min=0.0)


def _second_integral(t: Tensor, sigma: Tensor) -> Tensor:
    """``t Phi(t/s) + s phi(t/s)``, the second antiderivative of a Gaussian."""
    u = t / sigma
    return t * torch.special.ndtr(u) + sigma * torch.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)
