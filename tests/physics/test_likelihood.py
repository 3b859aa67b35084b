"""Poisson likelihood and noise."""

import torch

from planar3d.physics import poisson, poisson_deviance, poisson_log_likelihood


def test_deviance_is_zero_only_where_the_expectation_is_the_data(generator: torch.Generator) -> None:
    y = torch.tensor([[[0.0, 3.0], [7.0, 1.0]]])
    assert float(poisson_deviance(y, y)) == 0.0
    assert float(poisson_deviance(y, y + 0.5)) > 0.0


def test_deviance_of_the_right_model_is_about_one(generator: torch.Generator) -> None:
    expected = torch.full((2, 200, 200), 20.0)
    deviance = poisson_deviance(poisson(expected, generator), expected)
    torch.testing.assert_close(deviance, torch.ones(2), atol=0.05, rtol=0.0)


def test_log_likelihood_differs_by_half_the_deviance(generator: torch.Generator) -> None:
    y = torch.randint(1, 9, (3, 4, 5), generator=generator).double()
    a, b = (torch.rand(3, 4, 5, generator=generator, dtype=torch.float64) + 1.0 for _ in range(2))
    gain = poisson_log_likelihood(y, a) - poisson_log_likelihood(y, b)
    torch.testing.assert_close(gain, (poisson_deviance(y, b) - poisson_deviance(y, a)) * 20 / 2)


def test_noise_has_the_mean_and_variance_of_counting() -> None:
    expected = torch.full((100_000,), 6.5)
    counts = poisson(expected, torch.Generator().manual_seed(1))
    assert abs(float(counts.mean()) - 6.5) < 0.05
    assert abs(float(counts.var()) - 6.5) < 0.15
    assert torch.equal(counts, poisson(expected, torch.Generator().manual_seed(1)))


def test_gradient_is_finite_where_nothing_is_expected_and_nothing_counted() -> None:
    y, expected = torch.tensor([[0.0, 3.0]]), torch.tensor([[0.0, 2.0]], requires_grad=True)
    likelihood, deviance = poisson_log_likelihood(y, expected).sum(), poisson_deviance(y, expected).sum()
    # d/dm (y log m - m) = y / m - 1; the deviance is minus twice that, a mean over two pixels
    torch.testing.assert_close(torch.autograd.grad(likelihood, expected)[0], torch.tensor([[-1.0, 0.5]]))
    torch.testing.assert_close(torch.autograd.grad(deviance, expected)[0], torch.tensor([[1.0, -0.5]]))
