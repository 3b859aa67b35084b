"""A gamma camera: what it is, apart from the patient in front of it.

`GammaCamera.projector` puts a patient before two opposed heads and returns the linear operator; ``camera(activity, mu_map, grid)`` is
the short form. `GammaCamera.rotating_projector` does the same for any list of view angles.

Convention: view 0 looks from the patient's front (+y), view 1 from the back (-y). ``distance_mm`` runs from the collimator face of
each view to the middle of the grid along y. Angles: `planar3d.physics.orbit`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from planar3d.grid import Grid
from planar3d.physics.attenuation import transmission
from planar3d.physics.camera_head import camera_head
from planar3d.physics.collimator import CollimatorResponse
from planar3d.physics.detector import Detector
from planar3d.physics.orbit import Orbit
from planar3d.physics.planar_projector import PlanarProjector
from planar3d.physics.rotating_projector import RotatingProjector
from planar3d.physics.scatter import ObjectScatter
from planar3d.physics.setup import Optics, planar_setup, rotating_lines
from planar3d.radionuclide import Radionuclide
from planar3d.shapes import BodyMask, Views, Volume
from planar3d.units import BQ_PER_MBQ

__all__ = ["GammaCamera"]


class GammaCamera(nn.Module):
    """One head, or two of a kind that face each other.

    Args:
        response: Width of the collimator-detector response against distance.
        sensitivity_cps_per_mbq: Planar sensitivity of one head in air, in the photopeak window [cps/MBq].
        dwell_time_s: Time for which each pixel is imaged: one figure, or one per row of the image, feet first [s].
        energy_kev: Energy imaged [keV].
        distance_mm: From the face of the anterior and of the posterior head to the middle of the grid [mm].
        scatter: Object scatter; None for none.
        primary_share: Unscattered counts in the window imaged relative to the photopeak window: one, but for a side window.
        detector: Where the pixels lie; None takes the voxels' raster.
    """

    def __init__(
        self,
        *,
        response: CollimatorResponse,
        sensitivity_cps_per_mbq: float,
        dwell_time_s: float | Sequence[float],
        energy_kev: float,
        distance_mm: Sequence[float] = (200.0, 200.0),
        scatter: ObjectScatter | None = None,
        primary_share: float = 1.0,
        detector: Detector | None = None,
    ) -> None:
        super().__init__()
        if not sensitivity_cps_per_mbq > 0:
            raise ValueError(
                f"sensitivity_cps_per_mbq must be positive, got {sensitivity_cps_per_mbq}; give the calibrated figure of your camera"
            )
        if len(distance_mm) != 2 or not all(d > 0 for d in distance_mm):
            raise ValueError(f"distance_mm must hold two positive distances, anterior and posterior, got {distance_mm}")
        if not 0.0 <= primary_share <= 1.0:
            raise ValueError(f"primary_share must lie between 0 and 1, got {primary_share}; it is 1 for the photopeak window")
        self.response = response
        self.sensitivity_cps_per_mbq = sensitivity_cps_per_mbq
        self.dwell_time_s = _checked_dwell(dwell_time_s)
        self.energy_kev = energy_kev
        self.distance_mm = (float(distance_mm[0]), float(distance_mm[1]))
        self.scatter = scatter
        self.primary_share = primary_share
        self.detector = detector

    @classmethod
    def from_name(
        cls,
        name: str,
        *,
        isotope: str,
        dwell_time_s: float | Sequence[float],
        energy_kev: float | None = None,
        window: str = "peak",
        distance_mm: Sequence[float] = (200.0, 200.0),
        sensitivity_cps_per_mbq: float | None = None,
        scatter: bool = True,
        detector: Detector | None = None,
    ) -> GammaCamera:
        """A camera by maker and collimator, as in ``"siemens-melp"``.

        Args:
            name: One of `planar3d.physics.camera_names`.
            isotope: Radionuclide, as in ``"Lu-177"``.
            dwell_time_s: Time for which each pixel is imaged: one figure, or one per row of the image, feet first [s].
            energy_kev: Line imaged, as in 113 for Lu-177; None takes the usual one [keV].
            window: Energy window counted: ``"peak"``, or ``"lower"`` or ``"upper"`` beside it.
            distance_mm: From the face of the anterior and of the posterior head to the middle of the grid [mm].
            sensitivity_cps_per_mbq: Calibrated sensitivity in the photopeak window; None takes the published one, or else an estimate from
                the geometry [cps/MBq].
            scatter: Whether to model object scatter.
            detector: Where the pixels lie; None takes the voxels' raster.

        Raises:
            ValueError: The camera, the isotope, its line or the window is not known.
        """
        nuclide, head = Radionuclide.from_name(isotope), camera_head(name)
        photon = nuclide.photons[0] if energy_kev is None else nuclide.photon_near(energy_kev)
        counted = ObjectScatter.in_window(nuclide.name, photon.energy_kev, window)
        return cls(
            response=head.response(photon.energy_kev),
            sensitivity_cps_per_mbq=sensitivity_cps_per_mbq or head.sensitivity_cps_per_mbq(nuclide.name, photon.energy_kev),
            dwell_time_s=dwell_time_s,
            energy_kev=photon.energy_kev,
            distance_mm=distance_mm,
            scatter=counted if scatter else None,
            primary_share=counted.primary_share,
            detector=detector,
        )

    @property
    def optics(self) -> Optics:
        """What widens an image, apart from where camera and patient are."""
        return Optics(
            response=self.response,
            scatter=self.scatter,
            primary_share=self.primary_share,
            energy_kev=self.energy_kev,
            detector=self.detector,
        )

    def projector(self, mu_map: Volume, grid: Grid) -> PlanarProjector:
        """The linear operator of this camera's two heads before a batch of patients.

        Args:
            mu_map: Linear attenuation at the imaging energy, ``(b, 1, x, y, z)`` [1/mm]; one sample serves any batch.
            grid: Where the volumes lie.

        Raises:
            ValueError: The mu-map has another shape than the grid, or holds values that are negative or not finite.
        """
        _check_mu_map(mu_map, grid)
        setup = planar_setup(self.optics, self.distance_mm, grid, mu_map.dtype, mu_map.device)
        tails = setup.tail_weights
        return PlanarProjector(
            transmission=transmission(mu_map, grid.spacing_mm[1]),
            blur=setup.blur.own(),
            mixing=setup.mixing,
            wide_weights=tails if self.scatter is None else setup.wide_weights(mu_map[:, 0]),
            tail_weights=tails,
            counts_per_bq=self._counts_per_bq(setup.blur.rows, mu_map),
            voxel_volume_ml=grid.voxel_volume_ml,
        )

    def rotating_projector(self, mu_map: Volume, grid: Grid, orbit: Orbit, *, support: BodyMask | None = None) -> RotatingProjector:
        """The linear operator of one head that turns about a batch of patients.

        Args:
            mu_map: Linear attenuation at the imaging energy, ``(b, 1, x, y, z)`` [1/mm]; one sample serves any batch.
            grid: Where the volumes lie.
            orbit: The views. Without a detector of their own their pixels are as large as voxels, as many as along x, about the axis.
            support: Where activity may lie, ``(b, 1, x, y, z)``; None for everywhere. A column along z outside it that does not
                attenuate either is left out, which saves time.

        Raises:
            ValueError: The mu-map has another shape than the grid, or holds values that are negative or not finite.
        """
        _check_mu_map(mu_map, grid)
        lines = rotating_lines(self.optics, mu_map.detach(), grid, orbit, support)
        return RotatingProjector(
            lines=lines,
            counts_per_bq=self._counts_per_bq(lines[0].blur.rows, mu_map),
            voxel_volume_ml=grid.voxel_volume_ml,
            shape=grid.shape,
            views=len(orbit),
        )

    def forward(self, activity: Volume, mu_map: Volume, grid: Grid) -> Views:
        """Expected counts, ``(b, view, x, z)``, of activity ``(b, 1, x, y, z)`` [Bq/mL]."""
        return self.projector(mu_map, grid)(activity)

    def _counts_per_bq(self, rows: int, like: Tensor) -> Tensor:
        """Sensitivity times dwell time of each row of the image, ``(w,)`` [counts/Bq]."""
        dwell = torch.tensor(self.dwell_time_s, dtype=torch.float64)
        if dwell.ndim and len(dwell) != rows:
            raise ValueError(f"dwell_time_s must hold one time per row of the image, {rows}, or be one figure; got {len(dwell)} times")
        return (dwell.expand(rows) * self.sensitivity_cps_per_mbq / BQ_PER_MBQ).to(like)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return (
            f"energy_kev={self.energy_kev}, sensitivity_cps_per_mbq={self.sensitivity_cps_per_mbq:.3g}, "
            f"dwell_time_s={self.dwell_time_s}, distance_mm={self.distance_mm}, scatter={self.scatter is not None}"
        )


def _checked_dwell(dwell_time_s: float | Sequence[float]) -> float | tuple[float, ...]:
    """One time, or one per row; a row may not be imaged at all, but not every row."""
    if isinstance(dwell_time_s, int | float):
        times, dwell = (dwell_time_s,), float(dwell_time_s)
        allowed = dwell > 0
    else:
        times = dwell = tuple(float(t) for t in dwell_time_s)
        allowed = bool(times) and min(times) >= 0 and max(times) > 0
    if not (allowed and all(t < float("inf") for t in times)):
        raise ValueError(f"dwell_time_s must be positive, got {dwell_time_s}; give the time for which each pixel was imaged, in seconds")
    return dwell


def _check_mu_map(mu_map: Tensor, grid: Grid) -> None:
    """Raise if a mu-map cannot be used on a grid."""
    if tuple(mu_map.shape[2:]) != grid.shape:
        raise ValueError(f"mu_map has shape {tuple(mu_map.shape[2:])} and the grid {grid.shape}; resample the mu-map to the grid first")
    low, high = mu_map.detach().aminmax()
    if not (low >= 0 and torch.isfinite(high)):
        raise ValueError("mu_map must be non-negative and finite [1/mm]; make it with planar3d.anatomy.hu_to_mu")
