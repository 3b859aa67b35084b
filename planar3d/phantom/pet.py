"""A pre-therapy PET as a guide: it tells where activity is and how uneven, not how much.

With P the PET in the anatomy's grid and <P>_o its mean over organ o, the phantom is ``c_o P / <P>_o``: location and relative texture are
the PET's, the level c_o is drawn. Either from the biodistribution alone (``log_ratio_sd`` None), or as

    c_o = g <P>_o e^(s z_o),

a log-ratio of therapy to PET per organ with standard deviation s, g such that the total in view is that of the biodistribution. A ligand of
another half-life and affinity makes that ratio wide: kidneys have a standardised uptake of 42 with 68Ga-PSMA-11 (80 patients, PMC7033090),
where doses of 177Lu-PSMA-617 leave room for 6 to 9. So s is 0.5 or more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from planar3d.organs import ORGANS
from planar3d.phantom.record import TensorRecord
from planar3d.phantom.texture import organ_mean
from planar3d.shapes import LabelMap, Volume

__all__ = ["PetGuide", "PetRecord"]

_SMALLEST_LOG_SD = 0.5


@dataclass(frozen=True, kw_only=True)
class PetRecord(TensorRecord):
    """What was drawn.

    Attributes:
        log_ratio: Logarithm of therapy over PET, but for a common factor, ``(b, organs)``.
    """

    log_ratio: Tensor


class PetGuide:
    """Activity as a PET has it, organ levels apart.

    Args:
        log_ratio_sd: Standard deviation s, 0.5 or more; None for the levels of the biodistribution.
        highest: Largest ``P / <P>_o``; cuts noise and what spills from a hot neighbour.
    """

    def __init__(self, *, log_ratio_sd: float | None = 0.6, highest: float = 50.0) -> None:
        if log_ratio_sd is not None and not log_ratio_sd >= _SMALLEST_LOG_SD:
            raise ValueError(f"log_ratio_sd must be None, or {_SMALLEST_LOG_SD} or more: a PET does not tell a level; got {log_ratio_sd}")
        if not highest > 1:
            raise ValueError(f"highest must be above one, got {highest}")
        self.log_ratio_sd = log_ratio_sd
        self.highest = highest

    def draw(self, generator: torch.Generator) -> PetRecord:
        """The log-ratios of one sample."""
        return PetRecord(log_ratio=(self.log_ratio_sd or 0.0) * torch.randn(len(ORGANS), generator=generator))

    def render(self, record: PetRecord, pet: Volume, concentration: Tensor, labels: LabelMap) -> Volume:
        """The activity, ``(b, 1, x, y, z)`` [Bq/mL].

        Args:
            record: What `draw` gave, batched.
            pet: PET in the anatomy's grid, of any unit, ``(b, 1, x, y, z)``.
            concentration: Organ levels of the biodistribution, ``(b, organs)`` [Bq/mL].
            labels: Organ ids, ``(b, 1, x, y, z)``.
        """
        values = pet.clamp_min(0.0) * (labels > 0)
        mean = organ_mean(values, labels)
        relative = torch.where(mean > 0, values / mean.clamp_min(torch.finfo(values.dtype).tiny), 1.0).clamp_max(self.highest)
        relative = relative / organ_mean(relative, labels).clamp_min(1e-6)
        flat = labels.flatten(1)
        level = concentration.gather(1, flat).view_as(values)
        if self.log_ratio_sd is not None:
            free = mean * torch.exp(record.log_ratio).gather(1, flat).view_as(values)
            every = (1, 2, 3, 4)
            level = free * (level.sum(dim=every, keepdim=True) / free.sum(dim=every, keepdim=True).clamp_min(1e-12))
        return level * relative
