"""What was measured, what the estimate explains of it, and the estimate itself.

Residuals are ``(y - m) / sqrt(m)`` for counts y and their expectation m, with m at least 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from planar3d.grid import Grid
from planar3d.shapes import ViewPair, Volume
from planar3d.units import BQ_PER_KBQ
from planar3d.visualization.drawing import (
    ACTIVITY_MAP,
    COUNTS_MAP,
    ERROR_MAP,
    as_array,
    brightest,
    empty_figure,
    root_scale,
    show,
    symmetric_scale,
    ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = ["reconstruction_sheet"]

RESIDUAL_LIMIT = 4.0
OPAQUE_FROM = 0.12  # fraction of the colour scale from which activity hides the CT
CT_WINDOW_HU = (-300.0, 350.0)
PANEL_INCH = 3.0  # height of a view on the sheet
LEAST_WIDTH_INCH = 1.7  # that a panel's title fits


def reconstruction_sheet(
    *, views: ViewPair, expected_views: ViewPair, activity: Volume, grid: Grid, ct_hu: Tensor | None = None, title: str = ""
) -> Figure:
    """Measured and re-projected views, their residuals, and the activity from the front and from the side.

    Args:
        views: Counts measured, ``(1, view, x, z)``.
        expected_views: Counts expected of the estimate, ``(1, view, x, z)``.
        activity: The estimate, ``(1, 1, x, y, z)`` [Bq/mL].
        grid: Where it lies.
        ct_hu: CT on the same grid, ``(1, 1, x, y, z)`` or ``(1, x, y, z)`` [HU]; None for none.
        title: Heading; it must not say who the patient is.
    """
    y, m, x = as_array(views)[0], as_array(expected_views)[0], as_array(activity)[0, 0] / BQ_PER_KBQ
    layout = _Layout.of(grid)
    figure = empty_figure(layout.width, layout.height, title, layout=None)
    _draw_views(figure, layout, y, m, grid)
    _draw_projections(figure, layout, x, None if ct_hu is None else as_array(ct_hu).reshape(grid.shape), grid)
    return figure


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Where the panels of a reconstruction sheet stand, from the lower left corner [inch]."""

    view: tuple[float, float]
    coronal: tuple[float, float]
    sagittal: tuple[float, float]
    margin: float = 0.25
    gap: float = 0.15
    heading: float = 0.5
    scale_room: float = 0.85

    @classmethod
    def of(cls, grid: Grid) -> _Layout:
        """Views in two rows; projections as high as both."""
        x, y, z = grid.extent_mm
        tall = 2 * PANEL_INCH + cls.heading
        widths = [max(LEAST_WIDTH_INCH, across * height / z) for across, height in ((x, PANEL_INCH), (x, tall), (y, tall))]
        return cls(view=(widths[0], PANEL_INCH), coronal=(widths[1], tall), sagittal=(widths[2], tall))

    @property
    def right_block(self) -> float:
        """Left edge of the projections."""
        return 2 * self.margin + 3 * (self.view[0] + self.gap)

    @property
    def width(self) -> float:
        """Of the sheet."""
        return self.right_block + self.coronal[0] + self.gap + self.sagittal[0] + self.margin

    @property
    def height(self) -> float:
        """Of the sheet."""
        return self.scale_room + self.coronal[1] + 2 * self.heading

    def axes(self, figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
        """An axes at a place in inches."""
        return figure.add_axes((left / self.width, bottom / self.height, width / self.width, height / self.height))

    def scale(self, figure: Figure, image: Any, left: float, width: float, label: str, extend: str) -> None:
        """A horizontal colour bar under a block."""
        axes = self.axes(figure, left + 0.15 * width, self.scale_room - 0.25, 0.7 * width, 0.12)
        figure.colorbar(image, cax=axes, orientation="horizontal", label=label, extend=extend, ticks=ticks(image.norm))


def _draw_views(figure: Figure, layout: _Layout, views: np.ndarray, expected: np.ndarray, grid: Grid) -> None:
    """Two rows, anterior and posterior; three columns, measured, re-projected, residual."""
    (width, height), scale = layout.view, root_scale(brightest(views))
    shown: list[AxesImage] = []
    for row, (name, seen_from) in enumerate((("anterior", "front"), ("posterior", "back"))):
        residual = (views[row] - expected[row]) / np.sqrt(np.maximum(expected[row], 1.0))
        panels = (
            (views[row], f"{name}, measured\n{views[row].sum() / 1e3:,.0f} k counts", COUNTS_MAP, scale),
            (expected[row], f"re-projected\n{expected[row].sum() / 1e3:,.0f} k counts", COUNTS_MAP, scale),
            (residual, f"residual\nrms {np.sqrt((residual**2).mean()):.2f}", ERROR_MAP, symmetric_scale(RESIDUAL_LIMIT)),
        )
        bottom = layout.scale_room + (1 - row) * (height + layout.heading)
        for column, (image, heading, cmap, norm) in enumerate(panels):
            ax = layout.axes(figure, layout.margin + column * (width + layout.gap), bottom, width, height)
            shown.append(show(ax, image, grid, seen_from, cmap=cmap, norm=norm))
            ax.set_title(heading, fontsize=9)
    layout.scale(figure, shown[0], layout.margin, 2 * width + layout.gap, "counts per pixel", "max")
    layout.scale(figure, shown[2], layout.margin + 2 * (width + layout.gap), width, "(counts - expected) / √expected", "both")


def _draw_projections(figure: Figure, layout: _Layout, values: np.ndarray, ct_hu: np.ndarray | None, grid: Grid) -> None:
    """Maximum of the activity from the front and from the left side, over the mean of the CT."""
    top, left = brightest(values.max(axis=1)), layout.right_block
    for axis, seen_from, name, (width, height) in ((1, "front", "coronal", layout.coronal), (0, "side", "sagittal", layout.sagittal)):
        ax = layout.axes(figure, left, layout.scale_room, width, height)
        ax.set_facecolor("black")
        projected, opacity = values.max(axis=axis), None
        if ct_hu is not None:
            low, high = CT_WINDOW_HU
            body = np.clip((ct_hu - low) / (high - low), 0.0, 1.0).mean(axis=axis)
            show(ax, body, grid, seen_from, cmap="gray", vmin=0.0, vmax=1.2 * float(body.max()) + 1e-6, letters=False)
            opacity = np.clip(projected / (OPAQUE_FROM * top), 0.0, 1.0)
        show(ax, projected, grid, seen_from, cmap=ACTIVITY_MAP, norm=root_scale(top), alpha=opacity, dark=True)
        ax.set_title(f"{name} maximum projection", fontsize=9)
        left += width + layout.gap
    from matplotlib.cm import ScalarMappable

    width = left - layout.gap - layout.right_block
    layout.scale(figure, ScalarMappable(root_scale(top), ACTIVITY_MAP), layout.right_block, width, "activity [kBq/mL]", "max")
