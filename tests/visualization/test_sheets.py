"""Sheets show each side of the patient where the eye expects it, and are written whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from planar3d.grid import Grid
from planar3d.visualization import phantom_sheet, reconstruction_sheet, save_sheet

GRID = Grid.centred((20, 14, 24), (8.0, 8.0, 8.0), (30.0, -20.0, 100.0))
RIGHT, FRONT, HIGH = 17, 11, 20  # indices of a hot spot: the patient's right, anterior, superior


@pytest.fixture
def activity() -> torch.Tensor:
    """A hot spot high in the patient's right front."""
    volume = torch.zeros((1, 1, *GRID.shape))
    volume[0, 0, RIGHT - 1 : RIGHT + 2, FRONT - 1 : FRONT + 2, HIGH - 1 : HIGH + 2] = 5e4
    return volume


@pytest.fixture
def sheet(activity: torch.Tensor) -> Figure:
    """A sheet whose estimate explains the views but for Poisson-sized residuals."""
    views = activity.sum(dim=3).expand(-1, 2, -1, -1) / 1e3
    ct_hu = torch.full((1, *GRID.shape), -1000.0)
    ct_hu[:, 3:-3, 3:-3] = 40.0
    return reconstruction_sheet(views=views, expected_views=views * 0.97, activity=activity, grid=GRID, ct_hu=ct_hu, title="sheet")


def pictures(figure: Figure) -> dict[str, Axes]:
    """Axes that show an image, by title."""
    return {ax.get_title().splitlines()[0]: ax for ax in figure.axes if ax.images and ax.get_title()}


def hottest(figure: Figure, ax: Axes, *, dark: bool) -> tuple[float, float]:
    """Where the rendered picture is darkest, or brightest, as a fraction from the left and from the bottom."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    page = np.asarray(canvas.buffer_rgba())[::-1, :, :3].astype(float).sum(axis=2)
    box = ax.get_window_extent()
    inside = page[int(box.y0) + 3 : int(box.y1) - 3, int(box.x0) + 3 : int(box.x1) - 3]
    inside = inside[: int(0.93 * len(inside))]  # below the letters
    rows, columns = np.nonzero(inside == (inside.min() if dark else inside.max()))
    return float(columns.mean()) / inside.shape[1], float(rows.mean()) / (inside.shape[0] / 0.93)


@pytest.mark.parametrize(
    ("title", "dark", "across"),
    [
        ("anterior, measured", True, 1 - (RIGHT + 0.5) / 20),  # the patient's right on the left
        ("posterior, measured", True, (RIGHT + 0.5) / 20),  # on the right
        ("coronal maximum projection", False, 1 - (RIGHT + 0.5) / 20),
        ("sagittal maximum projection", False, 1 - (FRONT + 0.5) / 14),  # the front on the left
    ],
)
def test_the_hot_spot_is_where_the_eye_expects_it(sheet: Figure, title: str, dark: bool, across: float) -> None:
    x, y = hottest(sheet, pictures(sheet)[title], dark=dark)
    assert x == pytest.approx(across, abs=0.03)
    assert y == pytest.approx((HIGH + 0.5) / 24, abs=0.03)


@pytest.mark.parametrize(
    ("title", "letters"), [("anterior, measured", "RL"), ("posterior, measured", "LR"), ("sagittal maximum projection", "AP")]
)
def test_edges_are_lettered(sheet: Figure, title: str, letters: str) -> None:
    texts = sorted(pictures(sheet)[title].texts, key=lambda t: t.get_position()[0])
    assert "".join(t.get_text() for t in texts) == letters


def test_residuals_are_in_standard_deviations(activity: torch.Tensor) -> None:
    expected = torch.full((1, 2, 20, 24), 100.0)
    counts = expected.clone()
    counts[0, 0, 3, 5] = 130.0
    figure = reconstruction_sheet(views=counts, expected_views=expected, activity=activity, grid=GRID)
    residual = next(ax for ax in figure.axes if ax.get_title().startswith("residual")).images[0].get_array()
    assert residual is not None
    assert float(residual.T[3, 5]) == pytest.approx(3.0)
    assert float(abs(residual).sum()) == pytest.approx(3.0)


def test_measured_and_reprojected_share_a_scale(sheet: Figure) -> None:
    counts = [ax.images[0] for ax in sheet.axes if ax.images and ("measured" in ax.get_title() or "re-projected" in ax.get_title())]
    assert len(counts) == 4
    assert len({image.norm.vmax for image in counts}) == 1


def test_colour_bars_name_their_units(sheet: Figure) -> None:
    labels = {ax.get_xlabel() for ax in sheet.axes}
    assert {"counts per pixel", "(counts - expected) / √expected", "activity [kBq/mL]"} <= labels


def test_phantom_sheet_compares_methods_on_one_scale(activity: torch.Tensor) -> None:
    figure = phantom_sheet(activity, {"mlem": 0.5 * activity, "qplanar": activity}, GRID)
    axes = {ax.get_title(): ax for ax in figure.axes if ax.get_title()}
    assert list(axes) == ["truth", "mlem\nNMAE 0.50", "qplanar\nNMAE 0.00"]
    assert len({ax.images[0].norm.vmax for ax in axes.values()}) == 1
    with pytest.raises(ValueError, match="estimates must hold at least one method"):
        phantom_sheet(activity, {}, GRID)


def test_an_error_of_depth_shows_on_the_phantom_sheet(activity: torch.Tensor) -> None:
    figure = phantom_sheet(activity, {"flat": activity.roll(3, dims=3)}, GRID)
    assert max(float(abs(ax.images[0].get_array()).max()) for ax in figure.axes[4:6] if ax.images) == pytest.approx(50.0)


def test_a_sheet_is_written_whole(sheet: Figure, tmp_path: Path) -> None:
    save_sheet(sheet, tmp_path / "sheet.png", dpi=40)
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]
    with pytest.raises(ValueError, match=r"must end in \.png"):
        save_sheet(sheet, tmp_path / "sheet.pdf")


def test_drawing_touches_no_global_state_of_matplotlib() -> None:
    code = (
        "import sys, torch; from planar3d.grid import Grid; from planar3d.visualization import phantom_sheet; "
        "x = torch.rand(1, 1, 4, 4, 4); phantom_sheet(x, {'a': x}, Grid.centred((4, 4, 4), 8.0)); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
