"""Planar images onto the pixels of a working grid, by area.

A measured pixel shares its counts among the grid pixels that it covers, in proportion to the area of overlap, so what lies within
the grid keeps its total. Along each axis ``W[i, j] = |pixel_j and grid_i| / |pixel_j|``, and ``views' = W_x views W_z^T``.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.grid import Grid
from planar3d.io.planar_image import PlanarImage
from planar3d.shapes import ViewPair

__all__ = ["coverage", "rebin", "rebin_rows"]


def rebin(
    image: PlanarImage, grid: Grid, offset_mm: tuple[float, float] = (0.0, 0.0), *, counts: Float[Tensor, "b view u w"] | None = None
) -> ViewPair:
    """Counts on the grid's x, z pixels.

    Args:
        image: The acquisition.
        grid: Working grid.
        offset_mm: Added to the position of the image along x and z to bring it to the grid's coordinates [mm].
        counts: Other counts on the pixels of the image, as expected ones, ``(b, view, u, w)``; None for its own.

    Returns:
        Counts, ``(1, view, x, z)``; zero where the image has no pixels (see `coverage`).

    Raises:
        ValueError: The image does not overlap the grid.
    """
    along_x, along_z = _overlaps(image, grid, offset_mm)
    shares = [overlap / pixel for overlap, pixel in zip((along_x, along_z), image.pixel_mm, strict=True)]
    wx, wz = (w.to(image.views) for w in shares)
    return wx @ (image.views if counts is None else counts.to(image.views)) @ wz.T


def rebin_rows(image: PlanarImage, grid: Grid, rows: Float[Tensor, "view w"]) -> Float[Tensor, "view z"]:
    """A figure of each row of the image, as its live fraction, as the mean over the rows that make up one of the grid.

    Args:
        image: The acquisition.
        grid: Working grid.
        rows: One figure per view and row of the image, ``(view, w)``.

    Returns:
        ``(view, z)`` on the grid; one where the image has no rows.

    Raises:
        ValueError: The image does not overlap the grid.
    """
    shares = _overlaps(image, grid, (0.0, 0.0))[1]
    covered = shares.sum(dim=1)
    mean = rows.to(shares) @ (shares / covered.clamp(min=torch.finfo(shares.dtype).tiny)[:, None]).T
    return torch.where(covered > 0, mean, 1.0).to(rows)


def coverage(image: PlanarImage, grid: Grid, offset_mm: tuple[float, float] = (0.0, 0.0)) -> Float[Tensor, "x z"]:
    """Share of each grid pixel that the image covers, from 0 (not imaged, which is not the same as no counts) to 1.

    Args:
        image: The acquisition.
        grid: Working grid.
        offset_mm: As in `rebin` [mm].

    Raises:
        ValueError: The image does not overlap the grid.
    """
    along_x, along_z = _overlaps(image, grid, offset_mm)
    share_x, share_z = along_x.sum(dim=1) / grid.spacing_mm[0], along_z.sum(dim=1) / grid.spacing_mm[2]
    return torch.outer(share_x, share_z).clamp(max=1).to(image.views)


def _overlaps(image: PlanarImage, grid: Grid, offset_mm: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Lengths of overlap along x and z, each ``(grid pixel, image pixel)`` [mm]."""
    overlaps = []
    for axis, (view_axis, grid_axis) in {"x": (0, 0), "z": (1, 2)}.items():
        start, pixel = image.origin_mm[view_axis] + offset_mm[view_axis], image.pixel_mm[view_axis]
        measured = _edges(start, pixel, image.views.shape[2 + view_axis])
        wanted = _edges(grid.origin_mm[grid_axis], grid.spacing_mm[grid_axis], grid.shape[grid_axis])
        overlap = torch.minimum(wanted[1:, None], measured[None, 1:]) - torch.maximum(wanted[:-1, None], measured[None, :-1])
        if not (overlap > 0).any():
            raise ValueError(
                f"the planar image does not overlap the anatomy along {axis}: it runs from {measured[0]:.0f} to {measured[-1]:.0f} mm, the "
                f"anatomy from {wanted[0]:.0f} to {wanted[-1]:.0f} mm; give the image's origin or an offset that brings them together"
            )
        overlaps.append(overlap.clamp(min=0))
    return overlaps[0], overlaps[1]


def _edges(first_centre: float, step: float, count: int) -> Tensor:
    """Faces of a row of pixels, ``(count + 1,)`` [mm]."""
    return first_centre + (torch.arange(count + 1, dtype=torch.float64) - 0.5) * step
