"""Properties of phantoms that a PET guides."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from planar3d.organs import organ_id
from planar3d.phantom import Biodistribution, PetGuide, PhantomSynthesizer, Texture, UnlabelledUptake

ORGAN_NAMES = ("liver", "kidney_left", "spine", "body")


@pytest.fixture
def pet(anatomy: SimpleNamespace) -> torch.Tensor:
    """A PET with texture, and a hot spot in no mask."""
    volume = (0.5 + torch.rand(anatomy.labels.shape, generator=torch.Generator().manual_seed(0))) * (anatomy.labels > 0)
    volume[0, 0, 5, 12, 5] = 30.0
    return volume


def rendered(guide: PetGuide, anatomy: SimpleNamespace, pet: torch.Tensor, n: int = 3) -> tuple:
    """Phantoms of a PET, and the synthesiser's record."""
    synthesizer = PhantomSynthesizer(
        biodistribution=Biodistribution.from_name("psma617", time_s=86400.0), texture=Texture(), unlabelled=UnlabelledUptake(), pet=guide
    )
    record = synthesizer.draw(torch.arange(n))
    return synthesizer.render(record, anatomy.labels, anatomy.mu_map, anatomy.grid, pet=pet), record


@pytest.mark.parametrize("log_ratio_sd", [None, 0.6])
def test_texture_and_place_are_those_of_the_pet(anatomy: SimpleNamespace, pet: torch.Tensor, log_ratio_sd: float | None) -> None:
    phantom, _ = rendered(PetGuide(log_ratio_sd=log_ratio_sd), anatomy, pet)
    for name in ORGAN_NAMES:
        inside = anatomy.labels[0] == organ_id(name)
        for b in range(3):
            ratio = phantom.activity[b][inside] / pet[0][inside]
            assert float(ratio.std() / ratio.mean()) < 1e-3
    assert phantom.activity[0, 0, 5, 12, 5] > 10 * phantom.activity[0][anatomy.labels[0] == organ_id("body")].median()


def test_levels_are_those_of_the_biodistribution_or_free(anatomy: SimpleNamespace, pet: torch.Tensor) -> None:
    phantom, record = rendered(PetGuide(log_ratio_sd=None), anatomy, pet)
    liver = anatomy.labels[0] == organ_id("liver")
    for b in range(3):
        torch.testing.assert_close(phantom.activity[b][liver].mean(), record.concentration[b, organ_id("liver")], rtol=1e-3, atol=0.0)
    free, record = rendered(PetGuide(log_ratio_sd=0.6), anatomy, pet, n=200)
    total = free.activity.sum(dim=(1, 2, 3, 4))
    wanted = record.concentration[:, anatomy.labels[0, 0]].sum(dim=(1, 2, 3))
    torch.testing.assert_close(total, wanted, rtol=1e-3, atol=0.0)
    levels = torch.stack([free.activity[:, 0, anatomy.labels[0, 0] == organ_id(name)].mean(dim=1) for name in ("liver", "spleen")])
    log = (levels[0] / levels[1]).log()
    assert float(log.std()) == pytest.approx(0.6 * 2**0.5, rel=0.15)


def test_without_a_pet_the_phantom_is_as_it_would_be_without_a_guide(anatomy: SimpleNamespace, pet: torch.Tensor) -> None:
    source = Biodistribution.from_name("psma617", time_s=86400.0)
    a, b = (
        PhantomSynthesizer(biodistribution=source, texture=Texture(), pet=PetGuide()),
        PhantomSynthesizer(biodistribution=source, texture=Texture()),
    )
    seeds = torch.arange(2)
    with_guide, without = (s.render(s.draw(seeds), anatomy.labels, anatomy.mu_map, anatomy.grid) for s in (a, b))
    assert torch.equal(with_guide.activity, without.activity)


def test_bad_ratios_are_refused() -> None:
    with pytest.raises(ValueError, match="log_ratio_sd"):
        PetGuide(log_ratio_sd=0.1)
    with pytest.raises(ValueError, match="highest"):
        PetGuide(highest=0.5)
