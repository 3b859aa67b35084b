"""Organ doses: means by mass, S values that add up to the dose map, conservation, reciprocity."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from planar3d.dosimetry.emissions import Emissions
from planar3d.dosimetry.organ import OrganDoses, OrganSValues, cumulated, local_s_values, organ_doses, organ_s_values
from planar3d.dosimetry.voxel_dose import KernelDose
from planar3d.grid import Grid
from planar3d.organs import BODY, organ_id
from planar3d.units import GRAMS_PER_KG, JOULES_PER_KEV

LIVER, SPLEEN, KIDNEY = (organ_id(n) for n in ("liver", "spleen", "kidney_left"))


@pytest.fixture(scope="module")
def grid() -> Grid:
    return Grid.centred((14, 12, 10), 6.0)


@pytest.fixture(scope="module")
def labels(grid: Grid) -> Tensor:
    """Liver and spleen side by side, a kidney apart, in a body."""
    volume = torch.zeros(1, 1, *grid.shape, dtype=torch.long)
    volume[..., 1:13, 1:11, 1:9] = BODY
    volume[..., 2:6, 3:8, 2:8] = LIVER
    volume[..., 6:8, 3:8, 2:8] = SPLEEN
    volume[..., 10:12, 6:9, 4:7] = KIDNEY
    return volume


@pytest.fixture(scope="module")
def dose(grid: Grid) -> KernelDose:
    return KernelDose(grid=grid, isotope="Lu-177")


@pytest.fixture(scope="module")
def s_values(labels: Tensor, dose: KernelDose) -> OrganSValues:
    return organ_s_values(labels, dose)


def test_s_values_give_the_means_of_the_dose_map(labels: Tensor, dose: KernelDose, grid: Grid, s_values: OrganSValues) -> None:
    decays = torch.tensor([3.0, 5.0, 7.0, 11.0], dtype=torch.float64)
    counts = torch.tensor([(labels == i).sum() for i in s_values.ids])
    per_ml = torch.zeros(labels.shape, dtype=torch.float64)
    for identifier, value, n in zip(s_values.ids, decays, counts, strict=True):
        per_ml[labels == identifier] = value / (n * grid.voxel_volume_ml)
    means = organ_doses(dose(per_ml), labels, voxel_volume_ml=grid.voxel_volume_ml)
    assert means.ids == s_values.ids == (BODY, LIVER, SPLEEN, KIDNEY)
    torch.testing.assert_close(s_values.dose(decays), means.dose_gy[0], rtol=1e-6, atol=0.0)


def test_s_values_of_a_uniform_medium_are_symmetric(s_values: OrganSValues) -> None:
    torch.testing.assert_close(s_values.gy_per_decay, s_values.gy_per_decay.T, rtol=1e-6, atol=0.0)


def test_self_dose_is_the_electrons_and_some_photons(s_values: OrganSValues) -> None:
    local = local_s_values(s_values.mass_g, ids=s_values.ids, isotope="Lu-177")
    ratio = s_values.gy_per_decay.diagonal() / local.gy_per_decay.diagonal()
    emissions = Emissions.of("Lu-177")
    # electrons that leave through the surface are few, and photons at most add all that they carry
    assert bool((ratio[1:] > 0.97).all())
    assert bool((ratio < 1.0 + emissions.photon_kev / emissions.electron_kev).all())
    assert local.gy_per_decay[0, 0] * local.mass_g[0] == pytest.approx(emissions.electron_kev * JOULES_PER_KEV * GRAMS_PER_KG)


def test_neighbours_cross_more_than_distant_organs(s_values: OrganSValues) -> None:
    S, ids = s_values.gy_per_decay, s_values.ids
    assert S[ids.index(SPLEEN), ids.index(LIVER)] > 3.0 * S[ids.index(KIDNEY), ids.index(LIVER)] > 0.0
    torch.testing.assert_close(s_values.self_dose(torch.ones(4, dtype=S.dtype)), S.diagonal())


def test_half_the_mass_is_twice_the_self_dose(s_values: OrganSValues) -> None:
    scaled = s_values.scaled_to(s_values.mass_g / 2.0)
    torch.testing.assert_close(scaled.gy_per_decay.diagonal(), 2.0 * s_values.gy_per_decay.diagonal())
    assert scaled.gy_per_decay[1, 2] == s_values.gy_per_decay[1, 2]


def test_means_are_weighted_by_mass(labels: Tensor, grid: Grid) -> None:
    density = torch.ones(labels.shape)
    map_gy = torch.zeros(labels.shape)
    liver = (labels == LIVER).nonzero()
    first = tuple(liver[0])
    density[first], map_gy[first] = 2.0, 1.0
    found = organ_doses(map_gy, labels, voxel_volume_ml=grid.voxel_volume_ml, density_g_per_ml=density, ids=(LIVER,))
    assert found.dose_gy.item() == pytest.approx(2.0 / (len(liver) + 1), rel=1e-4)
    assert found.mass_g.item() == pytest.approx((len(liver) + 1) * grid.voxel_volume_ml, rel=1e-5)


def test_batch_is_its_elements_and_one_map_serves_all(labels: Tensor, grid: Grid, generator: torch.Generator) -> None:
    maps = torch.rand(3, *labels.shape[1:], generator=generator)
    together = organ_doses(maps, labels, voxel_volume_ml=grid.voxel_volume_ml)
    for i in range(3):
        alone = organ_doses(maps[i : i + 1], labels, voxel_volume_ml=grid.voxel_volume_ml)
        torch.testing.assert_close(together.dose_gy[i], alone.dose_gy[0])
    assert together.names == ("body", "liver", "spleen", "kidney_left")


def test_lighter_organs_of_the_same_decays_get_more(labels: Tensor, dose: KernelDose, s_values: OrganSValues) -> None:
    density = torch.ones(labels.shape, dtype=torch.float64).masked_fill(labels == LIVER, 0.5)
    lighter = organ_s_values(labels, dose, density_g_per_ml=density)
    at = s_values.ids.index(LIVER)
    assert 1.8 < float(lighter.gy_per_decay[at, at] / s_values.gy_per_decay[at, at]) < 2.0
    assert lighter.mass_g[at] == pytest.approx(float(s_values.mass_g[at]) / 2.0)


def test_cycles_add_up() -> None:
    cycles = [OrganDoses(ids=(LIVER,), dose_gy=torch.tensor([[d]]), mass_g=torch.ones(1, 1)) for d in (1.0, 2.0, 0.5)]
    assert cumulated(cycles).flatten().tolist() == [1.0, 3.0, 3.5]
    other = OrganDoses(ids=(SPLEEN,), dose_gy=torch.ones(1, 1), mass_g=torch.ones(1, 1))
    for wrong in ([], [cycles[0], other]):
        with pytest.raises(ValueError, match="cycles"):
            cumulated(wrong)


def test_refuses_an_organ_without_voxels(labels: Tensor, dose: KernelDose, grid: Grid) -> None:
    with pytest.raises(ValueError, match="organ 'pancreas' has no voxel"):
        organ_s_values(labels, dose, ids=(organ_id("pancreas"),))
    with pytest.raises(ValueError, match="organ 'pancreas' has no voxel"):
        organ_doses(torch.zeros(labels.shape), labels, voxel_volume_ml=grid.voxel_volume_ml, ids=(organ_id("pancreas"),))


def test_refuses_grids_that_differ(labels: Tensor, grid: Grid, s_values: OrganSValues) -> None:
    with pytest.raises(ValueError, match="one grid"):
        organ_doses(torch.zeros(1, 1, 3, 3, 3), labels, voxel_volume_ml=grid.voxel_volume_ml)
    with pytest.raises(ValueError, match="organs in its last axis"):
        s_values.dose(torch.ones(2))
    with pytest.raises(ValueError, match="mass_g"):
        local_s_values(torch.tensor([0.0]), ids=(LIVER,), isotope="Lu-177")
