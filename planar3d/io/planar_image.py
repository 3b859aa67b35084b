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

__all__ = ["PlanarImage"]

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
        dwell_time_s: Time for which each pixel was imaged [s]; of a moving whole-body scan not the time of the whole scan.
        acquired_at: Start of the acquisition by the clock of the camera; None where it is not known.
        distance_mm: From the face of the anterior and of the posterior head to the middle of the patient [mm]; None where not known.
        sensitivity_cps_per_mbq: Calibrated sensitivity of one head [cps/MBq]; None where not known.
        origin_is_known: Whether ``origin_mm`` comes from the file; else it puts the middle of the image at (0, 0).

    Raises:
        ValueError: A view is missing, or a value is not possible.
    """

    views: Float[Tensor, "1 view x z"]
    pixel_mm: tuple[float, float]
    origin_mm: tuple[float, float]
    isotope: str
    camera: str
    dwell_time_s: float
    acquired_at: datetime | None = None
    distance_mm: tuple[float, float] | None = None
    sensitivity_cps_per_mbq: float | None = None
    origin_is_known: bool = True

    def __post_init__(self) -> None:
        _check_views(self.views)
        low, high = PLAUSIBLE_PIXEL_MM
        if not all(low <= p <= high for p in self.pixel_mm):
            raise ValueError(f"pixel_mm must lie between {low} and {high} mm, got {self.pixel_mm}; give millimetres, not cm or m")
        if not all(math.isfinite(o) for o in self.origin_mm):
            raise ValueError(f"origin_mm must be finite, got {self.origin_mm}; give the centre of pixel (0, 0) along x and z in mm")
        for name in ("dwell_time_s", "sensitivity_cps_per_mbq"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite, got {value}; give the figure of the acquisition")
        if self.distance_mm is not None and not all(math.isfinite(d) and d > 0 for d in self.distance_mm):
            raise ValueError(f"distance_mm must be positive and finite for both heads, got {self.distance_mm}; give millimetres")
        object.__setattr__(self, "isotope", Radionuclide.from_name(self.isotope).name)

    @property
    def extent_mm(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Outer edges of the image: (lowest, highest) along x, then along z [mm]."""
        (x, z), (dx, dz), (nx, nz) = self.origin_mm, self.pixel_mm, self.views.shape[2:]
        return (x - 0.5 * dx, x + (nx - 0.5) * dx), (z - 0.5 * dz, z + (nz - 0.5) * dz)


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
