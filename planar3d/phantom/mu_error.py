"""Attenuation imaged against attenuation given: a factor on the whole map.

``mu_imaged = e^(s z) mu_given``: the conversion of CT numbers at another energy, contrast medium, and what noise and beam hardening leave
of a CT's calibration. An error of 0.01 /cm, some 7 %, changes an organ's activity in a conjugate view by about 15 %; s = 0.03 is judgement.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from planar3d.phantom.record import TensorRecord
from planar3d.shapes import Volume

__all__ = ["MuError", "MuErrorRecord"]


@dataclass(frozen=True, kw_only=True)
class MuErrorRecord(TensorRecord):
    """What was drawn.

    Attributes:
        factor: Attenuation imaged over attenuation given, ``(b,)``.
    """

    factor: Tensor


@dataclass(frozen=True, kw_only=True)
class MuError:
    """Scale error of the attenuation.

    Attributes:
        log_sd: Standard deviation s of the logarithm of the factor.
    """

    log_sd: float = 0.03

    def __post_init__(self) -> None:
        if not self.log_sd >= 0:
            raise ValueError(f"log_sd must be zero or more, got {self.log_sd}")

    def draw(self, generator: torch.Generator) -> MuErrorRecord:
        """The error of one sample."""
        return MuErrorRecord(factor=torch.exp(self.log_sd * torch.randn((), generator=generator)))

    def render(self, record: MuErrorRecord, mu_map: Volume) -> Volume:
        """The attenuation imaged, ``(b, 1, x, y, z)`` [1/mm]."""
        return mu_map * record.factor.view(-1, 1, 1, 1, 1)
