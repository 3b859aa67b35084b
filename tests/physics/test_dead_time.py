"""Paralysable dead time: Lambert's W, round trips, the maximum."""

import math

import pytest
import torch
from scipy.special import lambertw

from planar3d.physics.dead_time import DeadTime, lambert_w0

HEAD = DeadTime(tau_s=2e-6)


def test_lambert_w_agrees_with_scipy() -> None:
    x = torch.cat([torch.zeros(1, dtype=torch.float64), -torch.logspace(-14, math.log10(0.3678), 400, dtype=torch.float64)])
    reference = torch.from_numpy(lambertw(x.numpy()).real)
    torch.testing.assert_close(lambert_w0(x), reference, rtol=1e-12, atol=0.0)


def test_lambert_w_is_accurate_beside_its_branch_point() -> None:
    """From the inside: w is chosen, x follows; x holds the square of the distance to -1, so half the digits of that remain."""
    w = -1.0 + torch.logspace(-7, -1, 200, dtype=torch.float64)
    back = lambert_w0(w * torch.exp(w))
    assert float(((back - w).abs() * (1.0 + w)).max()) < 1e-15
    assert float(lambert_w0(torch.tensor(-1.0 / math.e, dtype=torch.float64))) == pytest.approx(-1.0, abs=3e-8)
    assert lambert_w0(torch.tensor([-0.5, 0.1], dtype=torch.float64)).isnan().all()


def test_gradients_are_right(generator: torch.Generator) -> None:
    x = (-0.36 * torch.rand(20, dtype=torch.float64, generator=generator)).requires_grad_()
    assert torch.autograd.gradcheck(lambert_w0, x)
    assert torch.autograd.gradgradcheck(lambert_w0, x)
    in_100_kcps = torch.rand(20, dtype=torch.float64, generator=generator).requires_grad_()
    for change in (HEAD.observed_rate, HEAD.true_rate, HEAD.live_fraction):
        assert torch.autograd.gradcheck(lambda r, change=change: change(1e5 * r), in_100_kcps)


def test_no_rate_is_changed_where_there_is_none_to_lose() -> None:
    """The derivative of both ways at zero is one."""
    zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    for change in (HEAD.observed_rate, HEAD.true_rate):
        (slope,) = torch.autograd.grad(change(zero).sum(), zero)
        assert float(change(zero).detach()) == 0.0
        assert float(slope) == 1.0
    rates = torch.tensor([0.0, 1e3, 1e9])
    assert torch.equal(DeadTime(tau_s=0.0).true_rate(rates), rates)
    assert torch.equal(DeadTime(tau_s=0.0).observed_rate(rates), rates)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip_up_to_saturation(dtype: torch.dtype) -> None:
    n = torch.linspace(0.0, 0.98, 200, dtype=dtype) / HEAD.window_tau_s
    back = HEAD.true_rate(HEAD.observed_rate(n))
    assert back.dtype == dtype
    torch.testing.assert_close(back, n, rtol=1e-12 if dtype == torch.float64 else 1e-4, atol=1e-6)


def test_maximum_is_where_theory_has_it() -> None:
    at_peak = torch.tensor([1.0 / HEAD.window_tau_s], dtype=torch.float64)
    assert float(HEAD.observed_rate(at_peak)) == pytest.approx(HEAD.max_observed_rate, rel=1e-14)
    assert float(HEAD.observed_rate(at_peak * 1.01)) < HEAD.max_observed_rate > float(HEAD.observed_rate(at_peak * 0.99))
    assert float(HEAD.true_rate(HEAD.observed_rate(at_peak))) == pytest.approx(float(at_peak), rel=1e-6)
    assert float(HEAD.true_rate(HEAD.observed_rate(at_peak.float()))) == pytest.approx(float(at_peak), rel=1e-2)


def test_other_rates_may_drive_the_dead_time() -> None:
    """A full spectrum of eight times the window: the live fraction is that of the spectrum, for the window's own counts."""
    spectrum = DeadTime(tau_s=0.5e-6, reference="full spectrum", rate_per_window_count=8.0)
    window_cps = torch.tensor([2e4, 1e5], dtype=torch.float64)
    torch.testing.assert_close(spectrum.live_fraction(window_cps), torch.exp(-0.5e-6 * 8.0 * window_cps))
    torch.testing.assert_close(spectrum.observed_rate(window_cps), window_cps * spectrum.live_fraction(window_cps))
    torch.testing.assert_close(spectrum.true_rate(spectrum.observed_rate(window_cps)), window_cps)


def test_published_figures_belong_to_the_unscattered_rate() -> None:
    """Uribe et al. saw losses of about 20 % at 208 keV; with 4.60 us that is a rate of some 48 kcps of unscattered photons."""
    head = DeadTime.from_name("symbia-t-lu177-208", unscattered_fraction=0.75)
    window_cps = torch.tensor([48e3 / 0.75], dtype=torch.float64)
    assert 1.0 - float(head.live_fraction(window_cps)) == pytest.approx(0.2, abs=0.005)


def test_bad_figures_are_named() -> None:
    with pytest.raises(ValueError, match=r"m reaches 300000 cps .* at most 183940 cps through"):
        HEAD.true_rate(torch.tensor([10.0, 3e5]))
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="m must be non-negative and finite"):
            HEAD.true_rate(torch.tensor([bad]))
        with pytest.raises(ValueError, match="tau_s must be non-negative and finite"):
            DeadTime(tau_s=bad)
        with pytest.raises(ValueError, match="rate_per_window_count must be positive"):
            DeadTime(tau_s=1e-6, rate_per_window_count=bad)
    with pytest.raises(ValueError, match="dead time 'acme' is not known; known are symbia-t-lu177-208"):
        DeadTime.from_name("acme", unscattered_fraction=0.8)
    with pytest.raises(ValueError, match=r"unscattered_fraction must lie in \(0, 1\], got 1.2"):
        DeadTime.from_name("symbia-t-lu177-208", unscattered_fraction=1.2)
