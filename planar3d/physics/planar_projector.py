"""The camera in front of one patient: activity to expected counts in two opposed views, and the exact adjoint.

``y_v(u, w) = k sum_{x,y,z} K_v(u, x; y) K_v(w, z; y) T_v(x, y, z) a(x, y, z)  +  scatter``

with activity ``a`` [Bq/mL], transmission ``T_v``, blur matrices ``K_v`` for the distance between plane y and the face of view v, and
``k = sensitivity x dwell x voxel volume``. Scatter adds, per depth node, a sum over y and a wide blur (`planar3d.physics.scatter`).

Linear in activity; the gradient with respect to activity is the adjoint itself, so autograd keeps no per-depth copies. The
attenuation of unscattered photons is differentiable with respect to the mu-map; the depth in the scatter term is held fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from planar3d.physics.operator import LinearOperator
from planar3d.shapes import ViewPair, Volume

__all__ = ["BlurKernels", "PlanarProjector"]


@dataclass(frozen=True, kw_only=True)
class BlurKernels:
    """Blur matrices of one camera on one grid, the same for every patient on it.

    Attributes:
        primary_x: ``(view, y, u, x)``.
        primary_z: ``(view, y, w, z)``.
        scatter_x: ``(view, node, u, x)``; None without scatter.
        scatter_z: ``(view, node, w, z)``; None without scatter.
    """

    primary_x: Tensor
    primary_z: Tensor
    scatter_x: Tensor | None = None
    scatter_z: Tensor | None = None

    def to(self, like: Tensor) -> BlurKernels:
        """The same matrices in the dtype and on the device of a tensor."""
        moved = [m if m is None else m.to(like) for m in (self.primary_x, self.primary_z, self.scatter_x, self.scatter_z)]
        x, z = moved[0], moved[1]
        if x is None or z is None:
            raise ValueError("kernels must have primary matrices")
        return BlurKernels(primary_x=x, primary_z=z, scatter_x=moved[2], scatter_z=moved[3])


class PlanarProjector(LinearOperator):
    """Two opposed views of a batch of patients.

    Args:
        transmission: Probability to leave unscattered, ``(b, view, x, y, z)``; ``b = 1`` serves any batch.
        kernels: Blur matrices.
        counts_per_bq: Sensitivity times dwell time, in air [counts/Bq].
        voxel_volume_ml: Voxel volume [mL].
        scatter_weights: Strength of each voxel in the image of each scatter node, relative to its unscattered one,
            ``(node, b, view, x, y, z)``; None without scatter.
        volumes_per_patient: How many volumes in a row of the batch belong to one patient.
    """

    def __init__(
        self,
        *,
        transmission: Tensor,
        kernels: BlurKernels,
        counts_per_bq: float,
        voxel_volume_ml: float,
        scatter_weights: Tensor | None = None,
        volumes_per_patient: int = 1,
    ) -> None:
        super().__init__()
        self.volumes_per_patient = volumes_per_patient
        self.kernels = kernels.to(transmission)
        self.counts_per_bq = counts_per_bq
        self.voxel_volume_ml = voxel_volume_ml
        self.register_buffer("transmission", transmission, persistent=False)
        self.register_buffer("scatter_weights", scatter_weights, persistent=False)
        self.transmission: Tensor
        self.scatter_weights: Tensor | None

    @property
    def scale(self) -> float:
        """Counts per (Bq/mL) of one voxel in air."""
        return self.counts_per_bq * self.voxel_volume_ml

    def forward(self, x: Volume) -> ViewPair:
        """Expected counts.

        Args:
            x: Activity, ``(b, 1, x, y, z)`` [Bq/mL].

        Returns:
            Expected counts, ``(b, view, x, z)``.
        """
        return _Project.apply(self._per_patient(x, self.transmission * self.scale), self)

    def adjoint(self, y: ViewPair) -> Volume:
        """``A^T y``: the views spread back through blur and attenuation.

        Args:
            y: Views, ``(b, view, x, z)``.

        Returns:
            ``(b, 1, x, y, z)``.
        """
        return self.view_terms(y).sum(dim=1, keepdim=True)

    def view_terms(self, y: ViewPair) -> Tensor:
        """The adjoint of each view apart, ``(b, view, x, y, z)``; their sum over views is the adjoint."""
        return self._per_patient(_BackProject.apply(y, self), self.transmission * self.scale)

    def repeat(self, times: int) -> PlanarProjector:
        """A projector whose batch holds each patient ``times`` in a row, for several volumes per patient."""
        return PlanarProjector(
            transmission=self.transmission,
            kernels=self.kernels,
            counts_per_bq=self.counts_per_bq,
            voxel_volume_ml=self.voxel_volume_ml,
            scatter_weights=self.scatter_weights,
            volumes_per_patient=self.volumes_per_patient * times,
        )

    def _per_patient(self, volumes: Tensor, factor: Tensor) -> Tensor:
        """Multiply a batch of volumes by what each patient has one of."""
        return (volumes.unflatten(0, (-1, self.volumes_per_patient)) * factor.unsqueeze(1)).flatten(0, 1)

    def _blur(self, f: Tensor) -> Tensor:
        """Blur attenuated activity ``(b, view, x, y, z)`` onto the views ``(b, view, u, w)``."""
        views = _sum_planes(f.movedim(3, 2), self.kernels.primary_x, self.kernels.primary_z)
        if self.scatter_weights is None or self.kernels.scatter_x is None or self.kernels.scatter_z is None:
            return views
        nodes = [self._per_patient(f, weight).sum(dim=3) for weight in self.scatter_weights]
        return views + _sum_planes(torch.stack(nodes, dim=2), self.kernels.scatter_x, self.kernels.scatter_z)

    def _unblur(self, y: Tensor) -> Tensor:
        """Transpose of `_blur`: views ``(b, view, u, w)`` to ``(b, view, x, y, z)``."""
        f = _spread_planes(y, self.kernels.primary_x, self.kernels.primary_z).movedim(2, 3)
        if self.scatter_weights is None or self.kernels.scatter_x is None or self.kernels.scatter_z is None:
            return f
        nodes = _spread_planes(y, self.kernels.scatter_x, self.kernels.scatter_z)
        for k, weight in enumerate(self.scatter_weights):
            f = f + self._per_patient(nodes[:, :, k].unsqueeze(3), weight)
        return f


class _Project(torch.autograd.Function):
    """`PlanarProjector._blur`, differentiated by its transpose."""

    @staticmethod
    def forward(ctx, f: Tensor, projector: PlanarProjector) -> Tensor:  # noqa: ANN001
        ctx.projector = projector
        return projector._blur(f)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN001
        return _BackProject.apply(grads[0], ctx.projector), None


class _BackProject(torch.autograd.Function):
    """`PlanarProjector._unblur`, differentiated by its transpose."""

    @staticmethod
    def forward(ctx, y: Tensor, projector: PlanarProjector) -> Tensor:  # noqa: ANN001
        ctx.projector = projector
        return projector._unblur(y)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN001
        return _Project.apply(grads[0], ctx.projector), None


def _sum_planes(planes: Tensor, kx: Tensor, kz: Tensor) -> Tensor:
    """Blur planes ``(b, view, n, x, z)`` by their matrices and add them up: ``(b, view, u, w)``.

    The second product runs over (plane, z) at once: the sum over planes costs nothing.
    """
    b, v, n, x, z = planes.shape
    u, w = kx.shape[2], kz.shape[2]
    columns = planes.permute(1, 2, 3, 0, 4).reshape(v * n, x, b * z)
    rows = torch.bmm(kx.reshape(v * n, u, x), columns).reshape(v, n, u, b, z)
    rows = rows.permute(0, 3, 2, 1, 4).reshape(v, b * u, n * z)
    weights = kz.permute(0, 1, 3, 2).reshape(v, n * z, w)
    return torch.bmm(rows, weights).reshape(v, b, u, w).transpose(0, 1)


def _spread_planes(views: Tensor, kx: Tensor, kz: Tensor) -> Tensor:
    """Transpose of `_sum_planes`: ``(b, view, u, w)`` to ``(b, view, n, x, z)``."""
    b, v, u, w = views.shape
    n, x, z = kx.shape[1], kx.shape[3], kz.shape[3]
    weights = kz.permute(0, 2, 1, 3).reshape(v, w, n * z)
    rows = torch.bmm(views.transpose(0, 1).reshape(v, b * u, w), weights).reshape(v, b, u, n, z)
    columns = rows.permute(0, 3, 2, 1, 4).reshape(v * n, u, b * z)
    planes = torch.bmm(kx.transpose(2, 3).reshape(v * n, x, u), columns).reshape(v, n, x, b, z)
    return planes.permute(3, 0, 1, 2, 4)
