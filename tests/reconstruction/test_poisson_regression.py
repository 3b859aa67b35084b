"""Maximum likelihood is reached, bounded, and its covariance is that of a linear model."""

from __future__ import annotations

import torch

from planar3d.reconstruction.poisson_regression import fisher_covariance, fit_amplitudes


def _system(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    P = torch.rand(2, 4, 60, generator=generator)
    return P, 100.0 * torch.rand(2, 4, generator=generator) + 10.0


def test_noise_free_amplitudes_are_recovered(generator: torch.Generator) -> None:
    P, a = _system(generator)
    y = torch.einsum("bk,bkn->bn", a, P)
    assert torch.allclose(fit_amplitudes(P, y), a, rtol=1e-5)


def test_solution_meets_the_conditions_of_optimality(generator: torch.Generator) -> None:
    P, a = _system(generator)
    a[:, 0] = 0.0
    y = torch.poisson(torch.einsum("bk,bkn->bn", a, P), generator=generator)
    y[:, :30] *= 0.5  # a model that is wrong, so that bounds come into play
    fit = fit_amplitudes(P, y).double()
    gradient = torch.einsum("bkn,bn->bk", P.double(), y / torch.einsum("bk,bkn->bn", fit, P.double()) - 1.0)
    assert (fit >= 0).all()
    assert (gradient[fit > 0].abs() < 1e-4 * 60).all()
    assert (gradient[fit == 0] <= 0).all()


def test_absent_amplitude_is_zero_and_free_of_error(generator: torch.Generator) -> None:
    P, a = _system(generator)
    P[1, 2] = 0.0
    y = torch.einsum("bk,bkn->bn", a, P)
    fit, covariance = fit_amplitudes(P, y), fisher_covariance(P, y)
    assert fit[1, 2] == 0
    assert (covariance[1, 2] == 0).all()
    assert torch.isfinite(covariance).all()


def test_covariance_of_one_amplitude_is_that_of_its_counts() -> None:
    P = torch.full((1, 1, 10), 2.0)
    a = torch.tensor([[50.0]])
    # a_hat = N / 20 with N ~ Poisson(1000)
    assert torch.allclose(fisher_covariance(P, a @ P[:, 0]), torch.tensor([[[1000.0 / 400.0]]]))


def test_amplitudes_that_cannot_be_told_apart_get_wide_finite_errors() -> None:
    P = torch.ones(1, 2, 10)
    error = fisher_covariance(P, torch.full((1, 10), 100.0)).diagonal(dim1=1, dim2=2).sqrt()
    alone = (100.0 / 10.0) ** 0.5
    assert torch.isfinite(error).all()
    assert (error > 100 * alone).all()


def test_no_counts_give_zero() -> None:
    assert (fit_amplitudes(torch.rand(1, 3, 8), torch.zeros(1, 8)) == 0).all()


def test_known_background_is_part_of_the_model_and_not_of_the_amplitudes(generator: torch.Generator) -> None:
    P, a = _system(generator)
    known = 300.0 * torch.rand(2, 60, generator=generator)
    y = torch.einsum("bk,bkn->bn", a, P) + known
    assert torch.allclose(fit_amplitudes(P, y, background=known), a, rtol=1e-4)
    assert not torch.allclose(fit_amplitudes(P, y), a, rtol=0.2)


def test_background_above_the_counts_leaves_nothing(generator: torch.Generator) -> None:
    P, a = _system(generator)
    y = torch.einsum("bk,bkn->bn", a, P)
    assert (fit_amplitudes(P, y, background=2.0 * y) <= 1e-4 * a).all()


def test_spread_over_noise_is_that_of_the_covariance_with_background(generator: torch.Generator) -> None:
    P, a = torch.rand(1, 3, 80, generator=generator), torch.tensor([[20.0, 30.0, 25.0]])
    known = torch.full((1, 80), 60.0)
    m, draws = torch.einsum("bk,bkn->bn", a, P) + known, 1500
    y = torch.poisson(m.expand(draws, -1), generator=generator)
    spread = fit_amplitudes(P.expand(draws, -1, -1), y, background=known.expand(draws, -1)).std(dim=0)
    error, without = (fisher_covariance(P, e)[0].diagonal().sqrt() for e in (m, m - known))
    assert torch.allclose(spread, error, rtol=0.08)
    assert (spread > 1.2 * without).all()
