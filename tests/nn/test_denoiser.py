"""The denoiser before training is a normal posterior, its network sees unit variance, and it may start from an estimator."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from planar3d.nn import CorrectionUNet, PosteriorNet, PreconditionedDenoiser, spread_loss

SHAPE = (2, 1, 6, 6, 6)


class Zero(nn.Module):
    """Answers nothing, and keeps what it saw."""

    def forward(self, channels: Tensor) -> Tensor:
        self.seen = channels
        return torch.zeros_like(channels[:, :1])


def normal_volumes() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(SHAPE, generator=generator) * 3.0, 0.05 + torch.rand(SHAPE, generator=generator)


@pytest.mark.parametrize("sigma", [0.01, 0.5, 100.0])
def test_untrained_it_gives_the_mean_of_a_normal_posterior(sigma: float) -> None:
    mean, spread = normal_volumes()
    noisy = mean + 0.7
    expected = (noisy / sigma**2 + mean / spread**2) / (1 / sigma**2 + 1 / spread**2)
    denoised = PreconditionedDenoiser(Zero())(noisy, torch.full((2,), sigma), mean=mean, spread=spread, condition=mean)
    torch.testing.assert_close(denoised, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sigma", [0.02, 1.0, 60.0])
def test_what_the_network_sees_and_has_to_answer_has_unit_variance(sigma: float) -> None:
    generator = torch.Generator().manual_seed(1)
    mean, spread = torch.ones(1, 1, 24, 24, 24), torch.full((1, 1, 24, 24, 24), 0.3)
    truth = mean + spread * torch.randn(mean.shape, generator=generator)
    noisy = truth + sigma * torch.randn(mean.shape, generator=generator)
    net = Zero()
    untrained = PreconditionedDenoiser(net)(noisy, torch.tensor([sigma]), mean=mean, spread=spread, condition=mean)
    assert float(net.seen[:, 1].std()) == pytest.approx(1.0, rel=0.03)
    out = PreconditionedDenoiser.factors(torch.tensor([sigma]), spread)[1]
    assert float(((truth - untrained) / out).std()) == pytest.approx(1.0, rel=0.03)


def posterior_net(seed: int = 0) -> PosteriorNet:
    torch.manual_seed(seed)
    options = {"width": 8, "blocks_down": (1, 1)}
    return PosteriorNet(in_channels=3, estimator=options, denoiser=options)


def test_it_starts_from_an_estimator_whose_features_the_denoiser_takes_over() -> None:
    torch.manual_seed(5)
    trained, net = CorrectionUNet(in_channels=3, width=8, blocks_down=(1, 1), out_channels=2), posterior_net()
    assert net.start_from_estimator(trained.state_dict())
    channels = torch.randn(1, 3, 8, 8, 8)
    torch.testing.assert_close(net.estimator(channels), trained(channels))
    inner = net.denoiser.net
    assert isinstance(inner, CorrectionUNet)
    new = torch.randn(1, inner.in_channels - 3, 8, 8, 8)
    first, own = trained.body.convInit, inner.body.convInit
    cubes = torch.randn(1, 24, 4, 4, 4)
    more = torch.randn(1, new.shape[1] * 8, 4, 4, 4)
    torch.testing.assert_close(own(torch.cat([cubes, more], dim=1)), first(cubes))
    assert not inner(torch.cat([channels, new], dim=1)).any()


def test_it_sees_a_large_volume_in_windows_and_a_small_one_whole() -> None:
    net, windowed = posterior_net(), posterior_net()
    for made in (net, windowed):
        for module, seed in ((made.estimator, 1), (made.denoiser.net, 2)):
            generator = torch.Generator().manual_seed(seed)
            last = [m for m in module.modules() if isinstance(m, torch.nn.Conv3d)][-1]
            torch.nn.init.normal_(last.weight, generator=generator)
    windowed.look_through((16, 16, 16))
    small, large = torch.randn(1, 3, 16, 12, 16), torch.randn(1, 3, 16, 12, 40)
    with torch.no_grad():
        torch.testing.assert_close(windowed.estimator(small), net.estimator(small))
        assert windowed.estimator(large).shape == net.estimator(large).shape
        assert not torch.equal(windowed.estimator(large), net.estimator(large))  # the group normalisation is that of a window
        more = torch.randn(1, 3, 16, 12, 40)
        noise = torch.ones(1, 1, 16, 12, 40)
        given = {"mean": noise, "spread": noise, "condition": torch.cat([more, noise], dim=1)}
        both = [made.denoiser(noise, torch.tensor([0.5]), **given) for made in (net, windowed)]
    assert both[0].shape == both[1].shape
    assert not torch.equal(*both)


def test_weights_of_another_make_change_nothing() -> None:
    net = posterior_net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    other = CorrectionUNet(in_channels=3, width=16, blocks_down=(1, 1), out_channels=2)
    assert not net.start_from_estimator(other.state_dict())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_the_best_spread_is_the_root_mean_square_of_the_errors_in_the_mask() -> None:
    generator = torch.Generator().manual_seed(2)
    error = 0.3 * torch.randn(1, 1, 12, 12, 12, generator=generator)
    mask = torch.rand(error.shape, generator=generator) < 0.5
    error = torch.where(mask, error, 50.0)
    log_spread = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_spread], max_iter=50)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = spread_loss(error, torch.exp(log_spread).expand_as(error), mask)
        loss.backward()
        return loss

    optimizer.step(closure)  # pyright: ignore[reportArgumentType]
    assert float(log_spread.detach().exp()) == pytest.approx(float(error[mask].square().mean().sqrt()), rel=1e-3)


def test_no_gradient_of_the_spread_reaches_the_estimate() -> None:
    estimate, spread = torch.ones(SHAPE, requires_grad=True), torch.ones(SHAPE, requires_grad=True)
    spread_loss(3.0 - estimate, spread, torch.ones(SHAPE, dtype=torch.bool), torch.tensor([2.0, 0.0])).backward()
    assert estimate.grad is None
    assert spread.grad is not None
    assert spread.grad[0].any()
    assert not spread.grad[1].any()
