"""Properties of proposals: importance that is bounded, one on average, and gives the prior back."""

from __future__ import annotations

import math

import pytest
import torch

from planar3d.phantom import Biodistribution, PhantomSynthesizer
from planar3d.phantom.biodistribution import UptakeRecord
from planar3d.phantom.proposal import UptakeProposal, effective_share
from planar3d.phantom.synthesis import PhantomRecord


def proposal_over(n: int, *, defence: float = 0.2, narrow: int = 5) -> UptakeProposal:
    """Narrow, correlated and off the middle in a few directions, the prior in the rest."""
    generator = torch.Generator().manual_seed(3)
    root = torch.eye(n, dtype=torch.float64)
    root[:narrow, :narrow] = torch.tril(0.3 * torch.randn(narrow, narrow, generator=generator, dtype=torch.float64))
    root[range(narrow), range(narrow)] = 0.4
    mean = torch.zeros(n, dtype=torch.float64)
    mean[:narrow] = torch.linspace(-1.0, 1.0, narrow, dtype=torch.float64)
    return UptakeProposal(mean=mean, covariance=root @ root.mT, defence=defence)


def drawn(proposal: UptakeProposal, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws of a proposal and their importance."""
    generator, chance = torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)
    normals = torch.randn(count, len(proposal.mean), generator=generator)
    pairs = [proposal.draw(z, chance) for z in normals]
    return torch.stack([z for z, _ in pairs]), torch.stack([w for _, w in pairs]).exp()


def test_importance_is_one_on_average_bounded_and_gives_averages_of_the_prior() -> None:
    z, w = drawn(proposal_over(8, narrow=3), 5000)
    assert (w <= 1 / 0.2 * (1 + 1e-5)).all()
    assert w.min() < 0.1
    for function, of_prior in (
        (torch.ones(len(z)), 1.0),
        (z[:, 0], 0.0),
        (z[:, 1].square(), 1.0),
        (z[:, 0] * z[:, 2], 0.0),
        (torch.exp(0.5 * z[:, 2]), math.exp(0.125)),
    ):
        terms = w * function
        assert abs(terms.mean() - of_prior) < 4 * terms.std() / math.sqrt(len(z))
    assert abs(z[:, 0].mean()) > 0.5, "without importance the averages are others"


def test_draws_are_those_of_the_prior_moved() -> None:
    proposal = proposal_over(6)
    normals = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    chance = torch.Generator().manual_seed(1)
    moved = torch.stack([proposal.draw(z, chance)[0] for z in normals])
    kept = (moved == normals).all(dim=1)
    assert 0.1 < kept.double().mean() < 0.3
    affine = (proposal.mean + normals.double() @ proposal.root.mT).float()
    torch.testing.assert_close(moved[~kept], affine[~kept])


def test_the_ratio_of_densities_is_that_of_torch() -> None:
    proposal, n = proposal_over(7), 7
    z = torch.randn(20, n, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    normal = torch.distributions.MultivariateNormal
    moved = normal(proposal.mean, scale_tril=proposal.root).log_prob(z)
    prior = normal(torch.zeros(n).double(), torch.eye(n).double()).log_prob(z)
    torch.testing.assert_close(proposal.log_ratio(z), moved - prior)
    torch.testing.assert_close(proposal.log_weight(z), -torch.log(0.2 + 0.8 * torch.exp(moved - prior)))


def test_divergence_is_that_of_gaussians() -> None:
    one, other = proposal_over(5, narrow=3), proposal_over(5, narrow=2)
    normal = torch.distributions.MultivariateNormal
    gaussian = [normal(p.mean, scale_tril=p.root) for p in (one, other)]
    assert one.divergence(other) == pytest.approx(float(torch.distributions.kl_divergence(gaussian[0], gaussian[1])), rel=1e-9)
    assert one.divergence(one) == pytest.approx(0.0, abs=1e-9)
    assert one.divergence(None) > 0


def test_effective_share_counts_equal_weights() -> None:
    log_weight = torch.full((10,), -math.inf)
    log_weight[:4] = 700.0  # beyond what a float holds once taken out of the logarithm and squared
    assert effective_share(log_weight) == pytest.approx(0.4)


def test_without_proposal_the_fixed_cases_stay_and_with_one_only_uptake_moves(synthesizer: PhantomSynthesizer) -> None:
    source, seeds = synthesizer.biodistribution, torch.arange(6)
    plain = synthesizer.draw(seeds)
    assert plain.uptake.log_weight is None
    generator = torch.Generator().manual_seed(4)
    torch.rand(len(source.table), generator=generator)
    level = torch.randn(len({t.name for t in source.table}), generator=generator)
    assert set((plain.uptake.log_level[4] / torch.tensor([t.log_sd for t in source.table])).round(decimals=4).tolist()) <= set(
        level.round(decimals=4).tolist()
    ), "levels are the normals that follow one uniform number per tissue"
    all_prior = synthesizer.with_proposal(proposal_over(source.dimensions, defence=1.0)).draw(seeds)
    moved = synthesizer.with_proposal(proposal_over(source.dimensions, defence=0.01)).draw(seeds)
    for name, value in plain.tensors().items():
        torch.testing.assert_close(all_prior.tensors()[name], value, rtol=0, atol=0, msg=name)
        if not name.startswith(("uptake.", "concentration", "lesion_concentration")):
            torch.testing.assert_close(moved.tensors()[name], value, rtol=0, atol=0, msg=name)
    assert (all_prior.uptake.log_weight == 0).all()
    assert not torch.equal(moved.concentration, plain.concentration)
    assert synthesizer.proposal is None


def test_a_seed_is_the_same_patient_at_any_batch_size_and_from_its_record(synthesizer: PhantomSynthesizer) -> None:
    source = synthesizer.with_proposal(proposal_over(synthesizer.biodistribution.dimensions))
    together = source.draw(torch.tensor([11, 12, 13]))
    alone = source.draw(torch.tensor([12]))
    for name, value in alone.tensors().items():
        torch.testing.assert_close(together[1:2].tensors()[name], value, rtol=0, atol=0, msg=name)
    again = PhantomRecord.from_tensors(together.tensors())
    assert again.uptake.log_weight is not None
    torch.testing.assert_close(again.uptake.log_weight, together.uptake.log_weight)
    torch.testing.assert_close(source.at(again, 86400.0).concentration, together.concentration)


def test_normals_make_the_uptake_of_many_at_once(biodistribution: Biodistribution) -> None:
    z = torch.randn(5, biodistribution.dimensions, generator=torch.Generator().manual_seed(0))
    together = biodistribution.of_normals(z)
    stacked = UptakeRecord.stack([biodistribution.of_normals(row) for row in z])
    for name, value in together.tensors().items():
        torch.testing.assert_close(stacked.tensors()[name], value, msg=name)


def test_bad_arguments_are_named(biodistribution: Biodistribution) -> None:
    unit = torch.eye(3)
    with pytest.raises(ValueError, match="defence"):
        UptakeProposal(mean=torch.zeros(3), covariance=unit, defence=0.0)
    with pytest.raises(ValueError, match="covariance"):
        UptakeProposal(mean=torch.zeros(3), covariance=-unit)
    with pytest.raises(ValueError, match="mean"):
        UptakeProposal(mean=torch.full((3,), math.nan), covariance=unit)
    with pytest.raises(ValueError, match="over 3 numbers"):
        biodistribution.draw(torch.Generator(), UptakeProposal(mean=torch.zeros(3), covariance=unit))
