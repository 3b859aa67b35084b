"""Rows of a view may count for less: still linear, exactly adjoint, and told by the dwell time."""

from __future__ import annotations

import pytest
import torch

from planar3d.grid import Grid
from planar3d.physics import GammaCamera, PlanarProjector

GRID = Grid.centred((9, 7, 11), (9.0, 8.0, 10.0))
DWELL_S = tuple(50.0 + 10.0 * k for k in range(11))


@pytest.fixture
def projector(generator: torch.Generator) -> PlanarProjector:
    mu_map = 0.01 * torch.rand(2, 1, *GRID.shape, generator=generator, dtype=torch.float64)
    return GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=DWELL_S).projector(mu_map, GRID)


@pytest.fixture
def factor(generator: torch.Generator) -> torch.Tensor:
    return 0.5 + 0.5 * torch.rand(2, 11, generator=generator, dtype=torch.float64)


def test_counts_are_multiplied_row_by_row(projector: PlanarProjector, factor: torch.Tensor, generator: torch.Generator) -> None:
    x = torch.rand(4, 1, *GRID.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(projector.with_exposure(factor)(x), projector(x) * factor[:, None])


def test_factors_multiply_and_ones_change_nothing(projector: PlanarProjector, factor: torch.Tensor, generator: torch.Generator) -> None:
    x = torch.rand(2, 1, *GRID.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(projector.with_exposure(factor).with_exposure(factor)(x), projector.with_exposure(factor**2)(x))
    assert torch.equal(projector.with_exposure(torch.ones_like(factor))(x), projector(x))


def test_adjoint_and_view_terms_stay_exact(projector: PlanarProjector, factor: torch.Tensor, generator: torch.Generator) -> None:
    changed = projector.with_exposure(factor)
    x = torch.randn(4, 1, *GRID.shape, generator=generator, dtype=torch.float64)
    y = torch.randn(4, 2, 9, 11, generator=generator, dtype=torch.float64)
    assert changed.adjointness_gap(x, y) < 1e-12
    torch.testing.assert_close(changed.view_terms(y).sum(dim=1, keepdim=True), changed.adjoint(y))


def test_scatter_can_still_be_left_out(projector: PlanarProjector, factor: torch.Tensor, generator: torch.Generator) -> None:
    x = torch.rand(2, 1, *GRID.shape, generator=generator, dtype=torch.float64)
    without, everything = projector.with_exposure(factor).unscattered()(x), projector.with_exposure(factor)(x)
    torch.testing.assert_close(without, projector.unscattered()(x) * factor[:, None])
    assert float(without.sum()) < 0.97 * float(everything.sum())


def test_dwell_is_relative_to_the_row_that_records_most(projector: PlanarProjector, factor: torch.Tensor) -> None:
    dwell = torch.tensor(DWELL_S, dtype=torch.float64)
    torch.testing.assert_close(projector.relative_dwell, (dwell / dwell.max()).expand(2, -1))
    alive, changed = dwell * factor, projector.with_exposure(factor)
    torch.testing.assert_close(changed.relative_dwell, alive / alive.max())
    assert changed.counts_per_bq == pytest.approx(projector.counts_per_bq * float(alive.max() / dwell.max()))


def test_other_factors_are_refused(projector: PlanarProjector, factor: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"factor must have shape \(2, 11\)"):
        projector.with_exposure(factor[0])
    for bad in (-factor, torch.zeros_like(factor), factor * torch.nan):
        with pytest.raises(ValueError, match="factor must be finite, non-negative and not zero everywhere"):
            projector.with_exposure(bad)
