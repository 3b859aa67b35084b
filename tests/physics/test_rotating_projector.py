"""Views at any angle: exact adjoint, orientation, counts, widths, and the planar camera as a special case."""

from __future__ import annotations

import math

import pytest
import torch

from planar3d.grid import Grid
from planar3d.physics import CollimatorResponse, Detector, GammaCamera, ObjectScatter, Orbit, ResponseTail

MU_WATER = 0.0135
GRID = Grid.centred((9, 7, 8), (4.0, 5.0, 6.0), (10.0, -20.0, 30.0))
CONTOUR = Orbit(angles_deg=(0.0, 30.0, 77.0, 180.0, 210.0, 275.5), radii_mm=(200.0, 210.0, 230.0, 190.0, 180.0, 250.0))
TAIL = (ResponseTail(share=0.3, slope=0.1, offset_mm=5.0),)
UNEQUAL = Detector(matrix=(13, 9), pixel_mm=(2.4, 7.1), offset_mm=(3.0, -2.0))


def camera(*, scatter: bool = False, tail: tuple[ResponseTail, ...] = (), detector: Detector | None = None) -> GammaCamera:
    return GammaCamera(
        response=CollimatorResponse(slope=0.032, offset_mm=1.25, intrinsic_mm=1.3, tail=tail),
        sensitivity_cps_per_mbq=9.0,
        dwell_time_s=100.0,
        energy_kev=208.37,
        scatter=ObjectScatter.in_window("Lu-177", 208.37) if scatter else None,
        detector=detector,
    )


def normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def attenuation(generator: torch.Generator, patients: int = 1, grid: Grid = GRID) -> torch.Tensor:
    return 0.02 * torch.rand(patients, 1, *grid.shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("orbit", [Orbit.circular(5, 180.0), CONTOUR], ids=["circular", "contour"])
@pytest.mark.parametrize("detector", [None, UNEQUAL], ids=["pixels as voxels", "other pixels"])
@pytest.mark.parametrize("tail", [(), TAIL], ids=["core", "tail"])
@pytest.mark.parametrize("scatter", [False, True])
@pytest.mark.parametrize(("patients", "volumes"), [(1, 3), (2, 2), (2, 4)])
def test_adjoint_is_exact(generator: torch.Generator, orbit, detector, tail, scatter, patients, volumes) -> None:  # noqa: ANN001
    projector = camera(scatter=scatter, tail=tail, detector=detector).rotating_projector(attenuation(generator, patients), GRID, orbit)
    x = normal(generator, volumes, 1, *GRID.shape)
    y = normal(generator, *projector(x).shape)
    assert projector.adjointness_gap(x, y) < 1e-12


@pytest.mark.parametrize("detector", [None, UNEQUAL])
@pytest.mark.parametrize("tail", [(), TAIL])
@pytest.mark.parametrize("scatter", [False, True])
def test_planar_adjoint_is_exact(generator: torch.Generator, detector, tail, scatter) -> None:  # noqa: ANN001
    projector = camera(scatter=scatter, tail=tail, detector=detector).projector(attenuation(generator, 2), GRID)
    x = normal(generator, 4, 1, *GRID.shape)
    y = normal(generator, *projector(x).shape)
    assert projector.adjointness_gap(x, y) < 1e-12
    assert projector.unscattered().adjointness_gap(x, y) < 1e-12


def test_gradient_is_right_both_ways(generator: torch.Generator) -> None:
    grid = Grid.centred((5, 4, 3), 6.0)
    projector = camera(scatter=True, tail=TAIL).rotating_projector(attenuation(generator, grid=grid), grid, Orbit.circular(3, 100.0))
    x = normal(generator, 1, 1, *grid.shape).requires_grad_()
    y = normal(generator, 1, 3, 5, 3).requires_grad_()
    assert torch.autograd.gradcheck(projector, x)
    assert torch.autograd.gradcheck(projector.adjoint, y)


@pytest.mark.parametrize("scatter", [False, True])
def test_views_at_0_and_180_are_the_planar_ones(generator: torch.Generator, scatter: bool) -> None:
    grid = Grid.centred((16, 13, 12), 5.0, (10.0, -20.0, 30.0))
    mu, x = attenuation(generator, grid=grid), torch.rand(1, 1, *grid.shape, dtype=torch.float64, generator=generator)
    orbit = Orbit(angles_deg=(180.0, 0.0), radii_mm=(200.0, 200.0))
    turning = camera(scatter=scatter).rotating_projector(mu, grid, orbit)(x)
    torch.testing.assert_close(turning.flip(1), camera(scatter=scatter)(x, mu, grid), rtol=1e-2 if scatter else 1e-9, atol=0.0)


def test_batch_equals_its_elements(generator: torch.Generator) -> None:
    mu, x = attenuation(generator, 2), torch.rand(4, 1, *GRID.shape, dtype=torch.float64, generator=generator)
    together = camera(scatter=True).rotating_projector(mu, GRID, CONTOUR)(x)
    apart = [camera(scatter=True).rotating_projector(mu[k : k + 1], GRID, CONTOUR)(x[2 * k : 2 * k + 2]) for k in range(2)]
    torch.testing.assert_close(together, torch.cat(apart))


def test_counts_in_air_are_the_same_at_any_angle() -> None:
    grid = Grid.centred((41, 41, 41), 4.0)
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    activity[0, 0, 24, 15, 22] = 1e4
    views = camera().rotating_projector(torch.zeros_like(activity), grid, Orbit.circular(7, 150.0))(activity)
    expected = 1e4 * grid.voxel_volume_ml / 1e6 * 9.0 * 100.0
    torch.testing.assert_close(views.sum(dim=(2, 3)), torch.full((1, 7), expected, dtype=torch.float64), rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("count", [40, 41])
def test_centre_of_a_turned_point_is_where_it_belongs(count: int) -> None:
    """u = x cos t' - y sin t' with t' = t mod 180, to a thousandth of a voxel: no half-voxel shift at any angle."""
    grid = Grid.centred((count, count, 9), 4.0, (12.0, 5.0, -7.0))
    point = (count // 2 + 6, count // 2 - 5)
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    activity[0, 0, *point, 4] = 1.0
    orbit = Orbit.circular(12, 200.0, start_deg=5.0)
    views = camera().rotating_projector(torch.zeros_like(activity), grid, orbit)(activity)[0].sum(dim=2)
    x_mm, y_mm = ((k - 0.5 * (count - 1)) * 4.0 for k in point)
    u_mm = (torch.arange(count, dtype=torch.float64) - 0.5 * (count - 1)) * 4.0
    for view, angle in zip(views, orbit.angles_deg, strict=True):
        t = math.radians(angle % 180.0)
        assert float((view * u_mm).sum() / view.sum()) == pytest.approx(x_mm * math.cos(t) - y_mm * math.sin(t), abs=4e-3)


def test_width_of_a_turned_point_is_that_of_the_collimator_on_average() -> None:
    """Over many angles the sharing out among cells adds to the width what is taken off the blur."""
    grid = Grid.centred((61, 61, 3), (3.0, 3.0, 900.0))
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    activity[0, 0, 33, 24, 1] = 1.0
    orbit = Orbit.circular(90, 250.0, start_deg=1.0)
    views = camera().rotating_projector(torch.zeros_like(activity), grid, orbit)(activity)[0, :, :, 1]
    u_mm = (torch.arange(61, dtype=torch.float64) - 30) * 3.0
    excess = []
    for view, angle in zip(views, orbit.angles_deg, strict=True):
        t = math.radians(angle)
        distance = torch.tensor(250.0 - (9.0 * math.sin(t) - 18.0 * math.cos(t)), dtype=torch.float64)
        mean = (view * u_mm).sum() / view.sum()
        variance = (view * (u_mm - mean) ** 2).sum() / view.sum()
        excess.append(float(variance - camera().response.sigma_mm(distance) ** 2) - 2 * 3.0**2 / 12)
    assert abs(sum(excess) / len(excess)) < 0.05 * 3.0**2
    assert max(abs(e) for e in excess) < 0.3 * 3.0**2


def test_orientation() -> None:
    """A source on the patient's right is bright from the right, dim from the left; in front, bright from the front."""
    grid = Grid.centred((21, 21, 21), 10.0)
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    activity[0, 0, 17, 13, 15] = 1.0
    mu = torch.full_like(activity, MU_WATER)
    front, right, back, left = camera().rotating_projector(mu, grid, Orbit.circular(4, 200.0))(activity)[0]
    assert right.sum() > front.sum() > back.sum() > left.sum()
    assert divmod(int(front.argmax()), 21) == divmod(int(back.argmax()), 21) == (17, 15)
    assert divmod(int(right.argmax()), 21) == divmod(int(left.argmax()), 21) == (20 - 13, 15)  # u = -y at 90 degrees


def test_attenuation_at_an_angle_is_that_of_the_way_out() -> None:
    """From the axis of a wide cylinder of water: exp(-mu R) at every angle."""
    grid = Grid.centred((81, 81, 3), 4.0)
    axis = (torch.arange(81, dtype=torch.float64) - 40) * 4.0
    cylinder = ((axis[:, None] ** 2 + axis**2) <= 100.0**2).double()[None, None, :, :, None].expand(1, 1, 81, 81, 3)
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    activity[0, 0, 40, 40, 1] = 1.0
    orbit = Orbit.circular(9, 200.0, start_deg=3.0)
    through = camera().rotating_projector(MU_WATER * cylinder, grid, orbit)(activity).sum(dim=(2, 3))
    in_air = camera().rotating_projector(0.0 * cylinder, grid, orbit)(activity).sum(dim=(2, 3))
    torch.testing.assert_close((through / in_air)[0], torch.full((9,), math.exp(-MU_WATER * 100.0), dtype=torch.float64), rtol=0.03, atol=0)


def test_a_nearer_head_sees_sharper() -> None:
    grid = Grid.centred((41, 41, 3), 4.0)
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    activity[0, 0, 20, 20, 1] = 1.0
    orbit = Orbit(angles_deg=(40.0, 80.0), radii_mm=(120.0, 320.0))
    near, far = camera().rotating_projector(torch.zeros_like(activity), grid, orbit)(activity)[0].amax(dim=(1, 2))
    assert near > 2.0 * far


def test_support_changes_nothing_within_it(generator: torch.Generator) -> None:
    grid = Grid.centred((24, 20, 6), 6.0)
    body = torch.zeros(1, 1, *grid.shape, dtype=torch.bool)
    body[:, :, 6:18, 5:15] = True
    mu = MU_WATER * body.double()
    x = torch.rand(1, 1, *grid.shape, dtype=torch.float64, generator=generator) * body
    orbit = Orbit.circular(6, 150.0)
    whole = camera(scatter=True).rotating_projector(mu, grid, orbit)
    part = camera(scatter=True).rotating_projector(mu, grid, orbit, support=body)
    # not to the last digit: over a smaller range of distances other width nodes are used
    assert float((part(x) - whole(x)).norm() / whole(x).norm()) < 1e-3
    assert part.lines[1].columns.across < whole.lines[1].columns.across


def test_subsets_share_out_the_views(generator: torch.Generator) -> None:
    projector = camera().rotating_projector(attenuation(generator), GRID, Orbit.circular(12, 200.0))
    x = torch.rand(1, 1, *GRID.shape, dtype=torch.float64, generator=generator)
    views, seen = projector(x), []
    for part, places in projector.subsets(3):
        torch.testing.assert_close(part(x), views[:, list(places)])
        assert {(p + 6) % 12 for p in places} == set(places)  # opposed views stay together
        seen += places
    assert sorted(seen) == list(range(12))
    with pytest.raises(ValueError, match="subsets must lie between 1 and 6"):
        next(projector.subsets(7))


def test_float32_agrees_with_float64(generator: torch.Generator) -> None:
    grid = Grid.centred((24, 20, 16), 8.0)
    mu, x = attenuation(generator, grid=grid), torch.rand(1, 1, *grid.shape, dtype=torch.float64, generator=generator)
    orbit = Orbit.circular(7, 200.0)
    exact = camera(scatter=True).rotating_projector(mu, grid, orbit)(x)
    rounded = camera(scatter=True).rotating_projector(mu.float(), grid, orbit)(x.float()).double()
    assert float((rounded - exact).norm() / exact.norm()) < 1e-6


@pytest.mark.gpu
def test_gpu_agrees_with_cpu(generator: torch.Generator) -> None:
    grid = Grid.centred((24, 20, 16), 8.0)
    mu, x = attenuation(generator, grid=grid).float(), torch.rand(1, 1, *grid.shape, generator=generator)
    orbit = Orbit.circular(7, 200.0)
    on_cpu = camera(scatter=True).rotating_projector(mu, grid, orbit)
    on_gpu = camera(scatter=True).rotating_projector(mu.cuda(), grid, orbit)
    assert float((on_gpu(x.cuda()).cpu() - on_cpu(x)).norm() / on_cpu(x).norm()) < 1e-5
    y = on_cpu(x)
    assert float((on_gpu.adjoint(y.cuda()).cpu() - on_cpu.adjoint(y)).norm() / on_cpu.adjoint(y).norm()) < 1e-5
