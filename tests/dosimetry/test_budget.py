"""The budget is the law of propagation: against sampling, with its covariances, and it names the largest share."""

from __future__ import annotations

import math

import pytest
import torch

from planar3d.dosimetry.budget import uncertainty_budget
from planar3d.dosimetry.volume_error import RecoveryCurve, edge_activity, relative_volume_error

VOLUME = torch.tensor([5.0, 150.0, 1500.0], dtype=torch.float64)
NAMES = ("lesion_1", "kidney_left", "liver")
CURVE = RecoveryCurve(half_volume_ml=4.0, exponent=0.9, covariance=((0.04, -0.002), (-0.002, 0.0025)))


def test_volume_error_of_a_sphere() -> None:
    # diameter 6.62 cm for 151.9 mL; a = 4.8 mm, FWHM 0: u(d) = 4.8 / 6^(1/2)
    volume = torch.tensor([math.pi / 6.0 * 6.62**3], dtype=torch.float64)
    found = relative_volume_error(volume, voxel_mm=4.8, fwhm_mm=0.0)
    assert found.item() == pytest.approx(3.0 * 4.8 / math.sqrt(6.0) / 66.2)
    blurred = relative_volume_error(volume, voxel_mm=0.0, fwhm_mm=10.0)
    # both edges by one standard deviation
    assert blurred.item() == pytest.approx(3.0 * math.sqrt(2.0) * 10.0 / 2.3548200 / 66.2, rel=1e-6)


def test_edge_activity_is_the_blurred_sphere_at_its_edge() -> None:
    """Against a numerical convolution; a large sphere has half its activity at the edge."""
    radius, sigma = 12.0, 5.0
    volume = torch.tensor([4.0 / 3.0 * math.pi * radius**3 / 1000.0], dtype=torch.float64)
    x = torch.arange(-40.0, 40.0, 0.5, dtype=torch.float64) + 0.25
    r2 = (x[:, None, None] + radius) ** 2 + x[:, None] ** 2 + x**2
    inside = (r2 <= radius**2).double()
    weight = torch.exp(-0.5 * (x / sigma) ** 2)
    weight = weight / weight.sum()
    blurred = torch.einsum("xyz,x,y,z->", inside, weight, weight, weight)
    assert edge_activity(volume, fwhm_mm=sigma * 2.3548200).item() == pytest.approx(blurred.item(), rel=1e-2)
    assert edge_activity(torch.tensor([1e7]), fwhm_mm=10.0).item() == pytest.approx(0.5, abs=0.01)


def test_recovery_curve_and_its_slopes() -> None:
    assert CURVE.at(torch.tensor([4.0])).item() == pytest.approx(0.5)
    v = VOLUME.clone().requires_grad_()
    (slope,) = torch.autograd.grad(CURVE.at(v).log().sum(), v)
    torch.testing.assert_close(CURVE.log_slope(VOLUME), slope * VOLUME)


def test_propagation_agrees_with_sampling(generator: torch.Generator) -> None:
    """Every input drawn, the chain computed, the spread of the dose compared: volume acts on counts, recovery and S together."""
    factor = torch.linalg.cholesky(torch.tensor(CURVE.covariance, dtype=torch.float64))
    fwhm, voxel, n = 8.0, 2.0, 200_000
    normal = torch.randn(n, 6, generator=generator, dtype=torch.float64)
    for volume in VOLUME[1:]:
        u = relative_volume_error(volume[None], voxel_mm=voxel, fwhm_mm=1.0)
        v = volume * (1.0 + u * normal[:, 0])
        half, exponent = (torch.tensor([4.0, 0.9], dtype=torch.float64) + normal[:, 1:3] @ factor.T).T
        recovery = 1.0 / (1.0 + (half / v) ** exponent)
        gained = edge_activity(volume[None], fwhm_mm=fwhm) / CURVE.at(volume[None])
        counts = (v / volume) ** gained * (1.0 + 0.02 * normal[:, 3])
        dose = counts / recovery / (1.0 + 0.03 * normal[:, 4]) * (1.0 + 0.05 * normal[:, 5]) / v
        budget = uncertainty_budget(
            ("organ",), volume[None], voxel_mm=voxel, outline_fwhm_mm=1.0, counts=0.02, calibration=0.03, fit=0.05,
            recovery=CURVE, image_fwhm_mm=fwhm,
        )  # fmt: skip
        assert budget.relative_uncertainty.item() == pytest.approx((dose.std() / dose.mean()).item(), rel=0.03)


def test_covariance_of_volume_matters() -> None:
    """Counts that grow with the outline make up for part of the mass that grows with it."""
    with_counts = uncertainty_budget(NAMES, VOLUME, voxel_mm=4.0, outline_fwhm_mm=8.0, recovery=CURVE, image_fwhm_mm=8.0)
    mass_alone = uncertainty_budget(NAMES, VOLUME, voxel_mm=4.0, outline_fwhm_mm=8.0)
    assert bool((with_counts.relative_variance[0] < mass_alone.relative_variance[0]).all())


def test_budget_names_the_largest_share_and_adds_up() -> None:
    budget = uncertainty_budget(
        NAMES, VOLUME, voxel_mm=4.0, outline_fwhm_mm=6.0, counts=torch.tensor([0.02, 0.01, 0.01], dtype=torch.float64), calibration=0.05,
        fit=torch.tensor([0.1, 0.02, 0.3], dtype=torch.float64),
    )  # fmt: skip
    assert budget.largest == ("volume", "volume", "fit")
    torch.testing.assert_close(budget.shares.sum(dim=0), torch.ones(3, dtype=torch.float64))
    row = budget.rows()[2]
    assert row["organ"] == "liver"
    parts = sum(float(row[f"{cause}_percent"]) ** 2 for cause in budget.causes)
    assert float(row["uncertainty_percent"]) == pytest.approx(math.sqrt(parts))
    assert row["calibration_percent"] == pytest.approx(5.0)


def test_smaller_organs_are_less_certain() -> None:
    budget = uncertainty_budget(NAMES, VOLUME, voxel_mm=4.0, outline_fwhm_mm=6.0)
    assert bool((budget.relative_uncertainty.diff() < 0.0).all())


def test_refuses_bad_input() -> None:
    with pytest.raises(ValueError, match="volume_ml"):
        uncertainty_budget(("liver",), torch.tensor([0.0]), voxel_mm=4.0, outline_fwhm_mm=6.0)
    with pytest.raises(ValueError, match="organs has 3 names"):
        uncertainty_budget(NAMES, torch.ones(2), voxel_mm=4.0, outline_fwhm_mm=6.0)
    with pytest.raises(ValueError, match="calibration must be"):
        uncertainty_budget(("liver",), torch.ones(1), voxel_mm=4.0, outline_fwhm_mm=6.0, calibration=-0.1)
    with pytest.raises(ValueError, match="image_fwhm_mm is needed"):
        uncertainty_budget(("liver",), torch.ones(1), voxel_mm=4.0, outline_fwhm_mm=6.0, recovery=CURVE)
    with pytest.raises(ValueError, match="exponent"):
        RecoveryCurve(half_volume_ml=1.0, exponent=0.0)
