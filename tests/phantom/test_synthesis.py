"""Properties of whole phantoms."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import pytest
import torch

from planar3d.grid import Grid
from planar3d.organs import ORGANS, organ_id
from planar3d.phantom import Biodistribution, Deformation, LesionPopulation, PhantomSynthesizer, Texture, UnlabelledUptake
from planar3d.phantom.lesion import lesions_alone
from planar3d.phantom.record import TensorRecord


def tensors(record: TensorRecord) -> list[torch.Tensor]:
    """All tensors of a record and of the records in it."""
    values = [getattr(record, f.name) for f in fields(record)]
    return [t for v in values if v is not None for t in (tensors(v) if isinstance(v, TensorRecord) else [v])]


def test_a_sample_depends_on_its_own_seed_alone(synthesizer: PhantomSynthesizer) -> None:
    together = tensors(synthesizer.draw(torch.tensor([3, 11, 5])))
    alone = tensors(synthesizer.draw(torch.tensor([11])))
    assert len(together) > 15
    for batch, single in zip(together, alone, strict=True):
        assert torch.equal(batch[1:2], single)
    assert not torch.equal(together[1][0], together[1][1])


def test_global_random_state_is_left_alone(synthesizer: PhantomSynthesizer, anatomy: SimpleNamespace) -> None:
    before = torch.get_rng_state()
    synthesizer.render(synthesizer.draw(torch.tensor([1])), anatomy.labels, anatomy.mu_map, anatomy.grid)
    assert torch.equal(before, torch.get_rng_state())


def test_rendering_is_deterministic(synthesizer: PhantomSynthesizer, three_anatomies: SimpleNamespace) -> None:
    a = three_anatomies
    record = synthesizer.draw(torch.arange(3))
    first, second = (synthesizer.render(record, a.labels, a.mu_map, a.grid) for _ in range(2))
    assert torch.equal(first.activity, second.activity)
    assert torch.equal(first.imaged_labels, second.imaged_labels)


def test_batch_equals_elements(synthesizer: PhantomSynthesizer, three_anatomies: SimpleNamespace) -> None:
    a = three_anatomies
    record = synthesizer.draw(torch.tensor([0, 1, 2]))
    batch = synthesizer.render(record, a.labels, a.mu_map, a.grid)
    for k in range(3):
        one = synthesizer.render(record[k : k + 1], a.labels[k : k + 1], a.mu_map[k : k + 1], a.grid)
        torch.testing.assert_close(batch.activity[k : k + 1], one.activity, rtol=1e-3, atol=1e-4 * one.activity.max().item())
        torch.testing.assert_close(batch.mu_map[k : k + 1], one.mu_map)
        assert (batch.imaged_labels[k : k + 1] != one.imaged_labels).float().mean() < 1e-3


def test_one_anatomy_serves_all_samples(synthesizer: PhantomSynthesizer, anatomy: SimpleNamespace) -> None:
    phantom = synthesizer.render(synthesizer.draw(torch.arange(2)), anatomy.labels, anatomy.mu_map, anatomy.grid)
    assert phantom.activity.shape == (2, 1, *anatomy.grid.shape)
    assert not torch.equal(phantom.activity[0], phantom.activity[1])


def test_activity_is_not_negative_and_inside_the_body(synthesizer: PhantomSynthesizer, three_anatomies: SimpleNamespace) -> None:
    a = three_anatomies
    phantom = synthesizer.render(synthesizer.draw(torch.arange(3)), a.labels, a.mu_map, a.grid)
    assert phantom.activity.isfinite().all()
    assert phantom.activity.min() >= 0
    assert (phantom.activity[phantom.mu_map == 0] == 0).all()
    assert (phantom.activity[phantom.imaged_labels > 0] > 0).all()


def test_organ_totals_are_as_drawn_without_deformation(biodistribution: Biodistribution, three_anatomies: SimpleNamespace) -> None:
    a = three_anatomies
    synthesizer = PhantomSynthesizer(biodistribution=biodistribution, texture=Texture())
    record = synthesizer.draw(torch.arange(3))
    phantom = synthesizer.render(record, a.labels, a.mu_map, a.grid)
    for name in ("liver", "kidney_left", "kidney_right", "small_bowel", "urinary_bladder", "spine", "body"):
        inside = a.labels == organ_id(name)
        mean = (phantom.activity * inside).sum(dim=(1, 2, 3, 4)) / inside.sum(dim=(1, 2, 3, 4))
        torch.testing.assert_close(mean, record.concentration[:, organ_id(name)], rtol=1e-4, atol=0.0)
        spread = phantom.activity[0][inside[0]].std() / mean[0]
        assert spread > 0.03, f"{name} is uniform"


def test_without_components_organs_are_uniform_and_nothing_moves(biodistribution: Biodistribution, anatomy: SimpleNamespace) -> None:
    synthesizer = PhantomSynthesizer(biodistribution=biodistribution)
    record = synthesizer.draw(torch.arange(2))
    phantom = synthesizer.render(record, anatomy.labels, anatomy.mu_map, anatomy.grid)
    assert torch.equal(phantom.mu_map[:1], anatomy.mu_map)
    assert torch.equal(phantom.imaged_labels[:1], anatomy.labels)
    for b in range(2):
        assert torch.equal(phantom.activity[b], record.concentration[b][anatomy.labels[0]])


def test_strengths_of_zero_are_the_same_as_leaving_out(biodistribution: Biodistribution, anatomy: SimpleNamespace) -> None:
    zero = PhantomSynthesizer(
        biodistribution=biodistribution,
        texture=Texture(strength=0.0),
        lesions=LesionPopulation(mean_count=0.0),
        deformation=Deformation(translation_mm=0.0, rotation_deg=0.0, elastic_mm=0.0),
        unlabelled=UnlabelledUptake(fraction=0.0, bowel_share=0.0),
    )
    none = PhantomSynthesizer(biodistribution=biodistribution)
    seeds = torch.arange(2)
    a, b = (s.render(s.draw(seeds), anatomy.labels, anatomy.mu_map, anatomy.grid) for s in (zero, none))
    torch.testing.assert_close(a.activity, b.activity)
    assert torch.equal(a.mu_map, b.mu_map)
    assert torch.equal(a.imaged_labels, b.imaged_labels)


def test_dtype_follows_the_mu_map_and_labels_keep_theirs(synthesizer: PhantomSynthesizer, anatomy: SimpleNamespace) -> None:
    record = synthesizer.draw(torch.arange(1))
    phantom = synthesizer.render(record, anatomy.labels.to(torch.uint8), anatomy.mu_map.double(), anatomy.grid)
    assert phantom.activity.dtype == torch.float64
    assert phantom.imaged_labels.dtype == torch.uint8
    assert int(phantom.imaged_labels.max()) < len(ORGANS)


def test_wrong_shapes_and_counts_are_refused(synthesizer: PhantomSynthesizer, anatomy: SimpleNamespace) -> None:
    record = synthesizer.draw(torch.arange(3))
    with pytest.raises(ValueError, match="labels must have the grid's shape"):
        synthesizer.render(record, anatomy.labels, anatomy.mu_map, Grid.centred((8, 8, 8), 8.0))
    two = (2, -1, -1, -1, -1)
    with pytest.raises(ValueError, match="one for each of the 3 samples"):
        synthesizer.render(record, anatomy.labels.expand(*two), anatomy.mu_map.expand(*two), anatomy.grid)
    with pytest.raises(ValueError, match="at least one seed"):
        synthesizer.draw(torch.arange(0))


def test_every_tensor_goes_to_the_device_of_the_labels(synthesizer: PhantomSynthesizer, anatomy: SimpleNamespace) -> None:
    """The meta device computes nothing and refuses to be mixed with another, so this needs no GPU."""
    phantom = synthesizer.render(synthesizer.draw(torch.arange(2)), anatomy.labels.to("meta"), anatomy.mu_map.to("meta"), anatomy.grid)
    everything = (phantom.activity, phantom.mu_map, phantom.imaged_labels, *tensors(phantom.record))
    assert {t.device.type for t in everything} == {"meta"}


def test_added_components_leave_the_draws_of_the_others(
    synthesizer: PhantomSynthesizer, biodistribution: Biodistribution, population: PhantomSynthesizer
) -> None:
    """So that fixed cases stay the same when a synthesis learns more."""
    more = PhantomSynthesizer(
        biodistribution=biodistribution, texture=Texture(), lesions=LesionPopulation(), deformation=Deformation(),
        unlabelled=UnlabelledUptake(), filling=population.filling, breathing=population.breathing, mu_error=population.mu_error,
        pet=population.pet,
    )  # fmt: skip
    seeds = torch.tensor([2, 5])
    a, b = synthesizer.draw(seeds).tensors(), more.draw(seeds).tensors()
    assert set(a) < set(b)
    assert all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def test_a_population_sample_is_the_same_at_any_batch_size(population: PhantomSynthesizer, three_anatomies: SimpleNamespace) -> None:
    a = three_anatomies
    record = population.draw(torch.tensor([7, 8, 9]))
    batch = population.render(record, a.labels, a.mu_map, a.grid)
    assert (batch.activity >= 0).all()
    for k in range(3):
        own = population.draw(torch.tensor([7 + k]))
        one = population.render(own, a.labels[k : k + 1], a.mu_map[k : k + 1], a.grid)
        scale = one.activity.max().item()
        torch.testing.assert_close(batch.activity[k : k + 1], one.activity, rtol=1e-3, atol=1e-4 * scale)
        torch.testing.assert_close(batch.mu_map[k : k + 1], one.mu_map)
        assert (batch.imaged_labels[k : k + 1] != one.imaged_labels).float().mean() < 1e-3


def test_a_population_goes_to_the_device_of_the_labels(population: PhantomSynthesizer, anatomy: SimpleNamespace) -> None:
    """As on the meta device above, with every component and a PET."""
    labels, mu_map = anatomy.labels.to("meta"), anatomy.mu_map.to("meta")
    for pet in (None, mu_map):
        phantom = population.render(population.draw(torch.arange(2)), labels, mu_map, anatomy.grid, pet=pet)
        assert {t.device.type for t in (phantom.activity, phantom.mu_map, phantom.imaged_labels, *tensors(phantom.record))} == {"meta"}


@pytest.mark.gpu
def test_rendering_follows_the_device(synthesizer: PhantomSynthesizer, three_anatomies: SimpleNamespace) -> None:
    a = three_anatomies
    record = synthesizer.draw(torch.arange(3))
    here = synthesizer.render(record, a.labels, a.mu_map, a.grid)
    there = synthesizer.render(record, a.labels.cuda(), a.mu_map.cuda(), a.grid)
    assert all(t.is_cuda for t in (there.activity, there.mu_map, there.imaged_labels, *tensors(there.record)))
    difference = (there.activity.cpu() - here.activity).abs().sum() / here.activity.sum()
    assert difference < 0.01


def test_uptake_without_a_label_leaves_with_time(synthesizer: PhantomSynthesizer, anatomy: SimpleNamespace) -> None:
    assert synthesizer.unlabelled is not None
    record, source = synthesizer.draw(torch.arange(2)), synthesizer.biodistribution
    later = synthesizer.at(record, 7 * 86400.0)
    assert record.unlabelled_scale is not None
    assert later.unlabelled_scale is not None
    assert torch.equal(record.unlabelled_scale, torch.ones(2))
    assert (later.unlabelled_scale < 2.0 ** (-(7 * 24 - source.time_s / 3600) / source.physical_half_life_h) + 1e-6).all()
    again = synthesizer.at(later, source.time_s)
    torch.testing.assert_close(again.unlabelled_scale, record.unlabelled_scale)
    both = [synthesizer.render(r, anatomy.labels, anatomy.mu_map, anatomy.grid).activity for r in (record, later)]
    without = [
        PhantomSynthesizer(
            biodistribution=source, texture=synthesizer.texture, lesions=synthesizer.lesions, deformation=synthesizer.deformation
        )
        .render(r, anatomy.labels, anatomy.mu_map, anatomy.grid)
        .activity
        for r in (record, later)
    ]
    added = [float((b - w).clamp(min=0).sum()) for b, w in zip(both, without, strict=True)]
    assert added[1] < 0.6 * added[0]


def test_lesions_are_outlined_where_they_lie_before_the_anatomy_moves(anatomy: SimpleNamespace) -> None:
    source = Biodistribution.from_name("psma617", time_s=86400.0)
    lesions = LesionPopulation(mean_count=12.0, volume_ml=20.0)
    seeds = torch.arange(6)
    for deformation in (None, Deformation(elastic_mm=0.0)):
        synthesizer = PhantomSynthesizer(biodistribution=source, lesions=lesions, deformation=deformation)
        record = synthesizer.draw(seeds)
        phantom = synthesizer.render(record, anatomy.labels, anatomy.mu_map, anatomy.grid, outline=True)
        assert phantom.outlines is not None
        imaged = lesions_alone(phantom.imaged_labels)
        assert imaged.any()
        if deformation is None or record.deformation is None:
            assert torch.equal(phantom.outlines, imaged)
        else:
            assert not torch.equal(phantom.outlines, imaged)
            again = deformation.render(record.deformation, imaged.float(), imaged.float(), phantom.outlines, anatomy.grid)[2]
            assert ((again > 0) & (imaged > 0)).sum() > 0.8 * (imaged > 0).sum()
        plain = synthesizer.render(record, anatomy.labels, anatomy.mu_map, anatomy.grid)
        assert plain.outlines is None
        assert torch.equal(plain.imaged_labels, phantom.imaged_labels)
