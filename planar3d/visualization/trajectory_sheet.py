"""How a sample comes about: the volumes along a sampler's way, one coronal slice of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from planar3d.grid import Grid
from planar3d.shapes import Volume
from planar3d.units import BQ_PER_KBQ
from planar3d.visualization.drawing import COUNTS_MAP, as_array, brightest, empty_figure, root_scale, show, ticks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["trajectory_sheet"]

COLUMNS = 8
PANEL_INCH = 1.6


def trajectory_sheet(
    volumes: Sequence[Volume], grid: Grid, *, noise: Sequence[float] | None = None, most: int = 16, title: str = ""
) -> Figure:
    """The middle coronal slice of each volume, on one scale, that of the last.

    Args:
        volumes: Along the sampler's way, first to last, each ``(1, 1, x, y, z)`` [Bq/mL].
        grid: Where they lie.
        noise: Level of noise that each stands at; None heads the pictures with their numbers.
        most: Number of pictures; of more volumes some are chosen at even distances, the first and the last among them.
        title: Heading.

    Raises:
        ValueError: There is no volume, or not one level of noise for each.
    """
    if not volumes:
        raise ValueError("volumes must hold at least one volume, got none; give those along the sampler's way")
    if noise is not None and len(noise) != len(volumes):
        raise ValueError(f"noise must hold one level for each of {len(volumes)} volumes, got {len(noise)}")
    chosen = np.unique(np.linspace(0, len(volumes) - 1, min(most, len(volumes))).round().astype(int))
    slices = [as_array(volumes[k])[0, 0][:, grid.shape[1] // 2] / BQ_PER_KBQ for k in chosen]
    columns = min(COLUMNS, len(slices))
    rows = math.ceil(len(slices) / columns)
    height = max(0.8, grid.extent_mm[2] / grid.extent_mm[0]) * PANEL_INCH + 0.3
    figure = empty_figure(columns * PANEL_INCH + 1.0, rows * height + 0.4, title)
    axes = figure.subplots(rows, columns, squeeze=False)
    norm = root_scale(brightest(slices[-1]))
    for ax, k, image in zip(axes.flat, chosen, slices, strict=False):
        show(ax, np.maximum(image, 0.0), grid, "front", cmap=COUNTS_MAP, norm=norm)
        ax.set_title(f"{k + 1} of {len(volumes)}" if noise is None else f"noise {noise[k]:.2g}", fontsize=8)
    for ax in axes.flat[len(slices) :]:
        ax.set_visible(False)
    figure.colorbar(axes[0, 0].images[0], ax=axes.ravel().tolist(), label="activity [kBq/mL]", extend="max", ticks=ticks(norm), shrink=0.8)
    return figure
