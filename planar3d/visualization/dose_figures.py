"""Figures of a dosimetry: activity over time with the curves through it, and dose-volume histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.dosimetry import DoseVolume, TimeIntegratedActivity
from planar3d.units import BQ_PER_MBQ, SECONDS_PER_HOUR
from planar3d.visualization.drawing import as_array, empty_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["curve_figure", "dose_volume_figure"]

PANEL_INCH = (3.0, 2.2)
ACROSS = 4
POINTS = 200
BEYOND = 1.4  # of the last time, up to which curves are drawn
Z_90 = 1.645


def curve_figure(
    curves: TimeIntegratedActivity,
    organs: Sequence[str],
    *,
    standard_error_bq: Float[Tensor, "k t"] | None = None,
    title: str = "",
) -> Figure:
    """A panel for each organ: activities measured with their 90 % intervals, and the curve; the name tells its model and half-life.

    Args:
        curves: Of the organs.
        organs: Their names, ``k`` of them.
        standard_error_bq: Of the activities measured, ``(k, t)`` [Bq]; None where they are not known.
        title: Heading; it must not say who the patient is.
    """
    rows = -(-len(organs) // ACROSS)
    figure = empty_figure(ACROSS * PANEL_INCH[0], rows * PANEL_INCH[1] + 0.6, title)
    axes = figure.subplots(rows, ACROSS, squeeze=False)
    seconds = torch.linspace(0.0, BEYOND, POINTS, dtype=curves.times_s.dtype, device=curves.times_s.device) * curves.times_s[-1]
    activity = as_array(curves.activity(seconds)) / BQ_PER_MBQ
    measured, hours = as_array(curves.points_bq) / BQ_PER_MBQ, as_array(curves.times_s) / SECONDS_PER_HOUR
    spread = None if standard_error_bq is None else Z_90 * as_array(standard_error_bq) / BQ_PER_MBQ
    for i, ax in enumerate(axes.ravel()):
        if i >= len(organs):
            ax.set_axis_off()
            continue
        ax.plot(as_array(seconds) / SECONDS_PER_HOUR, activity[i], color="0.4", linewidth=1.2)
        ax.errorbar(hours, measured[i], yerr=None if spread is None else spread[i], fmt="o", markersize=4, color="C0", capsize=2)
        half_life_h = float(curves.half_life_s[i]) / SECONDS_PER_HOUR
        ax.set_title(f"{organs[i].replace('_', ' ')}: {curves.methods[i].replace('_', ' ')}, {half_life_h:.0f} h", fontsize=8)
        ax.set_ylim(bottom=0.0)
        ax.tick_params(labelsize=7)
    figure.supxlabel("time after injection [h]", fontsize=9)
    figure.supylabel("activity [MBq]", fontsize=9)
    return figure


def dose_volume_figure(histograms: Mapping[str, DoseVolume], *, title: str = "") -> Figure:
    """Cumulative histograms: share of each organ's mass with at least a dose.

    Args:
        histograms: Organ to its histogram.
        title: Heading; it must not say who the patient is.
    """
    figure = empty_figure(8.0, 4.8, title)
    ax = figure.subplots()
    styles = ("-", "--", "-.", ":")
    for i, (organ, histogram) in enumerate(histograms.items()):
        dose, share = histogram.curve(POINTS)
        ax.plot(
            as_array(dose),
            100.0 * as_array(share),
            linestyle=styles[i // 10 % len(styles)],
            linewidth=1.2,
            label=f"{organ.replace('_', ' ')} (mean {histogram.mean_gy:.3g} Gy)",
        )
    ax.set(xlabel="absorbed dose [Gy]", ylabel="share of the mass with at least this dose [%]", ylim=(0, 102))
    ax.set_xlim(left=0.0)
    if histograms:
        figure.legend(loc="outside right upper", fontsize=7, frameon=False)
    return figure
