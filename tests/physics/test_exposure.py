"""Dead time along a scan, there and back."""

import math

import pytest
import torch

from planar3d.physics import poisson
from planar3d.physics.dead_time import DeadTime
from planar3d.physics.exposure import Exposure, apply_dead_time, correct_dead_time, live_fraction, recorded_live_fraction
from planar3d.physics.spots import StaticSpots
from planar3d.physics.sweep import WholeBodySweep

ROW_MM = 4.8
Z_MM = (torch.arange(400, dtype=torch.float64) + 0.5) * ROW_MM
SWEEP = WholeBodySweep(speed_mm_per_s=1.67, head_length_mm=387.0, start_mm=0.0, stop_mm=400 * ROW_MM)
HEAD = DeadTime(tau_s=1e-6)


def body_counts(peak_cps: float, columns: int = 16) -> torch.Tensor:
    """Whole-body views with a hot bladder, hot kidneys and a tumour in the liver; the head records ``peak_cps`` where it sees most."""
    profile = 0.15 * torch.exp(-(((Z_MM - 1000.0) / 700.0) ** 6))
    for centre_mm, width_mm, height in ((880.0, 30.0, 5.0), (1130.0, 45.0, 3.0), (1230.0, 20.0, 4.0), (1700.0, 40.0, 0.4)):
        profile = profile + height * torch.exp(-0.5 * ((Z_MM - centre_mm) / width_mm) ** 2)
    across = torch.exp(-0.5 * torch.linspace(-2.0, 2.0, columns, dtype=torch.float64) ** 2)
    rates = torch.stack([profile, 0.6 * profile + 0.3 * profile.roll(5)])[:, None] * (across / across.sum())[:, None]
    seen = SWEEP.exposure(Z_MM).seen
    peak = (rates.sum(dim=1)[0] @ seen.T).max()
    return (rates * peak_cps / peak * SWEEP.dwell_time_s(Z_MM))[None]


def test_a_head_that_covers_everything_is_static() -> None:
    """Long head, short path: it sees all rows throughout; so does one spot."""
    long = WholeBodySweep(speed_mm_per_s=2.0, head_length_mm=6000.0, start_mm=-2300.0, stop_mm=4220.0, ends="ramp")
    counts = body_counts(3e5)
    static = Exposure.static(Z_MM, time_s=long.duration_s)
    spot = StaticSpots(centres_mm=(960.0,), head_length_mm=6000.0, time_s=long.duration_s).exposure(Z_MM)
    rate = counts.sum(dim=(2, 3)) / long.duration_s
    expected = counts * HEAD.live_fraction(rate)[..., None, None]
    for exposure in (static, spot, long.exposure(Z_MM)):
        torch.testing.assert_close(exposure.dwell_time_s, torch.full_like(Z_MM, long.duration_s))
        recorded = apply_dead_time(counts, HEAD, exposure)
        torch.testing.assert_close(recorded, expected)
        corrected = correct_dead_time(recorded, HEAD, exposure)
        torch.testing.assert_close(corrected.sum(dim=(2, 3)) / long.duration_s, HEAD.true_rate(recorded.sum(dim=(2, 3)) / long.duration_s))
        torch.testing.assert_close(corrected, counts)


def test_a_uniform_patient_loses_what_a_static_head_loses() -> None:
    """Far from the ends the head always sees L rows of the same rate: live fraction exp(-tau n), n the rate per mm times L."""
    per_row = 900.0
    counts = (per_row * SWEEP.dwell_time_s(Z_MM)).expand(1, 2, 1, -1)
    live = live_fraction(counts, HEAD, SWEEP.exposure(Z_MM))
    full = math.exp(-1e-6 * per_row * 387.0 / ROW_MM)
    torch.testing.assert_close(live[..., 100:300], torch.full_like(live[..., 100:300], full), rtol=1e-9, atol=0.0)
    # the outermost row is seen by a head that comes in: from an empty head to a full one, evenly
    loss = -math.log(full)
    assert float(live[0, 0, 0]) == pytest.approx((1.0 - full) / loss, rel=2e-2)


@pytest.mark.parametrize("peak_cps", [1e5, 4e5, 7e5, 9e5])
@pytest.mark.parametrize("ends", ["window", "ramp"])
def test_round_trip(peak_cps: float, ends: str) -> None:
    sweep = WholeBodySweep(speed_mm_per_s=1.67, head_length_mm=387.0, start_mm=0.0, stop_mm=400 * ROW_MM, ends=ends)  # pyright: ignore
    exposure = sweep.exposure(Z_MM)
    counts = body_counts(peak_cps) / SWEEP.dwell_time_s(Z_MM) * sweep.dwell_time_s(Z_MM)
    recorded = apply_dead_time(counts, HEAD, exposure)
    assert float((recorded / counts).min()) < math.exp(-0.75e-6 * peak_cps)
    torch.testing.assert_close(correct_dead_time(recorded, HEAD, exposure), counts, rtol=1e-8, atol=0.0)
    single = correct_dead_time(recorded.float(), HEAD, sweep.exposure(Z_MM.float()))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), counts, rtol=1e-4, atol=1e-6)


def test_a_finer_path_gives_the_same_counts() -> None:
    """The midpoint rule at one position per row is good to 1e-4 of the counts."""
    fine_z = (torch.arange(1600, dtype=torch.float64) + 0.5) * ROW_MM / 4
    counts = body_counts(7e5)
    fine = counts.repeat_interleave(4, dim=3) / 4
    coarse = apply_dead_time(counts, HEAD, SWEEP.exposure(Z_MM))
    exact = apply_dead_time(fine, HEAD, SWEEP.exposure(fine_z)).unflatten(3, (400, 4)).sum(dim=4)
    assert float(((coarse - exact).abs() / exact).max()) < 1e-4


def test_noise_does_not_bias_and_the_mean_rate_does(generator: torch.Generator) -> None:
    exposure = SWEEP.exposure(Z_MM)
    counts = body_counts(7e5)
    recorded = poisson(apply_dead_time(counts, HEAD, exposure), generator)
    corrected = correct_dead_time(recorded, HEAD, exposure)
    bladder, kidneys = (slice(*(round((mm + shift) / ROW_MM) for shift in (-50.0, 50.0))) for mm in (880.0, 1130.0))
    whole_scan_cps = recorded.sum(dim=(2, 3)) / SWEEP.duration_s
    by_mean = recorded / HEAD.live_fraction(HEAD.true_rate(whole_scan_cps))[..., None, None]
    for region in (bladder, kidneys):
        truth = counts[..., region].sum(dim=(2, 3))
        assert float((corrected[..., region].sum(dim=(2, 3)) / truth - 1.0).abs().max()) < 1e-3
        assert float((by_mean[..., region].sum(dim=(2, 3)) / truth - 1.0).abs().max()) > 0.2
    live, noisy = live_fraction(counts, HEAD, exposure), recorded_live_fraction(recorded, HEAD, exposure)
    assert float((noisy / live - 1.0).abs().max()) < 2e-3


def test_each_view_and_sample_has_its_own_head() -> None:
    exposure = SWEEP.exposure(Z_MM)
    counts = torch.cat([body_counts(5e5), 0.3 * body_counts(5e5)])
    heads = (DeadTime(tau_s=1e-6), DeadTime(tau_s=0.25e-6, rate_per_window_count=2.0))
    together = apply_dead_time(counts, heads, exposure)
    for sample in range(2):
        for view in range(2):
            alone = counts[sample : sample + 1, view : view + 1]
            torch.testing.assert_close(
                apply_dead_time(alone, heads[view], exposure), together[sample : sample + 1, view : view + 1], rtol=1e-12, atol=0.0
            )
    torch.testing.assert_close(correct_dead_time(together, heads, exposure), counts, rtol=1e-8, atol=0.0)


def test_gradients_are_right(generator: torch.Generator) -> None:
    z = (torch.arange(9, dtype=torch.float64) + 0.5) * 10.0
    sweep = WholeBodySweep(speed_mm_per_s=1.0, head_length_mm=30.0, start_mm=0.0, stop_mm=90.0)
    exposure, head = sweep.exposure(z), DeadTime(tau_s=0.14)
    counts = (30.0 * (0.5 + torch.rand(1, 2, 2, 9, dtype=torch.float64, generator=generator))).requires_grad_()
    assert float(live_fraction(counts, head, exposure).detach().min()) < 0.6
    recorded = apply_dead_time(counts, head, exposure).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda c: apply_dead_time(c, head, exposure), counts)
    assert torch.autograd.gradcheck(lambda c: correct_dead_time(c, head, exposure), recorded)


def test_rows_without_counts_or_time_are_left_alone() -> None:
    exposure = SWEEP.exposure(Z_MM - 300.0)
    counts = body_counts(4e5)
    counts[..., Z_MM < 300.0] = 0.0
    counts[..., 200:210] = 0.0
    recorded = apply_dead_time(counts, HEAD, exposure)
    torch.testing.assert_close(correct_dead_time(recorded, HEAD, exposure), counts, rtol=1e-8, atol=0.0)
    nothing = torch.zeros_like(counts)
    assert torch.equal(correct_dead_time(nothing, HEAD, exposure), nothing)
    none = DeadTime(tau_s=0.0)
    torch.testing.assert_close(correct_dead_time(counts, none, exposure), counts)


@pytest.mark.parametrize("exposure", [SWEEP.exposure(Z_MM), Exposure.static(Z_MM, time_s=230.0)])
def test_more_than_the_head_can_record_is_refused(exposure: Exposure) -> None:
    counts = body_counts(7e5) * 230.0 / SWEEP.dwell_time_s(Z_MM)
    too_many = counts * torch.tensor([0.01, 2.0])[:, None, None]
    with pytest.raises(ValueError, match=r"counts of view 1 come from no true rate below saturation: .* at most 367879 cps through"):
        correct_dead_time(too_many, HEAD, exposure)


def test_just_above_the_maximum_is_refused_and_just_below_is_not() -> None:
    static = Exposure.static(Z_MM, time_s=100.0)
    share = body_counts(1e5) / body_counts(1e5).sum(dim=(2, 3), keepdim=True)
    correct_dead_time(0.3678e6 * 100.0 * share, HEAD, static)
    for rate_cps in (0.37e6, 0.4e6):
        with pytest.raises(ValueError, match="no true rate below saturation"):
            correct_dead_time(rate_cps * 100.0 * share, HEAD, static)


def test_rates_above_saturation_are_refused_or_taken_for_lower_ones() -> None:
    """One recorded rate, two true ones: what was simulated above the maximum never comes back as a rate above it."""
    exposure = SWEEP.exposure(Z_MM)
    with pytest.raises(ValueError, match="no true rate below saturation"):
        correct_dead_time(apply_dead_time(body_counts(1.4e6), HEAD, exposure), HEAD, exposure)
    far_above = apply_dead_time(body_counts(2.5e6), HEAD, exposure)
    assert float(recorded_live_fraction(far_above, HEAD, exposure).min()) > math.exp(-1.0)


def test_bad_input_is_named() -> None:
    exposure, counts = SWEEP.exposure(Z_MM), body_counts(1e5)
    with pytest.raises(ValueError, match="counts has 399 rows and exposure 400"):
        correct_dead_time(counts[..., 1:], HEAD, exposure)
    with pytest.raises(ValueError, match="expected_counts must be non-negative"):
        apply_dead_time(-counts, HEAD, exposure)
    with pytest.raises(ValueError, match="rows that exposure says are never recorded"):
        correct_dead_time(counts, HEAD, SWEEP.exposure(Z_MM + 100.0))
    with pytest.raises(ValueError, match="dead_time holds 3 heads and the image 2 views"):
        correct_dead_time(counts, [HEAD] * 3, exposure)
