"""Counts that are known beside the patient's, and counts that dead time took, change no method's answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from planar3d.physics import poisson, poisson_log_likelihood
from planar3d.reconstruction import MLEM, ConjugateView, OffsetPrior, PlanarProblem, Posterior, QPlanar, QPlanarEM, RigidOffset, mlem_update
from planar3d.reconstruction.arrangement import ARRANGEMENTS, better_arrangement
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.mlem import uniform_start
from planar3d.reconstruction.registration import _Fit, move_problem

if TYPE_CHECKING:
    from tests.reconstruction.conftest import Torso

METHODS: dict[str, tuple[Callable[[PlanarProblem], Posterior], float]] = {
    "mlem": (MLEM(iterations=60), 0.03),
    "qplanar": (QPlanar(), 1e-3),
    "qplanar_em": (QPlanarEM(), 0.02),
    "conjugate_view": (ConjugateView(), 1e-3),
}
"""And by which share of all activity the map may differ."""


def measured(torso: Torso) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Expected counts of a scan with dead time and background, that background, and the live fraction."""
    live, background = torso.uneven_live_fraction(), torso.uneven_background()
    return torso.views() * live[:, None] + background, background, live


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Sum of absolute differences relative to the sum."""
    return float((one - other).abs().sum() / other.sum())


@pytest.mark.parametrize("name", METHODS)
def test_a_method_recovers_the_same_activity(name: str, torso: Torso) -> None:
    method, tolerance = METHODS[name]
    views, background, live = measured(torso)
    plain = method(torso.problem(torso.views())).mean
    told = method(torso.problem(views, background=background, live_fraction=live))
    assert difference(told.mean, plain) < tolerance
    for partly in ({"background": background}, {"live_fraction": live}):
        assert difference(method(torso.problem(views, **partly)).mean, plain) > max(0.1, 3 * tolerance)


@pytest.mark.parametrize("name", ["mlem", "qplanar", "qplanar_em"])
def test_expected_views_hold_the_background(name: str, torso: Torso) -> None:
    views, background, live = measured(torso)
    problem = torso.problem(views, background=background, live_fraction=live)
    posterior = METHODS[name][0](problem)
    assert posterior.expected_views is not None
    torch.testing.assert_close(posterior.expected_views, problem.projector(posterior.mean) + background, rtol=1e-4, atol=1e-2)
    assert difference(posterior.expected_views * problem.seen, views * problem.seen) < 0.05


def test_likelihood_rises_above_a_background(torso: Torso, generator: torch.Generator) -> None:
    views, background, live = measured(torso)
    problem = torso.problem(poisson(views, generator), background=background, live_fraction=live)
    y, x, likelihood = problem.views * problem.seen, uniform_start(problem), []
    for _ in range(12):
        likelihood.append(poisson_log_likelihood(y.double(), (problem.expected_counts(x) * problem.seen).double()).item())
        x = mlem_update(x, problem.projector, y, problem.sensitivity, problem.body, background=background)
    assert (torch.tensor(likelihood).diff() > 0).all()


def test_a_background_above_all_counts_leaves_little_and_nothing_infinite(torso: Torso) -> None:
    views = torso.views()
    posterior = QPlanarEM()(torso.problem(views, background=3.0 * views + 1.0))
    assert torch.isfinite(posterior.mean).all()
    assert posterior.mean.sum() < 0.05 * torso.activity.sum()
    assert uniform_start(torso.problem(views, background=3.0 * views)).sum() > 0


def test_standard_errors_know_the_noise_of_the_background(torso: Torso, generator: torch.Generator) -> None:
    views, background, live = measured(torso)
    draws = 200
    problem = torso.problem(
        poisson(views.expand(draws, -1, -1, -1), generator), background=background.expand(draws, -1, -1, -1), live_fraction=live
    )
    organs = QPlanar()(problem).organs
    assert organs is not None
    assert organs.standard_error_bq is not None
    assert torch.allclose(organs.standard_error_bq.mean(dim=0), organs.activity_bq.std(dim=0), rtol=0.2)
    bias = (organs.activity_bq.mean(dim=0) - torso.organ_activity()) / (organs.standard_error_bq.mean(dim=0) / draws**0.5)
    assert (bias.abs() < 4).all()


def test_an_offset_is_found_in_spite_of_both(torso: Torso) -> None:
    planted = RigidOffset(translation_mm=torch.tensor([[4.0, 0.0, -5.0]]), rotation_deg=torch.zeros(1, 3))
    activity, mu_map = planted.move(torso.activity, torso.grid), planted.move(torso.mu_map, torso.grid)
    background, live = 10.0 * torso.uneven_background(), torso.uneven_live_fraction()
    views = torso.camera(activity, mu_map, torso.grid) * live[:, None] + background
    problem = torso.problem(views, background=background, live_fraction=live)
    posterior = QPlanar(estimate_offset=True)(problem)
    assert posterior.offset is not None
    assert torch.allclose(posterior.offset.translation_mm[:, [0, 2]], planted.translation_mm[:, [0, 2]], atol=0.5)
    assert difference(posterior.mean, activity) < 0.1
    moved = move_problem(problem, planted)
    torch.testing.assert_close(moved.expected_counts(activity), views, rtol=1e-4, atol=1e-2)


def test_steps_of_an_offset_are_judged_with_the_background(torso: Torso, generator: torch.Generator) -> None:
    """Without prior and at dispersion one, two trials differ by as much as their Poisson likelihoods."""
    views, background, live = measured(torso)
    problem = torso.problem(poisson(views, generator), background=background, live_fraction=live)
    fit = _Fit(problem, OffsetPrior(translation_mm=1e6, depth_mm=1e6, rotation_deg=1e6), newton_steps=1)
    activity = torch.stack([torso.organ_activity(), 1.1 * torso.organ_activity()])[None]
    judged = fit.log_posterior(torch.zeros(1, 2, 6), activity, torch.ones(1, 1))[0]
    expected = [problem.expected_counts(scale * torso.activity) for scale in (1.0, 1.1)]
    weight = fit.pixels.expand_as(problem.views)
    exact = [poisson_log_likelihood((problem.views * weight).double(), (m * weight).double()) for m in expected]
    torch.testing.assert_close(float(judged[0] - judged[1]), float(exact[0] - exact[1]), rtol=1e-3, atol=0.0)


def test_a_network_sees_the_same_of_a_scan_with_both(torso: Torso) -> None:
    views, background, live = measured(torso)
    plain = PhysicsInputs()(torso.problem(torso.views())).channels
    told = PhysicsInputs()(torso.problem(views, background=background, live_fraction=live)).channels
    untold = PhysicsInputs()(torso.problem(views, live_fraction=live)).channels
    # the last of the six view channels say what each view sees, which does depend on what dead time takes
    for channel in (0, 1, 6, 7):
        assert difference(told[:, channel], plain[:, channel]) < 0.03
        assert difference(untold[:, channel], plain[:, channel]) > 0.1
    for channel in (2, 3):
        assert difference(told[:, channel], plain[:, channel]) < 0.05


@pytest.mark.parametrize("name", ["as given", "swapped", "mirrored left to right"])
def test_arrangement_is_told_above_a_background(name: str, torso: Torso, generator: torch.Generator) -> None:
    live, background = torso.uneven_live_fraction(), 6.0 * torso.uneven_background()
    turn, views = ARRANGEMENTS[name], 100.0 * (torso.views() * live[:, None] + background)
    background = 100.0 * background
    problem = torso.problem(turn(poisson(views, generator)), background=turn(background), live_fraction=live)

    def arrange(function: Callable[[torch.Tensor], torch.Tensor]) -> PlanarProblem:
        return torso.problem(function(problem.views), background=function(turn(background)), live_fraction=live)

    assert better_arrangement(problem, arrange) == (None if name == "as given" else name)


def test_an_impossible_background_is_refused(torso: Torso) -> None:
    with pytest.raises(ValueError, match="background must be expected counts, non-negative and finite"):
        torso.problem(torso.views(), background=-torso.uneven_background())
