"""A gamma camera with two opposed heads: what it is, apart from the patient in front of it.

`GammaCamera.projector` puts a patient before it and returns the linear operator; ``camera(activity, mu_map, grid)`` is the short form.

Convention: view 0 looks from the patient's front (+y), view 1 from the back (-y). ``distance_mm`` runs from the collimator face of
each view to the middle of the grid along y.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

import torch
from torch import Tensor, nn

from planar3d.grid import Grid
from planar3d.materials import linear_attenuation
from planar3d.physics.attenuation import optical_depth, transmission
from planar3d.physics.blur import blur_matrix
from planar3d.physics.collimator import Collimator, CollimatorResponse
from planar3d.physics.planar_projector import BlurKernels, PlanarProjector
from planar3d.physics.scatter import ObjectScatter
from planar3d.radionuclide import Radionuclide
from planar3d.shapes import ViewPair, Volume
from planar3d.units import BQ_PER_MBQ

__all__ = ["GammaCamera", "camera_names"]


class GammaCamera(nn.Module):
    """Two opposed heads.

    Args:
        response: Width of the collimator-detector response against distance.
        sensitivity_cps_per_mbq: Planar sensitivity of one head in air [cps/MBq].
        dwell_time_s: Time for which each pixel is imaged [s].
        energy_kev: Energy imaged [keV].
        distance_mm: From the face of the anterior and of the posterior head to the middle of the grid [mm].
        scatter: Object scatter; None for none.
    """

    def __init__(
        self,
        *,
        response: CollimatorResponse,
        sensitivity_cps_per_mbq: float,
        dwell_time_s: float,
        energy_kev: float,
        distance_mm: Sequence[float] = (200.0, 200.0),
        scatter: ObjectScatter | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("sensitivity_cps_per_mbq", sensitivity_cps_per_mbq), ("dwell_time_s", dwell_time_s)):
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}; give the calibrated figure of your camera")
        if len(distance_mm) != 2 or not all(d > 0 for d in distance_mm):
            raise ValueError(f"distance_mm must hold two positive distances, anterior and posterior, got {distance_mm}")
        self.response = response
        self.sensitivity_cps_per_mbq = sensitivity_cps_per_mbq
        self.dwell_time_s = dwell_time_s
        self.energy_kev = energy_kev
        self.distance_mm = (float(distance_mm[0]), float(distance_mm[1]))
        self.scatter = scatter

    @classmethod
    def from_name(
        cls,
        name: str,
        *,
        isotope: str,
        dwell_time_s: float,
        distance_mm: Sequence[float] = (200.0, 200.0),
        sensitivity_cps_per_mbq: float | None = None,
        scatter: bool = True,
    ) -> GammaCamera:
        """A camera by maker and collimator, as in ``"siemens-melp"``.

        Args:
            name: One of `camera_names`.
            isotope: Radionuclide, as in ``"Lu-177"``; its usual imaging line is imaged.
            dwell_time_s: Time for which each pixel is imaged [s].
            distance_mm: From the face of the anterior and of the posterior head to the middle of the grid [mm].
            sensitivity_cps_per_mbq: Calibrated sensitivity; None takes the published one, or else an estimate from the geometry [cps/MBq].
            scatter: Whether to model object scatter.

        Raises:
            ValueError: The camera or the isotope is not known.
        """
        nuclide = Radionuclide.from_name(isotope)
        collimator, measured = _camera(name)
        photon = nuclide.photons[0]
        sensitivity = sensitivity_cps_per_mbq or measured.get(nuclide.name)
        if sensitivity is None:
            efficiency = collimator.geometric_efficiency(photon.energy_kev) * collimator.photopeak_efficiency(photon.energy_kev)
            sensitivity = efficiency * photon.yield_per_decay * BQ_PER_MBQ
        return cls(
            response=collimator.response(photon.energy_kev),
            sensitivity_cps_per_mbq=sensitivity,
            dwell_time_s=dwell_time_s,
            energy_kev=photon.energy_kev,
            distance_mm=distance_mm,
            scatter=ObjectScatter.at_energy(photon.energy_kev) if scatter else None,
        )

    def projector(self, mu_map: Volume, grid: Grid) -> PlanarProjector:
        """The linear operator of this camera before a batch of patients.

        Args:
            mu_map: Linear attenuation at the imaging energy, ``(b, 1, x, y, z)`` [1/mm]; one sample serves any batch.
            grid: Where the volumes lie.

        Raises:
            ValueError: The mu-map has another shape than the grid, or holds values that are negative or not finite.
        """
        _check_mu_map(mu_map, grid)
        dy = grid.spacing_mm[1]
        return PlanarProjector(
            transmission=transmission(mu_map, dy),
            kernels=self.kernels(grid),
            counts_per_bq=self.sensitivity_cps_per_mbq * self.dwell_time_s / BQ_PER_MBQ,
            voxel_volume_ml=grid.voxel_volume_ml,
            scatter_weights=None if self.scatter is None else self._scatter_weights(mu_map.detach(), dy, self.scatter),
        )

    def forward(self, activity: Volume, mu_map: Volume, grid: Grid) -> ViewPair:
        """Expected counts, ``(b, view, x, z)``, of activity ``(b, 1, x, y, z)`` [Bq/mL]."""
        return self.projector(mu_map, grid)(activity)

    def kernels(self, grid: Grid) -> BlurKernels:
        """Blur matrices on a grid; made once per grid."""
        return _kernels(self.response, self.scatter, self.distance_mm, grid)

    def _scatter_weights(self, mu_map: Tensor, dy: float, scatter: ObjectScatter) -> Tensor:
        """Strength of each voxel in the image of each scatter node, ``(node, b, view, x, y, z)``."""
        in_front, own = optical_depth(mu_map, dy)
        depth_mm = (in_front + 0.5 * own) / linear_attenuation("water", self.energy_kev)
        return torch.stack([scatter.node_weight(depth_mm, k) for k in range(scatter.nodes)])

    def extra_repr(self) -> str:
        """What `print` shows."""
        return (
            f"energy_kev={self.energy_kev}, sensitivity_cps_per_mbq={self.sensitivity_cps_per_mbq:.3g}, "
            f"dwell_time_s={self.dwell_time_s}, distance_mm={self.distance_mm}, scatter={self.scatter is not None}"
        )


def camera_names() -> tuple[str, ...]:
    """Cameras that `GammaCamera.from_name` knows."""
    return tuple(name for name in _cameras() if not name.startswith("_"))


@lru_cache
def _cameras() -> dict:
    """The table of cameras shipped with the package."""
    return json.loads(resources.files("planar3d.physics").joinpath("cameras.json").read_text(encoding="utf-8"))


def _camera(name: str) -> tuple[Collimator, dict[str, float]]:
    """Collimator and published sensitivities of a camera."""
    if name not in camera_names():
        raise ValueError(f"camera {name!r} is not known; known are {', '.join(camera_names())}")
    entry = dict(_cameras()[name])
    measured = entry.pop("sensitivity_cps_per_mbq")
    return Collimator(**entry), measured


@lru_cache(maxsize=16)
def _kernels(response: CollimatorResponse, scatter: ObjectScatter | None, distance_mm: tuple[float, float], grid: Grid) -> BlurKernels:
    """Blur matrices of both views for every plane of a grid, and for the scatter nodes at the middle plane."""
    (nx, ny, nz), (dx, dy, dz) = grid.shape, grid.spacing_mm
    ahead_mm = (torch.arange(ny, dtype=torch.float64) - 0.5 * (ny - 1)) * dy
    from_face = torch.stack([distance_mm[0] - ahead_mm, distance_mm[1] + ahead_mm])
    sigma = response.sigma_mm(from_face)
    if scatter is None:
        return BlurKernels(primary_x=blur_matrix(sigma, nx, dx), primary_z=blur_matrix(sigma, nz, dz))
    middle = response.sigma_mm(torch.tensor(distance_mm, dtype=torch.float64))
    wide = _quadrature(middle[:, None], scatter.sigma_mm()[None])
    return BlurKernels(
        primary_x=blur_matrix(sigma, nx, dx),
        primary_z=blur_matrix(sigma, nz, dz),
        scatter_x=blur_matrix(wide, nx, dx),
        scatter_z=blur_matrix(wide, nz, dz),
    )


def _quadrature(a: Tensor, b: Tensor) -> Tensor:
    """``sqrt(a^2 + b^2)``."""
    return torch.sqrt(a * a + b * b)


def _check_mu_map(mu_map: Tensor, grid: Grid) -> None:
    """Raise if a mu-map cannot be used on a grid."""
    if tuple(mu_map.shape[2:]) != grid.shape:
        raise ValueError(f"mu_map has shape {tuple(mu_map.shape[2:])} and the grid {grid.shape}; resample the mu-map to the grid first")
    low, high = mu_map.detach().aminmax()
    if not (low >= 0 and torch.isfinite(high)):
        raise ValueError("mu_map must be non-negative and finite [1/mm]; make it with planar3d.anatomy.hu_to_mu")
