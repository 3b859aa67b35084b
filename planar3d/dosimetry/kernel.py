"""Dose kernels for voxels of any size: the energy that a decay, anywhere in one voxel, leaves on average in another.

    K(d) = int k(r) Lambda(r - d) d^3 r,    Lambda(u) = prod_i max(0, 1 - |u_i| / a_i)

with k the point kernel, d the offset between the voxels and a their edges: averaging over the source voxel and adding up over the target
voxel leaves the triangle Lambda. Triangles add up to 1 over all offsets, so shells of the point kernel that are shared out among the eight
nearest offsets give K with no energy lost, whatever the quadrature. Photons beyond four voxels, where k changes slowly, have

    K(d) = V [k(d) + sum_i a_i^2 / 12 d^2k/dx_i^2],    k ~ 1 / r^2 within a voxel.

Electrons (and photons under 5 keV) are kept apart from photons, as they scale differently with density.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.electron_point_kernel import electron_shells
from planar3d.dosimetry.emissions import Emissions
from planar3d.dosimetry.photon_point_kernel import local_photon_kev, photon_absorbed_per_mm, photon_tail_kev

__all__ = ["VoxelKernel", "unfolded", "voxel_kernel"]

_NEAR_VOXELS = 4
_NEAR_DIRECTIONS, _ELECTRON_DIRECTIONS = 48, 32
_LARGEST_REACH_MM = 1000.0


@dataclass(frozen=True, kw_only=True)
class VoxelKernel:
    """Energy per decay at offsets of zero and more voxels; those at negative offsets are the same.

    Attributes:
        isotope: Radionuclide.
        spacing_mm: Voxel edges [mm].
        density_g_per_ml: Density of the medium it was made for [g/mL].
        electron_kev: From electrons, ``(i, j, k)`` [keV].
        photon_kev: From photons, ``(i, j, k)`` [keV].
        emitted_photon_kev: What photons carry, absorbed or escaped [keV].
    """

    isotope: str
    spacing_mm: tuple[float, float, float]
    density_g_per_ml: float
    electron_kev: Float[Tensor, "i j k"]
    photon_kev: Float[Tensor, "l m n"]
    emitted_photon_kev: float

    @property
    def escaped_kev(self) -> float:
        """Photon energy per decay that the kernel does not reach [keV]."""
        return self.emitted_photon_kev - float(unfolded(self.photon_kev).sum())


def unfolded(octant: Float[Tensor, "i j k"]) -> Float[Tensor, "l m n"]:
    """All offsets, ``-n ... n`` along each axis, of a kernel given at zero and more."""
    for axis in range(3):
        octant = torch.cat([octant.narrow(axis, 1, octant.shape[axis] - 1).flip(axis), octant], dim=axis)
    return octant


def voxel_kernel(
    isotope: str | Emissions,
    spacing_mm: float | Sequence[float],
    *,
    reach: Sequence[int] | None = None,
    density_g_per_ml: float = 1.0,
    tail: float = 0.01,
) -> VoxelKernel:
    """Kernel of a radionuclide in unbounded water; made once for each set of arguments.

    Args:
        isotope: Radionuclide, as in ``"Lu-177"``, or its emissions.
        spacing_mm: Voxel edges, one for all axes or one for each [mm].
        reach: Greatest offset wanted along each axis [voxels]; None for no other bound than ``tail``.
        density_g_per_ml: Density of the medium [g/mL].
        tail: Share of all energy emitted that may lie beyond the kernel.

    Returns:
        The kernel in float64 on the CPU.

    Raises:
        ValueError: The radionuclide is not known, or a size, density or share is out of range.
    """
    spacing = (float(spacing_mm),) * 3 if isinstance(spacing_mm, int | float) else tuple(float(s) for s in spacing_mm)
    if len(spacing) != 3 or not all(math.isfinite(s) and s > 0.0 for s in spacing):
        raise ValueError(f"spacing_mm must be one positive length or three, got {spacing_mm}; give voxel edges in mm")
    if not (math.isfinite(density_g_per_ml) and density_g_per_ml > 0.0):
        raise ValueError(f"density_g_per_ml must be positive, got {density_g_per_ml}; water has 1")
    if not 0.0 < tail < 1.0:
        raise ValueError(f"tail must lie between 0 and 1, got {tail}; 0.01 leaves one percent of the energy out")
    bound = None if reach is None else (int(reach[0]), int(reach[1]), int(reach[2]))
    emissions = isotope if isinstance(isotope, Emissions) else Emissions.of(isotope)
    return _made(emissions, spacing, bound, float(density_g_per_ml), float(tail))


@lru_cache(maxsize=16)
def _made(
    emissions: Emissions, spacing_mm: tuple[float, float, float], bound: tuple[int, int, int] | None, density: float, tail: float
) -> VoxelKernel:
    """The kernel of checked arguments."""
    spacing = np.array(spacing_mm)
    electrons = _shared_out(*_electrons(emissions, density), spacing, _ELECTRON_DIRECTIONS)
    reach = np.ceil(_photon_reach_mm(emissions, density, tail) / spacing).astype(int)
    if bound is not None:
        reach = np.minimum(reach, bound)
    return VoxelKernel(
        isotope=emissions.name,
        spacing_mm=spacing_mm,
        density_g_per_ml=density,
        electron_kev=torch.from_numpy(electrons),
        photon_kev=torch.from_numpy(_photons(emissions, spacing, reach, density)),
        emitted_photon_kev=emissions.photon_kev - local_photon_kev(emissions),
    )


def _electrons(emissions: Emissions, density: float) -> tuple[np.ndarray, np.ndarray]:
    """Shells of electrons, soft photons in the first: radii [mm] and energies [keV]."""
    radius, energy = electron_shells(emissions, density_g_per_ml=density)
    energy[0] += local_photon_kev(emissions)
    return radius, energy


def _photon_reach_mm(emissions: Emissions, density: float, tail: float) -> float:
    """Distance beyond which less than the share of all energy goes [mm]."""
    radius = np.linspace(0.0, _LARGEST_REACH_MM, 1001)
    beyond = photon_tail_kev(emissions, radius, density_g_per_ml=density)
    allowed = tail * (emissions.electron_kev + emissions.photon_kev)
    return float(radius[np.argmax(beyond <= allowed)]) if beyond[-1] <= allowed else _LARGEST_REACH_MM


def _photons(emissions: Emissions, spacing: np.ndarray, reach: np.ndarray, density: float) -> np.ndarray:
    """Kernel of photons, near voxels by shells and far ones by the point kernel, ``(reach + 1)`` along each axis [keV]."""
    near = np.ceil(_NEAR_VOXELS * spacing.max() / spacing).astype(int)
    smallest = spacing.min()
    fine, coarse = 0.05 * smallest, 0.25 * smallest
    outer = float(np.linalg.norm((near + 1) * spacing))
    edges = np.concatenate([np.arange(0.0, smallest, fine), np.arange(smallest, outer + coarse, coarse)])
    radius = 0.5 * (edges[1:] + edges[:-1])
    energy = photon_absorbed_per_mm(emissions, radius, density_g_per_ml=density) * np.diff(edges)
    shared = _shared_out(radius, energy, spacing, _NEAR_DIRECTIONS)
    kernel = _far_photons(emissions, spacing, reach, density)
    part = tuple(slice(0, min(n, r) + 1) for n, r in zip(near, reach, strict=True))
    kernel[part] = shared[part]
    return kernel


def _far_photons(emissions: Emissions, spacing: np.ndarray, reach: np.ndarray, density: float) -> np.ndarray:
    """The second formula of the module docstring; not to be used at the origin [keV]."""
    x = [np.arange(n + 1) * a for n, a in zip(reach, spacing, strict=True)]
    squares = [axis.reshape([-1 if i == j else 1 for j in range(3)]) ** 2 for i, axis in enumerate(x)]
    r2 = np.maximum(squares[0] + squares[1] + squares[2], (0.5 * spacing.min()) ** 2)
    table = np.geomspace(0.4 * spacing.min(), 1.01 * math.sqrt(r2.max()), 1500)
    per_mm3 = photon_absorbed_per_mm(emissions, table, density_g_per_ml=density) / (4.0 * np.pi * table**2)
    logarithm = np.log(np.maximum(per_mm3, np.finfo(np.float64).tiny))
    k = np.exp(np.interp(0.5 * np.log(r2), np.log(table), logarithm))
    curvature = sum(a**2 / 12.0 * (8.0 * square / r2 - 2.0) for a, square in zip(spacing, squares, strict=True))
    return k * (1.0 + curvature / r2) * spacing.prod()


def _shared_out(radius_mm: np.ndarray, energy_kev: np.ndarray, spacing: np.ndarray, directions: int) -> np.ndarray:
    """Energy of shells shared out among offsets in proportion to Lambda, over one octant and its mirror images.

    Returns:
        Kernel at offsets of zero and more voxels [keV].
    """
    cosine, weight = np.polynomial.legendre.leggauss(directions)
    z, weight = 0.5 * (cosine + 1.0), 0.5 * weight / directions
    azimuth = 0.5 * np.pi * (np.arange(directions) + 0.5) / directions
    across = np.sqrt(1.0 - z**2)[:, None]
    unit = np.stack([across * np.cos(azimuth), across * np.sin(azimuth), np.broadcast_to(z[:, None], (directions,) * 2)], axis=-1)
    weights = np.broadcast_to(weight[:, None], (directions,) * 2).ravel()
    place = radius_mm[:, None, None] * (unit.reshape(1, -1, 3) / spacing)
    energy = energy_kev[:, None] * weights
    shape = np.floor(place.max(axis=(0, 1))).astype(int) + 2
    low = np.floor(place).astype(np.int64)
    rest = place - low
    kernel = np.zeros(math.prod(shape))
    for corner in np.ndindex(2, 2, 2):
        share = np.where(np.array(corner) == 1, rest, 1.0 - rest).prod(axis=-1)
        index = ((low[..., 0] + corner[0]) * shape[1] + low[..., 1] + corner[1]) * shape[2] + low[..., 2] + corner[2]
        kernel += np.bincount(index.ravel(), (share * energy).ravel(), minlength=len(kernel))
    # an offset of zero along an axis is its own mirror image and takes the energy of both halves
    halves = [np.where(np.arange(n) == 0, 1.0, 0.5) for n in shape]
    return kernel.reshape(shape) * halves[0][:, None, None] * halves[1][:, None] * halves[2]
