"""Tuning by reward: the samples come to agree with the counts, no further than the truth does, and the start stays as it was."""

from __future__ import annotations

import pytest
import torch

from planar3d.data import PhantomDataModule
from planar3d.diffusion import NoiseField, Sampler
from planar3d.metrics import poisson_deviance
from planar3d.models.reward import RewardTuning
from planar3d.nn import PosteriorNet
from planar3d.reconstruction.diffusion import draw_samples
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.network_estimate import apply_network
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.qplanar_em import QPlanarEM

INPUTS = PhysicsInputs(baseline=QPlanarEM(iterations=1))


@pytest.fixture
def net() -> PosteriorNet:
    torch.manual_seed(0)
    options = {"width": 8, "blocks_down": (1,)}
    return PosteriorNet(in_channels=PhysicsInputs.channels, estimator=options, denoiser=options)


@pytest.fixture
def problem(data: PhantomDataModule) -> PlanarProblem:
    data.setup("fit")
    return data.synthesise(torch.arange(1), epoch=0).problem


def tuning(**options: float) -> RewardTuning:
    return RewardTuning(sampler=Sampler(evaluations=8), samples=4, **({"steps": 12, "lr": 3e-3, "penalty": 1e-3} | options))  # pyright: ignore[reportArgumentType]


def deviance(net: PosteriorNet, problem: PlanarProblem) -> float:
    """Of samples of the network, always the same draws."""
    with torch.no_grad():
        made = apply_network(net.estimator, INPUTS, problem)
        samples = draw_samples(net, made, Sampler(evaluations=8), NoiseField(), copies=8, seed=3)
        expected = problem.expected_counts(samples.flatten(0, 1)).clamp(min=1e-3)
        return float(poisson_deviance(problem.views.expand_as(expected), expected).mean())


def test_samples_come_to_agree_with_the_counts(net: PosteriorNet, problem: PlanarProblem) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    tuned, course = tuning(steps=20, lr=1e-2)(net, INPUTS, problem)
    assert deviance(tuned, problem) < 0.95 * deviance(net, problem)
    assert course[0].distance == pytest.approx(0.0, abs=1e-10)
    assert course[-1].distance > 0
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(net.estimator.parameters(), tuned.estimator.parameters(), strict=True))


def test_a_heavy_penalty_keeps_the_denoiser_where_it_was(net: PosteriorNet, problem: PlanarProblem) -> None:
    free, held = (tuning(penalty=p)(net, INPUTS, problem)[1][-1].distance for p in (1e-3, 1e3))
    assert held < 0.3 * free


def test_agreement_beyond_the_target_earns_nothing(net: PosteriorNet, problem: PlanarProblem) -> None:
    tuned, course = tuning(target=1e9, steps=2)(net, INPUTS, problem)
    assert course[-1].distance == 0.0
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), tuned.parameters(), strict=True))


@pytest.mark.parametrize(("options", "said"), [({"steps": 0}, "steps and samples"), ({"differentiable": 9}, "differentiable must lie")])
def test_options_that_make_no_sense_are_told(options: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tuning(**options)
