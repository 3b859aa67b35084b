"""The diffusion posterior: what it is told, how it keeps to the counts, and what it returns."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from planar3d.diffusion import EMConsistency, Sampler
from planar3d.metrics import poisson_deviance
from planar3d.nn import PosteriorNet
from planar3d.physics import poisson
from planar3d.reconstruction import diffusion
from planar3d.reconstruction.conditional_denoiser import Condition, ConditionalDenoiser
from planar3d.reconstruction.diffusion import DiffusionReconstruction
from planar3d.reconstruction.ensemble import about_both
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.network_estimate import NetworkEstimate, apply_network
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.qplanar_em import QPlanarEM
from planar3d.reconstruction.root_measurement import RootMeasurement

if TYPE_CHECKING:
    from tests.reconstruction.conftest import Torso

INPUTS = PhysicsInputs(baseline=QPlanarEM(iterations=2), em_steps=1)


@pytest.fixture(scope="module")
def net() -> PosteriorNet:
    torch.manual_seed(0)
    options = {"width": 8, "blocks_down": (1, 1)}
    return PosteriorNet(in_channels=PhysicsInputs.channels, estimator=options, denoiser=options)


@pytest.fixture(scope="module")
def problem(torso: Torso) -> PlanarProblem:
    """Two noisy acquisitions of one patient."""
    return torso.problem(poisson(torso.views().repeat(2, 1, 1, 1), torch.Generator().manual_seed(1)))


@pytest.fixture(scope="module")
def made(net: PosteriorNet, problem: PlanarProblem) -> NetworkEstimate:
    with torch.no_grad():
        return apply_network(net.estimator, INPUTS, problem)


def known(*values: bool) -> torch.Tensor:
    return torch.tensor(values)


def test_without_the_measurement_the_denoiser_is_told_nothing_of_it(net: PosteriorNet, made: NetworkEstimate, torso: Torso) -> None:
    views = torso.views()[..., torch.arange(torso.grid.shape[2] - 1, -1, -1)].repeat(2, 1, 1, 1)
    with torch.no_grad():
        other = apply_network(net.estimator, INPUTS, torso.problem(7.0 * views))
    for told, same in ((False, True), (True, False)):
        one, two = (Condition.of_estimate(m, known(told, told)) for m in (made, other))
        for name in ("mean", "channels"):
            assert torch.equal(getattr(one, name), getattr(two, name)) == same, (told, name)
    assert torch.equal(Condition.of_estimate(made, known(False, False)).spread, torch.ones_like(made.mean))


def test_copies_of_a_patient_stand_in_a_row(made: NetworkEstimate) -> None:
    condition = Condition.of_estimate(made, known(True, False, True, True), copies=2)
    torch.testing.assert_close(condition.mean[2], condition.mean[3])
    assert not torch.equal(condition.mean[0], condition.mean[1])


def test_guidance_mixes_the_answers_with_and_without_the_measurement(net: PosteriorNet, made: NetworkEstimate) -> None:
    condition, prior = (Condition.of_estimate(made, known(k, k)) for k in (True, False))
    noisy, sigma = torch.rand_like(made.mean), torch.tensor([0.5, 2.0])
    answers = {w: ConditionalDenoiser(net.denoiser, condition, prior=prior, guidance=w)(noisy, sigma) for w in (0.0, 0.25, 1.0)}
    torch.testing.assert_close(answers[0.25], 0.75 * answers[0.0] + 0.25 * answers[1.0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(answers[0.0], ConditionalDenoiser(net.denoiser, prior)(noisy, sigma))
    with pytest.raises(ValueError, match=r"guidance 2\.0 needs the condition without"):
        ConditionalDenoiser(net.denoiser, condition, guidance=2.0)


def test_a_gradient_goes_back_through_em_where_there_is_nothing(made: NetworkEstimate) -> None:
    root = made.inputs.root(made.mean).clone()
    root[..., ::2] = -0.1  # a root below zero is no activity
    root.requires_grad_()
    after = RootMeasurement(made.inputs).em(root, 2)
    after.sum().backward()
    assert (after[..., ::2] == 0).any()
    assert root.grad is not None
    assert torch.isfinite(root.grad).all()
    assert root.grad.any()


def test_the_likelihood_has_a_gradient_where_pixels_are_left_out(made: NetworkEstimate) -> None:
    assert (made.inputs.problem.seen == 0).any()
    root = made.inputs.root(made.mean).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(RootMeasurement(made.inputs).log_likelihood(root).sum(), root)
    assert torch.isfinite(gradient).all()
    assert gradient.any()


def test_em_on_roots_raises_the_likelihood_and_is_the_same_for_copies(made: NetworkEstimate) -> None:
    start = 1.3 * made.inputs.root(made.mean).repeat_interleave(2, dim=0)
    measurement, single = RootMeasurement(made.inputs, copies=2), RootMeasurement(made.inputs)
    after = measurement.em(start, 1)
    assert (measurement.log_likelihood(after) > measurement.log_likelihood(start)).all()
    torch.testing.assert_close(after[::2], single.em(start[::2], 1))
    torch.testing.assert_close(measurement.log_likelihood(start)[1::2], single.log_likelihood(start[1::2]))


def test_the_root_and_the_activity_are_each_other_s_inverse(made: NetworkEstimate) -> None:
    torch.testing.assert_close(RootMeasurement(made.inputs).activity(made.inputs.root(made.mean)), made.mean, rtol=1e-4, atol=1e-3)


def test_known_counts_are_kept(torso: Torso, net: PosteriorNet) -> None:
    background = torso.uneven_background()
    problem = torso.problem(torso.views() + background, background=background)
    with torch.no_grad():
        inputs = apply_network(net.estimator, INPUTS, problem).inputs
    measurement = RootMeasurement(inputs)
    root = inputs.root(torso.activity)
    torch.testing.assert_close(measurement.em(root, 1)[torso.labels > 0], root[torso.labels > 0], rtol=2e-3, atol=2e-3)


@pytest.fixture(scope="module")
def method(net: PosteriorNet) -> DiffusionReconstruction:
    return DiffusionReconstruction(net=net, inputs=INPUTS, samples=4, sampler=Sampler(evaluations=4, consistency=EMConsistency()))


def test_samples_mean_and_organs_belong_together(method: DiffusionReconstruction, problem: PlanarProblem) -> None:
    posterior = method(problem)
    assert posterior.samples is not None
    assert posterior.samples.shape == (4, *problem.mu_map.shape)
    assert (posterior.samples >= 0).all()
    assert torch.isfinite(posterior.samples).all()
    torch.testing.assert_close(posterior.samples.mean(dim=0), posterior.mean)
    organs = posterior.organs
    assert organs is not None
    liver = problem.organ_labels == organs.ids[2]
    total = (posterior.mean * liver).flatten(1).sum(dim=1) * problem.grid.voxel_volume_ml
    torch.testing.assert_close(organs.activity_bq[:, 2], total)
    assert organs.covariance_bq2 is not None
    assert (torch.linalg.eigvalsh(organs.covariance_bq2) > -1e-3 * organs.covariance_bq2.amax()).all()


def test_a_sample_does_not_depend_on_how_many_are_drawn_together(method: DiffusionReconstruction, problem: PlanarProblem) -> None:
    others = DiffusionReconstruction(net=method.net, inputs=INPUTS, sampler=method.sampler, samples=3, together=1)
    one, two = method(problem).samples, others(problem).samples
    assert method.together is None
    assert one is not None
    assert two is not None
    torch.testing.assert_close(one[:3], two, rtol=1e-2, atol=1e-2 * float(one.max()))


def test_as_many_samples_are_drawn_together_as_their_memory_pays_for(
    method: DiffusionReconstruction, problem: PlanarProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = math.prod(problem.grid.shape)
    for samples_of_two, shares in ((2, [(k, 1) for k in range(method.samples)]), (2 * method.samples, [(0, method.samples)])):
        monkeypatch.setattr(diffusion, "_VOXELS_AT_ONCE", samples_of_two * voxels)
        assert list(method._shares(problem)) == shares


def test_em_between_evaluations_brings_samples_to_the_counts(net: PosteriorNet, problem: PlanarProblem) -> None:
    deviance = {}
    for name, consistency in (("off", None), ("em", EMConsistency())):
        sampler = Sampler(evaluations=4, consistency=consistency)
        samples = DiffusionReconstruction(net=net, inputs=INPUTS, samples=2, sampler=sampler)(problem).samples
        assert samples is not None
        deviance[name] = poisson_deviance(problem.views, problem.expected_counts(samples[0]).clamp(min=1e-6)).mean()
    assert deviance["em"] < 0.8 * deviance["off"]


def test_one_view_and_no_anatomy_leave_out_what_they_say(problem: PlanarProblem, torso: Torso) -> None:
    swapped = replace(problem, views=problem.views * torch.tensor([1.0, 3.0])[:, None, None])
    anterior = PhysicsInputs(baseline=QPlanarEM(iterations=2), views=[0])
    torch.testing.assert_close(anterior(problem).channels, anterior(swapped).channels)
    blind = PhysicsInputs(baseline=QPlanarEM(iterations=2), anatomy=False)
    flipped = replace(problem, labels=torch.where(problem.labels > 1, 10 - problem.labels.clamp(max=9), problem.labels))
    torch.testing.assert_close(blind(problem).channels, blind(flipped).channels)
    assert not torch.equal(INPUTS(problem).channels, INPUTS(flipped).channels)
    with pytest.raises(ValueError, match="views must be one or both"):
        PhysicsInputs(views=[2])


def test_a_second_pass_sees_the_first_estimate(problem: PlanarProblem) -> None:
    class Half(torch.nn.Module):
        """Lowers the root of the baseline, which the sixth channel holds."""

        def forward(self, channels: torch.Tensor) -> torch.Tensor:
            return -0.5 * channels[:, 6:7]

    plain = PhysicsInputs(baseline=QPlanarEM(iterations=2))
    one, two = (apply_network(Half(), plain, problem, passes=n) for n in (1, 2))
    torch.testing.assert_close(two.passes[0], one.mean)
    torch.testing.assert_close(two.mean, 0.25 * one.mean, rtol=1e-4, atol=1e-3)
    with pytest.raises(ValueError, match="passes must be at least 1"):
        apply_network(Half(), plain, problem, passes=0)


def test_organ_errors_are_widened(net: PosteriorNet, problem: PlanarProblem, method: DiffusionReconstruction) -> None:
    plain = method(problem).organs
    wide = DiffusionReconstruction(net=net, inputs=INPUTS, samples=4, sampler=method.sampler, organ_widen=2.0, organ_error=0.1)(
        problem
    ).organs
    assert plain is not None
    assert wide is not None
    assert plain.standard_error_bq is not None
    expected = torch.sqrt((2.0 * plain.standard_error_bq).square() + (0.1 * plain.activity_bq).square())
    torch.testing.assert_close(wide.standard_error_bq, expected)
    with pytest.raises(ValueError, match="organ_widen must be positive"):
        DiffusionReconstruction(net=net, inputs=INPUTS, organ_widen=0.0)


def test_too_few_samples_are_told(net: PosteriorNet) -> None:
    with pytest.raises(ValueError, match="samples must be at least 2"):
        DiffusionReconstruction(net=net, inputs=INPUTS, samples=1)


@pytest.fixture
def samples(made: NetworkEstimate) -> torch.Tensor:
    """Six samples that are too high, with nothing in a few voxels."""
    drawn = 1.4 * made.mean * torch.empty(6, *made.mean.shape).uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(0))
    drawn[..., :2] = 0.0
    return drawn


def test_the_mean_is_that_of_both_networks_and_the_spread_goes_along(samples: torch.Tensor, made: NetworkEstimate) -> None:
    moved = about_both(samples, made, share=0.25, em_steps=0)
    mean = samples.mean(dim=0)
    expected = (0.75 * mean.sqrt() + 0.25 * made.mean.sqrt()).square()
    somewhere = mean > 1e-3 * mean.max()
    torch.testing.assert_close(moved.mean(dim=0)[somewhere], expected[somewhere])
    before, after = ((x.std(dim=0) / x.mean(dim=0))[somewhere] for x in (samples, moved))
    torch.testing.assert_close(after, before)
    assert (moved[..., :2] == 0).all()
    torch.testing.assert_close(about_both(samples, made, share=1.0, em_steps=0).mean(dim=0)[somewhere], made.mean[somewhere])
    assert about_both(samples, made, share=0.0, em_steps=0) is samples


def test_em_steps_after_the_move_bring_every_sample_to_the_counts(samples: torch.Tensor, made: NetworkEstimate) -> None:
    given = made.inputs.problem
    before, after = (about_both(samples, made, share=0.5, em_steps=n) for n in (0, 3))
    for one, other in zip(before, after, strict=True):
        start, end = (poisson_deviance(given.views, given.expected_counts(x).clamp(min=1e-3)) for x in (one, other))
        assert (end < 0.5 * start).all()
    assert (after.std(dim=0) > 0).any()


def test_samples_are_moved_unless_they_are_of_the_prior(net: PosteriorNet, problem: PlanarProblem) -> None:
    def mean(**options: float) -> torch.Tensor:
        method = DiffusionReconstruction(net=net, inputs=INPUTS, sampler=Sampler(evaluations=2), samples=2, **options)  # pyright: ignore
        return method(problem).mean

    plain = mean()
    assert not torch.equal(mean(estimator_share=0.5), plain)
    assert not torch.equal(mean(em_steps=1), plain)
    torch.testing.assert_close(mean(guidance=0.0, estimator_share=0.5, em_steps=1), mean(guidance=0.0))


@pytest.mark.parametrize("asked", [{"estimator_share": 1.2}, {"estimator_share": -0.1}, {"em_steps": -1}])
def test_a_share_or_steps_that_cannot_be_are_told(net: PosteriorNet, asked: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(asked))):
        DiffusionReconstruction(net=net, inputs=INPUTS, **asked)  # pyright: ignore
