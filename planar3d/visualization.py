"""Sheets of pictures: what was measured, what the estimate explains of it, and the estimate itself.

Convention: arrays come in patient coordinates and are turned for the eye here alone. Seen from the front (anterior view, coronal) the
patient's right is on the left; seen from behind (posterior view) it is on the right; seen from the patient's left (sagittal)
anterior is on the left. Letters at the edges say so. Residuals are ``(y - m) / sqrt(m)`` for counts y and their expectation m, with m
at least 1. Counts and activity are shown on a square-root scale: kidneys and liver differ tenfold and both matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import Tensor

from planar3d.grid import Grid
from planar3d.io.whole_file import whole_file
from planar3d.shapes import ViewPair, Volume
from planar3d.units import BQ_PER_KBQ

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = ["phantom_sheet", "reconstruction_sheet", "save_sheet"]

COUNTS_MAP = "gray_r"  # as on a clinic's film: dark is hot
ACTIVITY_MAP = "inferno"
ERROR_MAP = "RdBu_r"
RESIDUAL_LIMIT = 4.0
BRIGHTEST = 99.7  # percentile that ends a colour scale; a single hot pixel shall not darken the rest
OPAQUE_FROM = 0.12  # fraction of the colour scale from which activity hides the CT
CT_WINDOW_HU = (-300.0, 350.0)
GAMMA = 0.5
PANEL_INCH = 3.0  # height of a view on the sheet
LEAST_WIDTH_INCH = 1.7  # that a panel's title fits
EDGES = {"front": ("R", "L"), "back": ("L", "R"), "side": ("A", "P"), "below": ("R", "L")}
"""Letters at the left and right edge of each way of looking."""


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
    y, m, x = _array(views)[0], _array(expected_views)[0], _array(activity)[0, 0] / BQ_PER_KBQ
    layout = _Layout.of(grid)
    figure = _figure(layout.width, layout.height, title, layout=None)
    _draw_views(figure, layout, y, m, grid)
    _draw_projections(figure, layout, x, None if ct_hu is None else _array(ct_hu).reshape(grid.shape), grid)
    return figure


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
    true = _array(truth)[0, 0] / BQ_PER_KBQ
    columns = {"truth": true} | {name: _array(value)[0, 0] / BQ_PER_KBQ for name, value in estimates.items()}
    errors = {name: _largest_along_y(value - true) for name, value in columns.items()}
    level = int(true.sum(axis=(0, 1)).argmax())
    figure = _figure(2.6 * len(columns) + 0.9, 9.2, title)
    axes = figure.subplots(3, len(columns), height_ratios=[grid.extent_mm[k] for k in (2, 1, 2)], squeeze=False)
    whole, plane = _scale(_brightest(true.max(axis=1))), _scale(_brightest(true[:, :, level]))
    signed = _symmetric(_brightest(np.abs(np.stack(list(errors.values())))))
    for column, (name, value) in enumerate(columns.items()):
        _show(axes[0, column], value.max(axis=1), grid, "front", cmap=COUNTS_MAP, norm=whole)
        _show(axes[1, column], value[:, :, level], grid, "below", cmap=COUNTS_MAP, norm=plane)
        _show(axes[2, column], errors[name], grid, "front", cmap=ERROR_MAP, norm=signed)
        nmae = np.abs(value - true).sum() / max(true.sum(), np.finfo(np.float32).tiny)
        axes[0, column].set_title(name if column == 0 else f"{name}\nNMAE {nmae:.2f}", fontsize=10)
    axes[2, 0].set_visible(False)
    names = ("coronal maximum [kBq/mL]", f"axial, z = {_centres(grid, 2)[level]:.0f} mm [kBq/mL]", "largest error along y [kBq/mL]")
    for row, (label, extend) in enumerate(zip(names, ("max", "max", "both"), strict=True)):
        image = axes[row, -1].images[0]
        figure.colorbar(image, ax=axes[row].tolist(), label=label, extend=extend, shrink=0.8, ticks=_ticks(image.norm))
    return figure


def save_sheet(figure: Figure, path: str | Path, *, dpi: int = 120) -> None:
    """Write a sheet as PNG; the file appears whole or not at all.

    Args:
        figure: The sheet.
        path: Name that ends in ``.png``.
        dpi: Dots per inch.

    Raises:
        ValueError: The name has another ending, or the folder cannot be written to.
    """
    if not str(path).lower().endswith(".png"):
        raise ValueError(f"path must end in .png, got {Path(path).name!r}; rename it")
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=dpi, metadata={"Software": "planar3d"})


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
        figure.colorbar(image, cax=axes, orientation="horizontal", label=label, extend=extend, ticks=_ticks(image.norm))


def _draw_views(figure: Figure, layout: _Layout, views: np.ndarray, expected: np.ndarray, grid: Grid) -> None:
    """Two rows, anterior and posterior; three columns, measured, re-projected, residual."""
    (width, height), scale = layout.view, _scale(_brightest(views))
    shown: list[AxesImage] = []
    for row, (name, seen_from) in enumerate((("anterior", "front"), ("posterior", "back"))):
        residual = (views[row] - expected[row]) / np.sqrt(np.maximum(expected[row], 1.0))
        panels = (
            (views[row], f"{name}, measured\n{views[row].sum() / 1e3:,.0f} k counts", COUNTS_MAP, scale),
            (expected[row], f"re-projected\n{expected[row].sum() / 1e3:,.0f} k counts", COUNTS_MAP, scale),
            (residual, f"residual\nrms {np.sqrt((residual**2).mean()):.2f}", ERROR_MAP, _symmetric(RESIDUAL_LIMIT)),
        )
        bottom = layout.scale_room + (1 - row) * (height + layout.heading)
        for column, (image, heading, cmap, norm) in enumerate(panels):
            ax = layout.axes(figure, layout.margin + column * (width + layout.gap), bottom, width, height)
            shown.append(_show(ax, image, grid, seen_from, cmap=cmap, norm=norm))
            ax.set_title(heading, fontsize=9)
    layout.scale(figure, shown[0], layout.margin, 2 * width + layout.gap, "counts per pixel", "max")
    layout.scale(figure, shown[2], layout.margin + 2 * (width + layout.gap), width, "(counts - expected) / √expected", "both")


def _draw_projections(figure: Figure, layout: _Layout, values: np.ndarray, ct_hu: np.ndarray | None, grid: Grid) -> None:
    """Maximum of the activity from the front and from the left side, over the mean of the CT."""
    top, left = _brightest(values.max(axis=1)), layout.right_block
    for axis, seen_from, name, (width, height) in ((1, "front", "coronal", layout.coronal), (0, "side", "sagittal", layout.sagittal)):
        ax = layout.axes(figure, left, layout.scale_room, width, height)
        ax.set_facecolor("black")
        projected, opacity = values.max(axis=axis), None
        if ct_hu is not None:
            low, high = CT_WINDOW_HU
            body = np.clip((ct_hu - low) / (high - low), 0.0, 1.0).mean(axis=axis)
            _show(ax, body, grid, seen_from, cmap="gray", vmin=0.0, vmax=1.2 * float(body.max()) + 1e-6, letters=False)
            opacity = np.clip(projected / (OPAQUE_FROM * top), 0.0, 1.0)
        _show(ax, projected, grid, seen_from, cmap=ACTIVITY_MAP, norm=_scale(top), alpha=opacity, dark=True)
        ax.set_title(f"{name} maximum projection", fontsize=9)
        left += width + layout.gap
    from matplotlib.cm import ScalarMappable

    width = left - layout.gap - layout.right_block
    layout.scale(figure, ScalarMappable(_scale(top), ACTIVITY_MAP), layout.right_block, width, "activity [kBq/mL]", "max")


def _show(
    ax: Axes,
    image: np.ndarray,
    grid: Grid,
    seen_from: str,
    *,
    letters: bool = True,
    dark: bool = False,
    alpha: np.ndarray | None = None,
    **style: Any,
) -> AxesImage:
    """An image whose first axis runs across the picture, in mm, turned as it is seen."""
    across, up = {"front": (0, 2), "back": (0, 2), "side": (1, 2), "below": (0, 1)}[seen_from]
    (left, right), (bottom, top) = _faces(grid, across), _faces(grid, up)
    shown = ax.imshow(
        image.T,
        origin="lower",
        extent=(left, right, bottom, top),
        interpolation="nearest",
        alpha=None if alpha is None else alpha.T,
        **style,
    )
    if seen_from != "back":  # the index grows toward the right or the front, which is then on the left of the picture
        ax.set_xlim(right, left)
    ax.set_xticks([])
    ax.set_yticks([])
    if letters:
        ink = "white" if dark else "black"
        for x, letter, side in ((0.02, EDGES[seen_from][0], "left"), (0.98, EDGES[seen_from][1], "right")):
            ax.text(x, 0.98, letter, transform=ax.transAxes, ha=side, va="top", color=ink, fontsize=9, fontweight="bold")
    return shown


def _scale(top: float) -> Any:
    """Square-root scale from zero."""
    from matplotlib.colors import PowerNorm

    return PowerNorm(GAMMA, vmin=0.0, vmax=top)


def _symmetric(top: float) -> Any:
    """Linear scale about zero."""
    from matplotlib.colors import Normalize

    return Normalize(vmin=-top, vmax=top)


def _ticks(norm: Any) -> list[float]:
    """Round values at even distances along a colour bar."""
    places = np.linspace(0.0, 1.0, 5)
    values = [float(norm.inverse(p)) for p in places]
    return sorted({float(f"{v:.1g}") if abs(v) < 0.5 * norm.vmax else float(f"{v:.2g}") for v in values})


def _figure(width: float, height: float, title: str, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """An empty sheet, apart from any global state of matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    if title:
        figure.suptitle(title, fontsize=12, y=0.99 if layout is None else None)
    return figure


def _largest_along_y(error: np.ndarray) -> np.ndarray:
    """Along each line of sight the error of largest size, with its sign; a sum would hide errors of depth."""
    where = np.abs(error).argmax(axis=1, keepdims=True)
    return np.take_along_axis(error, where, axis=1)[:, 0]


def _faces(grid: Grid, axis: int) -> tuple[float, float]:
    """Outer faces of the grid along an axis [mm]."""
    half = 0.5 * grid.extent_mm[axis]
    return grid.centre_mm[axis] - half, grid.centre_mm[axis] + half


def _centres(grid: Grid, axis: int) -> np.ndarray:
    """Voxel centres along an axis [mm]."""
    return grid.origin_mm[axis] + np.arange(grid.shape[axis]) * grid.spacing_mm[axis]


def _brightest(image: np.ndarray) -> float:
    """Where the colour scale of an image ends; positive."""
    positive = image[image > 0]
    return float(np.percentile(positive, BRIGHTEST)) if positive.size else 1.0


def _array(values: Tensor) -> np.ndarray:
    """A tensor as a float array."""
    return values.detach().float().cpu().numpy()
