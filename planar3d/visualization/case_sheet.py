"""One synthetic case whose truth is known: what the estimate explains of the views, and where in the body it errs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from planar3d.grid import Grid
from planar3d.shapes import ViewPair, Volume
from planar3d.units import BQ_PER_KBQ
from planar3d.visualization.drawing import (
    COUNTS_MAP,
    ERROR_MAP,
    as_array,
    brightest,
    centres,
    empty_figure,
    largest_along_y,
    root_scale,
    show,
    symmetric_scale,
    ticks,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["case_sheet"]

WIDTH_INCH = 11.0
LEAST_ASPECT = 0.8  # height over width of a panel, so that headings of a short field of view do not meet


def case_sheet(*, views: ViewPair, expected_views: ViewPair, truth: Volume, estimate: Volume, grid: Grid, title: str = "") -> Figure:
    """Views measured and re-projected; truth, estimate and error as coronal maximum projections and in one coronal slice.

    The slice is the one of most true activity. The error shown beside the views is the largest along each line of sight, with its sign.

    Args:
        views: Counts measured, ``(1, view, x, z)``.
        expected_views: Counts expected of the estimate, ``(1, view, x, z)``.
        truth: Activity imaged, ``(1, 1, x, y, z)`` [Bq/mL].
        estimate: Activity estimated, ``(1, 1, x, y, z)`` [Bq/mL].
        grid: Where all lie.
        title: Heading; it must not say who the patient is.
    """
    y, m = as_array(views)[0], as_array(expected_views)[0]
    true, own = as_array(truth)[0, 0] / BQ_PER_KBQ, as_array(estimate)[0, 0] / BQ_PER_KBQ
    level = int(true.sum(axis=(0, 2)).argmax())
    error = own - true
    counts, whole, plane = (root_scale(brightest(a)) for a in (y, true.max(axis=1), true[:, level]))
    signed = symmetric_scale(brightest(np.abs(largest_along_y(error))))
    at = f"y = {centres(grid, 1)[level]:.0f} mm"
    rows = (
        (
            (y[0], "anterior, measured", "front", COUNTS_MAP, counts),
            (m[0], "anterior, re-projected", "front", COUNTS_MAP, counts),
            (y[1], "posterior, measured", "back", COUNTS_MAP, counts),
            (m[1], "posterior, re-projected", "back", COUNTS_MAP, counts),
            (largest_along_y(error), "largest error along y", "front", ERROR_MAP, signed),
        ),
        (
            (true.max(axis=1), "truth, maximum", "front", COUNTS_MAP, whole),
            (own.max(axis=1), "estimate, maximum", "front", COUNTS_MAP, whole),
            (true[:, level], f"truth, {at}", "front", COUNTS_MAP, plane),
            (own[:, level], f"estimate, {at}", "front", COUNTS_MAP, plane),
            (error[:, level], f"error, {at}", "front", ERROR_MAP, signed),
        ),
    )
    aspect = max(LEAST_ASPECT, grid.extent_mm[2] / grid.extent_mm[0])
    figure = empty_figure(WIDTH_INCH, 2 * aspect * WIDTH_INCH / 5 + 1.0, title)
    axes = figure.subplots(2, 5, squeeze=False)
    for row, panels in enumerate(rows):
        for ax, (image, heading, seen_from, cmap, norm) in zip(axes[row], panels, strict=True):
            show(ax, image, grid, seen_from, cmap=cmap, norm=norm)
            ax.set_title(heading, fontsize=9)
    bars = (
        (axes[0, :4], "counts per pixel", "max"),
        (axes[0, 4:], "error [kBq/mL]", "both"),
        (axes[1, :2], "maximum along y [kBq/mL]", "max"),
        (axes[1, 2:4], "activity [kBq/mL]", "max"),
        (axes[1, 4:], "error [kBq/mL]", "both"),
    )
    for place, label, extend in bars:
        image = place[0].images[0]
        marks = ticks(image.norm)[1:-1] if extend == "both" else ticks(image.norm)[::2]  # few: the bars are short
        figure.colorbar(image, ax=place.tolist(), location="bottom", label=label, extend=extend, ticks=marks, shrink=0.8, aspect=25)
    return figure
