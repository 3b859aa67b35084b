"""What a reconstruction method is given: two views and the anatomy as the CT shows it.

``y ~ Poisson(A x)``: counts ``y`` of both views, projector ``A`` of the camera before this anatomy, and nothing of the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

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
    """

    views: ViewPair
    projector: PlanarProjector
    mu_map: Volume
    labels: LabelMap
    grid: Grid
    camera: GammaCamera | None = None

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
        if not self.body.flatten(1).any(dim=1).all():
            raise ValueError("mu_map and labels are empty for a sample; give an anatomy that lies in the field of view")

    @classmethod
    def from_camera(cls, camera: GammaCamera, *, views: ViewPair, mu_map: Volume, labels: LabelMap, grid: Grid) -> PlanarProblem:
        """The problem of a camera before this anatomy.

        Args:
            camera: The camera that made the views.
            views: Counts measured, ``(b, view, x, z)``.
            mu_map: Linear attenuation at the imaging energy, ``(b, 1, x, y, z)`` [1/mm].
            labels: Organ ids, ``(b, 1, x, y, z)``.
            grid: Where the volumes lie.
        """
        return cls(views=views, projector=camera.projector(mu_map, grid), mu_map=mu_map, labels=labels, grid=grid, camera=camera)

    @classmethod
    def of_batch(cls, batch: Batch, camera: GammaCamera, grid: Grid) -> PlanarProblem:
        """What a method is given of imaged synthetic patients: everything but the truth.

        Args:
            batch: The patients.
            camera: The camera that imaged them.
            grid: Where the volumes lie.
        """
        return cls.from_camera(camera, views=batch.views, mu_map=batch.mu_map, labels=batch.labels, grid=grid)

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
    def seen(self) -> ViewPair:
        """One in the pixels that a method fits, zero elsewhere, ``(b, view, x, z)``.

        Those are the pixels in which a body of uniform activity gives at least 1 % of its brightest pixel. Beyond them the model
        expects next to nothing, and a stray count (a moved arm, contamination) divided by that would rule the fit.
        """
        silhouette = self.silhouette
        return (silhouette >= 0.01 * silhouette.amax(dim=(1, 2, 3), keepdim=True)).to(self.views)
