"""The collimator's response against its closed form, a published table and fits to what it produced itself."""

import math

import pytest
import torch

from planar3d.physics.camera_head import camera_head
from planar3d.physics.collimator import Collimator, CollimatorResponse, ResponseTail
from planar3d.units import BQ_PER_MBQ, FWHM_PER_SIGMA

MELP = Collimator(hole_mm=2.94, septum_mm=1.14, length_mm=40.64)
TAILS = (ResponseTail(share=0.1, slope=0.2, offset_mm=10.0), ResponseTail(share=0.3, slope=0.5, offset_mm=40.0))
RESPONSE = CollimatorResponse(slope=0.032, offset_mm=1.25, intrinsic_mm=1.3, tail=TAILS)

# PyTomography's model with 3.6 mm intrinsic resolution at 140.5 keV: slope, offset [mm], FWHM at 10, 20 and 30 cm [mm]
PUBLISHED = {
    ("siemens-lehr", 140.5): (0.0202, 0.471, 6.9, 11.2, 15.8),
    ("siemens-melp", 208.4): (0.0323, 1.249, 10.9, 18.4, 25.9),
    ("siemens-melp", 113.0): (0.0311, 1.249, 11.0, 18.0, 25.2),
    ("siemens-he", 364.5): (0.0318, 1.699, 11.7, 19.1, 26.6),
    ("ge-lehr", 140.5): (0.0186, 0.637, 6.9, 10.9, 15.1),
    ("ge-megp", 208.4): (0.0227, 1.274, 8.9, 14.0, 19.3),
    ("ge-megp", 113.0): (0.0221, 1.274, 9.1, 14.0, 19.1),
    ("ge-hegp", 364.5): (0.0285, 1.699, 10.9, 17.6, 24.2),
    ("philips-megp", 208.4): (0.0256, 1.444, 9.9, 15.7, 21.7),
    ("philips-hegp", 364.5): (0.0311, 1.618, 11.4, 18.6, 25.9),
    ("mediso-megp", 208.4): (0.0321, 1.062, 10.5, 17.9, 25.4),
}
# geometric efficiency as counts per second and MBq of one photon per decay
EFFICIENCY_CPS_PER_MBQ = {
    ("siemens-lehr", 140.5): 117.0,
    ("siemens-melp", 208.4): 203.0,
    ("siemens-he", 364.5): 169.0,
    ("ge-lehr", 140.5): 101.0,
    ("ge-megp", 208.4): 106.0,
    ("ge-hegp", 364.5): 145.0,
}


def distances(*mm: float) -> torch.Tensor:
    return torch.tensor(mm, dtype=torch.float64)


@pytest.mark.parametrize(("name", "energy_kev"), PUBLISHED)
def test_widths_are_those_published(name: str, energy_kev: float) -> None:
    slope, offset_mm, *fwhm_mm = PUBLISHED[name, energy_kev]
    response = camera_head(name).collimator.response(energy_kev)
    assert response.slope == pytest.approx(slope, abs=1.1e-4)
    assert response.offset_mm == pytest.approx(offset_mm, abs=6e-4)
    assert (response.sigma_mm(distances(100.0, 200.0, 300.0)) * FWHM_PER_SIGMA).tolist() == pytest.approx(fwhm_mm, abs=0.08)


@pytest.mark.parametrize(("name", "energy_kev"), EFFICIENCY_CPS_PER_MBQ)
def test_efficiencies_are_those_published(name: str, energy_kev: float) -> None:
    efficiency = camera_head(name).collimator.geometric_efficiency(energy_kev)
    assert efficiency * BQ_PER_MBQ == pytest.approx(EFFICIENCY_CPS_PER_MBQ[name, energy_kev], rel=0.01)


def test_penetration_of_the_ends_widens_and_brightens() -> None:
    low, high = (MELP.response(e, intrinsic_fwhm_mm=3.6) for e in (113.0, 364.5))
    assert high.slope > low.slope
    assert high.offset_mm == low.offset_mm
    assert MELP.effective_length_mm(364.5) < MELP.effective_length_mm(113.0) < MELP.length_mm
    assert MELP.geometric_efficiency(364.5) > MELP.geometric_efficiency(113.0)


def test_the_crystal_adds_in_quadrature() -> None:
    bare, seen = (MELP.response(208.4, intrinsic_fwhm_mm=fwhm_mm) for fwhm_mm in (0.0, 3.0))
    r = distances(0.0, 150.0)
    torch.testing.assert_close(seen.sigma_mm(r) ** 2 - bare.sigma_mm(r) ** 2, torch.full_like(r, (3.0 / FWHM_PER_SIGMA) ** 2))


def test_sigma_behind_the_face_is_that_at_the_face() -> None:
    for part in (RESPONSE, *TAILS):
        assert part.sigma_mm(distances(-50.0)) == part.sigma_mm(distances(0.0))


def test_a_tail_grows_linearly() -> None:
    assert TAILS[0].sigma_mm(distances(0.0, 100.0, 300.0)).tolist() == pytest.approx([10.0, 30.0, 70.0])


def test_core_and_tails_sum_to_one() -> None:
    x = torch.linspace(-2000.0, 2000.0, 8001, dtype=torch.float64)

    def gaussian(sigma: torch.Tensor) -> torch.Tensor:
        return torch.exp(-0.5 * (x / sigma) ** 2) / (sigma * math.sqrt(2.0 * math.pi))

    r = distances(200.0)
    profile = (1.0 - RESPONSE.tail_share) * gaussian(RESPONSE.sigma_mm(r)) + sum(t.share * gaussian(t.sigma_mm(r)) for t in RESPONSE.tail)
    assert float(torch.trapezoid(profile, x)) == pytest.approx(1.0, rel=1e-6)
    assert RESPONSE.tail_share == pytest.approx(0.4)


def test_equal_responses_share_a_cache_entry() -> None:
    again = CollimatorResponse(slope=0.032, offset_mm=1.25, intrinsic_mm=1.3, tail=TAILS)
    assert hash(again) == hash(RESPONSE)
    assert {again: 1}[RESPONSE] == 1


@pytest.mark.parametrize("energy_kev", [140.5, 208.4, 364.5])
def test_a_fit_gives_back_the_response_it_was_made_from(energy_kev: float) -> None:
    made = MELP.response(energy_kev)
    r = distances(0.0, 50.0, 100.0, 200.0, 300.0)
    found = CollimatorResponse.from_measured(distance_mm=r.tolist(), fwhm_mm=(made.sigma_mm(r) * FWHM_PER_SIGMA).tolist(), tail=TAILS)
    assert found.slope == pytest.approx(made.slope, rel=1e-3)
    assert found.tail == TAILS
    torch.testing.assert_close(found.sigma_mm(r), made.sigma_mm(r), rtol=1e-4, atol=0.0)


def test_a_fit_smooths_noise(generator: torch.Generator) -> None:
    made = MELP.response(208.4)
    r = torch.linspace(0.0, 300.0, 13, dtype=torch.float64)
    noisy = made.sigma_mm(r) * FWHM_PER_SIGMA * (1.0 + 0.02 * torch.randn(13, dtype=torch.float64, generator=generator))
    found = CollimatorResponse.from_measured(distance_mm=r.tolist(), fwhm_mm=noisy.tolist())
    torch.testing.assert_close(found.sigma_mm(r), made.sigma_mm(r), rtol=0.03, atol=0.0)


@pytest.mark.parametrize(
    ("distance_mm", "fwhm_mm", "sentence"),
    [
        ([0.0, 100.0, 200.0], [5.0, 10.0], "distance_mm holds 3 values and fwhm_mm 2"),
        ([0.0, 100.0, 100.0], [5.0, 10.0, 10.1], "distance_mm holds 2 different distances, 3 are needed"),
        ([0.0, 100.0, -5.0], [5.0, 10.0, 5.0], "distance_mm must be finite and not negative"),
        ([0.0, 100.0, 200.0], [5.0, math.nan, 18.0], "fwhm_mm must be finite and positive"),
        ([0.0, 100.0, 200.0], [18.0, 10.0, 5.0], "fwhm_mm does not grow with distance_mm"),
        ([0.0, 100.0, 200.0], [5.0, 5.0, 5.0], "fwhm_mm does not grow with distance_mm"),
        ([0.0, 100.0, 200.0, 300.0], [5.0, 30.0, 12.0, 40.0], "fwhm_mm departs by up to .* from sqrt"),
    ],
)
def test_measurements_that_cannot_be_fitted_are_named(distance_mm: list[float], fwhm_mm: list[float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        CollimatorResponse.from_measured(distance_mm=distance_mm, fwhm_mm=fwhm_mm)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"share": 0.0}, "share of a tail must lie between 0 and 1, got 0.0"),
        ({"share": 1.0}, "share of a tail must lie between 0 and 1, got 1.0"),
        ({"slope": -0.1}, "slope of a tail must be finite and not negative, got -0.1"),
        ({"offset_mm": math.inf}, "offset_mm of a tail must be finite and not negative, got inf"),
    ],
)
def test_bad_tails_are_named(changes: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ResponseTail(**{"share": 0.1, "slope": 0.2, "offset_mm": 5.0, **changes})


def test_bad_responses_are_named() -> None:
    with pytest.raises(ValueError, match=r"intrinsic_mm must be finite and not negative, got -1.0"):
        CollimatorResponse(slope=0.03, offset_mm=1.0, intrinsic_mm=-1.0)
    with pytest.raises(ValueError, match=r"the shares sum to 1.2 and must stay below 1"):
        CollimatorResponse(slope=0.03, offset_mm=1.0, intrinsic_mm=1.0, tail=(ResponseTail(share=0.6, slope=0.2, offset_mm=5.0),) * 2)
