"""Object scatter: the fitted kernels, and what the camera makes of them, against Monte Carlo figures.

The figures are scatter fractions of a Klein-Nishina Monte Carlo of the line alone in a water ellipse of 300 x 200 mm (9.9 % energy
resolution at 140 keV), of sources 5, 10 and 15 cm deep and of uniform activity; widths are known at 208 keV.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.materials import linear_attenuation
from planar3d.physics import CollimatorResponse, GammaCamera, ObjectScatter
from planar3d.physics.energy_window import energy_windows
from planar3d.physics.scatter import WINDOWS, ScatterKernel
from planar3d.radionuclide import RADIONUCLIDES

LINES = [(nuclide.name, photon.energy_kev) for nuclide in RADIONUCLIDES for photon in nuclide.photons]
FRACTIONS = {
    ("Lu-177", 208.37): {50: 0.18, 100: 0.30, 150: 0.39, "uniform": 0.18},
    ("Tc-99m", 140.51): {50: 0.20, 100: 0.33, 150: 0.43, "uniform": 0.20},
    ("I-131", 364.49): {50: 0.11, 100: 0.19, 150: 0.27, "uniform": 0.12},
}
WIDTHS_MM = {50: 13.0, 100: 25.0, 150: 35.0, "uniform": 24.0}
ROWS = [(line, source, fraction) for line, row in FRACTIONS.items() for source, fraction in row.items()]


@cache
def images(line: tuple[str, float], source: int | str) -> tuple[Tensor, Tensor, Tensor]:
    """Scattered and unscattered anterior image of a source in the ellipse, and the pixels' x [mm]."""
    grid = Grid.centred((125, 50, 125), (5.0, 4.0, 5.0))
    x, y, z = ((torch.arange(n, dtype=torch.float64) - 0.5 * (n - 1)) * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True))
    ellipse = ((x[:, None] / 150.0) ** 2 + (y[None, :] / 100.0) ** 2 <= 1.0).double()[:, :, None].expand(grid.shape)
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    if source == "uniform":
        activity[0, 0] = ellipse * (z.abs() < 2.0)
    else:
        # between two planes, so that its depth is exact; on average over places that the coarse grid shares out differently
        plane = round((100.0 - float(source)) / 4.0 + 0.5 * (50 - 1) - 0.5)
        activity[0, 0, 61:64, plane : plane + 2, 61:64] = 1.0
    camera = GammaCamera(
        response=CollimatorResponse(slope=0.0, offset_mm=0.0, intrinsic_mm=1.0),
        sensitivity_cps_per_mbq=1.0,
        dwell_time_s=1.0,
        energy_kev=line[1],
        scatter=ObjectScatter.in_window(*line, downscatter=False),
    )
    projector = camera.projector((ellipse * linear_attenuation("water", line[1]))[None, None].contiguous(), grid)
    primary = projector.unscattered()(activity)[0, 0]
    return projector(activity)[0, 0] - primary, primary, x


@pytest.mark.parametrize(("line", "source", "fraction"), ROWS)
def test_scatter_is_as_strong_as_in_monte_carlo(line: tuple[str, float], source: int | str, fraction: float) -> None:
    scatter, primary, _ = images(line, source)
    assert float(scatter.sum() / primary.sum()) == pytest.approx(fraction / (1.0 - fraction), rel=0.1)


@pytest.mark.parametrize(("source", "rms_mm"), WIDTHS_MM.items())
def test_scatter_is_as_wide_as_in_monte_carlo(source: int | str, rms_mm: float) -> None:
    scatter, primary, x_mm = images(("Lu-177", 208.37), source)
    # of a line in z, displacement along z; of a point the excess over the unscattered image along both axes
    widths = []
    for axis in (1,) if source == "uniform" else (0, 1):
        variances = [float((image.sum(dim=1 - axis) * x_mm**2).sum() / image.sum()) for image in (scatter, primary)]
        widths.append(variances[0] - variances[1])
    assert (sum(widths) / len(widths)) ** 0.5 == pytest.approx(rms_mm, rel=0.15)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("window", WINDOWS)
def test_kernels_stay_sane_at_any_depth(line: tuple[str, float], window: str) -> None:
    depth = torch.linspace(0.0, 500.0, 251, dtype=torch.float64)
    scatter = ObjectScatter.in_window(*line, window)
    ratio = scatter.ratio(depth)
    assert (ratio >= 0).all()
    assert (ratio.diff() >= -1e-12).all()
    torch.testing.assert_close(torch.stack([a + b for a, b, _ in scatter.components(depth)]).sum(dim=0), ratio)
    assert all((variance >= 0).all() for *_, variance in scatter.components(depth))


@pytest.mark.parametrize("line", LINES)
def test_the_table_has_the_windows_that_the_library_names(line: tuple[str, float]) -> None:
    from planar3d.physics.scatter import _entry

    for window in WINDOWS:
        named = getattr(energy_windows(*line), window)
        if named is not None:
            assert _entry(*line, window)["window_kev"] == pytest.approx([named.low_kev, named.high_kev], abs=0.01)


def test_only_a_photopeak_window_counts_all_unscattered_photons() -> None:
    assert ObjectScatter.in_window("Lu-177", 208.0).primary_share == 1.0
    assert ObjectScatter.in_window("Lu-177", 208.0, "lower").primary_share < 0.01


def test_lines_above_add_to_scatter() -> None:
    depth = torch.tensor([0.0, 100.0])
    alone, whole = (ObjectScatter.in_window("Lu-177", 113.0, downscatter=d).ratio(depth) for d in (False, True))
    assert (whole > alone).all()
    assert whole[0] > 0.2  # what scatters behind the source comes down too


def test_bad_windows_are_named() -> None:
    with pytest.raises(ValueError, match="window 'side' is not known; known are peak, lower, upper"):
        ObjectScatter.in_window("Lu-177", 208.0, "side")
    with pytest.raises(ValueError, match="energy_kev=511 is no line of Lu-177"):
        ObjectScatter.in_window("Lu-177", 511.0)


def test_depth_beyond_the_fit_counts_as_its_end() -> None:
    kernel = ScatterKernel(ratio_per_mm=(0.004, 0.0, 0.0), narrow_share=0.5, sigma_narrow=(0.1, 0.0), sigma_wide=(0.3, 0.0))
    near, far = (kernel.ratio(torch.tensor(d)) for d in (300.0, 3000.0))
    assert near == far == pytest.approx(1.2)


def test_nothing_scatters_in_air() -> None:
    """Counts in air are activity, sensitivity and time, also where photons of a higher line come down in tissue."""
    grid = Grid.centred((31, 9, 31), 8.0)
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    activity[0, 0, 15, 4, 15] = 1.0
    views = [
        GammaCamera.from_name("siemens-melp", isotope="Lu-177", energy_kev=113.0, dwell_time_s=1.0, scatter=scatter)(
            activity, torch.zeros_like(activity), grid
        )
        for scatter in (True, False)
    ]
    torch.testing.assert_close(*views)
