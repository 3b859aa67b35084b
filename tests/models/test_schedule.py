"""The learning rate rises to the optimiser's and falls to nothing, over steps or by the clock; a run may be resumed over more of them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from planar3d.models import TimedCosine, schedule, warm_up_cosine


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


def test_a_training_that_steps_do_not_end_is_told() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    with pytest.raises(ValueError, match="scheduler=timed"):
        warm_up_cosine(optimizer, total_steps=None)


class Clock:
    """Stands in for `time`."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(schedule, "time", made)
    return made


def timed(seconds: float) -> TimedCosine:
    """A schedule by the clock."""
    return TimedCosine(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0), seconds=seconds, warm_up=0.2)


def rate_after(course: TimedCosine, clock: Clock, passed_s: float) -> float:
    """Learning rate of the step that follows some time."""
    clock.now_s += passed_s
    course.optimizer.step()
    course.step()
    return course.get_last_lr()[0]


def test_by_the_clock_half_of_the_time_is_half_way_however_many_steps_it_took(clock: Clock) -> None:
    few, many = timed(100.0), timed(100.0)
    assert rate_after(few, clock, 10.0) == pytest.approx(1.0)
    assert rate_after(few, clock, 10.0) == pytest.approx(2.0)
    half_way = rate_after(few, clock, 40.0)
    assert half_way == pytest.approx(1.0)
    clock.now_s -= 60.0
    for _ in range(60):
        rate = rate_after(many, clock, 1.0)
    assert rate == pytest.approx(half_way)
    assert rate_after(many, clock, 100.0) == pytest.approx(0.0)


def test_by_the_clock_the_time_between_two_runs_does_not_count(clock: Clock) -> None:
    first = timed(100.0)
    rate_after(first, clock, 60.0)
    state = first.state_dict()
    clock.now_s += 5000.0
    second = timed(100.0)
    second.load_state_dict(state)
    assert rate_after(second, clock, 20.0) == pytest.approx(1 + math.cos(math.pi * 0.75))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seconds": 0.0}, "seconds must be positive"),
        ({"seconds": None}, "seconds must be positive"),
        ({"seconds": 9.0, "warm_up": 1.0}, "warm_up must lie in"),
    ],
)
def test_a_time_that_is_none_is_told(options: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TimedCosine(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0), **options)
