"""Energy windows: their acceptance in closed form, and those of every imaged line."""

import math
from statistics import NormalDist

import pytest

from planar3d.physics.energy_window import EnergyWindow, energy_windows
from planar3d.radionuclide import RADIONUCLIDES
from planar3d.units import FWHM_PER_SIGMA

LINES = [(nuclide.name, photon.energy_kev) for nuclide in RADIONUCLIDES for photon in nuclide.photons]


def test_acceptance_is_the_normal_distribution_between_the_edges() -> None:
    window = EnergyWindow(low_kev=187.5, high_kev=229.2)
    line = NormalDist(208.4, 0.08 * 208.4 / FWHM_PER_SIGMA)
    assert window.acceptance(208.4, 0.08) == pytest.approx(line.cdf(229.2) - line.cdf(187.5), rel=1e-9)


def test_a_window_as_wide_as_the_line_takes_76_per_cent_of_it() -> None:
    """Half maximum lies at sqrt(2 ln 2) sigma."""
    assert EnergyWindow(low_kev=90.0, high_kev=110.0).acceptance(100.0, 0.2) == pytest.approx(math.erf(math.sqrt(math.log(2.0))))


def test_a_perfect_detector_is_counted_in_or_out() -> None:
    window = EnergyWindow(low_kev=90.0, high_kev=110.0)
    assert window.acceptance(100.0, 1e-6) == pytest.approx(1.0)
    assert window.acceptance(120.0, 1e-6) == pytest.approx(0.0)
    assert window.acceptance(110.0, 1e-6) == pytest.approx(0.5)


def test_windows_side_by_side_add_up() -> None:
    parts = [EnergyWindow(low_kev=a, high_kev=b) for a, b in ((80.0, 95.0), (95.0, 130.0))]
    whole = EnergyWindow(low_kev=80.0, high_kev=130.0)
    assert sum(w.acceptance(100.0, 0.1) for w in parts) == pytest.approx(whole.acceptance(100.0, 0.1))
    assert sum(w.width_kev for w in parts) == pytest.approx(whole.width_kev)


@pytest.mark.parametrize(("isotope", "energy_kev"), LINES)
def test_every_line_has_a_peak_window_about_it(isotope: str, energy_kev: float) -> None:
    windows = energy_windows(isotope, energy_kev)
    assert windows.peak.low_kev < energy_kev < windows.peak.high_kev
    assert 0.14 < windows.peak.width_kev / energy_kev < 0.21
    assert windows.peak.acceptance(energy_kev, 0.099 * math.sqrt(140.5 / energy_kev)) > 0.9
    # side windows may overlap the peak by what a camera rounds
    if windows.lower is not None:
        assert windows.lower.high_kev < windows.peak.low_kev + 0.5
    if windows.upper is not None:
        assert windows.upper.low_kev > windows.peak.high_kev - 0.5


def test_windows_of_lutetium_are_those_of_the_protocol() -> None:
    windows = energy_windows("177Lu", 208.0)
    assert (windows.peak.low_kev, windows.peak.high_kev) == (187.5, 229.2)
    assert windows.lower == EnergyWindow(low_kev=175.0, high_kev=187.6)
    assert windows.upper == EnergyWindow(low_kev=229.2, high_kev=241.8)


@pytest.mark.parametrize(
    ("isotope", "energy_kev", "sentence"),
    [
        ("Xx-1", 208.0, "isotope 'Xx-1' is not known; known are Lu-177"),
        ("Lu-177", 150.0, "energy_kev=150 is no line of Lu-177; its lines are 208.37, 112.95 keV"),
        ("I-131", math.nan, "energy_kev=nan is no line of I-131; its lines are 364.49 keV"),
    ],
)
def test_unknown_lines_are_named(isotope: str, energy_kev: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        energy_windows(isotope, energy_kev)


@pytest.mark.parametrize(("low_kev", "high_kev"), [(229.0, 187.0), (0.0, 10.0), (100.0, math.inf), (math.nan, 100.0)])
def test_bad_windows_are_named(low_kev: float, high_kev: float) -> None:
    with pytest.raises(ValueError, match="low_kev and high_kev must be positive and in order"):
        EnergyWindow(low_kev=low_kev, high_kev=high_kev)


@pytest.mark.parametrize(("energy_kev", "relative_fwhm", "name"), [(-1.0, 0.1, "energy_kev"), (208.0, 0.0, "relative_fwhm")])
def test_bad_lines_are_named(energy_kev: float, relative_fwhm: float, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be positive"):
        EnergyWindow(low_kev=90.0, high_kev=110.0).acceptance(energy_kev, relative_fwhm)
