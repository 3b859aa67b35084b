"""Scatter in the photopeak window, estimated from windows beside it.

With counts C and widths w [keV] of the peak (pk), lower (lo) and upper (hi) window, pixel by pixel

``S = a C_lo + b C_hi``

- triple window: ``a = w_pk / (2 w_lo)``, ``b = w_pk / (2 w_hi)``, the trapezoid under the peak; exact where the scatter spectrum is a
  straight line and both side windows lie equally far from the middle of the peak (Ogawa et al., IEEE Trans. Med. Imaging 10 (1991) 408;
  Ichihara et al., J. Nucl. Med. 34 (1993) 2216). Without an upper window b = 0: the triangle, for a line with nothing above it.
- dual window: ``a = k``, ``b = 0``; k = 0.5 holds for 99mTc with a 20 % peak window and 92 to 125 keV below (Jaszczak et al., J. Nucl.
  Med. 25 (1984) 893) and has to be calibrated for any other pair.

Downscatter from higher lines lies under all three windows and is taken along. Unscattered photons in the side windows, by energy
resolution, make S too large; so does the spectrum of scatter, which is no straight line.

- calibrated: either of them times one factor, with which the camera's own model of the windows (`planar3d.physics.scatter`), spill of
  unscattered photons included, gives a source at a stated depth of water its own scatter. In 300 x 200 mm of water the primary counts of a
  whole view are then right within 1.5 % down to 100 mm at 208 keV, where the trapezoid takes off 3 to 7 % too much
  (experiments/06_side_windows).

What a lower window counts has scattered farther away than what the peak window counts, so S is too wide whatever its weights: hot organs
keep some of their scatter, and what is beside them loses too much. The camera's model of scatter in the peak does not have this flaw.

Side windows hold few counts. A Gaussian over them lowers the noise and keeps their sum; scatter is smooth anyway. The variance of S, with
a kernel g, is ``(a g)^2 * C_lo + (b g)^2 * C_hi``; it is that of single pixels, as smoothing makes neighbours agree. Preferred use: S as an
additive term of the expected counts, so that the measured ones stay Poisson; `subtract_scatter` is for methods that cannot have it. S is
on the scale of the side windows: recorded in the same acquisition, they have lost the same share to dead time as the peak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.physics.energy_window import EnergyWindows, energy_windows
from planar3d.physics.scatter import ObjectScatter
from planar3d.shapes import ViewPair
from planar3d.units import FWHM_PER_SIGMA

__all__ = ["SideWindowScatter", "subtract_scatter"]

JASZCZAK_K = 0.5
CALIBRATION_DEPTH_MM = 100.0
"""Where most organs lie; of a uniform body of 300 x 200 mm the estimate is then right within a few per cent."""


@dataclass(frozen=True, kw_only=True)
class SideWindowScatter:
    """Linear estimate of scatter from side windows.

    Attributes:
        lower_weight: Scatter counts in the peak window per count in the lower window, a.
        upper_weight: The same for the upper window, b; 0 where it is not used.
        smoothing_fwhm_mm: Full width at half maximum of the Gaussian over the side windows [mm]; 0 for none.

    Raises:
        ValueError: A figure is not possible.
    """

    lower_weight: float
    upper_weight: float = 0.0
    smoothing_fwhm_mm: float = 0.0

    def __post_init__(self) -> None:
        for name in ("lower_weight", "upper_weight", "smoothing_fwhm_mm"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be non-negative and finite, got {value}; give 0 for none")

    @classmethod
    def triple(
        cls, *, peak_kev: float, lower_kev: float, upper_kev: float | None = None, smoothing_fwhm_mm: float = 0.0
    ) -> SideWindowScatter:
        """Triple energy window of given widths.

        Args:
            peak_kev: Width of the peak window [keV].
            lower_kev: Width of the lower window [keV].
            upper_kev: Width of the upper window [keV]; None for the triangle without one.
            smoothing_fwhm_mm: Full width at half maximum of the Gaussian over the side windows [mm].
        """
        for name, width in (("peak_kev", peak_kev), ("lower_kev", lower_kev), ("upper_kev", upper_kev)):
            if width is not None and not (math.isfinite(width) and width > 0):
                raise ValueError(f"{name} must be positive and finite, got {width}; give the width of the window in keV")
        upper_weight = 0.0 if upper_kev is None else 0.5 * peak_kev / upper_kev
        return cls(lower_weight=0.5 * peak_kev / lower_kev, upper_weight=upper_weight, smoothing_fwhm_mm=smoothing_fwhm_mm)

    @classmethod
    def from_windows(cls, windows: EnergyWindows, *, smoothing_fwhm_mm: float = 0.0) -> SideWindowScatter:
        """Triple energy window of the windows of an acquisition.

        Args:
            windows: Peak window, lower window and, or None, upper window.
            smoothing_fwhm_mm: Full width at half maximum of the Gaussian over the side windows [mm].

        Raises:
            ValueError: There is no lower window.
        """
        if windows.lower is None:
            raise ValueError("windows has no lower window; scatter needs one below the peak, or a model of it")
        return cls.triple(
            peak_kev=windows.peak.width_kev,
            lower_kev=windows.lower.width_kev,
            upper_kev=None if windows.upper is None else windows.upper.width_kev,
            smoothing_fwhm_mm=smoothing_fwhm_mm,
        )

    @classmethod
    def calibrated(
        cls, isotope: str, energy_kev: float, *, upper: bool = True, depth_mm: float = CALIBRATION_DEPTH_MM, smoothing_fwhm_mm: float = 0.0
    ) -> SideWindowScatter:
        """The weights of the windows of `planar3d.physics.energy_window`, scaled so that a source in water gets its own scatter on average.

        Args:
            isotope: Radionuclide, as in ``"Lu-177"``.
            energy_kev: Line imaged [keV].
            upper: Whether to use the upper window, where there is one; without it the scaled dual window is left.
            depth_mm: Depth of the source under water [mm].
            smoothing_fwhm_mm: Full width at half maximum of the Gaussian over the side windows [mm].

        Raises:
            ValueError: The line is not known or has no side windows.
        """
        windows = energy_windows(isotope, energy_kev)
        if not upper:
            windows = EnergyWindows(peak=windows.peak, lower=windows.lower)
        form = cls.from_windows(windows)
        depth = torch.tensor(depth_mm, dtype=torch.float64)
        peak, below, above = (ObjectScatter.in_window(isotope, energy_kev, name) for name in ("peak", "lower", "upper"))
        counts = [float(window.ratio(depth)) + window.primary_share for window in (below, above)]
        scale = float(peak.ratio(depth)) / (form.lower_weight * counts[0] + form.upper_weight * counts[1])
        return cls(lower_weight=scale * form.lower_weight, upper_weight=scale * form.upper_weight, smoothing_fwhm_mm=smoothing_fwhm_mm)

    @classmethod
    def dual(cls, *, k: float = JASZCZAK_K, smoothing_fwhm_mm: float = 0.0) -> SideWindowScatter:
        """Dual energy window: ``k`` scatter counts in the peak per count below it."""
        return cls(lower_weight=k, smoothing_fwhm_mm=smoothing_fwhm_mm)

    def estimate(self, lower: ViewPair, upper: ViewPair | None = None, *, pixel_mm: tuple[float, float] | None = None) -> ViewPair:
        """Expected scatter counts in the peak window, ``(b, view, x, z)``.

        Args:
            lower: Counts in the lower window, ``(b, view, x, z)``.
            upper: Counts in the upper window; None where it is not used.
            pixel_mm: Pixel edges along x and z [mm]; needed to smooth.
        """
        return self._combine(lower, upper, pixel_mm, power=1)

    def variance(self, lower: ViewPair, upper: ViewPair | None = None, *, pixel_mm: tuple[float, float] | None = None) -> ViewPair:
        """Variance of `estimate` in each pixel by the noise of the side windows, ``(b, view, x, z)``; arguments as there."""
        return self._combine(lower, upper, pixel_mm, power=2)

    def _combine(self, lower: Tensor, upper: Tensor | None, pixel_mm: tuple[float, float] | None, *, power: int) -> Tensor:
        """Weighted sum of the smoothed windows, with weights and kernel to a power."""
        if upper is None and self.upper_weight > 0:
            raise ValueError("upper is missing and upper_weight is not zero; give the counts of the upper window or make it without one")
        total = self.lower_weight**power * lower
        if upper is not None:
            total = total + self.upper_weight**power * upper
        if self.smoothing_fwhm_mm == 0:
            return total
        if pixel_mm is None:
            raise ValueError("pixel_mm is missing; give the pixel edges along x and z in mm, smoothing needs them")
        sigma_mm = self.smoothing_fwhm_mm / FWHM_PER_SIGMA
        along_x, along_z = (_gaussian(total.shape[2 + axis], pixel_mm[axis], sigma_mm) ** power for axis in (0, 1))
        return along_x.to(total) @ total @ along_z.to(total)


def subtract_scatter(counts: ViewPair, scatter: ViewPair) -> ViewPair:
    """Counts less scatter, never below zero; no longer Poisson, and too large on average where there are few counts.

    Args:
        counts: Counts in the peak window, ``(b, view, x, z)``.
        scatter: Estimated scatter in it, same shape.
    """
    return (counts - scatter).clamp(min=0.0)


def _gaussian(pixels: int, pixel_mm: float, sigma_mm: float) -> Float[Tensor, "pixel pixel"]:
    """A Gaussian integrated over pixels and mirrored at both edges: symmetric, rows and columns sum to one, so sums and constants stay."""
    index = torch.arange(pixels, dtype=torch.float64)
    reach = 1 + math.ceil(8.0 * sigma_mm / (2.0 * pixels * pixel_mm))
    images = 2 * pixels * torch.arange(-reach, reach + 1, dtype=torch.float64)[:, None, None]
    direct, mirrored = index[:, None] - index + images, index[:, None] + index + 1.0 + images
    kernel = sum(_share(offset, pixel_mm / sigma_mm).sum(dim=0) for offset in (direct, mirrored))
    return torch.as_tensor(kernel)


def _share(offset: Tensor, pixel_per_sigma: float) -> Tensor:
    """Share of a Gaussian in a pixel ``offset`` pixels away."""
    return torch.special.ndtr((offset + 0.5) * pixel_per_sigma) - torch.special.ndtr((offset - 0.5) * pixel_per_sigma)
