"""Spheres of the NEMA phantom have their volumes and places at any voxel size, and recovery is what an image keeps of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from planar3d.grid import Grid
from planar3d.phantom.nema import NemaPhantom

MU_PER_MM = 0.0135


def grid(spacing_mm: float) -> Grid:
    return Grid.centred([math.ceil(e / spacing_mm) for e in (320.0, 250.0, 200.0)], spacing_mm)


@pytest.mark.parametrize("spacing_mm", [3.0, 4.8, 9.0])
def test_volumes_do_not_depend_on_the_voxels(spacing_mm: float) -> None:
    phantom, place = NemaPhantom(), grid(spacing_mm)
    image = phantom.render(place, mu_per_mm=MU_PER_MM, dtype=torch.float64)
    volumes = image.spheres.flatten(1).sum(dim=1) * place.voxel_volume_ml
    torch.testing.assert_close(volumes, torch.tensor(phantom.volumes_ml, dtype=torch.float64), rtol=3e-3, atol=0.0)
    width, height, length = phantom.body_mm
    filled = 0.25 * math.pi * (width * height - phantom.lung_mm**2) * length / 1e3 - sum(phantom.volumes_ml)
    total = phantom.background_bq_per_ml * (filled + phantom.sphere_to_background * sum(phantom.volumes_ml))
    assert float(image.activity.sum()) * place.voxel_volume_ml == pytest.approx(total, rel=1e-3)


def test_spheres_lie_at_their_places() -> None:
    phantom, place = NemaPhantom(), grid(4.8)
    image = phantom.render(place, mu_per_mm=MU_PER_MM, dtype=torch.float64)
    axes = [o + s * torch.arange(n, dtype=torch.float64) for o, s, n in zip(place.origin_mm, place.spacing_mm, place.shape, strict=True)]
    weights = image.spheres / image.spheres.flatten(1).sum(dim=1).view(-1, 1, 1, 1)
    found = torch.stack([(weights * axis).sum(dim=(1, 2, 3)) for axis in torch.meshgrid(*axes, indexing="ij")], dim=1)
    torch.testing.assert_close(found, torch.tensor(phantom.centres_mm, dtype=torch.float64), rtol=0.0, atol=0.06)


def test_lung_is_cold_and_attenuates_less() -> None:
    image = NemaPhantom().render(grid(3.0), mu_per_mm=MU_PER_MM)
    middle = tuple(n // 2 for n in image.activity.shape[2:])
    assert image.activity[(0, 0, *middle)] == 0
    assert float(image.mu_map[(0, 0, *middle)]) == pytest.approx(0.3 * MU_PER_MM)
    assert (replace(NemaPhantom(), lung_mm=0.0).render(grid(3.0), mu_per_mm=MU_PER_MM).activity[(0, 0, *middle)] > 0).item()


def test_recovery_is_the_mean_in_the_sphere() -> None:
    phantom = NemaPhantom(sphere_to_background=4.0)
    image = phantom.render(grid(4.8), mu_per_mm=MU_PER_MM, dtype=torch.float64)
    level = torch.tensor([1.0, 0.5], dtype=torch.float64).view(2, 1, 1, 1, 1) * image.sphere_bq_per_ml
    flat = level.expand(2, *image.activity.shape[1:])
    torch.testing.assert_close(image.recovery(flat), torch.tensor([[1.0], [0.5]], dtype=torch.float64).expand(2, 6))
    truth = image.recovery(image.activity)[0]
    assert (truth.diff() > 0).all()
    assert (truth < 1).all()


def test_refuses_what_cannot_be_filled_or_compared() -> None:
    with pytest.raises(ValueError, match="sphere_to_background must be non-negative"):
        NemaPhantom(sphere_to_background=-1.0)
    with pytest.raises(ValueError, match="diameters_mm must be positive"):
        NemaPhantom(diameters_mm=(10.0, 0.0))
    with pytest.raises(ValueError, match="estimate must lie on the phantom's grid"):
        NemaPhantom().render(grid(9.0), mu_per_mm=MU_PER_MM).recovery(torch.zeros(1, 1, 4, 4, 4))
