"""Real anatomies made many: a patient's CT and label map under a smooth invertible warp and a change of size.

    patient'(p) = patient(q),   q = S^-1 phi(p),   phi = exp(v)

p and q count from the middle of the grid. v is a smooth random velocity, Gaussian with correlation length L and root mean square length r;
its flow over unit time, phi, is a diffeomorphism, computed by scaling and squaring (Arsigny et al. 2006):

    u <- v / 2^n,   then n times   u(p) <- u(p) + u(p + u(p)),   phi(p) = p + u(p)

S enlarges by one factor per axis. That space does not fold is checked on the grid itself: the Jacobian determinant of q is positive.
`draw_warp` draws a plain record, `warp_patient` is deterministic. Volumes change by det S on average: `draw_warp` draws it about 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.anatomy.patient import Patient
from planar3d.grid import Grid

__all__ = ["Warp", "draw_warp", "volume_change", "warp_patient"]

LATTICE = (14, 10, 22)
SQUARINGS = 5
_NODES_PER_LENGTH = math.sqrt(2.0)  # as in planar3d.phantom.random_field


@dataclass(frozen=True, kw_only=True)
class Warp:
    """What was drawn.

    Attributes:
        velocity_mm: White noise of v on its lattice, times its standard deviation along each axis ``(3, i, j, k)`` [mm].
        correlation_mm: Correlation length L [mm].
        scale: Enlargement along x, y, z.
    """

    velocity_mm: Float[Tensor, "3 i j k"]
    correlation_mm: float
    scale: tuple[float, float, float]


def draw_warp(generator: torch.Generator, *, velocity_mm: float = 12.0, correlation_mm: float = 80.0, scale_spread: float = 0.06) -> Warp:
    """Draw a warp.

    Args:
        generator: CPU generator; it alone decides.
        velocity_mm: Root mean square length r of the velocity [mm].
        correlation_mm: Length over which it is correlated [mm].
        scale_spread: Standard deviation of the logarithm of size; two thirds of its variance are shared by the axes.

    Raises:
        ValueError: A length is not positive.
    """
    if velocity_mm < 0 or correlation_mm <= 0 or scale_spread < 0:
        raise ValueError(
            f"velocity_mm and scale_spread must be zero or more and correlation_mm positive, got {velocity_mm}, {scale_spread} and "
            f"{correlation_mm}"
        )
    noise = torch.randn(3, *LATTICE, generator=generator) * (velocity_mm / math.sqrt(3.0))
    whole, *own = (scale_spread * torch.randn(4, generator=generator).clamp(-2.5, 2.5)).tolist()
    x, y, z = (math.exp(math.sqrt(2.0 / 3.0) * whole + math.sqrt(1.0 / 3.0) * o) for o in own)
    return Warp(velocity_mm=noise, correlation_mm=correlation_mm, scale=(x, y, z))


def warp_patient(patient: Patient, warp: Warp) -> Patient:
    """The patient under a warp, on a grid of the same spacing that holds the change of size.

    CT numbers and PET are interpolated linearly, labels go to the nearest voxel. What the field cuts goes on beyond it as at its border.

    Args:
        patient: CT and labels, on any device.
        warp: What `draw_warp` gave.

    Raises:
        ValueError: The warp folds space.
    """
    shape = [max(1, math.ceil(n * s - 1e-6)) for n, s in zip(patient.grid.shape, warp.scale, strict=True)]
    grid = Grid.centred(shape, patient.grid.spacing_mm, patient.grid.centre_mm)
    source = _source(warp, grid, patient.ct_hu)
    least = float(_determinant(source, grid).min())
    if least <= 0:
        raise ValueError(
            f"warp folds space: its Jacobian determinant falls to {least:.2f}; draw it with a smaller velocity_mm or a longer "
            f"correlation_mm"
        )
    at = _normalised(source, patient.grid)[None]

    def moved(volume: Tensor, mode: str) -> Tensor:
        return torch.nn.functional.grid_sample(volume[None], at, mode=mode, padding_mode="border", align_corners=False)[0]

    labels = moved(patient.labels.to(at.dtype), "nearest").to(patient.labels.dtype)
    pet = None if patient.pet is None else moved(patient.pet, "bilinear")
    return replace(patient, grid=grid, ct_hu=moved(patient.ct_hu, "bilinear"), labels=labels, pet=pet)


def volume_change(warp: Warp, grid: Grid) -> Float[Tensor, "x y z"]:
    """How much larger a piece of the patient becomes at each voxel of the warped patient: ``1 / det dq/dp``.

    Args:
        warp: What `draw_warp` gave.
        grid: Grid of the warped patient.
    """
    return 1.0 / _determinant(_source(warp, grid, warp.velocity_mm), grid)


def _source(warp: Warp, grid: Grid, like: Tensor) -> Float[Tensor, "3 x y z"]:
    """q for every voxel, from the middle of the grid [mm]."""
    place = torch.stack(torch.meshgrid(*_axes(grid, like), indexing="ij"))
    scale = like.new_tensor(warp.scale).view(3, 1, 1, 1)
    return (place + _flow(warp, grid, like, place)) / scale


def _flow(warp: Warp, grid: Grid, like: Tensor, place: Float[Tensor, "3 x y z"]) -> Float[Tensor, "3 x y z"]:
    """Displacement of the flow over unit time, by scaling and squaring [mm]."""
    step_mm = warp.correlation_mm / _NODES_PER_LENGTH
    velocity = warp.velocity_mm.to(like)
    for position in _axes(grid, like):
        nodes = velocity.shape[1]
        middle = torch.arange(nodes, device=like.device, dtype=like.dtype) - 0.5 * (nodes - 1)
        weight = torch.exp(-0.5 * (position[:, None] / step_mm - middle).clamp(-12.0, 12.0).square())
        weight = weight / weight.square().sum(dim=1, keepdim=True).sqrt()
        velocity = (velocity.movedim(1, -1) @ weight.T).contiguous()  # the axis goes last; after three the order is as before
    moved = velocity / 2.0**SQUARINGS
    for _ in range(SQUARINGS):
        at = _normalised(place + moved, grid)[None]
        moved = moved + torch.nn.functional.grid_sample(moved[None], at, mode="bilinear", padding_mode="border", align_corners=False)[0]
    return moved


def _determinant(source: Float[Tensor, "3 x y z"], grid: Grid) -> Float[Tensor, "x y z"]:
    """Jacobian determinant of q by differences between neighbouring voxels."""
    slopes = torch.gradient(source, spacing=list(grid.spacing_mm), dim=[1, 2, 3])  # each (3, x, y, z)
    return torch.linalg.det(torch.stack(slopes, dim=-1).movedim(0, -2))


def _axes(grid: Grid, like: Tensor) -> list[Tensor]:
    """Voxel centres along each axis from the middle of the grid [mm]."""
    sides = zip(grid.shape, grid.spacing_mm, strict=True)
    return [(torch.arange(n, device=like.device, dtype=like.dtype) - 0.5 * (n - 1)) * s for n, s in sides]


def _normalised(place: Float[Tensor, "3 x y z"], grid: Grid) -> Float[Tensor, "x y z 3"]:
    """Places from the middle of a grid as `grid_sample` wants them: last axis z, y, x, from -1 to 1 between the outer faces."""
    extent = place.new_tensor(grid.extent_mm).view(3, 1, 1, 1)
    return (place * (2.0 / extent)).flip(0).movedim(0, -1)
