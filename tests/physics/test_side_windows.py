"""Scatter from side windows: exact for a straight spectrum, conserved by smoothing, with the variance it has."""

import pytest
import torch

from planar3d.physics import poisson
from planar3d.physics.energy_window import EnergyWindow, EnergyWindows
from planar3d.physics.side_windows import SideWindowScatter, subtract_scatter

LUTETIUM = EnergyWindows(
    peak=EnergyWindow(low_kev=187.2, high_kev=228.8),
    lower=EnergyWindow(low_kev=166.4, high_kev=187.2),
    upper=EnergyWindow(low_kev=228.8, high_kev=249.6),
)
PIXEL_MM = (4.0, 6.0)


def counts_between(low_kev: float, high_kev: float, level: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """Counts of a spectrum ``level + slope (E - 208)`` per keV."""
    return level * (high_kev - low_kev) + 0.5 * slope * ((high_kev - 208.0) ** 2 - (low_kev - 208.0) ** 2)


@pytest.mark.parametrize("side_kev", [5.0, 20.8])
def test_triple_window_is_exact_for_a_straight_spectrum(generator: torch.Generator, side_kev: float) -> None:
    level = 1.0 + torch.rand(2, 2, 5, 7, generator=generator, dtype=torch.float64)
    slope = 0.01 * torch.randn(2, 2, 5, 7, generator=generator, dtype=torch.float64)
    below, above = counts_between(187.2 - side_kev, 187.2, level, slope), counts_between(228.8, 228.8 + side_kev, level, slope)
    scatter = SideWindowScatter.triple(peak_kev=41.6, lower_kev=side_kev, upper_kev=side_kev)
    torch.testing.assert_close(scatter.estimate(below, above), counts_between(187.2, 228.8, level, slope))


def test_without_an_upper_window_the_spectrum_falls_to_zero_at_its_end(generator: torch.Generator) -> None:
    """A line from the middle of a narrow lower window down to zero at the mirrored place above the peak."""
    level = torch.rand(1, 2, 3, 3, generator=generator, dtype=torch.float64)
    slope = -level / (20.8 + 0.5)
    below = counts_between(186.2, 187.2, level, slope)
    scatter = SideWindowScatter.triple(peak_kev=41.6, lower_kev=1.0)
    torch.testing.assert_close(scatter.estimate(below), counts_between(187.2, 228.8, level, slope), rtol=0.05, atol=0.0)


def test_windows_of_an_acquisition_give_their_widths() -> None:
    assert SideWindowScatter.from_windows(LUTETIUM).lower_weight == pytest.approx(1.0)
    assert SideWindowScatter.from_windows(LUTETIUM).upper_weight == pytest.approx(1.0)
    lower_only = SideWindowScatter.from_windows(EnergyWindows(peak=LUTETIUM.peak, lower=LUTETIUM.lower), smoothing_fwhm_mm=9.0)
    assert (lower_only.upper_weight, lower_only.smoothing_fwhm_mm) == (0.0, 9.0)


def test_dual_window_is_a_share_of_the_lower_one(generator: torch.Generator) -> None:
    below = torch.rand(1, 2, 5, 7, generator=generator)
    assert torch.equal(SideWindowScatter.dual().estimate(below), 0.5 * below)
    assert torch.equal(SideWindowScatter.dual(k=0.8).variance(below), torch.tensor(0.8**2) * below)


@pytest.mark.parametrize("fwhm_mm", [0.5, 12.0, 400.0])
def test_smoothing_keeps_sums_and_constants(generator: torch.Generator, fwhm_mm: float) -> None:
    """At the edges too, and where the kernel is far wider than the image."""
    below = torch.rand(2, 2, 9, 13, generator=generator, dtype=torch.float64)
    plain, smooth = SideWindowScatter.dual(), SideWindowScatter.dual(smoothing_fwhm_mm=fwhm_mm)
    total, kept = (s.estimate(below, pixel_mm=PIXEL_MM).sum(dim=(2, 3)) for s in (plain, smooth))
    torch.testing.assert_close(total, kept)
    flat = torch.full_like(below, 3.0)
    torch.testing.assert_close(smooth.estimate(flat, pixel_mm=PIXEL_MM), 0.5 * flat)


def test_smoothing_has_its_width_along_both_axes() -> None:
    point = torch.zeros(1, 1, 61, 61, dtype=torch.float64)
    point[..., 30, 30] = 1.0
    image = SideWindowScatter(lower_weight=1.0, smoothing_fwhm_mm=40.0).estimate(point, pixel_mm=PIXEL_MM)[0, 0]
    index = torch.arange(61, dtype=torch.float64) - 30
    for profile, edge_mm in zip((image.sum(dim=1), image.sum(dim=0)), PIXEL_MM, strict=True):
        variance = float((profile * (index * edge_mm) ** 2).sum())
        assert variance == pytest.approx((40.0 / 2.3548) ** 2 + edge_mm**2 / 12.0, rel=1e-3)


@pytest.mark.parametrize("fwhm_mm", [0.0, 15.0])
def test_variance_is_that_of_repeated_measurements(generator: torch.Generator, fwhm_mm: float) -> None:
    scatter = SideWindowScatter.triple(peak_kev=41.6, lower_kev=10.0, upper_kev=20.8, smoothing_fwhm_mm=fwhm_mm)
    ramp = torch.linspace(1.0, 9.0, 12).expand(1, 2, 8, 12)
    below, above = 2.0 * ramp, 0.5 * ramp
    draws = 4000
    estimates = scatter.estimate(
        poisson(below.expand(draws, -1, -1, -1).contiguous(), generator),
        poisson(above.expand(draws, -1, -1, -1).contiguous(), generator),
        pixel_mm=PIXEL_MM,
    )
    predicted = scatter.variance(below, above, pixel_mm=PIXEL_MM)
    assert float((estimates.var(dim=0) / predicted[0] - 1.0).abs().max()) < 0.12
    standard_error = (predicted[0] / draws).sqrt()
    assert float(((estimates.mean(dim=0) - scatter.estimate(below, above, pixel_mm=PIXEL_MM)[0]).abs() / standard_error).max()) < 4.5
    if fwhm_mm == 0.0:
        torch.testing.assert_close(predicted, (41.6 / 20.0) ** 2 * below + (41.6 / 41.6) ** 2 * above)
    else:
        assert float(predicted.mean()) < 0.3 * float(
            SideWindowScatter.triple(peak_kev=41.6, lower_kev=10.0, upper_kev=20.8).variance(below, above).mean()
        )


def test_subtraction_is_cut_at_zero() -> None:
    counts, scatter = torch.tensor([[[[5.0, 1.0]]]]), torch.tensor([[[[2.0, 3.0]]]])
    assert torch.equal(subtract_scatter(counts, scatter), torch.tensor([[[[3.0, 0.0]]]]))


def test_estimate_is_differentiable(generator: torch.Generator) -> None:
    below = torch.rand(1, 2, 3, 4, generator=generator, dtype=torch.float64).requires_grad_()
    smooth = SideWindowScatter.dual(smoothing_fwhm_mm=10.0)
    assert torch.autograd.gradcheck(lambda c: smooth.estimate(c, pixel_mm=PIXEL_MM), below)


def test_bad_input_is_named() -> None:
    below = torch.ones(1, 2, 3, 4)
    with pytest.raises(ValueError, match="upper is missing and upper_weight is not zero"):
        SideWindowScatter.from_windows(LUTETIUM).estimate(below)
    with pytest.raises(ValueError, match="pixel_mm is missing"):
        SideWindowScatter.dual(smoothing_fwhm_mm=5.0).estimate(below)
    with pytest.raises(ValueError, match="windows has no lower window"):
        SideWindowScatter.from_windows(EnergyWindows(peak=LUTETIUM.peak))
    with pytest.raises(ValueError, match=r"lower_kev must be positive and finite, got 0\.0"):
        SideWindowScatter.triple(peak_kev=40.0, lower_kev=0.0)
    with pytest.raises(ValueError, match=r"lower_weight must be non-negative and finite, got -0\.5"):
        SideWindowScatter.dual(k=-0.5)
