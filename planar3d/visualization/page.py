"""A figure as a file or as pixels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from planar3d.io.whole_file import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["rendered", "save_sheet"]


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


def rendered(figure: Figure, *, dpi: int = 80) -> np.ndarray:
    """A figure as 8-bit colours, ``(height, width, 3)``.

    Args:
        figure: Any figure.
        dpi: Dots per inch.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
