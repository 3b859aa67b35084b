"""Samples depend on (seed, epoch, index) alone, whatever the batch, the device count or the history of the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from planar3d.anatomy.patient import Patient
from planar3d.data import PhantomDataModule
from planar3d.data.index_batches import IndexBatches
from planar3d.organs import organ_id
from planar3d.phantom import Biodistribution, LesionPopulation, PetGuide, PhantomSynthesizer
from planar3d.phantom.lesion import lesions_alone
from planar3d.simulation import PlanarSimulator

MakeData = Callable[..., PhantomDataModule]


@pytest.mark.parametrize("epoch", [None, 3])
def test_a_batch_holds_what_its_samples_are_alone(epoch: int | None, make_data: MakeData) -> None:
    data = make_data()
    together = data.synthesise(torch.tensor([5, 2, 7]), epoch=epoch).truth
    for k, index in enumerate((5, 2, 7)):
        alone = data.synthesise(torch.tensor([index]), epoch=epoch).truth
        # round-off differs with the batch size, and a count at the edge may fall the other way
        torch.testing.assert_close(alone.activity[0], together.activity[k], rtol=1e-3, atol=1e-3 * float(alone.activity.max()))
        assert alone.views.sum() == pytest.approx(float(together.views[k].sum()), rel=0.01)


def test_a_sample_is_the_same_each_time(make_data: MakeData) -> None:
    once, again = (make_data().synthesise(torch.arange(2), epoch=5).truth for _ in range(2))
    assert torch.equal(once.views, again.views)
    assert torch.equal(once.activity, again.activity)


def test_epochs_indices_and_seeds_give_different_samples(make_data: MakeData) -> None:
    data, other = make_data(), make_data(seed=1)
    index = torch.arange(100)
    seeds = torch.cat([data.keys(index, epoch=0).seeds, data.keys(index, epoch=1).seeds, other.keys(index, epoch=0).seeds])
    assert len(seeds.unique()) == 300


def test_validation_does_not_depend_on_the_seed_and_shows_every_anatomy_with_both_kinds_of_labels(make_data: MakeData) -> None:
    keys, other = (make_data(seed=s).keys(torch.arange(4), epoch=None) for s in (0, 1))
    assert torch.equal(keys.seeds, other.seeds)
    poor = ~keys.held[:, organ_id("vessels")]
    assert sorted(zip(keys.anatomy.tolist(), poor.tolist(), strict=True)) == [(0, False), (0, True), (1, False), (1, True)]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_poor_labels_is_the_one_asked_for(share: float, make_data: MakeData) -> None:
    data = make_data(poor_share=share)
    for epoch in (None, 0):
        poor = ~data.keys(torch.arange(1000), epoch=epoch).held[:, organ_id("vessels")]
        assert poor.float().mean() == pytest.approx(share, abs=0.05)


def test_the_method_is_given_the_anatomy_before_it_moved_and_the_labels_as_told(make_data: MakeData) -> None:
    data = make_data(poor_share=1.0)
    sample = data.synthesise(torch.arange(4), epoch=0)
    assert torch.equal(sample.problem.mu_map, data.synthesise(torch.arange(4), epoch=0).truth.mu_map)
    assert not (sample.problem.labels == organ_id("vessels")).any()
    assert (sample.truth.imaged_labels == organ_id("vessels")).any()
    assert not torch.equal(sample.truth.imaged_labels > 0, sample.problem.labels > 0)
    assert torch.equal(sample.problem.views, sample.truth.views)


def test_samples_have_the_texture_of_a_pet(make_data: MakeData, patients: list[Patient], simulator: PlanarSimulator) -> None:
    pets = [torch.rand(p.labels.shape, generator=torch.Generator().manual_seed(7)) + 0.1 for p in patients]
    with_pet = [replace(p, pet=pet) for p, pet in zip(patients, pets, strict=True)]
    guided = PhantomSynthesizer(biodistribution=Biodistribution.from_name("psma617", time_s=86400.0), pet=PetGuide())
    data = make_data(patients=with_pet, simulator=PlanarSimulator(camera=simulator.camera, synthesizer=guided))
    sample, keys = data.synthesise(torch.arange(3), epoch=0), data.keys(torch.arange(3), epoch=0)
    pet = data._banks[True].pets(keys.anatomy)
    assert pet is not None
    for k in range(3):
        liver = sample.truth.imaged_labels[k] == organ_id("liver")
        ratio = sample.truth.activity[k][liver] / pet[k][liver]
        assert float(ratio.std() / ratio.mean()) < 1e-3
    with pytest.raises(ValueError, match="no guide for a PET"):
        make_data(patients=with_pet).synthesise(torch.arange(1), epoch=0)


def test_lesions_are_in_the_labels_given_as_often_as_asked(make_data: MakeData, simulator: PlanarSimulator) -> None:
    source = Biodistribution.from_name("psma617", time_s=86400.0)
    synthesizer = PhantomSynthesizer(biodistribution=source, lesions=LesionPopulation(mean_count=15.0, volume_ml=40.0))
    data = make_data(simulator=PlanarSimulator(camera=simulator.camera, synthesizer=synthesizer), outlined_share=0.5)
    assert data.keys(torch.arange(1000), epoch=0).outlined.float().mean() == pytest.approx(0.5, abs=0.05)
    index = torch.arange(12)
    sample, outlined = data.synthesise(index, epoch=0), data.keys(index, epoch=0).outlined
    given, imaged = (lesions_alone(labels).flatten(1).any(dim=1) for labels in (sample.problem.labels, sample.truth.imaged_labels))
    assert torch.equal(given, outlined & imaged)
    assert given.any()
    assert (imaged & ~given).any()
    assert not lesions_alone(data.synthesise(index, epoch=None).problem.labels).any()


def test_sparse_labels_are_those_of_training_samples_alone_and_differ_between_them(make_data: MakeData) -> None:
    data, index = make_data(poor_share=0.0, sparse_share=0.5), torch.arange(400)
    held = data.keys(index, epoch=0).held
    sparse = ~held.all(dim=1)
    assert sparse.float().mean() == pytest.approx(0.5, abs=0.07)
    assert len(held[sparse].unique(dim=0)) > 150
    assert data.keys(index, epoch=None).held.all()
    lacking = index[~held[:, organ_id("vessels")]][:2]
    sample = data.synthesise(lacking, epoch=0)
    assert not (sample.problem.labels == organ_id("vessels")).any()
    assert (sample.truth.imaged_labels == organ_id("vessels")).any()


@pytest.mark.parametrize(("count", "world_size"), [(8, 1), (8, 2), (7, 3)])
def test_devices_share_out_the_indices_and_make_as_many_steps(count: int, world_size: int) -> None:
    shares = [IndexBatches(count=count, batch_size=2, rank=rank, world_size=world_size) for rank in range(world_size)]
    indices = torch.cat([torch.cat(list(share)) for share in shares])
    assert len(indices.unique()) == len(indices)
    assert set(range(count)) <= set(indices.tolist())
    assert len({len(share) for share in shares}) == 1
    assert all(len(share) == len(list(share)) for share in shares)


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"samples_per_epoch": 0}, {"poor_share": 1.5}, {"outlined_share": -0.1}, {"sparse_share": 2.0}]
)
def test_useless_options_are_told(options: dict[str, float], make_data: MakeData) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        make_data(**options)
