"""The camera at any list of view angles: SPECT, oblique planar views, an orbit that follows the body.

Views that look along the same line form a pair, which is the planar camera (`planar3d.physics.planar_projector`) before a turned patient;
the turning has an exact adjoint (`planar3d.physics.rotation`). Nothing is kept per view but tables of neighbours and, with scatter,
depths on the coarse grid. Linear in activity and differentiable with respect to it; the mu-map is taken as given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from planar3d.physics.operator import LinearOperator, full_precision
from planar3d.physics.turned_columns import TurnedColumns
from planar3d.physics.view_blur import ViewBlur
from planar3d.shapes import Views, Volume

__all__ = ["Line", "RotatingProjector"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """The views along one line.

    Attributes:
        views: Their places in the list of views.
        columns: Turns, attenuates and mixes.
        blur: Blur matrices from turned cells to pixels.
        mixing: How the turned planes of depth are mixed, ``(view, j, depth)``.
        wide_weights: Shares of coarse cells in what is blurred widely; None if nothing is.
    """

    views: tuple[int, ...]
    columns: TurnedColumns
    blur: ViewBlur
    mixing: Tensor
    wide_weights: Tensor | None


class RotatingProjector(LinearOperator):
    """Views of one patient, or of a batch of patients, from many angles.

    Args:
        lines: The views, line by line.
        counts_per_bq: Sensitivity times dwell time of a view, in each row of the image, ``(w,)`` [counts/Bq].
        voxel_volume_ml: Voxel volume [mL].
        shape: Number of voxels along x, y, z.
        views: Number of views.
    """

    def __init__(
        self,
        *,
        lines: Sequence[Line],
        counts_per_bq: Tensor,
        voxel_volume_ml: float,
        shape: tuple[int, int, int],
        views: int,
    ) -> None:
        super().__init__()
        self.lines = tuple(lines)
        self.counts_per_bq = counts_per_bq
        self.voxel_volume_ml = voxel_volume_ml
        self.shape = shape
        self.views = views

    def forward(self, x: Volume) -> Views:
        """Expected counts, ``(b, view, u, w)``, of activity ``(b, 1, x, y, z)`` [Bq/mL]."""
        return _Apply.apply(x, self, False)

    def adjoint(self, y: Views) -> Volume:
        """``A^T y``, ``(b, 1, x, y, z)``, of views ``(b, view, u, w)``."""
        return _Apply.apply(y, self, True)

    def subsets(self, count: int) -> Iterator[tuple[RotatingProjector, tuple[int, ...]]]:
        """Parts of the views for ordered subsets, each spread over all angles, opposed views together.

        Args:
            count: Number of parts.

        Yields:
            The projector of a part, and the places of its views in the list of all.

        Raises:
            ValueError: There are fewer lines of view than parts.
        """
        if not 1 <= count <= len(self.lines):
            raise ValueError(f"subsets must lie between 1 and {len(self.lines)}, the number of lines of view, got {count}")
        for first in _far_apart(count):
            lines = self.lines[first::count]
            views = tuple(v for line in lines for v in line.views)
            place = {view: k for k, view in enumerate(views)}
            renamed = [replace(line, views=tuple(place[v] for v in line.views)) for line in lines]
            part = RotatingProjector(
                lines=renamed,
                counts_per_bq=self.counts_per_bq,
                voxel_volume_ml=self.voxel_volume_ml,
                shape=self.shape,
                views=len(views),
            )
            yield part, views

    def _forward(self, x: Tensor) -> Tensor:
        table = _rows_along_z(x)
        images: list[Tensor | None] = [None] * self.views
        for line in self.lines:
            mixed = line.columns.mix(table, line.mixing, len(x))
            seen = line.blur(mixed, line.wide_weights, line.columns.rotation.u)
            for view, image in zip(line.views, seen.unbind(dim=1), strict=True):
                images[view] = image
        return torch.stack([i for i in images if i is not None], dim=1) * (self.counts_per_bq * self.voxel_volume_ml)

    def _adjoint(self, y: Tensor) -> Tensor:
        scaled = y * (self.counts_per_bq * self.voxel_volume_ml)
        b, (nx, ny, nz) = len(y), self.shape
        cells = max(line.columns.across * line.columns.ahead for line in self.lines)
        buffer, total = y.new_empty(cells, b * nz), y.new_zeros(nx * ny, b * nz)
        for line in self.lines:
            mixed = line.blur.adjoint(scaled[:, list(line.views)], line.wide_weights, line.columns.rotation.u)
            line.columns.unmix(mixed, line.mixing, buffer, total)
        return total.view(nx, ny, b, nz).permute(2, 0, 1, 3).unsqueeze(1)


class _Apply(torch.autograd.Function):
    """The operator or its transpose, each differentiated by the other."""

    @staticmethod
    def forward(ctx, value: Tensor, projector: RotatingProjector, transpose: bool) -> Tensor:  # noqa: ANN001
        ctx.projector, ctx.transpose = projector, transpose
        with full_precision(value):
            return (projector._adjoint if transpose else projector._forward)(value.to(projector.counts_per_bq))

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN001
        return _Apply.apply(grads[0], ctx.projector, not ctx.transpose), None, None


def _rows_along_z(x: Tensor) -> Tensor:
    """Volumes ``(b, 1, x, y, z)`` as a table of rows, ``(x y, b z)``."""
    return x[:, 0].permute(1, 2, 0, 3).flatten(2).flatten(0, 1).contiguous()


def _far_apart(count: int) -> list[int]:
    """0 to ``count - 1`` such that neighbours in the list are far apart: the numbers by their reversed bits."""
    bits = max(1, (count - 1).bit_length())
    return sorted(range(count), key=lambda k: int(format(k, f"0{bits}b")[::-1], 2))
