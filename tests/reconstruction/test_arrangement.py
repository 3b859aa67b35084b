"""Views that lie as given are never told to lie otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from planar3d.reconstruction import arrangement
from planar3d.reconstruction.arrangement import ARRANGEMENTS, better_arrangement

if TYPE_CHECKING:
    from tests.reconstruction.conftest import Torso


@pytest.mark.parametrize("name", ["as given", "swapped", "mirrored left to right"])
def test_the_arrangement_is_found(name: str, torso: Torso) -> None:
    problem = torso.problem(ARRANGEMENTS[name](torso.views()))
    found = better_arrangement(problem, lambda turn: replace(problem, views=turn(problem.views)))
    assert found == (None if name == "as given" else name)


def test_fits_that_disagree_leave_the_views_as_given(torso: Torso, monkeypatch: pytest.MonkeyPatch) -> None:
    def of(values: list[float]) -> Callable[..., Tensor]:
        left = iter(values)
        return lambda *_: torch.tensor(next(left))

    others = len(ARRANGEMENTS) - 2
    monkeypatch.setattr(arrangement, "_organ_misfit", of([1.0, 0.8, *[2.0] * others]))
    monkeypatch.setattr(arrangement, "_em_misfit", of([1.0, 2.0, *[2.0] * others]))
    problem = torso.problem(torso.views())
    assert better_arrangement(problem, lambda turn: replace(problem, views=turn(problem.views))) is None
