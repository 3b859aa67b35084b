"""An acquisition as read: two opposed views in patient coordinates, and what is needed to quantify them.

Convention: ``views[0, v, i, k]`` are the counts of view v (0 anterior, 1 posterior) in the pixel whose centre lies at
``x = origin_mm[0] + i pixel_mm[0]`` (patient's right), ``z = origin_mm[1] + k pixel_mm[1]`` (head). Neither view is mirrored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.radionuclide import Radionuclide

__all__ = ["SCATTER_CORRECTIONS", "PlanarImage"]

SCATTER_CORRECTIONS = ("model", "tew", "dew", "none")
"""The camera's model of object scatter; triple or dual energy window; nothing."""

LONGEST_DEAD_TIME_S = 1e-3
"""A longer dead time is a mix-up of units: gamma cameras have about a microsecond."""

PLAUSIBLE_PIXEL_MM = (0.5, 30.0)
"""Pixels outside this range are a mix-up of units: gamma cameras have 1 to 10 mm."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanarImage:
    """Anterior and posterior counts of one patient.

    Attributes:
        views: Counts in patient coordinates, ``(1, view, x, z)``.
        pixel_mm: Pixel edge lengths along x and z [mm].
        origin_mm: Centre of pixel (0, 0) along x and z, in patient coordinates [mm].
        isotope: Radionuclide, as in ``"Lu-177"``.
        camera: Camera and collimator, as in ``"siemens-melp"``.
        dwell_time_s: Time for which each pixel was imaged [s]; of a moving whole-body scan not the time of the whole scan. None where
            the speed of the scan is given instead.
        scan_speed_mm_per_s: Speed of a moving whole-body scan [mm/s]; each row is imaged for the length of the head over it.
        head_length_mm: Length of the head's field of view along z [mm]; None for that of the camera.
        acquired_at: Start of the acquisition by the clock of the camera; None where it is not known.
        distance_mm: From the face of the anterior and of the posterior head to the middle of the patient [mm]; None where not known.
        sensitivity_cps_per_mbq: Calibrated sensitivity of one head [cps/MBq]; None where not known.
        energy_kev: Line imaged [keV]; None for the usual one of the isotope.
        dead_time_s: Paralysable dead time of a head per count in the imaged window [s]; None for none.
        background_cps: Rate of the anterior and of the posterior head without a patient, in the imaged window and over the whole field of
            view [cps]; None for none.
        scatter_correction: One of `SCATTER_CORRECTIONS`; ``tew`` and ``dew`` need side windows.
        lower_views: Counts in the energy window below the peak, of the shape of ``views``; None where there are none.
        upper_views: The same above the peak.
        windows_kev: Lowest and highest energy of the lower, the peak and, where there is one, the upper window [keV]; None for those in
            common use.
        origin_is_known: Whether ``origin_mm`` comes from the file; else it puts the middle of the image at (0, 0).

    Raises:
        ValueError: A view is missing, or a value is not possible.
    """

    views: Float[Tensor, "1 view x z"]
    pixel_mm: tuple[float, float]
    origin_mm: tuple[float, float]
    isotope: str
    camera: str
    dwell_time_s: float | None = None
    scan_speed_mm_per_s: float | None = None
    head_length_mm: float | None = None
    acquired_at: datetime | None = None
    distance_mm: tuple[float, float] | None = None
    sensitivity_cps_per_mbq: float | None = None
    energy_kev: float | None = None
    dead_time_s: float | None = None
    background_cps: tuple[float, float] | None = None
    scatter_correction: str = "model"
    lower_views: Float[Tensor, "1 view x z"] | None = None
    upper_views: Float[Tensor, "1 view x z"] | None = None
    windows_kev: tuple[tuple[float, float], ...] | None = None
    origin_is_known: bool = True

    def __post_init__(self) -> None:
        _check_views(self.views)
        low, high = PLAUSIBLE_PIXEL_MM
        if not all(low <= p <= high for p in self.pixel_mm):
            raise ValueError(f"pixel_mm must lie between {low} and {high} mm, got {self.pixel_mm}; give millimetres, not cm or m")
        if not all(math.isfinite(o) for o in self.origin_mm):
            raise ValueError(f"origin_mm must be finite, got {self.origin_mm}; give the centre of pixel (0, 0) along x and z in mm")
        if (self.dwell_time_s is None) == (self.scan_speed_mm_per_s is None):
            raise ValueError(
                f"dwell_time_s is {self.dwell_time_s} and scan_speed_mm_per_s is {self.scan_speed_mm_per_s}; give exactly one of them, the "
                f"time for which each pixel was imaged or the speed of a moving scan"
            )
        for name in ("dwell_time_s", "scan_speed_mm_per_s", "head_length_mm", "sensitivity_cps_per_mbq"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite, got {value}; give the figure of the acquisition")
        if self.distance_mm is not None and not all(math.isfinite(d) and d > 0 for d in self.distance_mm):
            raise ValueError(f"distance_mm must be positive and finite for both heads, got {self.distance_mm}; give millimetres")
        nuclide = Radionuclide.from_name(self.isotope)
        object.__setattr__(self, "isotope", nuclide.name)
        if self.energy_kev is not None:
            nuclide.photon_near(self.energy_kev)
        _check_rates(self.dead_time_s, self.background_cps)
        self._check_side_windows()

    def _check_side_windows(self) -> None:
        """Raise unless the side windows are those of the views and serve the scatter correction."""
        if self.scatter_correction not in SCATTER_CORRECTIONS:
            raise ValueError(f"scatter_correction must be one of {', '.join(SCATTER_CORRECTIONS)}, got {self.scatter_correction!r}")
        for name, views in (("lower_views", self.lower_views), ("upper_views", self.upper_views)):
            if views is None:
                continue
            if views.shape != self.views.shape:
                raise ValueError(
                    f"{name} has shape {tuple(views.shape)} and views {tuple(self.views.shape)}; give windows of one acquisition"
                )
            if not (torch.isfinite(views).all() and (views >= 0).all()):
                raise ValueError(f"{name} holds counts that are negative or not finite; give raw counts")
        ordered = [edge for window in self.windows_kev or () for edge in window]
        if self.windows_kev is not None and (len(self.windows_kev) not in (2, 3) or any(low >= high for low, high in self.windows_kev)):
            raise ValueError(
                f"windows_kev must hold the lower, the peak and perhaps the upper window, each low then high, got {ordered} keV"
            )
        if self.scatter_correction in ("tew", "dew"):
            if self.lower_views is None:
                raise ValueError(
                    f"scatter_correction={self.scatter_correction} needs the counts of an energy window below the peak and there are none; "
                    f"give planar_lower=..., a DICOM file with that window, or scatter_correction=model"
                )
            if self.background_cps is not None:
                raise ValueError(
                    f"background_cps is given with scatter_correction={self.scatter_correction}, whose side windows count the room too; "
                    f"leave background_cps away or take scatter_correction=model"
                )

    @property
    def extent_mm(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Outer edges of the image: (lowest, highest) along x, then along z [mm]."""
        (x, z), (dx, dz), (nx, nz) = self.origin_mm, self.pixel_mm, self.views.shape[2:]
        return (x - 0.5 * dx, x + (nx - 0.5) * dx), (z - 0.5 * dz, z + (nz - 0.5) * dz)


def _check_rates(dead_time_s: float | None, background_cps: tuple[float, float] | None) -> None:
    """Raise unless dead time and background are possible."""
    if dead_time_s is not None and not (0 <= dead_time_s <= LONGEST_DEAD_TIME_S):
        raise ValueError(
            f"dead_time_s must lie between 0 and {LONGEST_DEAD_TIME_S:g} s, got {dead_time_s}; give seconds, as in 2e-6 for 2 microseconds"
        )
    if background_cps is not None and not all(math.isfinite(r) and r >= 0 for r in background_cps):
        raise ValueError(f"background_cps must be non-negative and finite for both heads, got {background_cps}; give counts per second")


def _check_views(views: Tensor) -> None:
    """Raise unless there are two views of finite, non-negative counts."""
    if views.ndim != 4 or views.shape[0] != 1:
        raise ValueError(f"views must have shape (1, 2, x, z), got {tuple(views.shape)}; stack the anterior and the posterior view")
    if views.shape[1] == 1:
        raise ValueError("views holds one view only: the posterior view is missing; two opposed views, anterior and posterior, are needed")
    if views.shape[1] != 2:
        raise ValueError(f"views holds {views.shape[1]} views; two are allowed, anterior and posterior: choose these")
    if not torch.isfinite(views).all():
        raise ValueError("views holds counts that are not finite; repair the image: counts are finite and non-negative")
    if (views < 0).any():
        raise ValueError(
            f"views holds negative counts (lowest {views.min().item():g}); give raw counts, before any scatter or background is subtracted"
        )
    if not (views > 0).flatten(2).any(dim=2).all():
        empty = " and ".join(n for n, v in zip(("anterior", "posterior"), views[0], strict=True) if not (v > 0).any())
        raise ValueError(f"views holds no counts in the {empty} view; give an image with counts in both views")
