"""A small torso before a camera, which the tests of this folder reconstruct."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.organs import organ_id
from planar3d.physics import GammaCamera
from planar3d.reconstruction import PlanarProblem

CONCENTRATION = {"body": 1.0, "liver": 8.0, "spleen": 12.0, "kidney_left": 30.0, "kidney_right": 40.0, "urinary_bladder": 20.0}
MU_PER_MM = 0.0135


@dataclass(frozen=True, kw_only=True)
class Torso:
    """An anatomy, its true activity and a camera."""

    grid: Grid
    camera: GammaCamera
    labels: Tensor
    mu_map: Tensor
    activity: Tensor

    def views(self) -> Tensor:
        """Expected counts."""
        return self.camera(self.activity, self.mu_map, self.grid)

    def problem(self, views: Tensor, *, background: Tensor | None = None, live_fraction: Tensor | None = None) -> PlanarProblem:
        """What a method is given; labels and mu-map serve every sample."""
        b = len(views)
        mu_map, labels = (v.expand(b, *v.shape[1:]) for v in (self.mu_map, self.labels))
        return PlanarProblem.from_camera(
            self.camera, views=views, mu_map=mu_map, labels=labels, grid=self.grid, background=background, live_fraction=live_fraction
        )

    def uneven_background(self) -> Tensor:
        """Expected counts that are no activity's, half as many as those of the torso and brighter in front and below."""
        views = self.views()
        ramp = torch.linspace(2.0, 0.5, views.shape[3]) * torch.tensor([1.5, 1.0])[:, None, None]
        shape = ramp.expand_as(views)
        return shape * (0.5 * views.sum() / shape.sum())

    def uneven_live_fraction(self) -> Tensor:
        """What dead time leaves of each row, less in front, ``(view, z)``."""
        dip = torch.exp(-0.5 * ((torch.arange(self.grid.shape[2]) - 15.0) / 5.0) ** 2)
        return 1.0 - torch.tensor([0.4, 0.25])[:, None] * dip

    def organ_activity(self) -> Tensor:
        """True activity of the organs in the order of their ids [Bq]."""
        ids = self.labels.unique()[1:]
        return torch.stack([self.activity[self.labels == i].sum() for i in ids]) * self.grid.voxel_volume_ml


@pytest.fixture(scope="session")
def camera() -> GammaCamera:
    """A medium-energy camera without scatter."""
    return GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=600.0, scatter=False)


@pytest.fixture(scope="session")
def torso(camera: GammaCamera) -> Torso:
    """Elliptic body with five organs on a 10 mm grid, 400 000 counts in the anterior view."""
    grid = Grid.centred((36, 22, 28), 10.0)
    axes = [(torch.arange(n) - 0.5 * (n - 1)) * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
    x, y, z = torch.meshgrid(*axes, indexing="ij")

    def inside(centre: tuple[float, float, float], radius: tuple[float, float, float]) -> Tensor:
        return sum(((a - c) / r) ** 2 for a, c, r in zip((x, y, z), centre, radius, strict=True)) < 1

    labels = inside((0, 0, 0), (130, 90, 1e9)).long()
    labels[inside((65, 15, 60), (50, 55, 50))] = organ_id("liver")
    labels[inside((-80, -25, 60), (28, 32, 38))] = organ_id("spleen")
    labels[inside((-55, -45, -5), (25, 25, 45))] = organ_id("kidney_left")
    labels[inside((55, -45, -15), (25, 25, 45))] = organ_id("kidney_right")
    labels[inside((0, 35, -95), (35, 30, 30))] = organ_id("urinary_bladder")
    labels = labels[None, None]
    mu_map = torch.where(labels > 0, MU_PER_MM, 0.0)
    activity = sum(c * (labels == organ_id(name)).float() for name, c in CONCENTRATION.items())
    counts = camera(activity, mu_map, grid)[:, 0].sum()
    return Torso(grid=grid, camera=camera, labels=labels, mu_map=mu_map, activity=activity * (4e5 / counts))
