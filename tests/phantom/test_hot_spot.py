"""Properties of hot spots, lesions and unlabelled uptake."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from planar3d.grid import Grid
from planar3d.organs import BODY, GROUPS, LESIONS, organ_id
from planar3d.phantom import Biodistribution, LesionCount, LesionPopulation, PhantomSynthesizer, UnlabelledUptake
from planar3d.phantom.biodistribution import UptakeRecord
from planar3d.phantom.hot_spot import HotSpots, SpotShape, resolve_sites
from planar3d.phantom.lesion_site import SITES

FIRST = organ_id("lesion_1")


def lesions_of(population: LesionPopulation, n: int) -> HotSpots:
    """Records of n samples."""
    return HotSpots.stack([population.draw(torch.Generator().manual_seed(k)) for k in range(n)])


def test_sites_have_the_probabilities_asked_for() -> None:
    asked = {"bone": 0.5, "node": 0.2, "pelvic_node": 0.1, "liver": 0.2}
    population = LesionPopulation(site_probability=asked)
    site = lesions_of(population, 200).site.flatten()
    share = torch.bincount(site, minlength=len(population.sites.names)) / len(site)
    assert population.sites.names[-1] == "elsewhere"
    for name, value in zip(population.sites.names, share.tolist(), strict=True):
        assert value == pytest.approx(asked.get(name, 0.0), abs=0.03)


def test_many_lesions_add_their_activity_with_or_without_an_id(anatomy: SimpleNamespace, biodistribution: Biodistribution) -> None:
    population = LesionPopulation(count=LesionCount(mean=40.0, dispersion=20.0, fewest=30), site_uptake={"bone": 2.0})
    record = lesions_of(population, 2)
    uptake = UptakeRecord.stack([biodistribution.draw(torch.Generator().manual_seed(k)) for k in range(2)])
    concentration = biodistribution.lesion_concentration(uptake)
    labels = anatomy.labels.expand(2, -1, -1, -1, -1)
    activity, imaged = population.render(record, concentration, torch.zeros_like(labels, dtype=torch.float32), labels, anatomy.grid)
    each = population.activity_bq(record, concentration)
    total = activity.sum(dim=(1, 2, 3, 4)) * anatomy.grid.voxel_volume_ml
    torch.testing.assert_close(total, each.sum(dim=1), rtol=1e-3, atol=0.0)
    assert int(imaged.max()) <= FIRST + 15
    assert len(set(imaged[0].unique().tolist()) & set(range(FIRST, FIRST + 16))) > 10
    most = int(record.in_use.sum(dim=1).max())
    fewer, _ = population.render(record, concentration, torch.zeros_like(activity), labels, anatomy.grid, most=most)
    torch.testing.assert_close(fewer, activity)


def test_number_of_lesions_is_geometric_up_to_sixteen() -> None:
    count = lesions_of(LesionPopulation(mean_count=5.0), 600).in_use.sum(dim=1).double()
    assert count.max() == len(LESIONS)
    assert (count == 0).double().mean().item() == pytest.approx(1 / 6, abs=0.05)
    assert 3.8 < count.mean() < 5.2
    assert not lesions_of(LesionPopulation(mean_count=0.0), 20).in_use.any()


def test_volumes_have_the_median_asked_for() -> None:
    volume = lesions_of(LesionPopulation(), 200).volume_ml
    assert volume.median().item() == pytest.approx(3.0, rel=0.1)
    assert volume.log().std().item() == pytest.approx(1.1, rel=0.1)
    assert volume.max() <= 80.0


@pytest.mark.parametrize("spacing_mm", [(10.0, 10.0, 10.0), (6.0, 9.0, 5.0)])
def test_lesions_add_the_activity_drawn_and_their_ids(
    toy: Callable[..., SimpleNamespace], biodistribution: Biodistribution, spacing_mm: tuple
) -> None:
    a = toy(scale=(1.0, 0.9, 1.1), spacing_mm=spacing_mm)
    population = LesionPopulation(mean_count=8.0)
    record = lesions_of(population, 3)
    uptake = UptakeRecord.stack([biodistribution.draw(torch.Generator().manual_seed(k)) for k in range(3)])
    concentration = biodistribution.lesion_concentration(uptake)
    zero = torch.zeros_like(a.mu_map)
    activity, labels = population.render(record, concentration, zero, a.labels, a.grid)
    drawn = (concentration[:, :16] * record.volume_ml * record.in_use).sum(dim=1)
    torch.testing.assert_close(activity.sum(dim=(1, 2, 3, 4)) * a.grid.voxel_volume_ml, drawn, rtol=1e-3, atol=0.0)
    assert (activity[a.labels == 0] == 0).all()
    for b in range(3):
        found = set(labels[b].unique().tolist()) & set(range(FIRST, FIRST + 16))
        in_use = set(range(FIRST, FIRST + int(record.in_use[b].sum())))
        assert found <= in_use
        assert len(found) >= 0.7 * len(in_use)  # a lesion may lie inside another
        assert (activity[b][labels[b] >= FIRST] > 0).all()
    outside = labels < FIRST
    assert torch.equal(labels[outside], a.labels[outside])


def test_lesions_lie_at_their_sites(anatomy: SimpleNamespace) -> None:
    for site in ("liver", "bone", "node"):
        population = LesionPopulation(mean_count=50.0, site_probability={site: 1.0})
        record = lesions_of(population, 1)
        voxel, found = resolve_sites(record, population.sites.weights(anatomy.labels, torch.float32, anatomy.grid))
        assert found.all()
        organs = {organ_id(name) for name in SITES[site]}
        assert set(anatomy.labels.flatten()[voxel].flatten().tolist()) <= organs


def test_a_site_that_is_missing_gives_way_to_elsewhere(anatomy: SimpleNamespace) -> None:
    labels = torch.where(anatomy.labels == organ_id("liver"), BODY, anatomy.labels)
    population = LesionPopulation(mean_count=50.0, site_probability={"liver": 1.0})
    voxel, found = resolve_sites(lesions_of(population, 1), population.sites.weights(labels, torch.float32, anatomy.grid))
    assert found.all()
    assert (labels.flatten()[voxel] == BODY).all()


def test_every_voxel_of_a_site_is_chosen_in_proportion() -> None:
    weights = torch.zeros(1, 1, 4, 1, 1)
    weights[0, 0, :, 0, 0] = torch.tensor([0.0, 1.0, 0.0, 3.0])
    k = 1000
    spots = LesionPopulation().shape.draw(
        torch.Generator().manual_seed(0), torch.ones(k, dtype=torch.bool), torch.zeros(k, dtype=torch.int64)
    )
    voxel, _ = resolve_sites(HotSpots.stack([spots]), weights)
    share = torch.bincount(voxel[0], minlength=4) / k
    assert share[0] == 0
    assert share[2] == 0
    assert share[3].item() == pytest.approx(0.75, abs=0.05)
    first, _ = resolve_sites(HotSpots.stack([replace(spots, place=torch.zeros(k))]), weights)
    assert (first == 1).all()


def test_a_spot_has_the_volume_axes_and_direction_drawn() -> None:
    """An ellipsoid's second moment along an axis is (R a)^2 / 5."""
    grid = Grid.centred((41, 31, 35), (1.5, 2.0, 1.8))
    one = torch.ones(1, dtype=torch.bool)
    shape = SpotShape(volume_ml=20.0, volume_log_sd=0.0, largest_ml=40.0, axis_log_sd=0.4, roughness=0.0, edge=0.01)
    spots = HotSpots.stack([shape.draw(torch.Generator().manual_seed(0), one, torch.zeros(1, dtype=torch.int64))])
    turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    axes = torch.tensor([1.5, 1.0, 1.0 / 1.5])
    spots = replace(spots, semi_axes=axes.view(1, 1, 3), rotation=turn.view(1, 1, 3, 3), offset=torch.zeros(1, 1, 3))
    middle = torch.tensor([[(20 * 31 + 15) * 35 + 17]])
    windows = shape.render(spots, middle, torch.ones(1, 1, *grid.shape, dtype=torch.bool), grid)
    assert windows.weight.sum().item() == pytest.approx(1.0, abs=1e-5)
    index = windows.index[0, 0]
    position = torch.stack([index // (31 * 35) - 20, index // 35 % 31 - 15, index % 35 - 17], dim=1) * torch.tensor(grid.spacing_mm)
    moment = (windows.weight[0, 0, :, None] * position.square()).sum(dim=0)
    radius = (20000.0 * 3 / (4 * math.pi)) ** (1 / 3)
    expected = (radius * torch.tensor([axes[1], axes[0], axes[2]])).square() / 5  # turned by 90 degrees about z
    torch.testing.assert_close(moment, expected, rtol=0.05, atol=0.0)


def test_outlined_lesions_keep_their_ids_and_take_up_as_lesions(anatomy: SimpleNamespace, biodistribution: Biodistribution) -> None:
    labels = anatomy.labels.clone()
    labels[0, 0, 10:12, 12:14, 20:22] = FIRST
    labels[0, 0, 18:20, 10:12, 20:22] = FIRST + 2
    synthesizer = PhantomSynthesizer(biodistribution=biodistribution, lesions=LesionPopulation(mean_count=6.0))
    record = synthesizer.draw(torch.arange(4))
    phantom = synthesizer.render(record, labels, anatomy.mu_map, anatomy.grid)
    for b in range(4):
        own = phantom.imaged_labels[b] == FIRST + 2
        assert own.any()
        assert (phantom.activity[b][own] >= record.concentration[b, FIRST + 2] * 0.999).all()
        new = (phantom.imaged_labels[b] != labels[0]) & (phantom.imaged_labels[b] >= FIRST)
        taken = set(phantom.imaged_labels[b][new].tolist())
        assert taken.isdisjoint({FIRST, FIRST + 2})
        if record.lesions.in_use[b].sum() >= 3:
            assert len(taken & {FIRST + 1, FIRST + 3, FIRST + 4}) >= 2  # the first free ids; a lesion may lie inside another


def test_blobs_hold_the_activity_drawn_inside_the_body(three_anatomies: SimpleNamespace) -> None:
    a = three_anatomies
    uptake = UnlabelledUptake()
    record = uptake.draw(torch.Generator().manual_seed(0), 7.4e9)
    record = type(record).stack([record] * 3)
    activity = uptake.add_blobs(record, torch.zeros_like(a.mu_map), a.labels, a.grid)
    torch.testing.assert_close(activity.sum(dim=(1, 2, 3, 4)) * a.grid.voxel_volume_ml, record.activity_bq.sum(dim=1), rtol=1e-3, atol=0.0)
    assert (activity[a.labels == 0] == 0).all()


def test_bowel_is_added_only_where_the_labels_have_none(three_anatomies: SimpleNamespace) -> None:
    a = three_anatomies
    bowel = torch.tensor([organ_id(name) for name in GROUPS["bowel"]])
    labels = a.labels.clone()
    labels[1] = torch.where(torch.isin(labels[1], bowel), BODY, labels[1])
    uptake = UnlabelledUptake()
    record = uptake.draw(torch.Generator().manual_seed(0), 7.4e9)
    tissue = uptake.with_bowel(type(record).stack([record] * 3), labels, a.grid)
    assert torch.equal(tissue[0], labels[0])
    assert torch.equal(tissue[2], labels[2])
    changed = tissue[1] != labels[1]
    assert (labels[1][changed] == BODY).all()
    assert 0.1 < changed.sum() * a.grid.voxel_volume_ml / 1000.0 < 3.0


def test_site_probabilities_must_sum_to_one() -> None:
    with pytest.raises(ValueError, match="sum to one"):
        LesionPopulation(site_probability={"bone": 0.5})
    with pytest.raises(ValueError, match="site_probability"):
        LesionPopulation(site_probability={"moon": 1.0})
