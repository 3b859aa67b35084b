"""Hot spots: irregular, smooth volumes of uptake at sites that depend on the anatomy.

A spot is an ellipsoid of volume V with semi-axes ``R a_i`` (``a_1 a_2 a_3 = 1``, ``4/3 pi R^3 = V``), turned at random. Its surface is
rough: with d the offset from the centre in the ellipsoid's own frame (so that the ellipsoid is ``|d| = R``) and e its direction,

    w = sigmoid((R - |d| e^(rho Y(e))) / edge),   Y(e) = sum_ijk c_ijk e_i e_j e_k,

where the c are standard normal, which gives Y unit variance in every direction. Weights are cut to the body and normalised to a sum
of one: a spot holds the activity drawn for it on any grid. Spots are evaluated in a window about their centre alone.

Sites are drawn as unit variates: which voxel that is follows in the rendering from site weights, as the inverse of their running sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from planar3d.grid import Grid
from planar3d.phantom.record import TensorRecord
from planar3d.shapes import BodyMask
from planar3d.units import MM3_PER_ML

__all__ = ["HotSpots", "SpotShape", "SpotWindows", "resolve_sites"]

_LONGEST_AXIS = 2.0  # largest a_i; draws are cut here so that a window can be bounded
_EDGE_VOXELS = 0.25


@dataclass(frozen=True, kw_only=True)
class HotSpots(TensorRecord):
    """Drawn spots, in slots of which some are in use.

    Attributes:
        in_use: Which slots hold a spot, ``(b, k)``.
        site: Index of the site, ``(b, k)``.
        place: Unit variate that chooses a voxel of the site, ``(b, k)``.
        offset: Position inside that voxel, -0.5 to 0.5, ``(b, k, 3)``.
        volume_ml: Volume V, ``(b, k)`` [mL].
        semi_axes: Relative lengths a, ``(b, k, 3)``.
        rotation: Rotation matrices, ``(b, k, 3, 3)``.
        roughness: Coefficients rho c, ``(b, k, 3, 3, 3)``.
    """

    in_use: Tensor
    site: Tensor
    place: Tensor
    offset: Tensor
    volume_ml: Tensor
    semi_axes: Tensor
    rotation: Tensor
    roughness: Tensor

    def take(self, order: Integer[Tensor, "b k"]) -> HotSpots:
        """The same spots in another order, ``(b, k)`` indices."""
        sample = torch.arange(len(order), device=order.device)[:, None]
        return HotSpots(**{f.name: getattr(self, f.name)[sample, order] for f in fields(self)})

    def first(self, count: int) -> HotSpots:
        """The spots of the first slots of every sample."""
        return HotSpots(**{f.name: getattr(self, f.name)[:, :count] for f in fields(self)})


@dataclass(frozen=True, kw_only=True)
class SpotWindows:
    """Spots on a grid.

    Attributes:
        index: Flat voxel indices of the windows, ``(b, k, p)``.
        weight: Share of the spot in each of them, ``(b, k, p)``; sums to one over p, or is zero for a spot not in use.
    """

    index: Integer[Tensor, "b k p"]
    weight: Float[Tensor, "b k p"]


@dataclass(frozen=True, kw_only=True)
class SpotShape:
    """Distribution of the shapes of spots.

    Attributes:
        volume_ml: Median volume [mL].
        volume_log_sd: Standard deviation of its logarithm.
        largest_ml: Volumes above are cut to this [mL].
        axis_log_sd: Standard deviation of the logarithm of the relative semi-axes.
        roughness: Standard deviation rho of the logarithm of the radius over directions.
        edge: Width of the edge relative to R; about a quarter of a voxel where that is larger.
    """

    volume_ml: float
    volume_log_sd: float
    largest_ml: float
    axis_log_sd: float = 0.2
    roughness: float = 0.15
    edge: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.volume_ml <= self.largest_ml:
            raise ValueError(f"volume_ml must be positive and at most largest_ml = {self.largest_ml}, got {self.volume_ml}")

    def draw(self, generator: torch.Generator, in_use: Tensor, site: Tensor) -> HotSpots:
        """Spots of one sample in the slots given."""
        k = len(in_use)
        log_volume = math.log(self.volume_ml) + self.volume_log_sd * torch.randn(k, generator=generator)
        log_axes = self.axis_log_sd * torch.randn(k, 3, generator=generator)
        log_axes = (log_axes - log_axes.mean(dim=1, keepdim=True)).clamp(-math.log(_LONGEST_AXIS), math.log(_LONGEST_AXIS))
        return HotSpots(
            in_use=in_use,
            site=site,
            place=torch.rand(k, generator=generator),
            offset=torch.rand(k, 3, generator=generator) - 0.5,
            volume_ml=log_volume.exp().clamp_max(self.largest_ml),
            semi_axes=log_axes.exp(),
            rotation=torch.linalg.qr(torch.randn(k, 3, 3, generator=generator)).Q,
            roughness=self.roughness * torch.randn(k, 3, 3, 3, generator=generator),
        )

    def render(self, spots: HotSpots, centre: Tensor, body: BodyMask, grid: Grid) -> SpotWindows:
        """Weights of the spots on a grid.

        Args:
            spots: Drawn spots, batched.
            centre: Flat index of the voxel in which each lies, ``(b, k)``.
            body: Where activity can be, ``(b, 1, x, y, z)``.
            grid: The grid.
        """
        spacing = spots.offset.new_tensor(grid.spacing_mm)
        steps = self._window(grid, centre.device)
        offset_mm = (steps - spots.offset[:, :, None, :]) * spacing  # (b, k, p, 3)
        scaled = (offset_mm @ spots.rotation) / spots.semi_axes[:, :, None, :]
        distance = scaled.norm(dim=-1)
        direction = scaled / distance.clamp_min(1e-6)[..., None]
        rough = (direction @ spots.roughness.flatten(3)).unflatten(-1, (3, 3))  # (b, k, p, 3, 3), a contraction at a time
        rough = ((rough * direction[..., None, :]).sum(dim=-1) * direction).sum(dim=-1)
        radius = (spots.volume_ml * MM3_PER_ML * 3.0 / (4.0 * math.pi)).pow(1.0 / 3.0)[..., None]
        edge = (self.edge * radius).clamp_min(_EDGE_VOXELS * math.prod(grid.spacing_mm) ** (1.0 / 3.0))
        weight = torch.sigmoid((radius - distance * torch.exp(rough)) / edge)

        size = torch.tensor(grid.shape, device=centre.device)
        position = torch.stack(_unravel(centre, grid.shape), dim=-1)[:, :, None, :] + steps
        inside = ((position >= 0) & (position < size)).all(dim=-1)
        position = position.clamp_min(0).minimum(size - 1)
        index = (position[..., 0] * size[1] + position[..., 1]) * size[2] + position[..., 2]
        allowed = inside & body.flatten(1).gather(1, index.flatten(1)).view_as(inside) & spots.in_use[..., None]
        weight = weight * allowed
        return SpotWindows(index=index, weight=weight / weight.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny))

    def _window(self, grid: Grid, device: torch.device) -> Tensor:
        """Voxel steps from the centre that a spot can reach, ``(p, 3)``."""
        radius_mm = (self.largest_ml * MM3_PER_ML * 3.0 / (4.0 * math.pi)) ** (1.0 / 3.0)
        reach_mm = radius_mm * math.exp(1.5 * self.axis_log_sd) * math.exp(1.5 * self.roughness)
        half = [min(math.ceil(reach_mm / s), n - 1) for s, n in zip(grid.spacing_mm, grid.shape, strict=True)]
        steps = torch.cartesian_prod(*[torch.arange(-h, h + 1) for h in half])
        far = (steps * torch.tensor(grid.spacing_mm)).norm(dim=1) > reach_mm + max(grid.spacing_mm)
        return steps[~far].to(device)


def resolve_sites(spots: HotSpots, weights: Float[Tensor, "b site x y z"]) -> tuple[Integer[Tensor, "b k"], Bool[Tensor, "b k"]]:
    """The voxel in which each spot lies.

    A spot whose site an anatomy lacks takes the last site instead.

    Args:
        spots: Drawn spots, batched.
        weights: How likely each voxel of each site is, not negative.

    Returns:
        Flat voxel index of each spot, and whether there is any.
    """
    rows = weights.flatten(3)  # (b, site, x, y z): first which plane across x, then where in it, so that few voxels are summed up
    running = rows.sum(dim=-1, dtype=torch.float64).cumsum(dim=-1)
    total = running[..., -1]
    site = torch.where(total.gather(1, spots.site) > 0, spots.site, weights.shape[1] - 1)
    sample = torch.arange(len(site), device=site.device)[:, None]
    own = running[sample, site]  # (b, k, x)
    aim = spots.place.double()[..., None] * own[..., -1:]
    plane = _first_above(own, aim)
    before = torch.nn.functional.pad(own, (1, 0)).gather(-1, plane)
    within = rows[sample, site, plane[..., 0]].double().cumsum(dim=-1)
    place = _first_above(within, aim - before)
    return plane[..., 0] * rows.shape[-1] + place[..., 0], own[..., -1] > 0


def _first_above(running: Tensor, aim: Tensor) -> Integer[Tensor, "b k 1"]:
    """First place where a running sum passes a value; rounding does not carry it beyond the last place that adds to the sum."""
    below = running[..., -1:] * (1.0 - 1e-12)
    return torch.searchsorted(running, aim.clamp_min(0.0).minimum(below), right=True).clamp_max(running.shape[-1] - 1)


def _unravel(index: Tensor, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Flat voxel index as its three coordinates."""
    _, y, z = shape
    return index // (y * z), (index // z) % y, index % z
