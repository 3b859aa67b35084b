"""Radionuclides: the lines listed, and the one that is meant."""

import math

import pytest

from planar3d.radionuclide import RADIONUCLIDES, Radionuclide
from planar3d.units import SECONDS_PER_DAY, SECONDS_PER_HOUR


@pytest.mark.parametrize(
    ("name", "half_life_s", "line_kev"),
    [
        ("Lu-177", 6.647 * SECONDS_PER_DAY, 208.37),
        ("I-131", 8.0207 * SECONDS_PER_DAY, 364.49),
        ("Tc-99m", 6.015 * SECONDS_PER_HOUR, 140.51),
        ("In-111", 2.8047 * SECONDS_PER_DAY, 171.28),
        ("I-123", 13.27 * SECONDS_PER_HOUR, 158.97),
    ],
)
def test_half_life_and_imaging_line(name: str, half_life_s: float, line_kev: float) -> None:
    nuclide = Radionuclide.from_name(name)
    assert nuclide.half_life_s == pytest.approx(half_life_s)
    assert nuclide.imaging_energy_kev == nuclide.photons[0].energy_kev == line_kev


@pytest.mark.parametrize("nuclide", RADIONUCLIDES, ids=lambda nuclide: nuclide.name)
def test_every_line_is_found_by_its_rounded_energy(nuclide: Radionuclide) -> None:
    for photon in nuclide.photons:
        assert 0.0 < photon.yield_per_decay < 1.0
        assert nuclide.photon_near(photon.energy_kev) is photon
        assert nuclide.photon_near(float(round(photon.energy_kev))) is photon
        assert nuclide.photon_near(photon.energy_kev + 4.9) is photon


@pytest.mark.parametrize("energy_kev", [0.0, 113.0 + 50.0, 364.5, math.nan])
def test_an_energy_between_the_lines_is_refused(energy_kev: float) -> None:
    with pytest.raises(ValueError, match=r"is no line of Lu-177; its lines are 208.37, 112.95 keV; give one of them"):
        Radionuclide.from_name("Lu-177").photon_near(energy_kev)
