"""EM raises the likelihood at every step, keeps counts and scale, and stays within the body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from planar3d.physics import poisson, poisson_log_likelihood
from planar3d.reconstruction import MLEM, mlem_update
from planar3d.reconstruction.mlem import uniform_start

if TYPE_CHECKING:
    from tests.reconstruction.conftest import Torso


def test_likelihood_never_falls(torso: Torso, generator: torch.Generator) -> None:
    problem = torso.problem(poisson(torso.views(), generator))
    y, sensitivity = problem.views * problem.seen, problem.projector.adjoint(problem.seen)
    x, likelihood = uniform_start(problem), []
    for _ in range(15):
        likelihood.append(poisson_log_likelihood(y.double(), (problem.projector(x) * problem.seen).double()).item())
        x = mlem_update(x, problem.projector, y, sensitivity, problem.body)
    steps = torch.tensor(likelihood).diff()
    assert (steps > 0).all()


def test_counts_are_kept(torso: Torso, generator: torch.Generator) -> None:
    problem = torso.problem(poisson(torso.views(), generator))
    expected = MLEM(iterations=3)(problem).expected_views
    assert expected is not None
    assert torch.allclose((expected * problem.seen).sum(), (problem.views * problem.seen).sum(), rtol=1e-4)


def test_activity_stays_in_the_body_and_non_negative(torso: Torso, generator: torch.Generator) -> None:
    problem = torso.problem(poisson(torso.views(), generator))
    mean = MLEM(iterations=3)(problem).mean
    assert (mean >= 0).all()
    assert (mean[~problem.body] == 0).all()


def test_stray_count_in_the_air_changes_nothing(torso: Torso) -> None:
    views = torso.views().clone()
    clean = MLEM(iterations=3)(torso.problem(views)).mean
    views[0, 0, 0, 0] = 1e4
    assert torch.equal(MLEM(iterations=3)(torso.problem(views)).mean, clean)


def test_empty_views_give_no_activity(torso: Torso) -> None:
    assert (MLEM(iterations=2)(torso.problem(torch.zeros_like(torso.views()))).mean == 0).all()


def test_refuses_no_iterations() -> None:
    with pytest.raises(ValueError, match="iterations"):
        MLEM(iterations=0)
