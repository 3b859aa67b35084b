"""Maps of all decays of one administration, from maps of activity at several times [Bq s/mL].

Where each organ has one curve, its decays are spread as its maps are on average over time,

    c(v) = TIA_k p(v) / sum_k p V,     p(v) = sum_i w_i x_i(v),

with w_i the part of the time axis that lies nearest to image i and, for the last one, the tail ``T_eff / ln 2`` as well. So uneven uptake
in an organ is kept and the noise of single voxels is not extrapolated. Otherwise each voxel has a curve of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry.activity_series import ActivitySeries
from planar3d.dosimetry.effective_half_life import EffectiveHalfLifePrior
from planar3d.dosimetry.organ_kinetics import voxel_curves
from planar3d.dosimetry.time_integrated_activity import TimeIntegratedActivity
from planar3d.organs import BACKGROUND, ORGANS, organ_name
from planar3d.shapes import LabelMap, Volume

__all__ = ["decays_by_organ", "decays_by_voxel"]

LN2 = math.log(2.0)


def decays_by_organ(series: ActivitySeries, curves: TimeIntegratedActivity) -> Volume:
    """Time-integrated concentration with the total of each organ's curve, ``(1, 1, x, y, z)`` [Bq s/mL]; zero outside the organs.

    Args:
        series: Activity over time.
        curves: Of its organs.
    """
    maps, labels, voxel_ml = series.maps, series.labels, series.grid.voxel_volume_ml
    t = series.times.tensor(maps)
    middle = 0.5 * (t[1:] + t[:-1])
    width = torch.cat([middle, t[-1:]]) - torch.cat([t.new_zeros(1), middle])
    tail = _spread(curves.half_life_s / LN2, labels, series.ids, like=maps)
    pattern = torch.einsum("t,tcxyz->cxyz", width, maps)[None] + tail * maps[-1:]
    per_decay = torch.zeros_like(curves.value_bq_s)
    for k, organ in enumerate(series.ids):
        inside = labels == organ
        total = pattern[inside].double().sum() * voxel_ml
        if not bool(total > 0):  # an organ whose maps are empty but whose curve is not: evenly
            pattern = torch.where(inside, 1.0, pattern)
            total = inside.sum() * voxel_ml
        per_decay[k] = curves.value_bq_s[k] / total.to(per_decay)
    return pattern * _spread(per_decay, labels, series.ids, like=maps)


def decays_by_voxel(
    series: ActivitySeries,
    *,
    half_life_s: float,
    models: Mapping[str, str],
    priors: Mapping[str, EffectiveHalfLifePrior] | None = None,
) -> Volume:
    """Time-integrated concentration by a curve for each voxel of an organ, ``(1, 1, x, y, z)`` [Bq s/mL]; zero outside the organs.

    Args:
        series: Activity over time.
        half_life_s: Physical half-life [s].
        models: Curve model by organ, with a ``default``.
        priors: Effective half-life by organ, perhaps with a ``default``.
    """
    labels = series.labels.flatten().long()
    inside = labels != BACKGROUND
    place = torch.zeros(len(ORGANS), dtype=torch.long, device=labels.device)
    place[list(series.ids)] = torch.arange(len(series.ids), device=labels.device)
    decays = series.maps.new_zeros(len(labels))
    decays[inside] = voxel_curves(
        series.maps.flatten(1)[:, inside].T.contiguous(),
        place[labels[inside]],
        [organ_name(i) for i in series.ids],
        times=series.times,
        half_life_s=half_life_s,
        models=models,
        priors=priors,
    )
    return decays.view(series.labels.shape)


def _spread(values: Float[Tensor, " k"], labels: LabelMap, ids: Sequence[int], *, like: Tensor) -> Volume:
    """A figure of each organ in its voxels, zero elsewhere."""
    table = like.new_zeros(len(ORGANS))
    table[torch.tensor(ids, device=like.device)] = values.to(like)
    return table[labels.long()]
