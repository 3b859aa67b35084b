"""Energy windows of a gamma camera: the photopeak window of a line, and the side windows from which scatter is estimated.

A line of energy E is seen as a Gaussian of relative width R (FWHM / E); a window from l to h takes the share

``A = Phi((h - E) / sigma) - Phi((l - E) / sigma)``,  ``sigma = R E / (2 sqrt(2 ln 2))``

of it, Phi the normal distribution function. Windows used by `energy_windows`:

- Lu-177, 208 keV: 20 % with side windows of 6 % (Tran-Gia et al., EJNMMI Physics 2021, 8:55, 10.1186/s40658-021-00397-0, table 2).
- Lu-177, 113 keV: as the camera models of OpenGATE (github.com/OpenGATE/opengate, spect_config).
- Tc-99m: 15 %, and the lower window of the dual-energy-window method, 120 keV +- 5 % (EJNMMI Research 2017, 10.1186/s13550-017-0300-5,
  table 1).
- I-131: 20 % with 318 keV +- 3 % and 413 keV +- 3 % (MEDIRAD, EJNMMI Physics 2020, 10.1186/s40658-020-00332-9).
- I-123: 20 % with 137.5 keV +- 4 % and 180.5 keV +- 3 % (Yasumoto, Daisaki, Sato: Validation of the SIMIND simulation code using the
  myocardial phantom HL); the upper one sees the lines above 400 keV that penetrate the septa.
- In-111: 20 % about each line; no side windows are in common use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from planar3d.radionuclide import Radionuclide
from planar3d.units import FWHM_PER_SIGMA

__all__ = ["EnergyWindow", "EnergyWindows", "energy_windows"]


@dataclass(frozen=True, kw_only=True)
class EnergyWindow:
    """The energies that are counted.

    Attributes:
        low_kev: Lower edge [keV].
        high_kev: Upper edge [keV].

    Raises:
        ValueError: The edges are not positive and in order.
    """

    low_kev: float
    high_kev: float

    def __post_init__(self) -> None:
        if not 0.0 < self.low_kev < self.high_kev < math.inf:
            raise ValueError(
                f"low_kev and high_kev must be positive and in order, got {self.low_kev} and {self.high_kev}; give both edges in keV"
            )

    @property
    def width_kev(self) -> float:
        """Width [keV]."""
        return self.high_kev - self.low_kev

    def acceptance(self, energy_kev: float, relative_fwhm: float) -> float:
        """Share of a Gaussian line inside.

        Args:
            energy_kev: Energy of the line [keV].
            relative_fwhm: Energy resolution there: FWHM over energy.

        Raises:
            ValueError: One of them is not positive.
        """
        for name, value in (("energy_kev", energy_kev), ("relative_fwhm", relative_fwhm)):
            if not value > 0.0:
                raise ValueError(f"{name} must be positive, got {value}; give the line in keV and its relative FWHM, as in 0.1")
        scale = math.sqrt(2.0) * relative_fwhm * energy_kev / FWHM_PER_SIGMA
        return 0.5 * (math.erf((self.high_kev - energy_kev) / scale) - math.erf((self.low_kev - energy_kev) / scale))


@dataclass(frozen=True, kw_only=True)
class EnergyWindows:
    """Photopeak window and side windows of a line.

    Attributes:
        peak: Window of the image.
        lower: Window below it; None for none.
        upper: Window above it; None for none.
    """

    peak: EnergyWindow
    lower: EnergyWindow | None = None
    upper: EnergyWindow | None = None


def energy_windows(isotope: str, energy_kev: float) -> EnergyWindows:
    """Windows in common use for a line.

    Args:
        isotope: Radionuclide, as in ``"Lu-177"``.
        energy_kev: Its line, within a few keV [keV].

    Raises:
        ValueError: The isotope or its line is not known.
    """
    nuclide = Radionuclide.from_name(isotope)
    line_kev = nuclide.photon_near(energy_kev).energy_kev
    return WINDOWS[nuclide.name, line_kev]


def _window(low_kev: float, high_kev: float) -> EnergyWindow:
    return EnergyWindow(low_kev=low_kev, high_kev=high_kev)


def _about(energy_kev: float, half_width: float) -> EnergyWindow:
    """The window from ``(1 - half_width)`` to ``(1 + half_width)`` times an energy."""
    return EnergyWindow(low_kev=energy_kev * (1.0 - half_width), high_kev=energy_kev * (1.0 + half_width))


WINDOWS: dict[tuple[str, float], EnergyWindows] = {
    ("Lu-177", 208.37): EnergyWindows(peak=_window(187.5, 229.2), lower=_window(175.0, 187.6), upper=_window(229.2, 241.8)),
    ("Lu-177", 112.95): EnergyWindows(peak=_window(101.7, 124.3), lower=_window(84.75, 101.7), upper=_window(124.3, 141.25)),
    ("I-131", 364.49): EnergyWindows(peak=_window(328.0, 401.0), lower=_about(318.0, 0.03), upper=_about(413.0, 0.03)),
    ("Tc-99m", 140.51): EnergyWindows(peak=_about(140.5, 0.075), lower=_about(120.0, 0.05)),
    ("In-111", 171.28): EnergyWindows(peak=_about(171.28, 0.1)),
    ("In-111", 245.35): EnergyWindows(peak=_about(245.35, 0.1)),
    ("I-123", 158.97): EnergyWindows(peak=_about(158.97, 0.1), lower=_about(137.5, 0.04), upper=_about(180.5, 0.03)),
}
"""Windows by isotope and line [keV]."""
