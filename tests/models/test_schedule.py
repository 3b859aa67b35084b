"""The learning rate rises to the optimiser's, falls to nothing, and may be resumed over another number of steps."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from planar3d.models import warm_up_cosine


def rates(total_steps: int, *, warm_up: float = 0.2, state: dict | None = None, steps: int | None = None) -> tuple[list[float], dict]:
    """Learning rate of each step, and the state of the schedule after them."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = warm_up_cosine(optimizer, total_steps=total_steps, warm_up=warm_up)
    if state is not None:
        schedule.load_state_dict(state)
    course = []
    for _ in range(total_steps if steps is None else steps):
        course.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return course, schedule.state_dict()


def test_it_rises_to_the_rate_of_the_optimiser_and_falls_to_nothing() -> None:
    course, _ = rates(50)
    assert course[:11] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.0])
    assert course[30] == pytest.approx(1.0)
    assert all(a > b for a, b in pairwise(course[10:]))
    assert course[-1] < 0.01


def test_without_warm_up_it_starts_at_the_top() -> None:
    assert rates(5, warm_up=0.0)[0][0] == 2.0


def test_a_longer_run_goes_on_along_its_own_course() -> None:
    _, state = rates(10, steps=10)
    resumed, _ = rates(40, state=state, steps=30)
    assert resumed[1:] == pytest.approx(rates(40)[0][11:])


@pytest.mark.parametrize("warm_up", [-0.1, 1.0])
def test_a_share_that_is_none_is_told(warm_up: float) -> None:
    with pytest.raises(ValueError, match="warm_up must lie in"):
        rates(5, warm_up=warm_up)
