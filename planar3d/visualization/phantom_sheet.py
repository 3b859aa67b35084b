"""Truth beside the estimates of several methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from planar3d.grid import Grid
from planar3d.shapes import Volume
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

__all__ = ["phantom_sheet"]


def phantom_sheet(truth: Volume, estimates: Mapping[str, Volume], grid: Grid, *, title: str = "") -> Figure:
    """Truth beside estimates: coronal maximum projection, an axial slice, and the largest error along each line of sight.

    Args:
        truth: Activity imaged, ``(1, 1, x, y, z)`` [Bq/mL].
        estimates: Method name to estimate, each ``(1, 1, x, y, z)`` [Bq/mL].
        grid: Where all lie.
        title: Heading.

    Raises:
        ValueError: There is no estimate.
    """
    if not estimates:
        raise ValueError("estimates must hold at least one method, got none; give {name: activity}")
    true = as_array(truth)[0, 0] / BQ_PER_KBQ
    columns = {"truth": true} | {name: as_array(value)[0, 0] / BQ_PER_KBQ for name, value in estimates.items()}
    errors = {name: largest_along_y(value - true) for name, value in columns.items()}
    level = int(true.sum(axis=(0, 1)).argmax())
    figure = empty_figure(2.6 * len(columns) + 0.9, 9.2, title)
    axes = figure.subplots(3, len(columns), height_ratios=[grid.extent_mm[k] for k in (2, 1, 2)], squeeze=False)
    whole, plane = root_scale(brightest(true.max(axis=1))), root_scale(brightest(true[:, :, level]))
    signed = symmetric_scale(brightest(np.abs(np.stack(list(errors.values())))))
    for column, (name, value) in enumerate(columns.items()):
        show(axes[0, column], value.max(axis=1), grid, "front", cmap=COUNTS_MAP, norm=whole)
        show(axes[1, column], value[:, :, level], grid, "below", cmap=COUNTS_MAP, norm=plane)
        show(axes[2, column], errors[name], grid, "front", cmap=ERROR_MAP, norm=signed)
        nmae = np.abs(value - true).sum() / max(true.sum(), np.finfo(np.float32).tiny)
        axes[0, column].set_title(name if column == 0 else f"{name}\nNMAE {nmae:.2f}", fontsize=10)
    axes[2, 0].set_visible(False)
    names = ("coronal maximum [kBq/mL]", f"axial, z = {centres(grid, 2)[level]:.0f} mm [kBq/mL]", "largest error along y [kBq/mL]")
    for row, (label, extend) in enumerate(zip(names, ("max", "max", "both"), strict=True)):
        image = axes[row, -1].images[0]
        figure.colorbar(image, ax=axes[row].tolist(), label=label, extend=extend, shrink=0.8, ticks=ticks(image.norm))
    return figure
