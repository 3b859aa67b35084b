"""How far an estimate can be trusted, in two charts: organ activities against the truth, and stated against true uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from torch import Tensor

from planar3d.units import BQ_PER_MBQ
from planar3d.visualization.drawing import as_array, empty_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["calibration_chart", "organ_scatter"]

SIDE_INCH = 4.5
ALLOWED = 0.1  # relative error whose band the scatter plot shows


def organ_scatter(
    true_bq: Float[Tensor, " n"], estimated_bq: Float[Tensor, " n"], organs: Sequence[str], *, coloured: int = 8, title: str = ""
) -> Figure:
    """Estimated against true activity on logarithmic axes, with the identity and a band of 10 %.

    Args:
        true_bq: ``(n,)`` [Bq]; those without activity are left out.
        estimated_bq: ``(n,)`` [Bq]; shown at a thousandth of the smallest truth where it is less.
        organs: Name of each, ``n`` of them.
        coloured: How many organs, the most active, have a colour of their own; the others are grey.
        title: Heading.
    """
    true, own, names = as_array(true_bq) / BQ_PER_MBQ, as_array(estimated_bq) / BQ_PER_MBQ, np.asarray(organs, dtype=object)
    known = true > 0
    true, own, names = true[known], own[known], names[known]
    figure = empty_figure(SIDE_INCH + 1.2, SIDE_INCH, title)
    ax = figure.subplots()
    if true.size:
        own = np.maximum(own, 1e-3 * true.min())
        ends = np.array([0.7 * min(true.min(), own.min()), 1.4 * max(true.max(), own.max())])
        ax.fill_between(ends, (1 - ALLOWED) * ends, (1 + ALLOWED) * ends, color="0.9", linewidth=0)
        ax.plot(ends, ends, color="0.5", linewidth=0.8)
        by_size = sorted(set(names), key=lambda name: -float(true[names == name].sum()))
        for name in by_size[:coloured]:
            ax.scatter(true[names == name], own[names == name], s=16, label=name.replace("_", " "))
        rest = ~np.isin(names, by_size[:coloured])
        if rest.any():
            ax.scatter(true[rest], own[rest], s=8, color="0.6", label="others")
        ax.set(xscale="log", yscale="log", xlim=tuple(ends), ylim=tuple(ends))
        figure.legend(loc="outside right center", fontsize=7, frameon=False)
    ax.set(xlabel="true activity [MBq]", ylabel="estimated activity [MBq]")
    return figure


def calibration_chart(levels: Sequence[float], shares: Mapping[str, Sequence[float]], *, title: str = "") -> Figure:
    """Share of intervals that hold the truth against the share that should; the diagonal is right, below it means too narrow.

    Args:
        levels: Nominal levels between 0 and 1.
        shares: Name of a curve to its share at each level.
        title: Heading.
    """
    figure = empty_figure(SIDE_INCH, SIDE_INCH, title)
    ax = figure.subplots()
    ax.plot([0, 1], [0, 1], color="0.5", linewidth=0.8)
    for name, values in shares.items():
        ax.plot(levels, values, marker="o", markersize=4, label=name)
    if shares:
        ax.legend(loc="upper left", fontsize=8, frameon=False)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="nominal level", ylabel="share of intervals that hold the truth")
    return figure
