"""The sum over depth of attenuated activity, for every ray at once, and its transpose: where a projection spends its time.

``M_v(x, j, z) = sum_y C_v(j, y) T_v(x, y, z) a(x, y, z)``

with activity ``a``, transmission ``T_v`` toward view v and a small mixing matrix ``C_v`` whose rows j are the width nodes of the blur, and
slabs of depth for what is blurred widely. All that follows works on M, which is a few times smaller than the volume.

Volumes are taken a few rows x at a time, so that the attenuated activity of a row is mixed while it is still in the cache and no copy of
the volume is ever made; on a GPU the rows taken at once are many more. Autograd keeps activity and transmission, nothing else.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Columns", "Mixed", "multiply_each", "rows_at_once"]

Mixed = Float[Tensor, "view x j b z"]

_CELLS_AT_ONCE = {"cpu": 1 << 17, "cuda": 1 << 28}


def rows_at_once(cells_per_row: int, device: torch.device) -> int:
    """How many rows of a volume to take at a time."""
    return max(1, _CELLS_AT_ONCE.get(device.type, 1 << 24) // cells_per_row)


class Columns:
    """Upright columns of voxels before opposed views: the rays run along y.

    Args:
        transmission: Probability to leave unscattered, ``(p, view, x, y, z)``. A batch of volumes holds as many of each patient, in a row.
    """

    def __init__(self, transmission: Tensor) -> None:
        self.transmission = transmission

    def mix(self, x: Tensor, weights: Float[Tensor, "view j y"]) -> Mixed:
        """``C T x`` of volumes ``(b, 1, x, y, z)``, or of one volume per view ``(b, view, x, y, z)``; differentiable."""
        return _Mix.apply(x, self.transmission, self, weights)

    def unmix(self, m: Mixed, weights: Float[Tensor, "view j y"], *, each_view: bool = False) -> Tensor:
        """The transpose, ``T C' m``: ``(b, 1, x, y, z)``, or ``(b, view, x, y, z)`` before the sum over views; differentiable."""
        return _Unmix.apply(m, self.transmission, self, weights, each_view)

    def _mix(self, x: Tensor, weights: Tensor) -> Tensor:
        x = self._by_patient(x)
        (p, r, views, nx, ny, nz), v = x.shape, len(weights)
        out = x.new_empty(v, nx, weights.shape[1], p * r, nz)
        rows = rows_at_once(p * r * ny * nz, x.device)
        buffer = x.new_empty(min(rows, nx), ny, p, r, nz)
        for start in range(0, nx, rows):
            part = slice(start, min(start + rows, nx))
            attenuated = buffer[: part.stop - start]
            for view in range(v):
                torch.mul(_rows_first(x[:, :, view % views, part]), self._rows(view, part), out=attenuated)
                multiply_each(weights[view], attenuated.flatten(2), out[view, part].flatten(2))
        return out

    def _unmix(self, m: Tensor, weights: Tensor, each_view: bool) -> Tensor:
        v, nx, _, b, nz = m.shape
        ny, p = weights.shape[2], len(self.transmission)
        out = m.new_empty(b, v if each_view else 1, nx, ny, nz)
        by_patient = self._by_patient(out)
        rows = rows_at_once(b * ny * nz, m.device)
        buffer = m.new_empty(min(rows, nx), ny, p, b // p, nz)
        for start in range(0, nx, rows):
            part = slice(start, min(start + rows, nx))
            spread = buffer[: part.stop - start]
            for view in range(v):
                multiply_each(weights[view].T, m[view, part].flatten(2), spread.flatten(2))
                target = _rows_first(by_patient[:, :, view if each_view else 0, part])
                if view == 0 or each_view:
                    torch.mul(spread, self._rows(view, part), out=target)
                else:
                    target.addcmul_(spread, self._rows(view, part))
        return out

    def _by_patient(self, volumes: Tensor) -> Tensor:
        """``(p, volume, c, x, y, z)``."""
        return volumes.unflatten(0, (len(self.transmission), -1))

    def _rows(self, view: int, part: slice) -> Tensor:
        """Transmission of a few rows, ``(x, y, p, 1, z)``."""
        return _rows_first(self.transmission[:, None, view, part])

    def _along_transmission(self, x: Tensor, spread: Tensor) -> Tensor:
        """Gradient with respect to transmission: activity times what the views send back, summed over what shares a patient."""
        return (self._by_patient(x) * self._by_patient(spread)).sum(dim=1)


def _rows_first(volumes: Tensor) -> Tensor:
    """``(p, r, x, y, z)`` as ``(x, y, p, r, z)``."""
    return volumes.permute(2, 3, 0, 1, 4)


def multiply_each(matrix: Tensor, columns: Tensor, out: Tensor) -> None:
    """The same matrix times each of a batch."""
    torch.bmm(matrix.expand(len(columns), *matrix.shape), columns, out=out)


class _Mix(torch.autograd.Function):
    """`Columns.mix`; with respect to activity it is differentiated by its transpose."""

    @staticmethod
    def forward(ctx, x: Tensor, transmission: Tensor, columns: Columns, weights: Tensor) -> Tensor:  # noqa: ANN001
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, transmission)
        ctx.columns, ctx.weights, ctx.each_view = columns, weights, x.shape[1] > 1
        return columns._mix(x, weights)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:  # noqa: ANN001
        x, transmission = ctx.saved_tensors
        to_x = _Unmix.apply(grads[0], transmission, ctx.columns, ctx.weights, ctx.each_view) if ctx.needs_input_grad[0] else None
        to_t = ctx.columns._along_transmission(x, _spread(grads[0], ctx.weights)) if ctx.needs_input_grad[1] else None
        return to_x, to_t, None, None


class _Unmix(torch.autograd.Function):
    """`Columns.unmix`; with respect to the mixed columns it is differentiated by its transpose."""

    @staticmethod
    def forward(ctx, m: Tensor, transmission: Tensor, columns: Columns, weights: Tensor, each_view: bool) -> Tensor:  # noqa: ANN001
        ctx.save_for_backward(m if ctx.needs_input_grad[1] else None, transmission)
        ctx.columns, ctx.weights = columns, weights
        return columns._unmix(m, weights, each_view)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:  # noqa: ANN001
        m, transmission = ctx.saved_tensors
        to_m = _Mix.apply(grads[0], transmission, ctx.columns, ctx.weights) if ctx.needs_input_grad[0] else None
        to_t = ctx.columns._along_transmission(grads[0], _spread(m, ctx.weights)) if ctx.needs_input_grad[1] else None
        return to_m, to_t, None, None, None


def _spread(m: Tensor, weights: Tensor) -> Tensor:
    """``C' m`` without transmission, ``(b, view, x, y, z)``; for gradients alone."""
    return torch.einsum("vjy,vxjbz->bvxyz", weights, m)
