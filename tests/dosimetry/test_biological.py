"""BED against the Lea-Catcheside integral, and uniform doses of uniform and uneven regions."""

from __future__ import annotations

import math

import pytest
import torch

from planar3d.dosimetry.biological import biologically_effective_dose, equivalent_uniform_bed, equivalent_uniform_dose


def test_bed_is_the_dose_protraction_integral() -> None:
    """``2 / D^2 int_0^inf R(t) int_0^t R(u) exp(-mu (t - u)) du dt`` for ``R = R_0 exp(-lambda t)``."""
    repair, effective, dose, alpha_beta = 2.8, 50.0, 20.0, 2.6
    mu, decay = math.log(2.0) / repair, math.log(2.0) / effective
    t = torch.linspace(0.0, 25.0 * effective, 400_001, dtype=torch.float64)
    rate = dose * decay * torch.exp(-decay * t)
    inner = dose * decay * (torch.exp(-decay * t) - torch.exp(-mu * t)) / (mu - decay)
    protraction = 2.0 / dose**2 * float(torch.trapezoid(rate * inner, t))
    found = biologically_effective_dose(
        torch.tensor([dose], dtype=torch.float64), alpha_beta_gy=alpha_beta, repair_half_time_s=repair, effective_half_life_s=effective
    )
    assert found.item() == pytest.approx(dose * (1.0 + protraction * dose / alpha_beta), rel=1e-5)


def test_slow_dose_has_no_more_effect_than_its_own() -> None:
    dose = torch.tensor([1.0, 10.0])
    slow = biologically_effective_dose(dose, alpha_beta_gy=3.0, repair_half_time_s=1.0, effective_half_life_s=1e9)
    fast = biologically_effective_dose(dose, alpha_beta_gy=3.0, repair_half_time_s=1e9, effective_half_life_s=torch.tensor([1.0, 1.0]))
    torch.testing.assert_close(slow, dose)
    torch.testing.assert_close(fast, dose * (1.0 + dose / 3.0))


def test_uniform_regions_have_their_own_dose() -> None:
    dose = torch.full((9,), 4.0, dtype=torch.float64)
    for exponent in (-10.0, 1.0, 30.0):
        assert equivalent_uniform_dose(dose, exponent=exponent).item() == pytest.approx(4.0)
    assert equivalent_uniform_bed(dose, alpha_per_gy=0.3).item() == pytest.approx(4.0)


def test_generalised_eud_runs_from_minimum_to_maximum(generator: torch.Generator) -> None:
    dose = 1.0 + 5.0 * torch.rand(300, generator=generator, dtype=torch.float64)
    low, mean, high = (equivalent_uniform_dose(dose, exponent=a).item() for a in (-800.0, 1.0, 800.0))
    assert mean == pytest.approx(dose.mean().item())
    assert low == pytest.approx(dose.min().item(), rel=0.01)
    assert high == pytest.approx(dose.max().item(), rel=0.01)


def test_uneven_bed_spares_cells() -> None:
    bed, share = torch.tensor([0.0, 100.0], dtype=torch.float64), torch.tensor([0.25, 0.75], dtype=torch.float64)
    # a quarter of the cells get nothing and survive
    assert equivalent_uniform_bed(bed, alpha_per_gy=0.35, share=share).item() == pytest.approx(math.log(4.0) / 0.35)


def test_cold_voxels_bring_a_tumours_eud_to_nothing() -> None:
    assert equivalent_uniform_dose(torch.tensor([0.0, 10.0], dtype=torch.float64), exponent=-10.0).item() < 1e-3


@pytest.mark.parametrize("name", ["alpha_beta_gy", "repair_half_time_s", "effective_half_life_s"])
def test_refuses_parameters_that_are_not_positive(name: str) -> None:
    arguments = {"alpha_beta_gy": 3.0, "repair_half_time_s": 1.0, "effective_half_life_s": 1.0, name: 0.0}
    with pytest.raises(ValueError, match=name):
        biologically_effective_dose(torch.ones(1), **arguments)


def test_refuses_exponents_and_alpha_of_zero() -> None:
    with pytest.raises(ValueError, match="exponent"):
        equivalent_uniform_dose(torch.ones(2), exponent=0.0)
    with pytest.raises(ValueError, match="alpha_per_gy"):
        equivalent_uniform_bed(torch.ones(2), alpha_per_gy=0.0)
