"""A problem refuses what no method could use, and names it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from tests.reconstruction.conftest import Torso


def test_every_voxel_of_the_body_has_an_organ(torso: Torso) -> None:
    problem = torso.problem(torso.views())
    problem = replace(problem, labels=torch.zeros_like(problem.labels))
    assert torch.equal(problem.organ_labels > 0, torso.mu_map > 0)


def test_pixels_seen_cover_the_body_and_leave_out_the_air(torso: Torso) -> None:
    problem = torso.problem(torso.views())
    silhouette = problem.body[:, 0].any(dim=2)[:, None].expand(-1, 2, -1, -1)
    assert problem.seen[silhouette].all()
    assert problem.seen[:, :, 0].sum() == 0


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_refuses_what_is_no_count(torso: Torso, bad: float) -> None:
    views = torso.views().clone()
    views[0, 0, 3, 3] = bad
    with pytest.raises(ValueError, match="views must be counts"):
        torso.problem(views)


def test_refuses_a_grid_of_another_size(torso: Torso) -> None:
    problem = torso.problem(torso.views())
    with pytest.raises(ValueError, match="mu_map must have shape"):
        replace(problem, grid=torso.grid.resampled(5.0))


def test_refuses_a_missing_view(torso: Torso) -> None:
    with pytest.raises(ValueError, match="anterior then posterior"):
        torso.problem(torso.views()[:, :1])


def test_refuses_an_empty_anatomy(torso: Torso) -> None:
    problem = torso.problem(torso.views())
    with pytest.raises(ValueError, match="empty"):
        replace(problem, labels=torch.zeros_like(problem.labels), mu_map=torch.zeros_like(problem.mu_map))
