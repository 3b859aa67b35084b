"""Dose-volume histograms of known distributions."""

from __future__ import annotations

import pytest
import torch

from planar3d.dosimetry.dose_volume import DoseVolume


def test_even_doses_have_the_quantiles_of_an_even_distribution(generator: torch.Generator) -> None:
    dose = torch.linspace(0.0, 10.0, 1001)[torch.randperm(1001, generator=generator)].view(7, 11, 13)
    histogram = DoseVolume.of(dose, torch.ones_like(dose, dtype=torch.bool))
    assert [histogram.dose_to(p) for p in (2.0, 50.0, 98.0)] == pytest.approx([9.8, 5.0, 0.2], abs=0.02)
    assert histogram.mean_gy == pytest.approx(5.0, abs=1e-4)
    assert histogram.share_above(7.5) == pytest.approx(0.25, abs=2e-3)
    assert (histogram.dose_to(0.0), histogram.dose_to(100.0)) == (10.0, 0.0)


def test_one_dose_is_every_quantile() -> None:
    histogram = DoseVolume.of(torch.full((4,), 3.0), torch.tensor([True, True, False, True]))
    assert {histogram.dose_to(p) for p in (0.0, 2.0, 50.0, 98.0, 100.0)} == {3.0}
    assert histogram.share_above(3.0) == pytest.approx(1.0)
    assert histogram.share_above(3.01) == 0.0


def test_heavy_voxels_count_by_their_mass() -> None:
    dose, density = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0])
    histogram = DoseVolume.of(dose, torch.ones(2, dtype=torch.bool), density_g_per_ml=density)
    assert histogram.mean_gy == pytest.approx(1.25)
    assert histogram.dose_to(50.0) == 1.0
    assert histogram.share_above(1.5) == pytest.approx(0.25)


def test_the_curve_falls_and_its_area_is_the_mean(generator: torch.Generator) -> None:
    dose = torch.rand(500, generator=generator, dtype=torch.float64)
    histogram = DoseVolume.of(dose, torch.ones(500, dtype=torch.bool))
    doses, share = histogram.curve(2001)
    assert share[0] == pytest.approx(1.0)
    assert bool((share.diff() <= 0.0).all())
    assert float(torch.trapezoid(share, doses)) == pytest.approx(histogram.mean_gy, rel=2e-3)


def test_refuses_nothing() -> None:
    with pytest.raises(ValueError, match="kidney_left has no voxel"):
        DoseVolume.of(torch.ones(3), torch.zeros(3, dtype=torch.bool), name="kidney_left")
    with pytest.raises(ValueError, match="percent"):
        DoseVolume.of(torch.ones(3), torch.ones(3, dtype=torch.bool)).dose_to(101.0)
