"""Properties of organ shares and of what an estimate of them says."""

from __future__ import annotations

import math

import pytest
import torch

from planar3d.organs import organ_id
from planar3d.phantom import Biodistribution
from planar3d.phantom.organ_share import OrganShares
from planar3d.phantom.proposal import effective_share
from planar3d.phantom.share_likelihood import ShareLikelihood

VOLUMES_ML = {
    "body": 30_000.0, "liver": 1800.0, "spleen": 180.0, "kidney_left": 155.0, "kidney_right": 160.0, "small_bowel": 800.0,
    "urinary_bladder": 200.0,
}  # fmt: skip
ERROR = 0.15


@pytest.fixture
def shares(biodistribution: Biodistribution) -> OrganShares:
    ids = torch.tensor([organ_id(name) for name in VOLUMES_ML])
    return OrganShares(source=biodistribution, ids=ids, volumes_ml=torch.tensor(list(VOLUMES_ML.values())))


def patients(source: Biodistribution, shares: OrganShares, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Standard normals and shares of some patients."""
    z = torch.randn(count, source.dimensions, generator=torch.Generator().manual_seed(0))
    return z.double(), shares.of_concentration(source.concentration(source.of_normals(z)))


@pytest.fixture
def likelihood(biodistribution: Biodistribution, shares: OrganShares) -> ShareLikelihood:
    """Of an estimator that errs by 15 % and finds 10 % more in the liver."""
    _, true = patients(biodistribution, shares, 4000)
    error = ERROR * torch.randn(true.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return ShareLikelihood(shares, true=true, found=true + error + 0.1 * (torch.arange(true.shape[1]) == 1))


def test_shares_add_up_and_know_no_scale(shares: OrganShares) -> None:
    activity = torch.rand(4, len(VOLUMES_ML), generator=torch.Generator().manual_seed(0))
    log = shares.of_activity(activity)
    torch.testing.assert_close((log.exp() - shares.floor).sum(dim=1), torch.ones(4).double())
    torch.testing.assert_close(shares.of_activity(1e9 * activity), log)
    assert torch.isfinite(shares.of_activity(torch.zeros(1, len(VOLUMES_ML)))).all()


def test_slopes_foretell_shares_of_patients(biodistribution: Biodistribution, shares: OrganShares) -> None:
    z, true = patients(biodistribution, shares, 400)
    missed = true - shares.median - z @ shares.slopes.mT
    assert (missed.std(dim=0) < 0.35 * true.std(dim=0)).all()


def test_errors_and_bias_are_found(likelihood: ShareLikelihood, shares: OrganShares) -> None:
    spread = likelihood.covariance.diagonal().sqrt()
    assert ((spread > ERROR) & (spread < 1.15 * ERROR)).all(), "with the floor of 5 %"
    bias = likelihood.mean - shares.median
    assert bias[1].item() == pytest.approx(0.1, abs=0.01)
    assert bias[[0, 2, 3, 4, 5, 6]].abs().max() < 0.01


def test_a_few_failures_do_not_rule_the_errors(biodistribution: Biodistribution, shares: OrganShares) -> None:
    _, true = patients(biodistribution, shares, 200)
    found = true + ERROR * torch.randn(true.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    found[:4, 2] -= 20.0
    assert ShareLikelihood(shares, true=true, found=found).covariance[2, 2].sqrt() < 1.5 * ERROR


def test_a_proposal_moves_organs_toward_the_estimate(
    biodistribution: Biodistribution, shares: OrganShares, likelihood: ShareLikelihood
) -> None:
    found = likelihood.mean.clone()
    found[3:5] += 0.6
    proposal = likelihood.proposal(found, inflation=2.0, defence=0.05)
    chance = torch.Generator().manual_seed(1)
    z = torch.stack([proposal.draw(row.float(), chance)[0] for row in patients(biodistribution, shares, 500)[0]])
    moved = shares.of_concentration(biodistribution.concentration(biodistribution.of_normals(z))).mean(dim=0) - shares.median
    before = patients(biodistribution, shares, 500)[1].mean(dim=0) - shares.median
    assert ((moved - before)[3:5] > 0.35).all()
    assert ((moved - before)[3:5] < 0.6).all()
    assert (moved - before)[2].abs() < 0.2


def test_a_wider_error_keeps_a_proposal_nearer_the_prior(likelihood: ShareLikelihood) -> None:
    found = likelihood.mean + 0.3 * torch.linspace(-1, 1, len(VOLUMES_ML), dtype=torch.float64)
    divergences = [likelihood.proposal(found, inflation=f).divergence(None) for f in (1.0, 2.0, 8.0, 64.0)]
    assert divergences == sorted(divergences, reverse=True)
    foreseen = [likelihood.foreseen_share(likelihood.proposal(found, inflation=f)) for f in (2.0, 8.0, 64.0)]
    assert foreseen == sorted(foreseen)
    assert foreseen[-1] > 0.9


def test_local_importance_leaves_the_posterior_at_every_image(likelihood: ShareLikelihood) -> None:
    """Errors of the prior's posterior mean are orthogonal to any function of the estimate, under q once weighted; not unweighted."""
    found = likelihood.mean + 0.4 * torch.tensor([0.0, -1, 1, 1, 1, -1, 0]).double()
    proposal = likelihood.proposal(found, inflation=3.0, defence=0.3)
    generator = torch.Generator().manual_seed(5)
    n, count = likelihood.slopes.shape[1], 60_000
    normal = torch.randn(count, n, generator=generator, dtype=torch.float64)
    z = torch.where(torch.rand(count, 1, generator=generator) < 0.3, normal, proposal.mean + normal @ proposal.root.mT)
    H, R = likelihood.slopes, likelihood.covariance
    error = torch.randn(count, len(found), generator=generator, dtype=torch.float64) @ torch.linalg.cholesky(R).mT
    s = likelihood.mean + z @ H.mT + error
    log_gain = likelihood.log_gain(s, proposal)
    w = torch.exp(proposal.log_weight(z) + log_gain)
    direction = H[3] / H[3].norm()
    posterior_mean = (s - likelihood.mean) @ torch.linalg.solve(H @ H.mT + R, H) @ direction
    missed = z @ direction - posterior_mean
    near = torch.exp(-0.5 * ((s - found) @ torch.linalg.inv(torch.linalg.cholesky(H @ H.mT + R)).mT).square().sum(dim=1))
    for of_image in (torch.ones(count), near, s[:, 3] - likelihood.mean[3]):
        terms = of_image * (w - 1.0)
        assert abs(terms.mean()) < 5 * terms.std() / math.sqrt(count), "one on average for every kind of image"
        terms = of_image * w * missed
        assert abs(terms.mean()) < 5 * terms.std() / math.sqrt(count)
    plain = near * missed
    assert abs(plain.mean()) > 5 * plain.std() / math.sqrt(count), "unweighted, the proposal's own posterior is learnt"
    like = torch.exp(-0.5 * ((s - found) @ torch.linalg.inv(torch.linalg.cholesky(4.0 * R)).mT).square().sum(dim=1))
    prior = proposal.log_weight(z).exp()
    assert (w * like).mean() > 5 * (prior * like).mean(), "phantoms like the measurement count, as they do not by p / q alone"
    assert effective_share(w.log()) > effective_share(prior.log())


def test_an_unusual_estimate_is_told_and_not_taken_at_its_word(likelihood: ShareLikelihood) -> None:
    usual, strange = likelihood.mean + 0.1, likelihood.mean.clone()
    strange[2] += 30.0
    assert likelihood.surprise(usual) < 1
    far = likelihood.proposal(strange, inflation=2.0)
    spread = torch.sqrt(likelihood.slopes[2].square().sum())
    assert (likelihood.slopes[2] @ far.mean) < 3 * spread, "pulled no farther than phantoms go"
    everywhere = likelihood.mean + 3.0 * torch.tensor([1.0, -1, 1, -1, 1, -1, 1]).double()
    assert likelihood.surprise(everywhere) > 2


def test_bad_arguments_are_named(biodistribution: Biodistribution, shares: OrganShares, likelihood: ShareLikelihood) -> None:
    with pytest.raises(ValueError, match="two organs or more"):
        OrganShares(source=biodistribution, ids=torch.tensor([2]), volumes_ml=torch.tensor([1.0]))
    with pytest.raises(ValueError, match="at least 4 phantoms"):
        ShareLikelihood(shares, true=torch.zeros(3, 7), found=torch.zeros(3, 7))
    with pytest.raises(ValueError, match="inflation"):
        likelihood.proposal(likelihood.mean, inflation=0.5)
