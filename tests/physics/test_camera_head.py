"""Heads of gamma cameras: the crystal's scaling laws, estimates against measurement, and figures for every head and line."""

import math

import pytest
import torch
import xraydb

from planar3d.physics.camera_head import CameraHead, Crystal, camera_head, camera_names
from planar3d.physics.collimator import Collimator
from planar3d.physics.energy_window import energy_windows
from planar3d.radionuclide import RADIONUCLIDES
from planar3d.units import BQ_PER_MBQ, EV_PER_KEV, PER_MM_PER_PER_CM

LINES = [(nuclide.name, photon.energy_kev) for nuclide in RADIONUCLIDES for photon in nuclide.photons]
CRYSTAL = Crystal(thickness_mm=9.5, intrinsic_fwhm_mm=3.8, energy_resolution=0.099)
# Monte Carlo of a bare slab of NaI, 400 000 photons each: share that leaves all its energy, by thickness [mm] and energy [keV]
FULL_ENERGY = {
    (9.5, 113.0): 0.973,
    (9.5, 140.5): 0.878,
    (9.5, 208.4): 0.548,
    (9.5, 364.5): 0.208,
    (15.9, 140.5): 0.965,
    (15.9, 208.4): 0.742,
    (15.9, 364.5): 0.348,
}


def cover(energy_kev: float) -> float:
    """Transmission of the millimetre of aluminium that the crystal is given."""
    return math.exp(-float(xraydb.material_mu("Al", energy_kev * EV_PER_KEV, density=2.699)) * PER_MM_PER_PER_CM)


@pytest.mark.parametrize(("thickness_mm", "energy_kev"), FULL_ENERGY)
def test_photopeak_efficiency_is_that_of_monte_carlo(thickness_mm: float, energy_kev: float) -> None:
    crystal = Crystal(thickness_mm=thickness_mm, intrinsic_fwhm_mm=3.8, energy_resolution=0.099)
    expected = FULL_ENERGY[thickness_mm, energy_kev] * cover(energy_kev)
    assert crystal.photopeak_efficiency(energy_kev) == pytest.approx(expected, rel=0.03)


def test_resolutions_fall_with_the_square_root_of_energy() -> None:
    assert CRYSTAL.intrinsic_fwhm_at(140.5) == pytest.approx(3.8)
    assert CRYSTAL.intrinsic_fwhm_at(4 * 140.5) == pytest.approx(1.9)
    assert CRYSTAL.energy_resolution_at(140.5) == pytest.approx(0.099)
    assert CRYSTAL.energy_resolution_at(4 * 140.5) == pytest.approx(0.0495)


@pytest.mark.parametrize("name", ["thickness_mm", "intrinsic_fwhm_mm", "energy_resolution"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_bad_crystals_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be positive and finite, got"):
        Crystal(**{"thickness_mm": 9.5, "intrinsic_fwhm_mm": 3.8, "energy_resolution": 0.1, name: value})


def test_bad_energies_are_named() -> None:
    with pytest.raises(ValueError, match=r"energy_kev must be positive and finite, got -1.0"):
        CRYSTAL.intrinsic_fwhm_at(-1.0)


def test_every_maker_has_its_collimators() -> None:
    expected = {
        "siemens": ("lehr", "leap", "melp", "he"),
        "ge": ("lehr", "legp", "elegp", "megp", "hegp"),
        "philips": ("lehr", "legp", "megp", "hegp"),
        "mediso": ("lehr", "megp", "hegp"),
    }
    assert set(camera_names()) == {f"{maker}-{collimator}" for maker, names in expected.items() for collimator in names}


@pytest.mark.parametrize("name", camera_names())
def test_every_head_is_sound(name: str) -> None:
    head = camera_head(name)
    assert head.name == name
    assert 8.0 < head.crystal.thickness_mm < 26.0
    assert 0.08 < head.crystal.energy_resolution < 0.11
    assert all(300.0 < extent < 700.0 for extent in head.field_of_view_mm)
    assert head.field_of_view_mm[0] > head.field_of_view_mm[1]
    assert 0.0 < head.collimator.septum_mm < head.collimator.hole_mm < head.collimator.length_mm
    assert camera_head(name) is head


@pytest.mark.parametrize("name", camera_names())
@pytest.mark.parametrize(("isotope", "energy_kev"), LINES)
def test_every_head_and_line_has_figures(name: str, isotope: str, energy_kev: float) -> None:
    head = camera_head(name)
    sensitivity, response = head.sensitivity_cps_per_mbq(isotope, energy_kev), head.response(energy_kev)
    assert 0.0 < sensitivity < math.inf
    assert 0.0 <= response.tail_share < 1.0
    r = torch.tensor([0.0, 100.0, 300.0])
    assert response.sigma_mm(r).isfinite().all()
    assert all((tail.sigma_mm(r) > response.sigma_mm(r)).all() for tail in response.tail)
    assert hash(response) == hash(head.response(energy_kev))


@pytest.mark.parametrize("name", ["siemens-melp", "ge-megp"])
def test_estimates_are_near_measured_sensitivities(name: str) -> None:
    head = camera_head(name)
    measured = head.sensitivity_cps_per_mbq("Lu-177", 208.4)
    assert measured == head.sensitivities[0].cps_per_mbq
    assert head.estimated_sensitivity_cps_per_mbq("Lu-177", 208.4) == pytest.approx(measured, rel=0.25)


def test_estimate_is_near_a_published_simulation() -> None:
    """SIMIND's ray-traced Symbia ME at 159 keV: 124.7 cps/MBq in a 15 % window, of which 88 % through the holes."""
    head = camera_head("siemens-melp")
    assert head.sensitivity_cps_per_mbq("I-123") == pytest.approx(124.7, rel=0.1)
    assert 1.0 - head.response(158.97).tail_share == pytest.approx(0.8845, abs=0.06)


def test_estimate_is_the_product_of_its_parts() -> None:
    head = CameraHead(
        name="mine",
        collimator=Collimator(hole_mm=2.94, septum_mm=1.14, length_mm=40.64),
        crystal=CRYSTAL,
        field_of_view_mm=(533.0, 387.0),
    )
    acceptance = energy_windows("Tc-99m", 140.5).peak.acceptance(140.51, CRYSTAL.energy_resolution_at(140.51))
    expected = head.collimator.geometric_efficiency(140.51) * CRYSTAL.photopeak_efficiency(140.51) * acceptance * 0.891 * BQ_PER_MBQ
    assert head.sensitivity_cps_per_mbq("Tc-99m", 140.0) == pytest.approx(expected)
    assert head.response(140.51).tail == ()


def test_tails_are_where_physics_has_them() -> None:
    """Little for the line a collimator is made for, more above it, and the gap that high-energy collimators leave at 364 keV."""
    share = {
        (name, e): camera_head(name).response(e).tail_share
        for name in ("siemens-lehr", "siemens-melp", "siemens-he")
        for e in (140.51, 208.37, 245.35, 364.49)
    }
    assert share["siemens-lehr", 140.51] < 0.06
    assert share["siemens-melp", 208.37] < 0.03
    assert share["siemens-lehr", 140.51] < share["siemens-lehr", 208.37] < share["siemens-lehr", 245.35] < share["siemens-lehr", 364.49]
    assert share["siemens-he", 364.49] < share["siemens-melp", 364.49] < share["siemens-lehr", 364.49]
    assert 0.3 < share["siemens-he", 364.49] < 0.6


def test_unknown_heads_and_lines_are_named() -> None:
    with pytest.raises(ValueError, match=r"camera 'acme-x' is not known; known are siemens-lehr, .*siemens-melp"):
        camera_head("acme-x")
    head = camera_head("siemens-melp")
    with pytest.raises(ValueError, match=r"energy_kev=300 is no line of Lu-177; its lines are 208.37, 112.95 keV"):
        head.sensitivity_cps_per_mbq("Lu-177", 300.0)
    with pytest.raises(ValueError, match="isotope 'Xx-1' is not known"):
        head.sensitivity_cps_per_mbq("Xx-1")
