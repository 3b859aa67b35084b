"""Point kernels: ranges and coefficients against published tables, energy conserved, scaling with density."""

from __future__ import annotations

import numpy as np
import pytest

from planar3d.dosimetry.electron_point_kernel import electron_reach_mm, electron_shells, share_within
from planar3d.dosimetry.electron_range import csda_range_mm, stopping_power_kev_per_mm
from planar3d.dosimetry.emissions import Emissions
from planar3d.dosimetry.photon_absorption import absorption_per_mm, attenuation_per_mm
from planar3d.dosimetry.photon_point_kernel import build_up, local_photon_kev, photon_absorbed_per_mm, photon_tail_kev

NAMES = ["Lu-177", "I-131", "Tc-99m"]


def test_stopping_powers_and_ranges_of_water() -> None:
    # ESTAR (NIST): collision stopping power [MeV cm2/g] and range [g/cm2] at 0.1, 0.5 and 1 MeV
    energy = np.array([100.0, 500.0, 1000.0])
    assert stopping_power_kev_per_mm(energy) * 1e-2 == pytest.approx([4.115, 2.034, 1.849], rel=6e-3)
    assert csda_range_mm(energy) * 0.1 == pytest.approx([0.01431, 0.1766, 0.4367], rel=7e-3)


def test_range_is_the_integral_of_the_stopping_power() -> None:
    energy = np.linspace(300.0, 400.0, 2001)
    steps = np.diff(energy) / stopping_power_kev_per_mm(0.5 * (energy[1:] + energy[:-1]))
    assert csda_range_mm(400.0) - csda_range_mm(300.0) == pytest.approx(steps.sum(), rel=1e-4)


def test_energy_absorption_of_water() -> None:
    # Hubbell and Seltzer (NIST): mu_en / rho [cm2/g]
    energy = np.array([20.0, 60.0, 100.0, 200.0, 400.0, 600.0])
    assert absorption_per_mm(energy) * 10.0 == pytest.approx([0.5503, 0.03190, 0.02546, 0.02967, 0.03279, 0.03284], rel=1.5e-2)
    assert (absorption_per_mm(energy) < attenuation_per_mm(energy)).all()


def test_electrons_leave_all_their_energy() -> None:
    for name in ("Lu-177", "Y-90"):
        emissions = Emissions.of(name)
        radius, energy = electron_shells(emissions)
        assert energy.sum() == pytest.approx(emissions.electron_kev, rel=1e-9)
        assert energy.min() >= 0.0
        assert radius[-1] < electron_reach_mm(emissions)


def test_share_within_rises_from_none_to_all() -> None:
    ranges = np.linspace(0.0, 1.5, 100)
    for energy in (3.0, 50.0, 333.0, 2280.0):
        share = share_within(energy, ranges)
        assert share[0] == 0.0
        assert share[-1] == pytest.approx(1.0, abs=1e-4)
        assert (np.diff(share) >= 0.0).all()


@pytest.mark.parametrize("name", NAMES)
def test_photons_leave_all_their_energy_in_unbounded_water(name: str) -> None:
    emissions = Emissions.of(name)
    emitted = emissions.photon_kev - local_photon_kev(emissions)
    assert photon_tail_kev(emissions, np.array([0.0]))[0] == pytest.approx(emitted, rel=1e-2)


def test_build_up_starts_at_one_and_grows() -> None:
    distance = np.linspace(0.0, 14.0, 57)
    for energy in (30.0, 113.0, 208.4, 364.5):
        factor = build_up(energy, distance)
        assert factor[0] == pytest.approx(1.0)
        assert (np.diff(factor[distance < 8.0]) > 0.0).all()
        assert factor[-1] > factor[-17]
    # above 100 keV a photon leaves more of its energy at once the harder it is
    at_four = [float(build_up(energy, np.array([4.0]))[0]) for energy in (113.0, 208.4, 364.5, 637.0)]
    assert at_four == sorted(at_four, reverse=True)
    # soft photons are absorbed where they first collide
    assert build_up(6.0, np.array([3.0]))[0] < 1.05


def test_lengths_shrink_with_density() -> None:
    emissions = Emissions.of("Lu-177")
    radius = np.array([3.0, 30.0, 90.0])
    dense = photon_absorbed_per_mm(emissions, radius / 2.0, density_g_per_ml=2.0)
    assert dense == pytest.approx(2.0 * photon_absorbed_per_mm(emissions, radius))
    assert electron_reach_mm(emissions, density_g_per_ml=2.0) == pytest.approx(electron_reach_mm(emissions) / 2.0)


def test_refuses_energies_off_the_tables() -> None:
    with pytest.raises(ValueError, match="energy_kev"):
        absorption_per_mm(2000.0)
    with pytest.raises(ValueError, match="energy_kev"):
        csda_range_mm(-1.0)
