"""The course of the learning rate: up in a straight line, down in half a cosine.

``f(k) = (k + 1) / w`` for step ``k < w`` and ``f(k) = (1 + cos(pi (k - w) / (n - w))) / 2`` after that, with ``n`` steps in all and
``w`` of warm-up. Nothing of it is in a checkpoint but the step, so a run may be resumed with another number of steps. `TimedCosine` goes
by the clock instead, where it is a time that a training may take and not a number of steps.
"""

from __future__ import annotations

import math
import time

import torch
from torch import distributed
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

__all__ = ["TimedCosine", "warm_up_cosine"]


def warm_up_cosine(optimizer: Optimizer, *, total_steps: int | None, warm_up: float = 0.05) -> LambdaLR:
    """Schedule that advances once per step.

    Args:
        optimizer: Its learning rate is the highest that is reached.
        total_steps: Number of steps of the training; None is one that its steps do not end.
        warm_up: Share of the steps in which the rate rises.

    Raises:
        ValueError: The number of steps is not known, or the share does not lie in [0, 1).
    """
    if total_steps is None:
        raise ValueError("this schedule needs the number of steps; give trainer.max_epochs, or go by the clock with scheduler=timed")
    _require_share(warm_up, "all steps")
    rising = math.ceil(warm_up * total_steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return _half_cosine((step - rising) / max(1, total_steps - rising))

    return LambdaLR(optimizer, factor)


class TimedCosine(LRScheduler):
    """The same course over a time: half of the seconds gone is half-way, however many steps that took.

    A run that is resumed goes on where the clock stood when its checkpoint was written. Several devices follow the clock of the first.

    Args:
        optimizer: Its learning rate is the highest that is reached.
        total_steps: Not used; schedules are given it.
        seconds: What the training may take [s], as ``trainer.max_time`` ends it.
        warm_up: Share of the time in which the rate rises.

    Raises:
        ValueError: The time is not given or not positive, or the share does not lie in [0, 1).
    """

    def __init__(self, optimizer: Optimizer, *, seconds: int | float | None, total_steps: int | None = None, warm_up: float = 0.05) -> None:
        if seconds is None or seconds <= 0:
            raise ValueError(f"seconds must be positive, got {seconds}; give what the training may take, as +trainer.max_time.seconds=270")
        _require_share(warm_up, "the time")
        self.seconds = seconds
        self.warm_up = warm_up
        self.elapsed_s = 0.0
        self._read_s = time.monotonic()
        super().__init__(optimizer)

    def get_lr(self) -> list[float | torch.Tensor]:
        """Rate of each group of parameters now."""
        now = time.monotonic()
        self.elapsed_s = _of_the_first_device(self.elapsed_s + now - self._read_s)
        self._read_s = now
        gone = self.elapsed_s / self.seconds
        factor = gone / self.warm_up if gone < self.warm_up else _half_cosine((gone - self.warm_up) / (1 - self.warm_up))
        return [rate * factor for rate in self.base_lrs]

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from a checkpoint, over the seconds of this run; the time since it was written does not count."""
        kept = self.seconds, self.warm_up
        super().load_state_dict(state_dict)
        self.seconds, self.warm_up = kept
        self._read_s = time.monotonic()


def _half_cosine(progress: float) -> float:
    """From one down to nothing at progress 1, and nothing from there on."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def _of_the_first_device(elapsed_s: float) -> float:
    """The time of the first device, so that all take the same step."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return elapsed_s
    told = [elapsed_s]
    distributed.broadcast_object_list(told)
    return told[0]


def _require_share(warm_up: float, whole: str) -> None:
    """Raise unless a share of warm-up is one."""
    if not 0 <= warm_up < 1:
        raise ValueError(f"warm_up must lie in [0, 1), got {warm_up}; it is a share of {whole}")
