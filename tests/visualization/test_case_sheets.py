"""Sheets of a case, a sampler's way, and charts: what is drawn is what was given, on scales that can be compared."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from planar3d.grid import Grid
from planar3d.visualization import calibration_chart, case_sheet, organ_scatter, rendered, trajectory_sheet

GRID = Grid.centred((10, 7, 12), 20.0)
RIGHT, FRONT, HIGH = 8, 5, 10


@pytest.fixture
def truth() -> torch.Tensor:
    """A warm body with a hot spot in the patient's right front."""
    volume = torch.full((1, 1, *GRID.shape), 1e3)
    volume[0, 0, RIGHT, FRONT, HIGH] = 5e4
    return volume


@pytest.fixture
def sheet(truth: torch.Tensor) -> Figure:
    """A case whose estimate is a tenth too high."""
    views = truth.sum(dim=3).expand(-1, 2, -1, -1) / 1e2
    return case_sheet(views=views, expected_views=1.1 * views, truth=truth, estimate=1.1 * truth, grid=GRID, title="case 0")


def images(figure: Figure) -> dict[str, np.ndarray]:
    """Picture data by title, first axis across."""
    return {ax.get_title(): np.asarray(ax.images[0].get_array()).T for ax in figure.axes if ax.images and ax.get_title()}


def test_a_case_shows_views_projections_slices_and_errors(sheet: Figure) -> None:
    shown = images(sheet)
    level = (FRONT - 3) * 20  # mm from the middle: the coronal slice of the hot spot
    assert list(shown) == [
        "anterior, measured", "anterior, re-projected", "posterior, measured", "posterior, re-projected", "largest error along y",
        "truth, maximum", "estimate, maximum", f"truth, y = {level} mm", f"estimate, y = {level} mm", f"error, y = {level} mm",
    ]  # fmt: skip
    assert shown["truth, maximum"][RIGHT, HIGH] == pytest.approx(50.0)
    assert shown["largest error along y"][RIGHT, HIGH] == pytest.approx(5.0, rel=1e-4)
    np.testing.assert_allclose(shown["estimate, maximum"], 1.1 * shown["truth, maximum"], rtol=1e-5)


def test_what_is_compared_has_one_scale(sheet: Figure) -> None:
    tops = {ax.get_title(): ax.images[0].norm.vmax for ax in sheet.axes if ax.images and ax.get_title()}
    for words in (("measured", "re-projected"), ("maximum",), ("error",)):
        assert len({top for title, top in tops.items() if any(w in title for w in words)}) == 1
    labels = {ax.get_xlabel() for ax in sheet.axes}
    assert {"counts per pixel", "error [kBq/mL]", "activity [kBq/mL]"} <= labels


def test_the_right_is_on_the_left_from_the_front_and_on_the_right_from_behind(sheet: Figure) -> None:
    for ax in sheet.axes:
        if ax.images and ax.get_title():
            left, right = ax.get_xlim()
            assert (left < right) == ax.get_title().startswith("posterior"), ax.get_title()


def test_a_sheet_becomes_pixels_of_its_size(sheet: Figure) -> None:
    pixels = rendered(sheet, dpi=50)
    width, height = sheet.get_size_inches()
    assert pixels.shape == pytest.approx((50 * height, 50 * width, 3), abs=1)
    assert pixels.dtype == np.uint8
    assert pixels.min() < 50 < 250 < pixels.max()


def test_a_samplers_way_ends_with_the_sample(truth: torch.Tensor) -> None:
    volumes = [truth * k for k in range(1, 31)]
    figure = trajectory_sheet(volumes, GRID, most=8, noise=[100.0 / k for k in range(1, 31)])
    shown = images(figure)
    assert len(shown) == 8
    assert next(iter(shown)) == "noise 1e+02"
    assert list(shown)[-1] == "noise 3.3"
    assert shown["noise 3.3"].max() == pytest.approx(30.0)
    assert [ax.get_title() for ax in trajectory_sheet(volumes[:2], GRID).axes if ax.images and ax.get_title()] == ["1 of 2", "2 of 2"]
    with pytest.raises(ValueError, match="volumes must hold at least one"):
        trajectory_sheet([], GRID)
    with pytest.raises(ValueError, match="one level for each of 30 volumes, got 1"):
        trajectory_sheet(volumes, GRID, noise=[1.0])


def test_the_scatter_plot_holds_every_organ_with_activity() -> None:
    names = [f"organ_{k}" for k in range(12)] + ["empty"]
    true = torch.tensor([*(1e6 * 2.0**k for k in range(12)), 0.0])
    figure = organ_scatter(true, torch.cat([1.2 * true[:-2], torch.zeros(2)]), names, coloured=3)
    (ax,) = figure.axes
    points = np.concatenate([np.asarray(c.get_offsets()) for c in ax.collections[1:]])
    assert len(points) == 12
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    np.testing.assert_allclose(np.sort(points[:, 0]), 2.0 ** np.arange(12), rtol=1e-6)
    assert points[:, 1].min() == pytest.approx(1e-3)  # of the organ of which nothing was found
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["organ 11", "organ 10", "organ 9", "others"]


def test_charts_of_nothing_are_drawn() -> None:
    assert rendered(organ_scatter(torch.zeros(0), torch.zeros(0), [])).size > 0
    assert rendered(calibration_chart((0.5, 0.9), {})).size > 0


def test_the_calibration_chart_holds_the_curve_and_the_diagonal() -> None:
    figure = calibration_chart((0.5, 0.9), {"organs": [0.4, 0.8]})
    diagonal, curve = figure.axes[0].lines
    assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert list(curve.get_xdata()) == [0.5, 0.9]
    assert list(curve.get_ydata()) == [0.4, 0.8]
