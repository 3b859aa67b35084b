"""Samples of a model whose posterior is known, and what the consistencies do to them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from planar3d.diffusion import EMConsistency, GradientConsistency, NoConsistency, NoiseLevels, Sampler, edm_solver

MEAN, SPREAD = 1.5, 0.4
SHAPE = (1, 8, 8, 8)


class Normal:
    """Exact denoiser of independent normal voxels."""

    def __call__(self, noisy: Tensor, sigma: Tensor) -> Tensor:
        s2 = sigma.view(-1, 1, 1, 1, 1).square()
        return (SPREAD**2 * noisy + s2 * MEAN) / (SPREAD**2 + s2)


class Target:
    """A measurement that says every voxel is at `value`, to within `error`; one EM step moves half of the way."""

    def __init__(self, value: float, error: float) -> None:
        self.value, self.error = value, error

    def em(self, volume: Tensor, steps: int) -> Tensor:
        return self.value + (volume - self.value) * 0.5**steps

    def log_likelihood(self, volume: Tensor) -> Tensor:
        return -0.5 * ((volume - self.value) / self.error).square().flatten(1).sum(dim=1)


NOTHING = Target(0.0, 1.0)


def unchanged(volume: Tensor) -> Tensor:
    """The covariance of white noise."""
    return volume


def start(sampler: Sampler, mean: float, count: int, first: int = 0) -> Tensor:
    """Volumes with the noise that the sampler starts from, each from its own seed."""
    drawn = [torch.randn(SHAPE, generator=torch.Generator().manual_seed(first + k)) for k in range(count)]
    return mean + sampler.sigma_max * torch.stack(drawn)


def run(sampler: Sampler, count: int, *, mean: float = MEAN, target: Target = NOTHING, **options: object) -> Tensor:
    return sampler(Normal(), target, start(sampler, mean, count), **options)  # pyright: ignore[reportArgumentType]


def test_samples_of_a_normal_model_have_its_mean_and_spread() -> None:
    samples = run(Sampler(evaluations=20), 8)
    assert float(samples.mean()) == pytest.approx(MEAN, abs=0.03)
    assert float(samples.std()) == pytest.approx(SPREAD, rel=0.04)


def test_where_the_noise_begins_does_not_matter() -> None:
    sampler = Sampler(scheduler=edm_solver(sigma_max=20.0), evaluations=20)
    assert float(run(sampler, 4, mean=0.0).mean()) == pytest.approx(MEAN, abs=0.05)


def test_nothing_is_random_after_the_start() -> None:
    sampler = Sampler(evaluations=6)
    together = run(sampler, 3)
    torch.testing.assert_close(together[2:], sampler(Normal(), NOTHING, start(sampler, MEAN, 1, first=2)))
    torch.testing.assert_close(together, run(sampler, 3))


def test_every_evaluation_is_watched_from_the_highest_noise_level_down() -> None:
    seen: list[float] = []
    sampler = Sampler(scheduler=edm_solver(sigma_max=30.0), evaluations=7)
    run(sampler, 1, watch=lambda sigma, _: seen.append(sigma))
    assert len(seen) == 7
    assert seen == sorted(seen, reverse=True)
    assert seen[0] == pytest.approx(30.0, rel=1e-4) == sampler.sigma_max


def test_em_steps_are_made_below_their_noise_level_alone() -> None:
    consistency, target, noisy = EMConsistency(steps=2, below=1.0), Target(5.0, 1.0), torch.zeros(1, *SHAPE)
    for level, moved in ((0.5, 0.75), (2.0, 0.0)):
        sigma = torch.tensor([level])
        before, after = Normal()(noisy, sigma), consistency(Normal(), target, noisy, sigma, unchanged)
        torch.testing.assert_close(after, before + moved * (5.0 - before))


def test_the_gradient_gives_the_posterior_mean_of_a_weak_measurement() -> None:
    """For a likelihood much wider than the posterior of the denoised volume, DPS is exact: D + v g, v the variance of that posterior."""
    target, noisy, sigma = Target(3.0, 20.0), torch.full((1, *SHAPE), 1.2), torch.tensor([0.3])
    variance = 1.0 / (1.0 / SPREAD**2 + 1.0 / 0.3**2)
    denoised = Normal()(noisy, sigma)
    expected = (denoised / variance + 3.0 / 20.0**2) / (1.0 / variance + 1.0 / 20.0**2)
    torch.testing.assert_close(GradientConsistency()(Normal(), target, noisy, sigma, unchanged), expected, rtol=0, atol=1e-5)


def test_a_gradient_step_is_never_larger_than_the_noise() -> None:
    noisy, sigma = torch.zeros(2, *SHAPE), torch.tensor([0.3, 1.0])
    change = GradientConsistency(limit=0.5)(Normal(), Target(100.0, 1e-3), noisy, sigma, unchanged) - Normal()(noisy, sigma)
    torch.testing.assert_close(change.square().flatten(1).mean(dim=1).sqrt(), 0.5 * sigma)


def test_gradient_consistency_draws_towards_the_measurement() -> None:
    drawn = {
        name: run(Sampler(evaluations=12, consistency=consistency), 2, target=Target(3.0, 0.5))
        for name, consistency in (("without", NoConsistency()), ("with", GradientConsistency()))
    }
    assert float(drawn["with"].mean()) > float(drawn["without"].mean()) + 0.2


def test_noise_levels_have_their_median_and_spread() -> None:
    drawn = NoiseLevels(log_mean=0.5, log_sd=1.2).draw(20_000, torch.Generator().manual_seed(0)).log()
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.04)
    assert float(drawn.std()) == pytest.approx(1.2, rel=0.03)


def test_options_that_make_no_sense_are_told() -> None:
    with pytest.raises(ValueError, match="evaluations must be at least 2"):
        Sampler(evaluations=1)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        EMConsistency(steps=0)
    with pytest.raises(ValueError, match="scale and limit must be positive"):
        GradientConsistency(scale=0.0)
    with pytest.raises(ValueError, match="log_sd must be positive"):
        NoiseLevels(log_sd=0.0)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_gradient_goes_back_through_the_last_evaluations_unless_gradients_are_off(wanted: bool) -> None:
    shift = torch.zeros((), requires_grad=True)
    recorded: list[bool] = []

    def denoise(noisy: Tensor, sigma: Tensor) -> Tensor:
        recorded.append(torch.is_grad_enabled())
        return Normal()(noisy, sigma) + shift

    sampler = Sampler(evaluations=5)
    with torch.set_grad_enabled(wanted):
        samples = sampler(denoise, NOTHING, start(sampler, MEAN, 1), differentiable=2)
    assert recorded == [False] * 3 + [wanted] * 2
    assert samples.requires_grad == wanted
