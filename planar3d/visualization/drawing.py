"""Pieces that sheets share: an image turned as the eye expects it, colour scales, and arrays of tensors.

Convention: seen from the front (anterior view, coronal) the patient's right is on the left; seen from behind (posterior view) it is on
the right; seen from the patient's left (sagittal) anterior is on the left. Letters at the edges say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import Tensor

from planar3d.grid import Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = [
    "ACTIVITY_MAP",
    "COUNTS_MAP",
    "ERROR_MAP",
    "as_array",
    "brightest",
    "centres",
    "empty_figure",
    "largest_along_y",
    "root_scale",
    "show",
    "symmetric_scale",
    "ticks",
]

COUNTS_MAP = "gray_r"  # as on a clinic's film: dark is hot
ACTIVITY_MAP = "inferno"
ERROR_MAP = "RdBu_r"
BRIGHTEST = 99.7  # percentile that ends a colour scale; a single hot pixel shall not darken the rest
GAMMA = 0.5
EDGES = {"front": ("R", "L"), "back": ("L", "R"), "side": ("A", "P"), "below": ("R", "L")}
"""Letters at the left and right edge of each way of looking."""


def show(
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


def root_scale(top: float) -> Any:
    """Square-root scale from zero."""
    from matplotlib.colors import PowerNorm

    return PowerNorm(GAMMA, vmin=0.0, vmax=top)


def symmetric_scale(top: float) -> Any:
    """Linear scale about zero."""
    from matplotlib.colors import Normalize

    return Normalize(vmin=-top, vmax=top)


def ticks(norm: Any) -> list[float]:
    """Round values at even distances along a colour bar."""
    places = np.linspace(0.0, 1.0, 5)
    values = [float(norm.inverse(p)) for p in places]
    return sorted({float(f"{v:.1g}") if abs(v) < 0.5 * norm.vmax else float(f"{v:.2g}") for v in values})


def empty_figure(width: float, height: float, title: str, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """An empty sheet, apart from any global state of matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    if title:
        figure.suptitle(title, fontsize=12, y=0.99 if layout is None else None)
    return figure


def largest_along_y(error: np.ndarray) -> np.ndarray:
    """Along each line of sight the error of largest size, with its sign; a sum would hide errors of depth."""
    where = np.abs(error).argmax(axis=1, keepdims=True)
    return np.take_along_axis(error, where, axis=1)[:, 0]


def _faces(grid: Grid, axis: int) -> tuple[float, float]:
    """Outer faces of the grid along an axis [mm]."""
    half = 0.5 * grid.extent_mm[axis]
    return grid.centre_mm[axis] - half, grid.centre_mm[axis] + half


def centres(grid: Grid, axis: int) -> np.ndarray:
    """Voxel centres along an axis [mm]."""
    return grid.origin_mm[axis] + np.arange(grid.shape[axis]) * grid.spacing_mm[axis]


def brightest(image: np.ndarray) -> float:
    """Where the colour scale of an image ends; positive."""
    positive = image[image > 0]
    return float(np.percentile(positive, BRIGHTEST)) if positive.size else 1.0


def as_array(values: Tensor) -> np.ndarray:
    """A tensor as a float array."""
    return values.detach().float().cpu().numpy()
