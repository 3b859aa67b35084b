"""EM after QPlanar explains the counts better, and lets activity come where QPlanar had none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from planar3d.physics import poisson, poisson_log_likelihood
from planar3d.reconstruction import QPlanar, QPlanarEM, RigidOffset

if TYPE_CHECKING:
    from tests.reconstruction.conftest import Torso


def test_likelihood_rises_above_qplanar(torso: Torso, generator: torch.Generator) -> None:
    uneven = torso.activity * torch.linspace(0.5, 1.5, torso.grid.shape[2])
    problem = torso.problem(poisson(torso.camera(uneven, torso.mu_map, torso.grid), generator))
    first, then = QPlanar()(problem).expected_views, QPlanarEM()(problem).expected_views
    assert first is not None
    assert then is not None
    assert poisson_log_likelihood(problem.views, then) > poisson_log_likelihood(problem.views, first)


def test_uneven_activity_is_met_better_than_by_qplanar(torso: Torso) -> None:
    uneven = torso.activity * torch.linspace(0.5, 1.5, torso.grid.shape[2])
    problem = torso.problem(torso.camera(uneven, torso.mu_map, torso.grid))
    first, then = ((m(problem).mean - uneven).abs().sum() for m in (QPlanar(), QPlanarEM()))
    assert then < first


def test_activity_comes_where_qplanar_had_none(torso: Torso) -> None:
    spot = torch.zeros_like(torso.labels, dtype=torch.bool)
    spot[0, 0, 16:18, 14:16, 9:11] = True
    hot = torch.where(spot, torso.activity.max(), torso.activity * (torso.labels > 1))
    problem = torso.problem(torso.camera(hot, torso.mu_map, torso.grid))
    cold_start = QPlanar()(problem).mean
    filled = QPlanarEM()(problem).mean
    assert (torso.labels[spot] == 1).all()
    assert filled[spot].mean() > 2 * cold_start[spot].mean()
    assert filled[spot].mean() > 2 * filled[torso.labels == 1].mean()
    assert (filled[~problem.body] == 0).all()


def test_moved_anatomy_is_kept(torso: Torso) -> None:
    planted = RigidOffset(translation_mm=torch.tensor([[8.0, 0.0, 0.0]]), rotation_deg=torch.zeros(1, 3))
    activity, mu_map = planted.move(torso.activity, torso.grid), planted.move(torso.mu_map, torso.grid)
    problem = torso.problem(torso.camera(activity, mu_map, torso.grid))
    moved = QPlanarEM(qplanar=QPlanar(estimate_offset=True), iterations=2)(problem)
    still = QPlanarEM(iterations=2)(problem)
    assert moved.offset is not None
    assert (moved.mean - activity).abs().sum() < 0.6 * (still.mean - activity).abs().sum()


@pytest.mark.parametrize("floor", [-0.1, 1.0])
def test_refuses_a_floor_that_is_no_fraction(floor: float) -> None:
    with pytest.raises(ValueError, match="floor"):
        QPlanarEM(floor=floor)
