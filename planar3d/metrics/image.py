"""How near an activity map is to the truth, voxel by voxel.

``NMAE = sum |x - x_hat| / sum x``. SSIM (Wang et al. 2004) in 3D: local means m, variances v and covariance c under a Gaussian window,
``S = (2 m m_hat + C1) (2 c + C2) / ((m^2 + m_hat^2 + C1) (v + v_hat + C2))``, ``C1 = (0.01 L)^2``, ``C2 = (0.03 L)^2``, averaged over all
voxels or over those of a mask.

Convention: Gaussian of standard deviation 1.5 voxels cut to 11 voxels, data range L the maximum of the truth, variances divided by n
(not n - 1). At the border of the volume the window is cut and its weights are brought back to a sum of one: no voxel is invented, none is
left out, and volumes smaller than the window are allowed. Air counts as perfectly similar, so a figure over the whole volume is
high by itself; the one over the body says more.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from planar3d.shapes import BodyMask, Volume

__all__ = ["nmae", "ssim3d", "ssim_map"]

_SIGMA_VOXELS = 1.5
_WINDOW = 11
_K1, _K2 = 0.01, 0.03


def nmae(estimate: Volume, truth: Volume, mask: BodyMask | None = None) -> Float[Tensor, " b"]:
    """Normalised mean absolute error of each sample.

    Args:
        estimate: Activity map, ``(b, 1, x, y, z)``.
        truth: The true one, not empty, ``(b, 1, x, y, z)``.
        mask: Voxels that count, ``(b, 1, x, y, z)``; None for all.

    Returns:
        ``sum |x - x_hat| / sum x``, ``(b,)``.
    """
    error = (estimate - truth).abs()
    if mask is not None:
        error, truth = error * mask, truth * mask
    return error.flatten(1).sum(dim=1) / truth.flatten(1).sum(dim=1)


def ssim3d(estimate: Volume, truth: Volume, mask: BodyMask | None = None) -> Float[Tensor, " b"]:
    """Mean structural similarity of each sample.

    Args:
        estimate: Activity map, ``(b, 1, x, y, z)``.
        truth: The true one, not empty, ``(b, 1, x, y, z)``.
        mask: Voxels over which the map is averaged, ``(b, 1, x, y, z)``; None for all. The windows look beyond it.

    Returns:
        ``(b,)``; one for an exact estimate.
    """
    similarity = ssim_map(estimate, truth).flatten(1)
    if mask is None:
        return similarity.mean(dim=1)
    weight = mask.flatten(1).to(similarity)
    return (similarity * weight).sum(dim=1) / weight.sum(dim=1)


def ssim_map(estimate: Volume, truth: Volume) -> Volume:
    """Structural similarity of every voxel, ``(b, 1, x, y, z)``."""
    peak = truth.amax(dim=(1, 2, 3, 4), keepdim=True)
    x, y = estimate / peak, truth / peak
    m_x, m_y, m_xx, m_yy, m_xy = (_window_mean(v) for v in (x, y, x * x, y * y, x * y))
    variances = (m_xx - m_x * m_x) + (m_yy - m_y * m_y)
    covariance = m_xy - m_x * m_y
    c1, c2 = _K1**2, _K2**2
    return (2 * m_x * m_y + c1) * (2 * covariance + c2) / ((m_x * m_x + m_y * m_y + c1) * (variances + c2))


def _window_mean(volume: Volume) -> Volume:
    """Mean under the Gaussian window, which is cut at the border."""
    offset = torch.arange(_WINDOW, dtype=volume.dtype, device=volume.device) - _WINDOW // 2
    weights = torch.exp(-0.5 * (offset / _SIGMA_VOXELS) ** 2)
    for axis in (2, 3, 4):
        volume = _along(volume, weights, axis) / _along(torch.ones_like(volume[:1]), weights, axis)
    return volume


def _along(volume: Tensor, weights: Tensor, axis: int) -> Tensor:
    """Convolve along one axis, zeros beyond the border."""
    shape, padding = [1, 1, 1, 1, 1], [0, 0, 0]
    shape[axis], padding[axis - 2] = _WINDOW, _WINDOW // 2
    return F.conv3d(volume, weights.view(shape), padding=tuple(padding))
