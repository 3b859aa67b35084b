"""Phantoms of a measured patient are imaged as the measurement was, and weighted where they come from a proposal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from planar3d.anatomy.patient import Patient
from planar3d.data.measured_datamodule import COUNT_RANGE, LARGEST_WEIGHT, MeasuredDataModule
from planar3d.phantom import PhantomSynthesizer
from planar3d.phantom.organ_share import OrganShares
from planar3d.phantom.share_likelihood import ShareLikelihood
from planar3d.physics import poisson_deviance
from planar3d.reconstruction.organ_estimate import OrganEstimate
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.simulation import PlanarSimulator

Make = Callable[..., MeasuredDataModule]


@pytest.fixture(scope="module")
def measured(patients: list[Patient], simulator: PlanarSimulator) -> PlanarProblem:
    """One acquisition of the first patient."""
    patient = patients[0]
    labels, mu_map = patient.labels[None], patient.mu_map(simulator.camera.energy_kev)[None]
    truth = simulator.simulate(labels=labels, given_labels=labels, mu_map=mu_map, grid=patient.grid, seeds=torch.tensor([2**31 + 5]))
    return PlanarProblem.of_batch(truth, simulator.camera, patient.grid)


@pytest.fixture
def make(measured: PlanarProblem, simulator: PlanarSimulator) -> Make:
    """Makes a data module of the measurement, set up."""

    def data(**options: object) -> MeasuredDataModule:
        module = MeasuredDataModule(**({"problem": measured, "synthesizer": simulator.synthesizer, "batch_size": 8} | options))
        module.setup("fit")
        return module

    return data


def aimed(data: MeasuredDataModule) -> MeasuredDataModule:
    """The module once drawing from a proposal by QPlanar."""
    estimate = OrganEstimate(data.problem)
    shares = OrganShares(source=data.simulator.synthesizer.biodistribution, ids=estimate.ids, volumes_ml=estimate.volumes_ml)
    pairs = [(data.simulator.synthesizer.draw(seeds).concentration, estimate(solved.problem)) for solved, seeds in data.pool(32)]
    true, found = (torch.cat(values) for values in zip(*pairs, strict=True))
    likelihood = ShareLikelihood(shares, true=shares.of_concentration(true), found=shares.of_activity(found))
    proposal = likelihood.proposal(shares.of_activity(estimate(data.problem))[0])
    data.aim(proposal, likelihood=likelihood, shares=shares, estimate=estimate, seed=7)
    return data


def test_counts_are_those_measured(make: Make, measured: PlanarProblem) -> None:
    made = make().synthesise(torch.arange(8), epoch=0)
    ratio = made.problem.views[:, 0].sum(dim=(1, 2)) / measured.views[:, 0].sum()
    assert (ratio > COUNT_RANGE[0] - 0.02).all()
    assert (ratio < COUNT_RANGE[1] + 0.02).all()
    torch.testing.assert_close(made.problem.labels, measured.labels.expand(8, -1, -1, -1, -1))
    assert made.weight is None


def test_background_and_dead_time_are_recorded_as_the_problem_expects(
    measured: PlanarProblem, make: Make, simulator: PlanarSimulator
) -> None:
    assert measured.camera is not None
    live = torch.linspace(0.6, 0.9, measured.grid.shape[2]).expand(2, -1).contiguous()
    background = 0.2 * measured.views.mean() * torch.ones_like(measured.views)
    views = torch.round(measured.views * live[:, None] + background)
    problem = PlanarProblem.from_camera(
        measured.camera, views=views, mu_map=measured.mu_map, labels=measured.labels, grid=measured.grid, background=background,
        live_fraction=live,
    )  # fmt: skip
    still = PhantomSynthesizer(biodistribution=simulator.synthesizer.biodistribution)
    made = make(problem=problem, synthesizer=still).synthesise(torch.arange(24), epoch=0)
    expected = made.problem.expected_counts(made.truth.activity)
    assert (poisson_deviance(made.problem.views, expected) - 1).abs().max() < 0.3
    assert poisson_deviance(made.problem.views, expected - made.problem.known_counts).min() > 2
    torch.testing.assert_close(made.truth.views, made.problem.views)


def test_a_sample_is_the_same_at_any_batch_size_and_another_in_another_round(make: Make) -> None:
    data = aimed(make())
    together, alone = data.synthesise(torch.tensor([3, 4, 5]), epoch=0), data.synthesise(torch.tensor([4]), epoch=0)
    torch.testing.assert_close(together.truth.activity[1:2], alone.truth.activity, rtol=1e-3, atol=1.0)
    assert together.weight is not None
    assert alone.weight is not None
    torch.testing.assert_close(together.weight[1:2], alone.weight, rtol=1e-2, atol=0)  # a count more or less from rounding
    data.seed = 8
    assert not torch.allclose(data.synthesise(torch.tensor([4]), epoch=0).truth.activity, alone.truth.activity, rtol=0.01)


@pytest.mark.parametrize("correction", ["local", "prior"])
def test_training_samples_of_a_proposal_carry_weights_of_mean_about_one(make: Make, correction: str) -> None:
    data = aimed(make(correction=correction))
    weight = torch.cat([data.synthesise(index, epoch=0).weight for index in torch.arange(192).split(32)])
    assert (weight > 0).all()
    assert weight.max() <= LARGEST_WEIGHT
    assert weight.std() > 0.05
    assert abs(weight.mean() - 1) < 4 * weight.std() / len(weight) ** 0.5 + 0.15, "the error model is near, the weights are not exact"
    assert data.synthesise(torch.arange(2), epoch=None).weight is None, "validation shows what training made of it"


def test_without_correction_there_is_no_weight(make: Make) -> None:
    assert aimed(make(correction="none")).synthesise(torch.arange(2), epoch=0).weight is None


def test_the_proposal_makes_phantoms_more_like_the_measurement(make: Make, measured: PlanarProblem) -> None:
    def distance(data: MeasuredDataModule) -> torch.Tensor:
        views = torch.cat([solved.problem.views for solved, _ in data.pool(48)])
        shape = views / views.sum(dim=(1, 2, 3), keepdim=True)
        return (shape - measured.views / measured.views.sum()).abs().sum(dim=(1, 2, 3)).mean()

    assert distance(aimed(make())) < 0.9 * distance(make())


def test_bad_arguments_are_named(make: Make, measured: PlanarProblem) -> None:
    with pytest.raises(ValueError, match="correction must be one of local, prior, none"):
        make(correction="whole")
    with pytest.raises(ValueError, match="nothing to learn from"):
        make(problem=replace(measured, views=torch.zeros_like(measured.views)))
    with pytest.raises(ValueError, match="known camera"):
        make(problem=replace(measured, camera=None))
