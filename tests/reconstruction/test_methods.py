"""What holds for every classical method: samples do not mix, counts scale, and views must not be swapped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from planar3d.physics import poisson
from planar3d.reconstruction import MLEM, ConjugateView, PlanarProblem, Posterior, QPlanar, QPlanarEM

if TYPE_CHECKING:
    from tests.reconstruction.conftest import Torso

Method = Callable[[PlanarProblem], Posterior]
METHODS = [ConjugateView(), MLEM(iterations=5), QPlanar(), QPlanarEM(iterations=4)]
methods = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)


@methods
def test_batch_equals_elements(torso: Torso, generator: torch.Generator, method: Method) -> None:
    views = poisson(torso.views() * torch.tensor([1.0, 0.1]).view(2, 1, 1, 1), generator)
    together = method(torso.problem(views)).mean
    for k in range(2):
        alone = method(torso.problem(views[k : k + 1])).mean
        assert torch.allclose(together[k : k + 1], alone, rtol=1e-3, atol=1e-4 * float(alone.max()))


@methods
def test_scales_with_the_counts(torso: Torso, generator: torch.Generator, method: Method) -> None:
    views = poisson(torso.views(), generator)
    once, thrice = method(torso.problem(views)).mean, method(torso.problem(3.0 * views)).mean
    assert torch.allclose(thrice, 3.0 * once, rtol=1e-3, atol=1e-4 * float(thrice.max()))


@methods
def test_expected_views_are_those_of_the_mean(torso: Torso, method: Method) -> None:
    problem = torso.problem(torso.views())
    posterior = method(problem)
    assert posterior.expected_views is not None
    expected = problem.projector(posterior.mean)
    assert torch.allclose(posterior.expected_views, expected, rtol=1e-4, atol=1e-4 * float(expected.max()))


@pytest.mark.parametrize("method", METHODS[1:], ids=lambda m: m.name)
def test_swapped_views_make_it_worse(torso: Torso, method: Method) -> None:
    views = torso.views()
    right, wrong = (method(torso.problem(v)).mean for v in (views, views.flip(1)))
    assert (wrong - torso.activity).abs().sum() > 1.1 * (right - torso.activity).abs().sum()


@methods
def test_mirrored_views_make_it_worse(torso: Torso, method: Method) -> None:
    views = torso.views()
    right, wrong = (method(torso.problem(v)).mean for v in (views, views.flip(2)))
    assert (wrong - torso.activity).abs().sum() > 1.1 * (right - torso.activity).abs().sum()


@methods
def test_dtype_follows_the_views(torso: Torso, method: Method) -> None:
    assert method(torso.problem(torso.views())).mean.dtype == torch.float32
