"""Organ shares: how a patient's activity is divided among the organs of an anatomy, as a function of what is drawn.

``s_k = log(a_k / sum_j a_j + f_k)`` with ``a_k = V_k c_k(z)`` of organ volume and concentration. Shares are what two views can tell of the
uptake: a synthetic acquisition has the count level of the measurement, whatever the activity. The floor ``f_k``, a tenth of the median
share, keeps an estimate of zero finite. Near the medians ``s = s_0 + H z``.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from planar3d.phantom.biodistribution import Biodistribution

__all__ = ["OrganShares"]

FLOOR = 0.1  # of the median share
STEP_SD = 0.75  # half the secant whose slope stands for H


class OrganShares:
    """Organ shares of one anatomy.

    Args:
        source: Draws the uptake.
        ids: Organ ids, ``(k,)``.
        volumes_ml: Volume of each, ``(k,)`` [mL].
    """

    def __init__(self, *, source: Biodistribution, ids: Integer[Tensor, " k"], volumes_ml: Float[Tensor, " k"]) -> None:
        if len(ids) != len(volumes_ml) or len(ids) < 2 or not (volumes_ml > 0).all():
            raise ValueError(f"ids and volumes_ml must name two organs or more with their volumes, got {len(ids)} and {len(volumes_ml)}")
        self.ids = ids.cpu()
        self.volumes_ml = volumes_ml.cpu().double()
        self.floor = torch.zeros(())
        median, more, less = self._near_the_medians(source)
        self.floor = FLOOR * median.exp()
        median, more, less = self._near_the_medians(source)
        self.median = median
        """s_0, ``(k,)``."""
        self.slopes = ((more - less) / (2.0 * STEP_SD)).mT
        """H, ``(k, n)``."""

    def of_concentration(self, concentration: Float[Tensor, "*b organs"]) -> Float[Tensor, "*b k"]:
        """Logarithms of shares, ``(b, k)``.

        Args:
            concentration: Of every organ id, ``(b, organs)`` [Bq/mL].
        """
        return self.of_activity(concentration[..., self.ids.to(concentration.device)].double() * self.volumes_ml.to(concentration.device))

    def of_activity(self, activity_bq: Float[Tensor, "*b k"]) -> Float[Tensor, "*b k"]:
        """Logarithms of shares, ``(b, k)``.

        Args:
            activity_bq: Of every organ of these, ``(b, k)`` [Bq].
        """
        activity = activity_bq.double().clamp(min=0.0)
        total = activity.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(activity.dtype).tiny)
        return torch.log(activity / total + self.floor.to(activity.device))

    def _near_the_medians(self, source: Biodistribution) -> tuple[Tensor, Tensor, Tensor]:
        """Shares at the medians, ``(k,)``, and for each normal alone up and down by a step, ``(n, k)``."""
        steps = STEP_SD * torch.eye(source.dimensions)
        at = torch.cat([torch.zeros(1, source.dimensions), steps, -steps])
        record = source.of_normals(at)
        log_share = self.of_concentration(source.concentration(record))
        middle, more, less = log_share.split((1, len(steps), len(steps)))
        return middle[0], more, less
