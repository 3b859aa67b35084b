"""What a network is shown, and the method made of it: the baseline at the start, blind to the count scale, batch = samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn

from planar3d.organs import ORGANS
from planar3d.physics import poisson
from planar3d.reconstruction.features import LABEL_CHANNELS, PhysicsInputs
from planar3d.reconstruction.learned import UNetReconstruction
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.qplanar import QPlanar
from planar3d.reconstruction.qplanar_em import QPlanarEM

if TYPE_CHECKING:
    from tests.reconstruction.conftest import Torso

RATIO = slice(2, 4)
SIGHT = slice(4, 6)


class Constant(nn.Module):
    """Answers the same residual everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, channels: Tensor) -> Tensor:
        return torch.full_like(channels[:, :1], self.value)


@pytest.fixture(scope="module")
def inputs() -> PhysicsInputs:
    return PhysicsInputs(baseline=QPlanarEM(iterations=2))


@pytest.fixture(scope="module")
def problem(torso: Torso) -> PlanarProblem:
    """Two noisy acquisitions; in the second the liver is not labelled."""
    views = poisson(torso.views().repeat(2, 1, 1, 1), torch.Generator().manual_seed(1))
    labels = torso.labels.repeat(2, 1, 1, 1, 1)
    labels[1][labels[1] == ORGANS.index("liver")] = 1
    mu_map = torso.mu_map.repeat(2, 1, 1, 1, 1)
    return PlanarProblem.from_camera(torso.camera, views=views, mu_map=mu_map, labels=labels, grid=torso.grid)


def scaled(problem: PlanarProblem, factor: float) -> PlanarProblem:
    return PlanarProblem(
        views=factor * problem.views, projector=problem.projector, mu_map=problem.mu_map, labels=problem.labels, grid=problem.grid
    )


def test_every_organ_has_one_label_channel() -> None:
    names = [name for group in LABEL_CHANNELS.values() for name in group]
    assert sorted(names) == sorted(set(ORGANS) - {"background"})


def test_channels_are_as_many_as_told_and_finite(inputs: PhysicsInputs, problem: PlanarProblem) -> None:
    channels = inputs(problem).channels
    assert channels.shape == (2, PhysicsInputs.channels, *problem.grid.shape)
    assert torch.isfinite(channels).all()
    assert channels.abs().max() < 20


def test_channels_do_not_know_the_count_scale(inputs: PhysicsInputs, problem: PlanarProblem) -> None:
    torch.testing.assert_close(inputs(scaled(problem, 8.0)).channels, inputs(problem).channels, rtol=1e-3, atol=1e-3)


def test_mixed_precision_leaves_the_channels_alone(inputs: PhysicsInputs, problem: PlanarProblem) -> None:
    plain = inputs(problem).channels
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(inputs(problem).channels, plain)


def test_a_batch_gives_what_its_samples_give(inputs: PhysicsInputs, problem: PlanarProblem, torso: Torso) -> None:
    both = inputs(problem).channels
    for k in range(2):
        views, mu_map, labels = (v[k : k + 1] for v in (problem.views, problem.mu_map, problem.labels))
        alone = PlanarProblem.from_camera(torso.camera, views=views, mu_map=mu_map, labels=labels, grid=torso.grid)
        torch.testing.assert_close(inputs(alone).channels, both[k : k + 1], rtol=1e-3, atol=1e-3)


def test_the_front_view_sees_the_front_better(inputs: PhysicsInputs, problem: PlanarProblem) -> None:
    anterior, posterior = inputs(problem).channels[0, SIGHT]
    body = problem.body[0, 0]
    front = body & (torch.arange(body.shape[1]) > 0.6 * body.shape[1]).view(1, -1, 1)
    assert (anterior[front] > posterior[front]).all()


def test_activity_that_no_label_explains_is_asked_for_where_it_is(torso: Torso) -> None:
    """A hot spot near the front on the right: both views ask for more there, and not on the left."""
    spot = torch.zeros_like(torso.activity)
    spot[:, :, 22, 17, 6] = 0.1 * torso.activity.sum()
    problem = torso.problem(torso.camera(torso.activity + spot, torso.mu_map, torso.grid))
    channels = PhysicsInputs(baseline=QPlanar())(problem).channels
    for asked in channels[0, RATIO]:
        assert asked[22, 17, 6] > 1.1
        assert asked[7, 17, 6] < 1.05
        assert asked[22, 17, 20] < 1.05


def test_an_untrained_network_gives_the_baseline(inputs: PhysicsInputs, problem: PlanarProblem) -> None:
    torch.testing.assert_close(UNetReconstruction(net=Constant(0.0), inputs=inputs)(problem).mean, inputs.baseline(problem).mean)


@pytest.mark.parametrize("residual", [-2.0, -0.1, 0.3])
def test_the_estimate_is_non_negative_scales_with_the_counts_and_stays_near_the_body(
    residual: float, inputs: PhysicsInputs, problem: PlanarProblem
) -> None:
    method = UNetReconstruction(net=Constant(residual), inputs=inputs)
    estimate = method(problem).mean
    assert (estimate >= 0).all()
    torch.testing.assert_close(method(scaled(problem, 8.0)).mean / 8.0, estimate, rtol=2e-3, atol=2e-3 * float(estimate.max()))
    grown = torch.nn.functional.max_pool3d(problem.body.float(), 3, stride=1, padding=1) > 0
    assert not estimate[~grown].any()
    assert estimate[grown & ~problem.body].any()


def test_the_method_leaves_no_graph_and_projects_its_estimate(inputs: PhysicsInputs, problem: PlanarProblem) -> None:
    posterior = UNetReconstruction(net=Constant(0.1), inputs=inputs)(problem)
    assert not posterior.mean.requires_grad
    assert posterior.expected_views is not None
    torch.testing.assert_close(posterior.expected_views, problem.projector(posterior.mean))


def test_negative_dilation_is_told() -> None:
    with pytest.raises(ValueError, match="dilation_mm must not be negative"):
        PhysicsInputs(dilation_mm=-1.0)
