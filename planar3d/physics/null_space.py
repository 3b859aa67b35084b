"""What the views of a camera show of an activity, and what they leave open.

``x = v + n`` with ``A n = 0`` and v in the range of ``A^T``: adding any multiple of n changes no image, so n is what only a prior can
know. Two opposed views fix about two numbers per pixel, and nearly all of a volume's degrees of freedom are of the kind n.

v is the solution of smallest norm of ``A v = A x``, found by conjugate gradients on the normal equations (Hestenes and Stiefel 1952) from
zero, which never leave the range of ``A^T``. Few steps leave out what is visible in principle but drowns in noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from planar3d.physics.operator import LinearOperator
from planar3d.shapes import Volume

__all__ = ["split_visible"]


def split_visible(operator: LinearOperator, x: Volume, *, iterations: int = 100, tolerance: float = 1e-6) -> tuple[Volume, Volume]:
    """Visible and hidden part of a volume; their sum is the volume.

    Args:
        operator: The camera before the patient.
        x: Activity, ``(b, 1, x, y, z)`` [Bq/mL].
        iterations: Most conjugate-gradient steps.
        tolerance: Stop where every image of what is left is smaller than this part of its image.

    Returns:
        The two parts, of the shape of ``x``; either may be negative in places.
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    visible, left = torch.zeros_like(x), operator(x)
    start = _dot(left, left)
    steepest = operator.adjoint(left)
    direction, slope = steepest, _dot(steepest, steepest)
    for _ in range(iterations):
        image = operator(direction)
        step = slope / _dot(image, image).clamp(min=torch.finfo(x.dtype).tiny)
        visible, left = visible + _times(step, direction), left - _times(step, image)
        if bool((_dot(left, left) <= tolerance**2 * start).all()):
            break
        steepest = operator.adjoint(left)
        before, slope = slope, _dot(steepest, steepest)
        direction = steepest + _times(slope / before.clamp(min=torch.finfo(x.dtype).tiny), direction)
    return visible, x - visible


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Scalar product of each sample, ``(b,)``."""
    return (a * b).flatten(1).sum(dim=1)


def _times(factor: Tensor, array: Tensor) -> Tensor:
    """Each sample times its factor."""
    return factor.view(-1, *[1] * (array.ndim - 1)) * array
