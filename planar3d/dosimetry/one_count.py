"""No activity is known better than to one count.

Errors of counting have variance ``q a``, q the activity that one count stands for, so an organ in which nothing was counted seems to have
activity and error zero, and a weighted fit would bend any curve to pass through that certainty. With nothing counted, the activity is known
to about one count: the least error is q.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["missing_variance"]


def missing_variance(activity: Float[Tensor, "*n t"], variance: Float[Tensor, "*n t"]) -> Float[Tensor, "*n t"]:
    """What variances lack to be those of one count, ``(*n, t)``; zero where they lack nothing.

    q is the least ratio of variance to activity over time. Where errors are relative, ``r a`` with r below one, nothing is ever lacking.

    Args:
        activity: Of each curve at each time, ``(*n, t)``.
        variance: Of each, ``(*n, t)``, in units of activity squared.
    """
    shown = (activity > 0) & (variance > 0)
    ratio = torch.where(shown, variance / torch.where(shown, activity, 1.0), torch.inf)
    q = ratio.amin(dim=-1, keepdim=True)
    return torch.where(torch.isfinite(q), q.square() - variance, 0.0).clamp(min=0.0)
