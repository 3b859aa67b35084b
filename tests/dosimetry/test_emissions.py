"""Emissions carry the energy that their sources state, and spectra have the shape of their transitions."""

from __future__ import annotations

import numpy as np
import pytest

from planar3d.dosimetry.beta_spectrum import beta_spectrum
from planar3d.dosimetry.emissions import Emissions
from planar3d.radionuclide import RADIONUCLIDES

WITH_BETAS = {"Lu-177": 177, "I-131": 131, "Y-90": 90}


def test_electrons_of_lutetium() -> None:
    # Hippelainen et al. 2020: 133.3 keV of beta particles, 13.52 of conversion and 1.13 of Auger electrons
    assert Emissions.of("Lu-177").electron_kev == pytest.approx(133.3 + 13.52 + 1.13, rel=1e-3)


@pytest.mark.parametrize("name", list(WITH_BETAS))
def test_spectra_have_the_published_means(name: str) -> None:
    emissions = Emissions.of(name)
    for beta in emissions.betas:
        energy, share = beta_spectrum(beta.end_point_kev, daughter_z=emissions.daughter_z, mass_number=WITH_BETAS[name], unique=beta.unique)
        assert share.sum() == pytest.approx(1.0)
        assert (energy * share).sum() == pytest.approx(beta.mean_kev, rel=5e-3)


def test_a_unique_transition_is_harder_than_an_allowed_one() -> None:
    means = [np.dot(*beta_spectrum(2280.1, daughter_z=40, mass_number=90, unique=unique)) for unique in (False, True)]
    assert means[1] > means[0] + 5.0


def test_without_charge_the_spectrum_is_phase_space() -> None:
    # mean of p W q^2 in the limit of a small end point, p ~ T^(1/2): B(5/2, 3) / B(3/2, 3) = 1/3
    energy, share = beta_spectrum(0.1, daughter_z=0, mass_number=3, points=2000)
    assert (energy * share).sum() / 0.1 == pytest.approx(1.0 / 3.0, rel=1e-3)


@pytest.mark.parametrize("name", ["Lu-177", "I-131", "Y-90", "Tc-99m", "In-111", "I-123"])
def test_the_spectrum_carries_all_the_energy_of_electrons(name: str) -> None:
    emissions = Emissions.of(name)
    energies, carried = emissions.electron_spectrum()
    assert carried.sum() == pytest.approx(emissions.electron_kev, rel=1e-9)
    assert (energies > 0.0).all()


def test_imaged_lines_have_the_yields_of_the_camera() -> None:
    for nuclide in RADIONUCLIDES:
        lines = Emissions.of(nuclide.name).photons
        for photon in nuclide.photons:
            near = [line.yield_per_decay for line in lines if abs(line.energy_kev - photon.energy_kev) < 1.0]
            assert near == pytest.approx([photon.yield_per_decay], rel=2e-3)


def test_spelling_is_free_and_the_unknown_is_named() -> None:
    assert Emissions.of("177Lu") is Emissions.of("Lu-177")
    with pytest.raises(ValueError, match="isotope 'Xx-1' is not known"):
        Emissions.of("Xx-1")
