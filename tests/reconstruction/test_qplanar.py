"""QPlanar finds the organ activities, knows its error by noise, and finds where the patient lay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from planar3d.physics import poisson, poisson_log_likelihood
from planar3d.reconstruction import PlanarProblem, QPlanar, RigidOffset

if TYPE_CHECKING:
    from tests.reconstruction.conftest import Torso

DRAWS = 200


@pytest.fixture(scope="module")
def draws(torso: Torso) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Estimates and standard errors over noise draws ``(draw, k)``, and the truth ``(k,)`` [Bq]."""
    generator = torch.Generator().manual_seed(1)
    posterior = QPlanar()(torso.problem(poisson(torso.views().expand(DRAWS, -1, -1, -1), generator)))
    assert posterior.organs is not None
    assert posterior.organs.standard_error_bq is not None
    return posterior.organs.activity_bq, posterior.organs.standard_error_bq, torso.organ_activity()


def test_noise_free_activities_are_exact(torso: Torso) -> None:
    posterior = QPlanar()(torso.problem(torso.views()))
    assert posterior.organs is not None
    assert torch.allclose(posterior.organs.activity_bq[0], torso.organ_activity(), rtol=1e-4)
    assert torch.allclose(posterior.mean, torso.activity, rtol=1e-4, atol=1e-4 * float(torso.activity.max()))


def test_total_activity_of_map_and_organs_agree(torso: Torso, generator: torch.Generator) -> None:
    posterior = QPlanar()(torso.problem(poisson(torso.views(), generator)))
    assert posterior.organs is not None
    assert torch.allclose(posterior.mean.sum() * torso.grid.voxel_volume_ml, posterior.organs.activity_bq.sum(), rtol=1e-4)


def test_likelihood_is_above_that_of_the_truth(torso: Torso, generator: torch.Generator) -> None:
    problem = torso.problem(poisson(torso.views(), generator))
    expected = QPlanar()(problem).expected_views
    assert expected is not None
    fit, truth = (poisson_log_likelihood(problem.views * problem.seen, m * problem.seen) for m in (expected, torso.views()))
    assert fit > truth


def test_unbiased_over_noise(draws: tuple[torch.Tensor, ...]) -> None:
    estimate, error, truth = draws
    bias = (estimate.mean(dim=0) - truth) / (error.mean(dim=0) / DRAWS**0.5)
    assert (bias.abs() < 4).all()


def test_standard_errors_are_the_spread_over_noise(draws: tuple[torch.Tensor, ...]) -> None:
    estimate, error, _ = draws
    # the standard deviation of 200 draws is itself known to 5 %
    assert torch.allclose(error.mean(dim=0), estimate.std(dim=0), rtol=0.2)


def test_intervals_cover_as_often_as_they_say(draws: tuple[torch.Tensor, ...]) -> None:
    estimate, error, truth = draws
    for level, z in ((0.5, 0.6745), (0.9, 1.6449), (0.95, 1.96)):
        covered = ((estimate - truth).abs() <= z * error).float().mean().item()
        assert abs(covered - level) < 0.05


def test_errors_grow_with_misfit(torso: Torso, generator: torch.Generator) -> None:
    uneven = torso.activity * torch.linspace(0.5, 1.5, torso.grid.shape[2])
    views = poisson(torso.camera(uneven, torso.mu_map, torso.grid), generator)
    noise_only, honest = (QPlanar(count_misfit=c)(torso.problem(views)).organs for c in (False, True))
    assert noise_only is not None
    assert honest is not None
    assert noise_only.standard_error_bq is not None
    assert honest.standard_error_bq is not None
    assert (honest.standard_error_bq > 3 * noise_only.standard_error_bq).all()


def test_organ_without_activity_stays_non_negative_with_an_error(torso: Torso, generator: torch.Generator) -> None:
    cold = torso.activity * (torso.labels != 3)
    posterior = QPlanar()(torso.problem(poisson(torso.camera(cold, torso.mu_map, torso.grid), generator)))
    assert posterior.organs is not None
    assert posterior.organs.standard_error_bq is not None
    spleen = posterior.organs.ids.tolist().index(3)
    assert 0 <= posterior.organs.activity_bq[0, spleen] < 4 * posterior.organs.standard_error_bq[0, spleen]
    assert torch.isfinite(posterior.organs.standard_error_bq).all()


@pytest.mark.parametrize("with_camera", [True, False])
def test_planted_offset_is_found(torso: Torso, with_camera: bool) -> None:
    planted = RigidOffset(translation_mm=torch.tensor([[4.0, 0.0, -5.0]]), rotation_deg=torch.tensor([[1.0, -1.0, 1.5]]))
    activity = planted.move(torso.activity, torso.grid)
    mu_map = planted.move(torso.mu_map, torso.grid) if with_camera else torso.mu_map
    problem = torso.problem(torso.camera(activity, mu_map, torso.grid))
    if not with_camera:
        problem = PlanarProblem(
            views=problem.views, projector=problem.projector, mu_map=problem.mu_map, labels=problem.labels, grid=problem.grid
        )
    posterior = QPlanar(estimate_offset=True)(problem)
    assert posterior.offset is not None
    assert posterior.offset.translation_error_mm is not None
    across = [0, 2]
    assert torch.allclose(posterior.offset.translation_mm[:, across], planted.translation_mm[:, across], atol=0.5)
    assert torch.allclose(posterior.offset.rotation_deg, planted.rotation_deg, atol=0.3)
    # depth is what two views see least
    assert posterior.offset.translation_error_mm.argmax(dim=1) == 1 or not with_camera
    plain, moved = QPlanar()(problem).mean, posterior.mean
    assert (moved - activity).abs().sum() < 0.2 * (plain - activity).abs().sum()


def test_no_offset_is_found_where_there_is_none(torso: Torso, generator: torch.Generator) -> None:
    posterior = QPlanar(estimate_offset=True)(torso.problem(poisson(torso.views(), generator)))
    offset = posterior.offset
    assert offset is not None
    assert offset.translation_error_mm is not None
    assert (offset.translation_mm.abs() < torch.maximum(4 * offset.translation_error_mm, torch.tensor(0.5))).all()


def test_refuses_no_iterations() -> None:
    with pytest.raises(ValueError, match="iterations"):
        QPlanar(iterations=0)


@pytest.mark.parametrize("estimate_offset", [False, True])
def test_an_activity_of_which_nothing_is_counted_is_known_to_one_count(torso: Torso, *, estimate_offset: bool) -> None:
    organs = QPlanar(estimate_offset=estimate_offset)(torso.problem(torch.zeros_like(torso.views()))).organs
    assert organs is not None
    assert organs.standard_error_bq is not None
    assert (organs.activity_bq == 0).all()
    counts = torso.views().sum() / torso.organ_activity().sum()  # of 1 Bq of the organs together
    assert (organs.standard_error_bq > 0.1 / counts).all()
