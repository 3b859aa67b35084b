"""The camera in front of one patient: activity to expected counts in two opposed views, and the exact adjoint.

``y_v(u, w) = k_v(w) sum_{x,y,z} B_v(u, w; x, y, z) T_v(x, y, z) a(x, y, z)``

with activity ``a`` [Bq/mL], transmission ``T_v``, the response ``B_v`` of collimator, detector and scattering tissue
(`planar3d.physics.system_response`) and ``k_v = sensitivity x dwell x live fraction x voxel volume``, which may differ from row to row of a
whole-body scan and, by the dead time of each head, between the views.

Linear in activity; the gradient with respect to activity is the adjoint itself, so autograd keeps no copies per depth. Differentiable with
respect to the mu-map too, through attenuation and through the depth at which photons scatter.
"""

from __future__ import annotations

import torch
from torch import Tensor

from planar3d.physics.columns import Columns
from planar3d.physics.operator import LinearOperator, full_precision
from planar3d.physics.view_blur import ViewBlur
from planar3d.shapes import Views, Volume

__all__ = ["PlanarProjector"]


class PlanarProjector(LinearOperator):
    """Two opposed views of a batch of patients.

    A batch of volumes may hold several of each patient, in a row; one patient serves any batch.

    Args:
        transmission: Probability to leave unscattered, ``(p, view, x, y, z)``.
        blur: Blur matrices.
        mixing: How planes of depth are mixed, ``(view, j, y)``.
        wide_weights: Shares of coarse voxels in what is blurred widely, ``(view, x, y, p, node, z)``; None if nothing is.
        tail_weights: The part of them that is not object scatter, of a shape that broadcasts; None for none.
        counts_per_bq: Sensitivity times dwell time in each row of the image, in air, of all views ``(w,)`` or of each ``(view, w)``
            [counts/Bq].
        voxel_volume_ml: Voxel volume [mL].
    """

    def __init__(
        self,
        *,
        transmission: Tensor,
        blur: ViewBlur,
        mixing: Tensor,
        wide_weights: Tensor | None,
        counts_per_bq: Tensor,
        voxel_volume_ml: float,
        tail_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.blur = blur
        self.voxel_volume_ml = voxel_volume_ml
        self.models_scatter = wide_weights is not tail_weights
        self.register_buffer("transmission", transmission, persistent=False)
        self.register_buffer("mixing", mixing, persistent=False)
        self.register_buffer("wide_weights", wide_weights, persistent=False)
        self.register_buffer("tail_weights", tail_weights, persistent=False)
        self.register_buffer("row_counts_per_bq", counts_per_bq, persistent=False)
        self.transmission: Tensor
        self.mixing: Tensor
        self.wide_weights: Tensor | None
        self.tail_weights: Tensor | None
        self.row_counts_per_bq: Tensor

    @property
    def counts_per_bq(self) -> float:
        """Sensitivity times dwell time, in air, in the view and row that record most [counts/Bq]."""
        return float(self.row_counts_per_bq.max())

    @property
    def relative_dwell(self) -> Tensor:
        """Time for which each row of each view was alive relative to the longest, ``(view, w)``."""
        views = self.transmission.shape[1]
        return (self.row_counts_per_bq / self.row_counts_per_bq.max()).expand(views, -1)

    def unscattered(self) -> PlanarProjector:
        """The same camera and patient, but for the photons that scatter in the patient."""
        return self._like(self.tail_weights, self.row_counts_per_bq)

    def with_exposure(self, factor: Tensor) -> PlanarProjector:
        """The same camera and patient, with expected counts multiplied row by row, as by the live fraction of each head.

        Args:
            factor: Non-negative, not zero everywhere, ``(view, w)``.

        Raises:
            ValueError: It has another shape or other values.
        """
        views, rows = self.transmission.shape[1], self.blur.rows
        if tuple(factor.shape) != (views, rows):
            raise ValueError(f"factor must have shape {(views, rows)}, one figure per view and row, got {tuple(factor.shape)}")
        if not (torch.isfinite(factor).all() and (factor >= 0).all() and (factor > 0).any()):
            raise ValueError("factor must be finite, non-negative and not zero everywhere; give the share of counts that is recorded")
        return self._like(self.wide_weights, self.row_counts_per_bq * factor.to(self.row_counts_per_bq))

    def _like(self, wide_weights: Tensor | None, counts_per_bq: Tensor) -> PlanarProjector:
        return PlanarProjector(
            transmission=self.transmission,
            blur=self.blur.own(),
            # without anything wide there is nothing to be mixed for it
            mixing=self.mixing if wide_weights is not None else self.mixing[:, : len(self.blur.along_x)],
            wide_weights=wide_weights,
            tail_weights=self.tail_weights,
            counts_per_bq=counts_per_bq,
            voxel_volume_ml=self.voxel_volume_ml,
        )

    @property
    def _counts_per_bq_ml(self) -> Tensor:
        """``k``, of a shape that broadcasts against views."""
        return self.row_counts_per_bq.unsqueeze(-2) * self.voxel_volume_ml

    def forward(self, x: Volume) -> Views:
        """Expected counts.

        Args:
            x: Activity, ``(b, 1, x, y, z)`` [Bq/mL].

        Returns:
            Expected counts, ``(b, view, u, w)``.
        """
        with full_precision(x):
            mixed = Columns(self.transmission).mix(x.to(self.transmission), self.mixing)
            return self.blur(mixed, self.wide_weights) * self._counts_per_bq_ml

    def adjoint(self, y: Views) -> Volume:
        """``A^T y``: the views spread back through blur and attenuation.

        Args:
            y: Views, ``(b, view, u, w)``.

        Returns:
            ``(b, 1, x, y, z)``.
        """
        return self._back(y, each_view=False)

    def view_terms(self, y: Views) -> Tensor:
        """The adjoint of each view apart, ``(b, view, x, y, z)``; their sum over views is the adjoint."""
        return self._back(y, each_view=True)

    def _back(self, y: Views, *, each_view: bool) -> Tensor:
        with full_precision(y):
            scaled = y.to(self.transmission) * self._counts_per_bq_ml
            return Columns(self.transmission).unmix(self.blur.adjoint(scaled, self.wide_weights), self.mixing, each_view=each_view)
