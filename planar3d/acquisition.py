"""How a measured image was acquired: for how long each row, what dead time took of it, and which of its counts are not the patient's.

Counts are expected as ``L_v(z) (A x + r)`` or ``L_v(z) A x + S``, with live fraction L of each head v, room background r, and S the scatter
that the side windows tell, which have lost the same share to dead time as the peak. The live fraction is found from all that is recorded,
over whole rows, and so nearly free of noise. The measured counts themselves are left alone.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.io import PlanarImage
from planar3d.physics.background import RoomBackground
from planar3d.physics.camera_head import camera_head
from planar3d.physics.dead_time import DeadTime
from planar3d.physics.energy_window import EnergyWindow, EnergyWindows, energy_windows
from planar3d.physics.exposure import Exposure, recorded_live_fraction
from planar3d.physics.side_windows import SideWindowScatter
from planar3d.physics.sweep import WholeBodySweep
from planar3d.radionuclide import Radionuclide
from planar3d.shapes import ViewPair

__all__ = ["background", "dwell_time_s", "head_length_mm", "live_fraction", "side_window_scatter"]

SCATTER_FWHM_MM = 15.0
"""Scatter is smoother than this and side windows hold few counts."""

SAME_WINDOW_KEV = 1.0
"""Windows whose edges agree this well count as those that the weights were calibrated for."""

LONGER_THAN_HEAD = 1.1
"""Images longer than the head by more than this factor were not seen at once."""


def head_length_mm(image: PlanarImage) -> float:
    """Length of the head's field of view along z: the one given, or that of the camera [mm].

    Raises:
        ValueError: The camera is not known.
    """
    return camera_head(image.camera).field_of_view_mm[1] if image.head_length_mm is None else image.head_length_mm


def dwell_time_s(image: PlanarImage) -> float:
    """Time for which each row was imaged: the one given, or the head's length over the speed of the scan [s].

    Raises:
        ValueError: The camera is not known.
    """
    if image.dwell_time_s is not None:
        return image.dwell_time_s
    return head_length_mm(image) / (image.scan_speed_mm_per_s or math.nan)


def live_fraction(image: PlanarImage) -> Float[Tensor, "view z"] | None:
    """Share of its events that each row of each view records, ``(view, z)``; None without dead time.

    Raises:
        ValueError: No true rates below saturation can have given the counts, or it is not known how the head passed over a long image.
    """
    if not image.dead_time_s:
        return None
    rows, row_mm = image.views.shape[3], image.pixel_mm[1]
    z_mm = image.origin_mm[1] + row_mm * torch.arange(rows, dtype=torch.float64, device=image.views.device)
    (_, (low, high)), length_mm = image.extent_mm, head_length_mm(image)
    if image.scan_speed_mm_per_s is not None:
        sweep = WholeBodySweep(speed_mm_per_s=image.scan_speed_mm_per_s, head_length_mm=length_mm, start_mm=low, stop_mm=high)
        exposure = sweep.exposure(z_mm)
    elif high - low > LONGER_THAN_HEAD * length_mm:
        raise ValueError(
            f"dead_time_s is given for an image of {high - low:.0f} mm along z, longer than the head of {length_mm:.0f} mm, and without "
            f"the speed of the scan it is not known what the head saw at once; give scan_speed_mm_per_s=... instead of dwell_time_s"
        )
    else:
        exposure = Exposure.static(z_mm, time_s=dwell_time_s(image))
    try:
        return recorded_live_fraction(image.views, DeadTime(tau_s=image.dead_time_s), exposure)[0]
    except ValueError as error:
        raise ValueError(f"dead_time_s={image.dead_time_s:g} does not go with the image: {error}") from error


def background(image: PlanarImage, live: Float[Tensor, "view z"] | None) -> ViewPair | None:
    """Expected counts that do not come from the activity sought, on the pixels of the image, ``(1, view, x, z)``; None for none.

    Args:
        image: The acquisition.
        live: Its `live_fraction`.

    Raises:
        ValueError: A side window is missing, or the windows are not those that weights are known for.
    """
    if image.scatter_correction in ("tew", "dew") and image.lower_views is not None:
        scatter = side_window_scatter(image)
        upper = image.upper_views if scatter.upper_weight > 0 else None
        return scatter.estimate(image.lower_views, upper, pixel_mm=image.pixel_mm)
    if image.background_cps is None:
        return None
    head_mm = (camera_head(image.camera).field_of_view_mm[0], head_length_mm(image))
    room = RoomBackground(rate_cps=image.background_cps, head_mm=head_mm)
    rows = image.views.new_full((image.views.shape[3],), dwell_time_s(image))
    expected = room.expected_counts(rows, pixels_x=image.views.shape[2], pixel_mm=image.pixel_mm)
    return expected if live is None else expected * live.to(expected)[None, :, None]


def side_window_scatter(image: PlanarImage) -> SideWindowScatter:
    """The estimate of scatter that suits the windows of an image: calibrated for those in common use, the trapezoid for others.

    Raises:
        ValueError: A window is missing, or a dual window is not the one in common use.
    """
    nuclide = Radionuclide.from_name(image.isotope)
    energy_kev = nuclide.imaging_energy_kev if image.energy_kev is None else nuclide.photon_near(image.energy_kev).energy_kev
    usual, given = energy_windows(image.isotope, energy_kev), _windows(image)
    triple = image.scatter_correction == "tew"
    if triple and image.upper_views is None and (given or usual).upper is not None:
        raise ValueError(
            "scatter_correction=tew needs the counts of the energy window above the peak and there are none; give planar_upper=..., or "
            "take scatter_correction=dew, which does without"
        )
    if given is None or _agree(given, usual, upper=triple):
        return SideWindowScatter.calibrated(image.isotope, energy_kev, upper=triple, smoothing_fwhm_mm=SCATTER_FWHM_MM)
    if triple:
        return SideWindowScatter.from_windows(given, smoothing_fwhm_mm=SCATTER_FWHM_MM)
    raise ValueError(
        f"scatter_correction=dew knows the weight of the windows in common use for {energy_kev:g} keV of {image.isotope} alone, {usual}, "
        f"got {image.windows_kev} keV; take scatter_correction=tew or model"
    )


def _windows(image: PlanarImage) -> EnergyWindows | None:
    """The energy windows that an image states."""
    if image.windows_kev is None:
        return None
    lower, peak, *upper = (EnergyWindow(low_kev=low, high_kev=high) for low, high in image.windows_kev)
    return EnergyWindows(peak=peak, lower=lower, upper=upper[0] if upper else None)


def _agree(given: EnergyWindows, usual: EnergyWindows, *, upper: bool) -> bool:
    """Whether the windows are the same within a keV."""
    pairs = [(given.peak, usual.peak), (given.lower, usual.lower), *([(given.upper, usual.upper)] if upper else [])]
    for one, other in pairs:
        if (one is None) != (other is None):
            return False
        if one is not None and other is not None:
            apart = max(abs(one.low_kev - other.low_kev), abs(one.high_kev - other.high_kev))
            if apart > SAME_WINDOW_KEV:
                return False
    return True
