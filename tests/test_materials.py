"""Attenuation against published coefficients, and its limits."""

import pytest

from planar3d.materials import MATERIALS, linear_attenuation
from planar3d.units import PER_MM_PER_PER_CM

# NIST X-Ray Mass Attenuation Coefficients at 200 keV, coherent scattering included [cm2/g], times the density of table 2 there [g/mL].
NIST_200_KEV_PER_CM = {
    "water": 0.1370 * 1.0,
    "muscle": 0.1356 * 1.05,
    "adipose": 0.1368 * 0.95,
    "cortical_bone": 0.1309 * 1.92,
    "lead": 0.9985 * 11.35,
}


@pytest.mark.parametrize("material", NIST_200_KEV_PER_CM)
def test_it_is_what_nist_tabulates(material: str) -> None:
    expected = NIST_200_KEV_PER_CM[material] * PER_MM_PER_PER_CM
    assert linear_attenuation(material, 200.0) == pytest.approx(expected, rel=0.012)


@pytest.mark.parametrize("material", MATERIALS)
def test_composition_is_whole(material: str) -> None:
    assert sum(MATERIALS[material].mass_fractions.values()) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("material", MATERIALS)
def test_it_falls_with_energy(material: str) -> None:
    assert linear_attenuation(material, 113.0) > linear_attenuation(material, 208.0) > linear_attenuation(material, 364.0) > 0


def test_an_unknown_material_is_named() -> None:
    with pytest.raises(ValueError, match="'wood' is not known; known are water"):
        linear_attenuation("wood", 200.0)


@pytest.mark.parametrize("energy_kev", [0.208, 208_000.0])
def test_an_energy_in_another_unit_is_refused(energy_kev: float) -> None:
    with pytest.raises(ValueError, match="energy_kev must lie between 10 and 800 keV"):
        linear_attenuation("water", energy_kev)
