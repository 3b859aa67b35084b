"""What a reconstruction method is given: two views and the anatomy as the CT shows it.

``y ~ Poisson(A x + b)``: counts ``y`` of both views, projector ``A`` of the camera before this anatomy, expected counts ``b`` that do not
come from the activity sought (room background, scatter estimated from side windows), and nothing of the truth. What dead time takes is a
factor of ``A``, row by row. Counts are never corrected: they stay Poisson.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from planar3d.batch import Batch
from planar3d.grid import Grid
from planar3d.organs import BACKGROUND, BODY
from planar3d.physics import GammaCamera, PlanarProjector
from planar3d.shapes import BodyMask, LabelMap, ViewPair, Volume

__all__ = ["PlanarProblem"]


@dataclass(frozen=True, kw_only=True)
class PlanarProblem:
    """A batch of patients to be reconstructed.

    Attributes:
        views: Counts measured, ``(b, view, x, z)``.
        projector: Activity [Bq/mL] to expected counts, before the anatomy given.
        mu_map: Linear attenuation at the imaging energy, ``(b, 1, x, y, z)`` [1/mm].
        labels: Organ ids, ``(b, 1, x, y, z)``.
        grid: Where the volumes lie.
        camera: What made the projector; only a method that moves the anatomy needs it, to move the attenuation along.
        background: Expected counts that do not come from the activity, ``(b, view, x, z)``; None for none.
        live_fraction: By which the projector's rows were multiplied after `camera` made it, ``(view, z)``; None for not at all.
        fitted_views: Views whose counts a method fits, 0 anterior and 1 posterior.
        margin_rows: Rows along z, toward the feet and toward the head, of a margin that is given up afterwards
            (`planar3d.reconstruction.margin`).
        blind_rows: Rows along z, likewise, that no pixel of the image covers: what counts there is not known.
    """

    views: ViewPair
    projector: PlanarProjector
    mu_map: Volume
    labels: LabelMap
    grid: Grid
    camera: GammaCamera | None = None
    background: ViewPair | None = None
    live_fraction: Float[Tensor, "view z"] | None = None
    fitted_views: tuple[int, ...] = (0, 1)
    margin_rows: tuple[int, int] = (0, 0)
    blind_rows: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        b, (nx, ny, nz) = self.views.shape[0], self.grid.shape
        for name, value in (("mu_map", self.mu_map), ("labels", self.labels)):
            if tuple(value.shape) != (b, 1, nx, ny, nz):
                raise ValueError(
                    f"{name} must have shape {(b, 1, nx, ny, nz)} like views and grid, got {tuple(value.shape)}; resample it first"
                )
        if tuple(self.views.shape[1:]) != (2, nx, nz):
            raise ValueError(f"views must have shape {(b, 2, nx, nz)}, anterior then posterior, got {tuple(self.views.shape)}")
        if not (torch.isfinite(self.views).all() and (self.views >= 0).all()):
            raise ValueError("views must be counts, non-negative and finite; got others. Check the file they were read from")
        if self.background is not None:
            if self.background.shape != self.views.shape:
                raise ValueError(
                    f"background must have the shape of views, {tuple(self.views.shape)}, got {tuple(self.background.shape)}; give "
                    f"expected counts on the same pixels"
                )
            if not (torch.isfinite(self.background).all() and (self.background >= 0).all()):
                raise ValueError("background must be expected counts, non-negative and finite; got others. Check how it was estimated")
        if not self.body.flatten(1).any(dim=1).all():
            raise ValueError("mu_map and labels are empty for a sample; give an anatomy that lies in the field of view")

    @classmethod
    def from_camera(
        cls,
        camera: GammaCamera,
        *,
        views: ViewPair,
        mu_map: Volume,
        labels: LabelMap,
        grid: Grid,
        background: ViewPair | None = None,
        live_fraction: Float[Tensor, "view z"] | None = None,
        margin_rows: tuple[int, int] = (0, 0),
        blind_rows: tuple[int, int] = (0, 0),
    ) -> PlanarProblem:
        """The problem of a camera before this anatomy.

        Args:
            camera: The camera that made the views.
            views: Counts measured, ``(b, view, x, z)``.
            mu_map: Linear attenuation at the imaging energy, ``(b, 1, x, y, z)`` [1/mm].
            labels: Organ ids, ``(b, 1, x, y, z)``.
            grid: Where the volumes lie.
            background: Expected counts that do not come from the activity, ``(b, view, x, z)``; None for none.
            live_fraction: Share of its events that each row of each view records, ``(view, z)``; None for all.
            margin_rows: Rows toward the feet and toward the head of a margin that is given up afterwards.
            blind_rows: Those that no pixel of the image covers.
        """
        projector = _before(camera, mu_map, grid, live_fraction)
        return cls(
            views=views,
            projector=projector,
            mu_map=mu_map,
            labels=labels,
            grid=grid,
            camera=camera,
            background=background,
            live_fraction=live_fraction,
            margin_rows=margin_rows,
            blind_rows=blind_rows,
        )

    @classmethod
    def of_batch(cls, batch: Batch, camera: GammaCamera, grid: Grid) -> PlanarProblem:
        """What a method is given of imaged synthetic patients: everything but the truth.

        Args:
            batch: The patients.
            camera: The camera that imaged them.
            grid: Where the volumes lie.
        """
        return cls.from_camera(camera, views=batch.views, mu_map=batch.mu_map, labels=batch.labels, grid=grid)

    def projector_before(self, mu_map: Volume) -> PlanarProjector:
        """The projector of the same acquisition before another attenuation; the one at hand where the camera is not known.

        Args:
            mu_map: Linear attenuation, ``(n, 1, x, y, z)`` [1/mm].
        """
        return self.projector if self.camera is None else _before(self.camera, mu_map, self.grid, self.live_fraction)

    def with_views(self, fitted_views: Sequence[int]) -> PlanarProblem:
        """The same problem of which some views alone are fitted, 0 anterior and 1 posterior."""
        return replace(self, fitted_views=tuple(fitted_views))

    def without_organs(self) -> PlanarProblem:
        """The same problem whose labels tell the body from what surrounds it and nothing more."""
        return replace(self, labels=torch.where(self.body, BODY, BACKGROUND).to(self.labels))

    def expected_counts(self, x: Volume) -> ViewPair:
        """``A x + b``, ``(b, view, x, z)``.

        Args:
            x: Activity, ``(b, 1, x, y, z)`` [Bq/mL].
        """
        return self.projector(x) + self.known_counts

    @cached_property
    def known_counts(self) -> ViewPair:
        """``b``, zero where there is no background, ``(b, view, x, z)``."""
        return torch.zeros_like(self.views) if self.background is None else self.background

    @cached_property
    def body(self) -> BodyMask:
        """Where activity may lie: attenuating or labelled voxels."""
        return (self.mu_map > 0) | (self.labels != BACKGROUND)

    @cached_property
    def organ_labels(self) -> LabelMap:
        """Labels in which every voxel of the body belongs to an organ, at least to ``body``."""
        return torch.where(self.body & (self.labels == BACKGROUND), torch.full_like(self.labels, BODY), self.labels)

    @cached_property
    def silhouette(self) -> ViewPair:
        """Expected counts of 1 Bq/mL everywhere in the body, ``(b, view, x, z)``."""
        return self.projector(self.body.to(self.views))

    @cached_property
    def sensitivity(self) -> Volume:
        """Counts that 1 Bq/mL in each voxel gives in the pixels that a method fits, ``A^T seen``, ``(b, 1, x, y, z)``."""
        return self.projector.adjoint(self.seen)

    @cached_property
    def fitted(self) -> Bool[Tensor, "1 view 1 1"]:
        """Views that a method fits, ``(1, view, 1, 1)``."""
        return torch.tensor([view in self.fitted_views for view in range(2)], device=self.views.device).view(1, 2, 1, 1)

    @cached_property
    def covered(self) -> Bool[Tensor, " z"]:
        """Rows that pixels of the image cover, ``(z,)``."""
        rows = torch.arange(self.grid.shape[2], device=self.views.device)
        return (rows >= self.blind_rows[0]) & (rows < self.grid.shape[2] - self.blind_rows[1])

    @cached_property
    def seen(self) -> ViewPair:
        """One in the pixels that a method fits, zero elsewhere, ``(b, view, x, z)``.

        Those are the pixels in which a body of uniform activity gives at least 1 % of its brightest pixel. Beyond them the model
        expects next to nothing, and a stray count (a moved arm, contamination) divided by that would rule the fit. Rows that the image does
        not cover say nothing.
        """
        silhouette = self.silhouette
        return (self.fitted & self.covered & (silhouette >= 0.01 * silhouette.amax(dim=(1, 2, 3), keepdim=True))).to(self.views)


def _before(camera: GammaCamera, mu_map: Volume, grid: Grid, live_fraction: Tensor | None) -> PlanarProjector:
    """A camera before an anatomy, with what dead time leaves."""
    projector = camera.projector(mu_map, grid)
    return projector if live_fraction is None else projector.with_exposure(live_fraction)
