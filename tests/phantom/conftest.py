"""Toy anatomies, seeds and synthesisers for the tests of phantoms."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from planar3d.grid import Grid
from planar3d.organs import organ_id
from planar3d.phantom import (
    Biodistribution,
    Breathing,
    Deformation,
    Filling,
    LesionCount,
    LesionPopulation,
    MuError,
    PetGuide,
    PhantomSynthesizer,
    Texture,
    TumourSink,
    UnlabelledUptake,
)

HOURS_24_S = 86400.0
ELLIPSOIDS_MM = {
    "spine": ((0, -55, 0), (20, 20, 400)),
    "vessels": ((0, -25, 0), (12, 12, 400)),
    "liver": ((60, 10, 60), (60, 60, 50)),
    "spleen": ((-75, -20, 60), (30, 35, 35)),
    "kidney_left": ((-55, -35, 0), (25, 22, 45)),
    "kidney_right": ((55, -35, -5), (25, 22, 45)),
    "small_bowel": ((0, 35, -40), (70, 35, 45)),
    "urinary_bladder": ((0, 15, -120), (30, 28, 22)),
}


def toy_anatomy(*, scale: tuple[float, ...] = (1.0,), spacing_mm: tuple[float, float, float] = (10.0, 10.0, 10.0)) -> SimpleNamespace:
    """Labels, mu-map and grid of ellipsoids in an elliptic cylinder; one sample for each scale of the organs."""
    grid = Grid.centred((32, 24, 30), 10.0).resampled(spacing_mm)
    index = [torch.arange(n, dtype=torch.float32) - 0.5 * (n - 1) for n in grid.shape]
    position = torch.meshgrid(*[i * s for i, s in zip(index, grid.spacing_mm, strict=True)], indexing="ij")
    samples = []
    for factor in scale:
        labels = torch.zeros(grid.shape, dtype=torch.int64)
        labels[(position[0] / 140) ** 2 + (position[1] / 95) ** 2 < 1] = organ_id("body")
        for name, (centre, radius) in ELLIPSOIDS_MM.items():
            inside = sum(((p - c) / (factor * r)) ** 2 for p, c, r in zip(position, centre, radius, strict=True)) < 1
            labels[inside] = organ_id(name)
        samples.append(labels)
    stacked = torch.stack(samples)[:, None]
    return SimpleNamespace(labels=stacked, mu_map=0.0135 * (stacked > 0).float(), grid=grid)


@pytest.fixture
def toy() -> Callable[..., SimpleNamespace]:
    """Maker of toy anatomies."""
    return toy_anatomy


@pytest.fixture
def anatomy() -> SimpleNamespace:
    """One anatomy."""
    return toy_anatomy()


@pytest.fixture
def three_anatomies() -> SimpleNamespace:
    """Three anatomies that differ."""
    return toy_anatomy(scale=(1.0, 0.9, 1.1))


@pytest.fixture
def biodistribution() -> Biodistribution:
    """177Lu-PSMA-617 one day after injection."""
    return Biodistribution.from_name("psma617", time_s=HOURS_24_S)


@pytest.fixture
def synthesizer(biodistribution: Biodistribution) -> PhantomSynthesizer:
    """Everything on."""
    return PhantomSynthesizer(
        biodistribution=biodistribution,
        texture=Texture(),
        lesions=LesionPopulation(),
        deformation=Deformation(),
        unlabelled=UnlabelledUptake(),
    )


@pytest.fixture
def population() -> PhantomSynthesizer:
    """All that a population varies."""
    return PhantomSynthesizer(
        biodistribution=Biodistribution.from_name("psma617", time_s=HOURS_24_S, voiding=True),
        texture=Texture(organs={"small_bowel": {"proximal": 0.5}}),
        lesions=LesionPopulation(count=LesionCount(mean=12.0), site_probability={"bone": 0.6, "node": 0.2, "pelvic_node": 0.2}),
        deformation=Deformation(),
        unlabelled=UnlabelledUptake(),
        filling=Filling(),
        breathing=Breathing(),
        mu_error=MuError(),
        sink=TumourSink(),
        pet=PetGuide(),
    )
