"""Scatter from side windows: exact for a straight spectrum, conserved by smoothing, with the variance it has."""

import pytest
import torch

from planar3d.grid import Grid
from planar3d.materials import linear_attenuation
from planar3d.physics import GammaCamera, ObjectScatter, poisson
from planar3d.physics.energy_window import EnergyWindow, EnergyWindows, energy_windows
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


@pytest.mark.parametrize(("isotope", "energy_kev"), [("Lu-177", 208.0), ("I-131", 364.0), ("Tc-99m", 140.0), ("I-123", 159.0)])
@pytest.mark.parametrize("upper", [True, False])
def test_calibrated_weights_give_a_source_under_water_its_own_scatter(isotope: str, energy_kev: float, upper: bool) -> None:
    """What the windows count of a source of one unscattered count under 70 mm of water, spill of unscattered photons included."""
    scatter = SideWindowScatter.calibrated(isotope, energy_kev, upper=upper, depth_mm=70.0)
    windows = {name: ObjectScatter.in_window(isotope, energy_kev, name) for name in ("peak", "lower", "upper")}
    depth = torch.tensor(70.0)
    below, above = (
        torch.full((1, 2, 3, 3), float(windows[name].ratio(depth)) + windows[name].primary_share) for name in ("lower", "upper")
    )
    estimate = scatter.estimate(below, above if scatter.upper_weight > 0 else None)
    assert float(estimate[0, 0, 0, 0]) == pytest.approx(float(windows["peak"].ratio(depth)), rel=1e-5)


def test_calibrated_weights_keep_the_form_of_the_trapezoid() -> None:
    textbook = SideWindowScatter.from_windows(energy_windows("I-131", 364.0))
    scaled = SideWindowScatter.calibrated("I-131", 364.0, smoothing_fwhm_mm=11.0)
    assert scaled.upper_weight / scaled.lower_weight == pytest.approx(textbook.upper_weight / textbook.lower_weight)
    assert scaled.smoothing_fwhm_mm == 11.0
    assert SideWindowScatter.calibrated("I-131", 364.0, upper=False).upper_weight == 0.0
    with pytest.raises(ValueError, match="windows has no lower window"):
        SideWindowScatter.calibrated("In-111", 171.0)


@pytest.mark.parametrize(
    ("camera", "isotope", "energy_kev", "upper"),
    [("siemens-melp", "Lu-177", 208.0, True), ("siemens-lehr", "Tc-99m", 140.0, False), ("siemens-he", "I-131", 364.0, True)],
)
def test_primary_of_a_phantom_is_right_within_two_per_cent(camera: str, isotope: str, energy_kev: float, upper: bool) -> None:
    """A uniform ellipse of water, 300 x 200 mm, and a point at its middle; the textbook's weights miss the primary by 2.5 % and more."""
    grid = Grid.centred((40, 26, 30), 10.0)
    x, y, z = torch.meshgrid(*((torch.arange(n) - 0.5 * (n - 1)) * 10.0 for n in grid.shape), indexing="ij")
    body = ((x / 150.0) ** 2 + (y / 100.0) ** 2 < 1.0).float()
    point = ((x.abs() < 10.0) & (y.abs() < 10.0) & (z.abs() < 10.0)).float()
    mu_map = (body * linear_attenuation("water", energy_kev))[None, None]
    activity = torch.stack([body, point])[:, None]

    def views(window: str, *, scatter: bool = True) -> torch.Tensor:
        device = GammaCamera.from_name(camera, isotope=isotope, dwell_time_s=10.0, energy_kev=energy_kev, window=window, scatter=scatter)
        return device.projector(mu_map, grid)(activity)[:, :1]

    peak, primary, below = views("peak"), views("peak", scatter=False), views("lower")
    textbook = SideWindowScatter.from_windows(energy_windows(isotope, energy_kev)) if upper else SideWindowScatter.dual()
    errors = {}
    for name, scatter in (("calibrated", SideWindowScatter.calibrated(isotope, energy_kev, upper=upper)), ("textbook", textbook)):
        left = peak - scatter.estimate(below, views("upper") if scatter.upper_weight > 0 else None)
        errors[name] = (left.sum(dim=(1, 2, 3)) / primary.sum(dim=(1, 2, 3)) - 1.0).abs()
    assert float(errors["calibrated"].max()) < 0.02
    assert float(errors["textbook"].min()) > 0.02
