"""The measured counts, for volumes that hold the root of relative activity: ``x = s r^2`` in the mask.

Several volumes of each patient may stand in a row: samples of one posterior share the counts and the camera.
"""

from __future__ import annotations

from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.physics.likelihood import poisson_log_likelihood
from planar3d.reconstruction.features import NetworkInputs
from planar3d.reconstruction.mlem import mlem_update
from planar3d.shapes import ViewPair, Volume

__all__ = ["RootMeasurement"]


class RootMeasurement:
    """Counts of a batch of patients, and the camera that gave them.

    Args:
        inputs: Scale, mask and problem of the patients.
        copies: Volumes of each patient.
    """

    def __init__(self, inputs: NetworkInputs, *, copies: int = 1) -> None:
        self.problem = inputs.problem
        self.copies = copies
        self.scale = inputs.scale.repeat_interleave(copies, dim=0)
        self.mask = inputs.mask.repeat_interleave(copies, dim=0)

    def activity(self, root: Volume) -> Volume:
        """``(n, 1, x, y, z)`` [Bq/mL]; a root below zero is none."""
        return self.scale * root.clamp(min=0).square() * self.mask

    def em(self, volume: Volume, steps: int) -> Volume:
        """The root after EM steps on the activity, ``(n, 1, x, y, z)``."""
        x = self.activity(volume)
        for _ in range(steps):
            x = mlem_update(x, self.problem.projector, self._counts, self._sensitivity, self.mask, background=self._known)
        # the root of nothing has no derivative, and nothing times infinity is not a number
        some = x > 0
        return torch.where(some, torch.sqrt(torch.where(some, x / self.scale, 1.0)), 0.0)

    def log_likelihood(self, volume: Volume) -> Float[Tensor, " n"]:
        """Logarithm of the Poisson likelihood of the pixels that are fitted, up to a constant, ``(n,)``."""
        expected = self.problem.projector(self.activity(volume))
        if self._known is not None:
            expected = expected + self._known
        floor = 1e-6 * expected.detach().amax(dim=(1, 2, 3), keepdim=True) + torch.finfo(expected.dtype).tiny
        return poisson_log_likelihood(self._counts, torch.maximum(expected, floor) * self._seen)

    @cached_property
    def _seen(self) -> ViewPair:
        return self.problem.seen.repeat_interleave(self.copies, dim=0)

    @cached_property
    def _counts(self) -> ViewPair:
        return self.problem.views.repeat_interleave(self.copies, dim=0) * self._seen

    @cached_property
    def _sensitivity(self) -> Volume:
        return self.problem.sensitivity.repeat_interleave(self.copies, dim=0)

    @cached_property
    def _known(self) -> ViewPair | None:
        background = self.problem.background
        return None if background is None else background.repeat_interleave(self.copies, dim=0)
