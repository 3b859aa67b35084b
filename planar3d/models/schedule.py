"""The course of the learning rate: up in a straight line, down in half a cosine.

``f(k) = (k + 1) / w`` for step ``k < w`` and ``f(k) = (1 + cos(pi (k - w) / (n - w))) / 2`` after that, with ``n`` steps in all and
``w`` of warm-up. Nothing of it is in a checkpoint but the step, so a run may be resumed with another number of steps.
"""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

__all__ = ["warm_up_cosine"]


def warm_up_cosine(optimizer: Optimizer, *, total_steps: int, warm_up: float = 0.05) -> LambdaLR:
    """Schedule that advances once per step.

    Args:
        optimizer: Its learning rate is the highest that is reached.
        total_steps: Number of steps of the training.
        warm_up: Share of the steps in which the rate rises.

    Raises:
        ValueError: The share does not lie in [0, 1).
    """
    if not 0 <= warm_up < 1:
        raise ValueError(f"warm_up must lie in [0, 1), got {warm_up}; it is a share of all steps")
    rising = math.ceil(warm_up * total_steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        progress = min(1.0, (step - rising) / max(1, total_steps - rising))
        return 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)
