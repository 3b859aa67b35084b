"""What a camera needs before a grid and shares among all patients on it: width nodes, blur matrices, mixing of planes.

Made once per camera and grid, and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.materials import linear_attenuation
from planar3d.physics.coarse_grid import CoarseGrid
from planar3d.physics.collimator import CollimatorResponse
from planar3d.physics.detector import Detector
from planar3d.physics.orbit import Orbit
from planar3d.physics.raster import Raster
from planar3d.physics.rotating_projector import Line
from planar3d.physics.rotation import Rotation, turned_rasters
from planar3d.physics.scatter import ObjectScatter
from planar3d.physics.system_response import SystemResponse, added_variance
from planar3d.physics.turned_columns import TurnedColumns
from planar3d.physics.view_blur import ViewBlur
from planar3d.shapes import BodyMask, Volume

__all__ = ["Optics", "PlanarSetup", "planar_setup", "rotating_lines"]

COARSE_MM = (16.0, 20.0, 16.0)
"""Distance of the nodes that hold what is blurred widely: less than the width of scatter from 5 cm depth."""
OPPOSED = (1, -1)


@dataclass(frozen=True, kw_only=True)
class Optics:
    """What widens an image, apart from where camera and patient are.

    Attributes:
        response: Collimator-detector response.
        scatter: Object scatter; None for none.
        primary_share: Unscattered counts in the window imaged relative to the photopeak window.
        energy_kev: Energy imaged [keV].
        detector: Where the pixels lie; None for the voxels' raster.
    """

    response: CollimatorResponse
    scatter: ObjectScatter | None
    primary_share: float
    energy_kev: float
    detector: Detector | None

    def system(self, nearest_mm: float, farthest_mm: float, coarse: CoarseGrid) -> SystemResponse:
        """The response over a range of distances from the face [mm]."""
        return SystemResponse(
            response=self.response,
            scatter=self.scatter,
            primary_share=self.primary_share,
            distances_mm=(max(0.0, nearest_mm), max(0.0, farthest_mm)),
            coarse_variance=max(added_variance(coarse.rasters[axis], coarse.factors[axis]) for axis in (0, 2)),
        )

    def pixels(self, across: Raster, along: Raster) -> tuple[Raster, Raster]:
        """Pixels before voxels that lie on two rasters."""
        return (across, along) if self.detector is None else self.detector.rasters((across.centre_mm, along.centre_mm))


@dataclass(frozen=True, kw_only=True)
class PlanarSetup:
    """Two opposed heads before a grid.

    Attributes:
        blur: Blur matrices.
        mixing: How planes are mixed, ``(view, j, y)``.
        optics: What widens the image.
        system: The response over the distances of this grid.
        coarse: Nodes for what is wide.
        slabs_mm: Distance of the nodes from the faces, ``(view, y)`` [mm].
        tail_weights: Shares of the nodes in the tails of the collimator, ``(view, 1, y, 1, node, 1)``; None without tails.
    """

    blur: ViewBlur
    mixing: Tensor
    optics: Optics
    system: SystemResponse
    coarse: CoarseGrid
    slabs_mm: Tensor
    tail_weights: Tensor | None

    def wide_weights(self, mu: Tensor) -> Tensor:
        """Shares of the nodes of patients ``(p, x, y, z)`` in tails and scatter."""
        depth, thickness = self.coarse.depth_mm(mu, linear_attenuation("water", self.optics.energy_kev), OPPOSED)
        return self.system.wide_weights(depth, thickness, self.slabs_mm.to(mu))


@lru_cache(maxsize=16)
def planar_setup(optics: Optics, distance_mm: tuple[float, float], grid: Grid, dtype: torch.dtype, device: torch.device) -> PlanarSetup:
    """Nodes and matrices of two opposed heads.

    Args:
        optics: What widens the image.
        distance_mm: From either face to the middle of the grid [mm].
        grid: Where the volumes lie.
        dtype: Of the matrices.
        device: Where they lie.
    """
    # what is kept must serve training too, even if it is first asked for in validation
    with torch.inference_mode(False):
        return _planar_setup(optics, distance_mm, grid, dtype, device)


def _planar_setup(optics: Optics, distance_mm: tuple[float, float], grid: Grid, dtype: torch.dtype, device: torch.device) -> PlanarSetup:
    """As `planar_setup`, made anew."""
    rasters = _rasters(grid)
    x, y, z = rasters
    coarse = CoarseGrid.of(rasters, COARSE_MM)
    from_faces = _distances(y, y.centre_mm, distance_mm, OPPOSED)
    system = optics.system(float(from_faces.min()), float(from_faces.max()), coarse)
    blur = system.blur((x, z), optics.pixels(x, z), 0.0, (coarse.factors[0], coarse.factors[2]))
    slabs_mm = _distances(coarse.slabs, y.centre_mm, distance_mm, OPPOSED)
    tails = system.tail_weights(slabs_mm)
    return PlanarSetup(
        blur=blur.to(device, dtype),
        mixing=system.mixing(from_faces, coarse.sharing(1) if system.is_wide else None).to(device, dtype),
        optics=optics,
        system=system,
        coarse=coarse,
        slabs_mm=slabs_mm,
        tail_weights=None if tails is None else tails.to(device, dtype),
    )


def rotating_lines(optics: Optics, mu_map: Volume, grid: Grid, orbit: Orbit, support: BodyMask | None) -> list[Line]:
    """Lines of view of one head that turns about patients.

    Args:
        optics: What widens the image.
        mu_map: Linear attenuation, ``(p, 1, x, y, z)`` [1/mm].
        grid: Where the volumes lie.
        orbit: The views.
        support: Where activity may lie, ``(b, 1, x, y, z)``; None for everywhere.
    """
    u, depth = turned_rasters(grid)
    z = _rasters(grid)[2]
    held = None if support is None else support.any(dim=4).any(dim=0)[0].cpu() | (mu_map > 0).any(dim=4).any(dim=0)[0].cpu()
    turns = {axis: Rotation.of(grid, axis, (u, depth), held) for axis in orbit.axes()}
    coarse = CoarseGrid.of((u, depth, z), COARSE_MM)
    system = optics.system(*_range(depth, turns, orbit), coarse)
    across = Raster(count=grid.shape[0], step_mm=u.step_mm)
    pixels, factors = optics.pixels(across, z), (coarse.factors[0], coarse.factors[2])
    blurs = {
        spread: system.blur((u, z), pixels, u.step_mm if spread else 0.0, factors).to(mu_map.device, mu_map.dtype)
        for spread in {not turn.is_exact for turn in turns.values()}
    }
    table = mu_map[:, 0].permute(1, 2, 0, 3).flatten(2).flatten(0, 1).contiguous()
    lines = []
    for axis, views in orbit.axes().items():
        sides, radii = [orbit.sides()[v] for v in views], [orbit.radii_mm[v] for v in views]
        rotation = turns[axis].to(mu_map)
        columns = TurnedColumns(rotation, table, patients=len(mu_map), step_mm=u.step_mm, sides=sides)
        slabs = _distances(coarse.slabs, 0.0, radii, sides).to(mu_map)
        weights = system.tail_weights(slabs)
        if optics.scatter is not None:
            water = linear_attenuation("water", optics.energy_kev)
            depth_mm, thickness_mm = coarse.depth_mm(columns.turned_mu(), water, sides, rotation.u, rotation.depth)
            weights = system.wide_weights(depth_mm, thickness_mm, slabs)
        slabs_of = coarse.sharing(1)[:, rotation.depth] if system.is_wide else None
        mixing = system.mixing(_distances(depth, 0.0, radii, sides)[:, rotation.depth], slabs_of)
        lines.append(
            Line(views=views, columns=columns, blur=blurs[not turns[axis].is_exact], mixing=mixing.to(mu_map), wide_weights=weights)
        )
    return lines


def _rasters(grid: Grid) -> tuple[Raster, Raster, Raster]:
    """Voxels along x, y, z."""
    x, y, z = (Raster(count=n, step_mm=s, centre_mm=c) for n, s, c in zip(grid.shape, grid.spacing_mm, grid.centre_mm, strict=True))
    return x, y, z


def _distances(planes: Raster, middle_mm: float, distance_mm: Sequence[float], sides: Sequence[int]) -> Tensor:
    """Distance of planes along depth from the face of each view, ``(view, plane)`` [mm]; faces are so far from the middle."""
    ahead = planes.centres_mm - middle_mm
    return torch.stack([d - s * ahead for d, s in zip(distance_mm, sides, strict=True)])


def _range(depth: Raster, turns: dict[float, Rotation], orbit: Orbit) -> tuple[float, float]:
    """Smallest and largest distance of a turned cell from a face [mm]."""
    found = []
    for axis, views in orbit.axes().items():
        inside = depth.centres_mm[turns[axis].depth]
        for view in views:
            towards = orbit.radii_mm[view] - orbit.sides()[view] * inside
            found += [float(towards.min()), float(towards.max())]
    return min(found), max(found)
