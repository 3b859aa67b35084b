"""An estimate that is the reference before its blur is compared at that blur, whatever else the cases hold."""

from __future__ import annotations

import pytest
import torch

from planar3d.grid import Grid
from planar3d.metrics import nmae, ssim3d
from planar3d.metrics.matched_resolution import compare_blurred, fitted_width
from planar3d.phantom.gaussian import blur

GRID = Grid.centred((16, 14, 12), 4.0)


def test_the_blur_of_the_reference_is_found(generator: torch.Generator) -> None:
    sharp = torch.rand(3, 1, *GRID.shape, generator=generator)
    reference = blur(sharp, 8.0, GRID)
    found = compare_blurred(sharp, reference, torch.ones_like(sharp, dtype=torch.bool), GRID)
    widths = [w for _ in range(3) for w in found.widths_mm]
    assert fitted_width(widths, found.nmae.flatten().tolist()) == 8.0
    at = found.widths_mm.index(8.0)
    torch.testing.assert_close(found.nmae[:, at], torch.zeros(3), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(found.ssim_body[:, at], torch.ones(3))


def test_without_blur_it_is_the_plain_metric(generator: torch.Generator) -> None:
    x, r = (torch.rand(2, 1, *GRID.shape, generator=generator) for _ in range(2))
    body = x > 0.5
    found = compare_blurred(x, r, body, GRID, (0.0,))
    torch.testing.assert_close(found.nmae[:, 0], nmae(x, r))
    torch.testing.assert_close(found.ssim[:, 0], ssim3d(x, r))
    torch.testing.assert_close(found.ssim_body[:, 0], ssim3d(x, r, body))
    assert found.rows(1) == [
        pytest.approx(
            {"width_mm": 0.0, "nmae": float(nmae(x, r)[1]), "ssim": float(ssim3d(x, r)[1]), "ssim_body": float(ssim3d(x, r, body)[1])}
        )
    ]


def test_one_width_serves_all_cases() -> None:
    assert fitted_width([0.0, 4.0, 8.0] * 2, [1.0, 0.5, 0.6, 0.1, 0.5, 0.6]) == 4.0
    assert fitted_width([4.0, 0.0], [0.5, 0.5]) == 0.0


def test_refuses_no_widths() -> None:
    x = torch.ones(1, 1, *GRID.shape)
    with pytest.raises(ValueError, match="widths_mm must hold"):
        compare_blurred(x, x, x > 0, GRID, ())
    with pytest.raises(ValueError, match="errors must hold one figure per width"):
        fitted_width([1.0], [])
