"""The grid on which a volume lives, and the conventions of every array in the library.

Convention: arrays are RAS+ as nibabel and TorchIO give them. A volume is ``(b, 1, x, y, z)``; its index grows toward the patient's
Right along x, Anterior along y and Superior along z. Views are ``(b, view, x, z)`` in the same patient coordinates, view 0
anterior and view 1 posterior; neither is mirrored. The affine maps an index to the *centre* of its voxel in mm.

A working grid is axis-aligned: its affine is ``diag(spacing_mm)`` and an origin. Reading brings any file to that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from planar3d.units import MM3_PER_ML

__all__ = ["Grid", "cube_edge_mm", "require_same_grid"]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """An axis-aligned RAS+ voxel grid.

    Attributes:
        shape: Number of voxels along x, y, z.
        spacing_mm: Voxel edge lengths along x, y, z [mm].
        origin_mm: Centre of voxel (0, 0, 0) in patient coordinates [mm].
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise ValueError(f"shape must be positive along every axis, got {self.shape}")
        if not all(math.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise ValueError(f"spacing_mm must be positive and finite along every axis, got {self.spacing_mm}")

    @classmethod
    def centred(cls, shape: Sequence[int], spacing_mm: float | Sequence[float], centre_mm: Sequence[float] = (0.0, 0.0, 0.0)) -> Grid:
        """Grid whose middle (between the outermost voxel faces) lies at ``centre_mm``.

        Args:
            shape: Number of voxels along x, y, z.
            spacing_mm: One edge length for all axes, or one per axis [mm].
            centre_mm: Patient coordinates of the middle [mm].
        """
        spacing = (spacing_mm,) * 3 if isinstance(spacing_mm, int | float) else tuple(spacing_mm)
        origin = [c - 0.5 * (n - 1) * s for c, n, s in zip(centre_mm, shape, spacing, strict=True)]
        return cls(shape=_triple(shape, int), spacing_mm=_triple(spacing, float), origin_mm=_triple(origin, float))

    @classmethod
    def from_affine(cls, shape: Sequence[int], affine: np.ndarray) -> Grid:
        """Grid of an axis-aligned RAS+ affine.

        Raises:
            ValueError: The affine is rotated, sheared or points away from RAS+.
        """
        matrix = np.asarray(affine, dtype=np.float64)
        spacing = np.diag(matrix)[:3]
        if not np.allclose(matrix[:3, :3], np.diag(spacing), atol=1e-4) or (spacing <= 0).any():
            raise ValueError(
                "affine must be axis-aligned and RAS+; read the image with planar3d.anatomy.reading.read_volume, which brings it to that"
            )
        return cls(shape=_triple(shape, int), spacing_mm=_triple(spacing, float), origin_mm=_triple(matrix[:3, 3], float))

    @property
    def affine(self) -> np.ndarray:
        """Index to patient coordinates, ``(4, 4)`` float64 [mm]."""
        matrix = np.diag([*self.spacing_mm, 1.0])
        matrix[:3, 3] = self.origin_mm
        return matrix

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel [mL]."""
        return math.prod(self.spacing_mm) / MM3_PER_ML

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Outer edge lengths of the grid [mm]."""
        return _triple([n * s for n, s in zip(self.shape, self.spacing_mm, strict=True)], float)

    @property
    def centre_mm(self) -> tuple[float, float, float]:
        """Middle of the grid in patient coordinates [mm]."""
        return _triple([o + 0.5 * (n - 1) * s for o, n, s in zip(self.origin_mm, self.shape, self.spacing_mm, strict=True)], float)

    def resampled(self, spacing_mm: float | Sequence[float]) -> Grid:
        """Grid of another spacing over the same extent, rounded up to whole voxels about the same middle."""
        spacing = (spacing_mm,) * 3 if isinstance(spacing_mm, int | float) else tuple(spacing_mm)
        shape = [max(1, math.ceil(e / s - 1e-6)) for e, s in zip(self.extent_mm, spacing, strict=True)]
        return Grid.centred(shape, spacing, self.centre_mm)

    def rows(self, first: int, stop: int) -> Grid:
        """The grid from one row along z to before another; rows before 0 and from ``shape[2]`` on go on at the same spacing."""
        (nx, ny, _), (x, y, z) = self.shape, self.origin_mm
        return Grid(shape=(nx, ny, stop - first), spacing_mm=self.spacing_mm, origin_mm=(x, y, z + first * self.spacing_mm[2]))

    def is_close(self, other: Grid, *, tolerance_mm: float = 1e-2) -> bool:
        """Whether both grids have the same shape and, within ``tolerance_mm``, the same voxel centres."""
        return self.shape == other.shape and np.allclose(self.affine, other.affine, atol=tolerance_mm)


def cube_edge_mm(spacing_mm: Sequence[float]) -> float:
    """Edge of the cube as large as a voxel [mm].

    Args:
        spacing_mm: Edges of the voxel [mm].
    """
    return math.prod(spacing_mm) ** (1 / len(spacing_mm))


def require_same_grid(name: str, grid: Grid, other_name: str, other: Grid) -> None:
    """Raise if two named objects lie on different grids.

    Raises:
        ValueError: Shapes or affines differ.
    """
    if not grid.is_close(other):
        raise ValueError(
            f"{name} and {other_name} lie on different grids: {name} has shape {grid.shape}, spacing {grid.spacing_mm} mm, origin "
            f"{grid.origin_mm} mm; {other_name} has shape {other.shape}, spacing {other.spacing_mm} mm, origin {other.origin_mm} mm. "
            f"Resample one onto the other first."
        )


def _triple(values: Iterable, kind: type) -> tuple:
    """The three values as plain Python numbers."""
    x, y, z = (kind(v) for v in values)
    return x, y, z
