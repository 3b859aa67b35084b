"""The six spheres of the NEMA IEC body phantom (NEMA NU 2-2018, section 7), by which resolution is measured.

An elliptic cylinder of uniform activity holds six spheres of a higher one, their centres on a circle in the plane z = 0, and a cold
cylinder of lung-like material in its axis. A voxel's activity is its mean over the voxel: what shares of it the bodies fill is exact
along z and, for the cylinders, along y; across the rest it is summed over thin strips. Recovery of a sphere: the mean of an image over the
true sphere, voxels weighted by their share in it, over the true activity. Even the rendered truth falls short of one, as voxels mix.

Convention: the phantom's axis is z, in the middle of the grid; the first sphere lies toward +x, the next one toward +y of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.grid import Grid
from planar3d.shapes import Volume
from planar3d.units import MM3_PER_ML

__all__ = ["NemaImage", "NemaPhantom"]

STRIPS = 32
"""Strips per voxel: shares are within 1e-3 of exact, less where a sphere spans several voxels."""


@dataclass(frozen=True, kw_only=True)
class NemaImage:
    """The phantom on a grid.

    Attributes:
        activity: ``(1, 1, x, y, z)`` [Bq/mL].
        mu_map: Linear attenuation, ``(1, 1, x, y, z)`` [1/mm].
        spheres: Share of each voxel within each sphere, ``(n, x, y, z)``.
        sphere_bq_per_ml: Activity of the spheres [Bq/mL].
    """

    activity: Volume
    mu_map: Volume
    spheres: Float[Tensor, "n x y z"]
    sphere_bq_per_ml: float

    def recovery(self, estimate: Volume) -> Float[Tensor, "b n"]:
        """Recovery coefficient of every sphere in images on the same grid.

        Args:
            estimate: Activity maps, ``(b, 1, x, y, z)`` [Bq/mL].
        """
        if estimate.shape[2:] != self.spheres.shape[1:]:
            raise ValueError(
                f"estimate must lie on the phantom's grid of {tuple(self.spheres.shape[1:])} voxels, got {tuple(estimate.shape[2:])}; "
                f"render the phantom on the estimate's grid"
            )
        shares = self.spheres.to(estimate)
        within = torch.einsum("bxyz,nxyz->bn", estimate[:, 0], shares) / shares.flatten(1).sum(dim=1)
        return within / self.sphere_bq_per_ml


@dataclass(frozen=True, kw_only=True)
class NemaPhantom:
    """Sizes and activities.

    Attributes:
        background_bq_per_ml: Activity of the body [Bq/mL].
        sphere_to_background: Activity of the spheres relative to it.
        diameters_mm: Inner diameters of the spheres, evenly spaced around the circle [mm].
        circle_mm: Diameter of the circle on which their centres lie [mm].
        body_mm: Width along x and y and length along z of the body; an ellipse stands for its rounded section [mm].
        lung_mm: Diameter of the cold cylinder in the axis; 0 for none [mm].
        lung_density: Its attenuation relative to the body's.
    """

    background_bq_per_ml: float = 1e5
    sphere_to_background: float = 8.0
    diameters_mm: tuple[float, ...] = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
    circle_mm: float = 114.4
    body_mm: tuple[float, float, float] = (300.0, 230.0, 180.0)
    lung_mm: float = 44.5
    lung_density: float = 0.3

    def __post_init__(self) -> None:
        for name in ("background_bq_per_ml", "sphere_to_background", "lung_mm", "lung_density"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be non-negative and finite, got {value}")
        for name in ("diameters_mm", "body_mm"):
            if not all(0 < d < math.inf for d in getattr(self, name)):
                raise ValueError(f"{name} must be positive and finite [mm], got {getattr(self, name)}")

    @property
    def centres_mm(self) -> tuple[tuple[float, float, float], ...]:
        """Centre of each sphere from the middle of the phantom [mm]."""
        step = 2.0 * math.pi / len(self.diameters_mm)
        radius = 0.5 * self.circle_mm
        return tuple((radius * math.cos(k * step), radius * math.sin(k * step), 0.0) for k in range(len(self.diameters_mm)))

    @property
    def volumes_ml(self) -> tuple[float, ...]:
        """Volume of each sphere [mL]."""
        return tuple(math.pi / 6.0 * d**3 / MM3_PER_ML for d in self.diameters_mm)

    def render(self, grid: Grid, *, mu_per_mm: float, dtype: torch.dtype = torch.float32) -> NemaImage:
        """The phantom in the middle of a grid.

        Args:
            grid: The grid; what reaches beyond it is cut off.
            mu_per_mm: Linear attenuation of the body at the energy imaged [1/mm].
            dtype: Of the volumes.
        """
        bodies = zip(self.diameters_mm, self.centres_mm, strict=True)
        spheres = torch.stack([_sphere(grid, 0.5 * d, centre) for d, centre in bodies])
        body = _cylinder(grid, self.body_mm)
        lung = _cylinder(grid, (self.lung_mm, self.lung_mm, self.body_mm[2])) if self.lung_mm > 0 else torch.zeros_like(body)
        hot = self.background_bq_per_ml * self.sphere_to_background
        filled = spheres.sum(dim=0)
        activity = self.background_bq_per_ml * (body - lung - filled).clamp(min=0.0) + hot * filled
        mu_map = mu_per_mm * (body - (1.0 - self.lung_density) * lung)
        return NemaImage(
            activity=activity[None, None].to(dtype),
            mu_map=mu_map[None, None].to(dtype),
            spheres=spheres.to(dtype),
            sphere_bq_per_ml=hot,
        )


def _cylinder(grid: Grid, size_mm: tuple[float, float, float]) -> Tensor:
    """Share of each voxel in an elliptic cylinder about the middle, ``(x, y, z)``."""
    (x, y, z), (a, b, half) = (_centres(grid, axis) for axis in range(3)), (0.5 * s for s in size_mm)
    chord = b * _root(1.0 - (_strips(x, grid.spacing_mm[0]) / a).square())
    section = _overlap(y, grid.spacing_mm[1], chord[..., None]).mean(dim=1)
    return section[..., None] * _overlap(z, grid.spacing_mm[2], torch.tensor(half, dtype=torch.float64))


def _sphere(grid: Grid, radius_mm: float, centre_mm: tuple[float, float, float]) -> Tensor:
    """Share of each voxel in a sphere, ``(x, y, z)``; strips only where it is."""
    share = torch.zeros(grid.shape, dtype=torch.float64)
    x, y, z = (_centres(grid, axis) - c for axis, c in enumerate(centre_mm))
    across, ahead = (v.abs() <= radius_mm + s for v, s in zip((x, y), grid.spacing_mm, strict=False))
    u, v = _strips(x[across], grid.spacing_mm[0]), _strips(y[ahead], grid.spacing_mm[1])
    chord = _root(radius_mm**2 - u[:, None, :, None].square() - v[None, :, None, :].square())
    columns = _overlap(z, grid.spacing_mm[2], chord[..., None]).mean(dim=(2, 3))
    share[across.nonzero(), ahead.nonzero()[:, 0]] = columns
    return share


def _centres(grid: Grid, axis: int) -> Tensor:
    """Voxel centres along an axis from the middle of the grid, ``(n,)`` float64 [mm]."""
    n = grid.shape[axis]
    return (torch.arange(n, dtype=torch.float64) - 0.5 * (n - 1)) * grid.spacing_mm[axis]


def _strips(centres: Tensor, step: float) -> Tensor:
    """Middles of the strips of each voxel, ``(n, strip)`` [mm]."""
    return centres[:, None] + step * ((torch.arange(STRIPS, dtype=torch.float64) + 0.5) / STRIPS - 0.5)


def _root(value: Tensor) -> Tensor:
    """Square root, zero of what is negative."""
    return value.clamp(min=0.0).sqrt()


def _overlap(centres: Tensor, step: float, half: Tensor) -> Tensor:
    """Share of voxels between ``-half`` and ``half``."""
    upper, lower = torch.minimum(centres + 0.5 * step, half), torch.maximum(centres - 0.5 * step, -half)
    return (upper - lower).clamp(min=0.0) / step
