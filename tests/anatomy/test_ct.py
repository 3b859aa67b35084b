"""CT numbers to attenuation, and the body without its couch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from planar3d.anatomy.ct import GENERAL_CT_KEV, SCANNERS, body_mask, hu_to_mu
from planar3d.materials import linear_attenuation

SPACING_MM = (4.0, 4.0, 4.0)


@pytest.mark.parametrize("scanner", SCANNERS)
@pytest.mark.parametrize("energy_kev", [113.0, 140.5, 208.37, 364.49])
def test_water_and_air_have_their_own_attenuation(scanner: str, energy_kev: float) -> None:
    air, water = hu_to_mu(torch.tensor([-1000.0, 0.0]), energy_kev, scanner).tolist()
    assert water == pytest.approx(linear_attenuation("water", energy_kev), rel=0.01)
    assert 0 <= air < 0.08 * water


@pytest.mark.parametrize("scanner", SCANNERS)
def test_it_rises_with_hu_and_more_slowly_above_water(scanner: str) -> None:
    hu = torch.linspace(-900.0, 1500.0, 25)
    step = hu_to_mu(hu, 208.37, scanner).diff()
    assert (step > 0).all()
    assert step[:9].min() > step[9:].max()


def test_the_general_line_reaches_cortical_bone() -> None:
    # At the CT number of cortical bone in the beam assumed the general line must return cortical bone at the imaging energy.
    bone_hu = 1000.0 * (linear_attenuation("cortical_bone", GENERAL_CT_KEV) / linear_attenuation("water", GENERAL_CT_KEV) - 1.0)
    for energy_kev in (113.0, 208.37):
        mu = float(hu_to_mu(torch.tensor([bone_hu]), energy_kev))
        assert mu == pytest.approx(linear_attenuation("cortical_bone", energy_kev), rel=1e-4)


@pytest.mark.parametrize("scanner", ["ge-optima-120kvp", "siemens-symbia-130kvp"])
@pytest.mark.parametrize("energy_kev", [113.0, 208.37, 364.49])
def test_the_general_line_is_near_usual_scanners(scanner: str, energy_kev: float) -> None:
    hu = torch.tensor([-100.0, 50.0, 300.0, 1000.0, 1500.0])
    torch.testing.assert_close(hu_to_mu(hu, energy_kev), hu_to_mu(hu, energy_kev, scanner), rtol=0.04, atol=0.0)


def test_a_table_is_interpolated_between_its_energies() -> None:
    hu = torch.tensor([0.0, 500.0])
    low, middle, high = (hu_to_mu(hu, e, "siemens-symbia-130kvp") for e in (208.0, 245.0, 364.0))
    assert ((high < middle) & (middle < low)).all()
    assert float(middle[0]) == pytest.approx(0.01277, rel=0.01)  # the same table's own row at 245 keV


def test_shape_dtype_and_gradient_follow_the_input() -> None:
    hu = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    mu = hu_to_mu(hu, 208.37)
    assert mu.shape == (2, 3)
    assert mu.dtype == torch.float64
    mu.sum().backward()
    assert hu.grad is not None


def test_an_unknown_scanner_and_an_energy_off_its_table_are_refused() -> None:
    with pytest.raises(ValueError, match="scanner 'philips' is not known; known are general"):
        hu_to_mu(torch.zeros(1), 208.0, "philips")
    with pytest.raises(ValueError, match="use scanner 'general'"):
        hu_to_mu(torch.zeros(1), 511.0, "ge-infinia-140kvp")


def _body_on_couch(gap: int) -> tuple[Tensor, Tensor]:
    """A CT with a body that has a lung, and a thin dense couch behind it; and where the body is."""
    x, y, _ = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in (60, 50, 8)), indexing="ij")
    body = ((x - 30) / 24) ** 2 + ((y - 28) / 15) ** 2 < 1
    lung = ((x - 40) / 7) ** 2 + ((y - 28) / 8) ** 2 < 1
    ct = torch.full((60, 50, 8), -1000.0)
    ct[body] = 40.0
    ct[lung] = -800.0
    back = 13 - gap
    ct[4:56, back - 2 : back, :] = 2000.0
    return ct[None], body[None]


@pytest.mark.parametrize("gap", [0, 1, 4])
def test_the_couch_goes_and_the_lung_stays(gap: int) -> None:
    ct, body = _body_on_couch(gap)
    found = body_mask(ct, spacing_mm=SPACING_MM)
    assert bool((found & body)[ct < -500].any())  # lung
    missed, extra = int((body & ~found).sum()), int((found & ~body).sum())
    assert missed < 0.01 * int(body.sum())
    assert extra < 0.02 * int(body.sum())


def test_a_body_cut_by_the_field_reaches_its_edge() -> None:
    ct, body = _body_on_couch(4)
    found = body_mask(ct[:, 15:40], spacing_mm=SPACING_MM)
    assert torch.equal(found[:, 0], body[:, 15])
    assert torch.equal(found[..., 0], found[..., 4])


def test_air_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="ct has no body"):
        body_mask(torch.full((1, 8, 8, 8), -1000.0), spacing_mm=SPACING_MM)
