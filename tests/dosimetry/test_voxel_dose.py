"""Voxel dose: energy conserved, linear, in the right place, batch = elements."""

from __future__ import annotations

import pytest
import torch

from planar3d.dosimetry.density import hu_to_density
from planar3d.dosimetry.emissions import Emissions
from planar3d.dosimetry.kernel import voxel_kernel
from planar3d.dosimetry.voxel_dose import KernelDose, local_dose
from planar3d.grid import Grid
from planar3d.units import GRAMS_PER_KG, JOULES_PER_KEV

GRAY = JOULES_PER_KEV * GRAMS_PER_KG
LUTETIUM = Emissions.of("Lu-177")


@pytest.fixture(scope="module")
def grid() -> Grid:
    return Grid.centred((15, 12, 10), (3.0, 4.0, 5.0))


@pytest.fixture(scope="module")
def dose(grid: Grid) -> KernelDose:
    return KernelDose(grid=grid, isotope="Lu-177")


def test_local_deposition_of_lutetium_electrons() -> None:
    # 1 MBq/g for one hour
    decays = torch.full((1, 1, 2, 2, 2), 1e6 * 3600.0, dtype=torch.float64)
    torch.testing.assert_close(local_dose(decays, isotope="Lu-177"), torch.full_like(decays, 0.0853), rtol=1e-3, atol=0.0)


def test_local_deposition_scales_with_the_inverse_density() -> None:
    decays = torch.ones(2, 1, 3, 3, 3)
    density = torch.full((1, 1, 3, 3, 3), 2.0)
    torch.testing.assert_close(local_dose(decays, isotope="I-131", density_g_per_ml=density), local_dose(decays, isotope="I-131") / 2.0)


def test_unbounded_medium_absorbs_what_is_emitted() -> None:
    """Uniform activity in a region much wider than photons go: in its middle, dose is emitted energy per mass."""
    grid = Grid.centred((61, 61, 61), 24.0)
    dose = KernelDose(grid=grid, isotope="Lu-177", tail=0.001)
    found = dose(torch.ones(61, 61, 61, dtype=torch.float64))[30, 30, 30]
    assert float(found) == pytest.approx((LUTETIUM.electron_kev + LUTETIUM.photon_kev) * GRAY, rel=1e-2)


def test_uniform_sphere_conserves_energy() -> None:
    """Energy in a great box around a sphere is what the sphere emits, less the photons that leave the box; electrons lose nothing."""
    grid = Grid.centred((40, 40, 40), 24.0)
    x = torch.arange(40, dtype=torch.float64) - 19.5
    sphere = ((x[:, None, None] ** 2 + x[:, None] ** 2 + x**2) < 3.0**2).double()
    energy = KernelDose(grid=grid, isotope="Lu-177", tail=0.001)(sphere).sum() / GRAY / sphere.sum()
    assert float(energy) == pytest.approx(LUTETIUM.electron_kev + LUTETIUM.photon_kev, rel=1e-2)


def test_point_source_lands_where_it_is(dose: KernelDose, grid: Grid) -> None:
    decays = torch.zeros(1, 1, *grid.shape)
    decays[0, 0, 4, 7, 2] = 1e6
    found = dose(decays)[0, 0]
    assert torch.equal(torch.nonzero(found == found.max())[0], torch.tensor([4, 7, 2]))
    # nearer along x (3 mm) than y (4 mm) than z (5 mm), the same on both sides
    neighbours = [(5, 7, 2), (3, 7, 2), (4, 8, 2), (4, 6, 2), (4, 7, 3), (4, 7, 1)]
    x_up, x_down, y_up, y_down, z_up, z_down = (float(found[i]) for i in neighbours)
    assert x_up > y_up > z_up
    assert (x_up, y_up, z_up) == pytest.approx((x_down, y_down, z_down), rel=1e-4)


def test_the_transform_is_the_sum_over_offsets(grid: Grid, dose: KernelDose) -> None:
    """Two sources, one at a corner: every voxel has the kernel's energy at its offset from each."""
    kernel = voxel_kernel("Lu-177", grid.spacing_mm, reach=[n - 1 for n in grid.shape])
    decays = torch.zeros(grid.shape, dtype=torch.float64)
    sources = {(0, 11, 3): 2.0, (8, 4, 9): 5.0}
    for place, value in sources.items():
        decays[place] = value
    found = dose(decays)
    for voxel in ((0, 11, 3), (1, 11, 3), (8, 5, 9), (14, 0, 0), (4, 7, 6)):
        expected = 0.0
        for place, value in sources.items():
            offset = tuple(abs(a - b) for a, b in zip(voxel, place, strict=True))
            expected += value * float(kernel.photon_kev[offset])
            if all(o < n for o, n in zip(offset, kernel.electron_kev.shape, strict=True)):
                expected += value * float(kernel.electron_kev[offset])
        assert float(found[voxel]) == pytest.approx(expected * GRAY, rel=1e-6)


def test_far_dose_is_not_wrapped_around(dose: KernelDose, grid: Grid) -> None:
    decays = torch.zeros(*grid.shape, dtype=torch.float64)
    decays[0, 0, 0] = 1.0
    found = dose(decays)
    assert found.flatten().argmin() == found.numel() - 1


def test_linear_in_activity(dose: KernelDose, grid: Grid, generator: torch.Generator) -> None:
    one, other = torch.rand(2, *grid.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(dose(2.0 * one + 3.0 * other), 2.0 * dose(one) + 3.0 * dose(other))


def test_batches_and_time_are_their_elements(dose: KernelDose, grid: Grid, generator: torch.Generator) -> None:
    decays = torch.rand(2, 3, *grid.shape, generator=generator)
    density = 0.8 + 0.4 * torch.rand(grid.shape, generator=generator)
    together = dose(decays, density)
    assert together.shape == decays.shape
    for b in range(2):
        for t in range(3):
            torch.testing.assert_close(together[b, t], dose(decays[b, t], density))


def test_single_and_double_precision_agree(dose: KernelDose, grid: Grid, generator: torch.Generator) -> None:
    decays = torch.rand(grid.shape, generator=generator, dtype=torch.float64)
    single = dose(decays.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), dose(decays), rtol=1e-4, atol=0.0)


def test_density_changes_electrons_and_not_photons(dose: KernelDose, grid: Grid) -> None:
    decays = torch.ones(grid.shape, dtype=torch.float64)
    light, water = dose(decays, 0.5 * torch.ones_like(decays)), dose(decays)
    inner = (7, 6, 5)
    assert float(light[inner] - water[inner]) == pytest.approx(LUTETIUM.electron_kev * GRAY, rel=2e-3)


def test_air_gets_no_dose(dose: KernelDose, grid: Grid) -> None:
    density = torch.ones(grid.shape)
    density[:5] = 0.001
    found = dose(torch.ones(grid.shape), density)
    assert float(found[:5].max()) == 0.0
    assert float(found[5:].min()) > 0.0


def test_dose_has_gradients(dose: KernelDose, grid: Grid, generator: torch.Generator) -> None:
    decays = torch.rand(grid.shape, generator=generator, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(dose(decays)[3, 3, 3], decays)
    source = torch.zeros_like(gradient)
    source[3, 3, 3] = 1.0
    # the kernel is symmetric, so the gradient of a voxel's dose is the dose of a source there
    torch.testing.assert_close(gradient, dose(source), atol=1e-22, rtol=1e-4)


def test_density_of_tissues() -> None:
    density = hu_to_density(torch.tensor([-1000.0, -750.0, -100.0, 0.0, 50.0, 1000.0, 5000.0]))
    assert (density.diff() >= 0.0).all()
    assert density[3].item() == pytest.approx(1.0, abs=0.03)
    assert density[1].item() == pytest.approx(0.26, abs=0.02)
    # ICRU cortical bone, 1.92 g/mL, has about 1500 HU
    assert hu_to_density(torch.tensor([1500.0])).item() == pytest.approx(1.92, abs=0.05)


@pytest.mark.parametrize("bad", [-1.0, float("nan")])
def test_refuses_activity_that_is_none(dose: KernelDose, grid: Grid, bad: float) -> None:
    decays = torch.zeros(grid.shape)
    decays[0, 0, 0] = bad
    for compute in (dose, lambda a: local_dose(a, isotope="Lu-177")):
        with pytest.raises(ValueError, match="decays_per_ml has 1 voxel"):
            compute(decays)


def test_refuses_other_grids_and_negative_density(dose: KernelDose, grid: Grid) -> None:
    with pytest.raises(ValueError, match="decays_per_ml has shape"):
        dose(torch.zeros(4, 4, 4))
    with pytest.raises(ValueError, match="density_g_per_ml has shape"):
        dose(torch.zeros(grid.shape), torch.ones(4, 4, 4))
    with pytest.raises(ValueError, match="density_g_per_ml has negative"):
        dose(torch.zeros(grid.shape), -torch.ones(grid.shape))


@pytest.mark.gpu
def test_the_device_follows_the_activity(dose: KernelDose, grid: Grid, generator: torch.Generator) -> None:
    decays = torch.rand(2, *grid.shape, generator=generator)
    on_gpu = dose(decays.cuda(), torch.ones(grid.shape).cuda())
    assert on_gpu.is_cuda
    torch.testing.assert_close(on_gpu.cpu(), dose(decays, torch.ones(grid.shape)), rtol=1e-4, atol=0.0)
