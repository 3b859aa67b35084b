"""The camera against closed forms: adjointness, attenuation, width, counts, orientation."""

import math
from dataclasses import replace

import pytest
import torch

from planar3d.grid import Grid
from planar3d.physics import CollimatorResponse, GammaCamera, ObjectScatter, camera_head, camera_names
from planar3d.physics.planar_projector import PlanarProjector
from planar3d.units import BQ_PER_MBQ

MU_WATER = 0.0135
ANISOTROPIC = Grid.centred((9, 7, 8), (4.0, 5.0, 6.0), (10.0, -20.0, 30.0))


def camera(*, scatter: bool = False, **changes: object) -> GammaCamera:
    settings = {
        "response": CollimatorResponse(slope=0.032, offset_mm=1.25, intrinsic_mm=1.3),
        "sensitivity_cps_per_mbq": 9.0,
        "dwell_time_s": 100.0,
        "energy_kev": 208.37,
        "scatter": ObjectScatter.in_window("Lu-177", 208.37) if scatter else None,
    }
    return GammaCamera(**{**settings, **changes})  # pyright: ignore[reportArgumentType]


def signed(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def random_projector(generator: torch.Generator, *, scatter: bool, batch: int = 2) -> PlanarProjector:
    mu = 0.02 * torch.rand(batch, 1, *ANISOTROPIC.shape, dtype=torch.float64, generator=generator)
    return camera(scatter=scatter).projector(mu, ANISOTROPIC)


@pytest.mark.parametrize("scatter", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
def test_adjoint_is_exact(generator: torch.Generator, scatter: bool, batch: int) -> None:
    projector = random_projector(generator, scatter=scatter, batch=batch)
    x, y = signed(generator, 2, 1, *ANISOTROPIC.shape), signed(generator, 2, 2, 9, 8)
    assert projector.adjointness_gap(x, y) < 1e-12


def test_a_shifted_adjoint_would_be_noticed(generator: torch.Generator) -> None:
    projector = random_projector(generator, scatter=True)
    x, y = signed(generator, 2, 1, *ANISOTROPIC.shape), signed(generator, 2, 2, 9, 8)
    wrong = (projector(x) * y).sum() - (x * projector.adjoint(y).roll(1, dims=2)).sum()
    assert abs(float(wrong)) / float(projector(x).norm() * y.norm()) > 1e-6


@pytest.mark.parametrize("scatter", [False, True])
def test_gradient_is_right(generator: torch.Generator, scatter: bool) -> None:
    projector = random_projector(generator, scatter=scatter)
    x = signed(generator, 2, 1, *ANISOTROPIC.shape).requires_grad_()
    y = signed(generator, 2, 2, 9, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: projector(a).sum(dim=(0, 2)), x, fast_mode=True)
    assert torch.autograd.gradcheck(lambda v: projector.adjoint(v).sum(dim=(0, 3)), y, fast_mode=True)


def test_mu_map_is_differentiable(generator: torch.Generator) -> None:
    mu = (0.01 + 0.01 * torch.rand(1, 1, *ANISOTROPIC.shape, dtype=torch.float64, generator=generator)).requires_grad_()
    x = torch.rand(1, 1, *ANISOTROPIC.shape, dtype=torch.float64, generator=generator)
    assert torch.autograd.gradcheck(lambda m: camera()(x, m, ANISOTROPIC).sum(dim=(2, 3)), mu, fast_mode=True)


@pytest.mark.parametrize("scatter", [False, True])
def test_batch_equals_its_elements(generator: torch.Generator, scatter: bool) -> None:
    mu = 0.02 * torch.rand(3, 1, *ANISOTROPIC.shape, dtype=torch.float64, generator=generator)
    x = torch.rand(3, 1, *ANISOTROPIC.shape, dtype=torch.float64, generator=generator)
    device = camera(scatter=scatter)
    apart = torch.cat([device(x[k : k + 1], mu[k : k + 1], ANISOTROPIC) for k in range(3)])
    torch.testing.assert_close(device(x, mu, ANISOTROPIC), apart)
    repeated = device.projector(mu, ANISOTROPIC)(x.repeat_interleave(2, dim=0))
    torch.testing.assert_close(repeated[::2], apart)


def test_view_terms_add_up_to_the_adjoint(generator: torch.Generator) -> None:
    projector = random_projector(generator, scatter=True)
    y = signed(generator, 2, 2, 9, 8)
    torch.testing.assert_close(projector.view_terms(y).sum(dim=1, keepdim=True), projector.adjoint(y))


def test_counts_in_air_are_activity_times_sensitivity_times_time() -> None:
    grid = Grid.centred((41, 5, 41), 4.0)
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    activity[0, 0, 20, 2, 20] = 1e4  # Bq/mL
    views = camera()(activity, torch.zeros_like(activity), grid)
    expected = 1e4 * grid.voxel_volume_ml / BQ_PER_MBQ * 9.0 * 100.0
    torch.testing.assert_close(views.sum(dim=(2, 3)), torch.full((1, 2), expected, dtype=torch.float64), rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("voxel_mm", [2.0, 8.0, 25.0])
def test_slab_attenuation_is_exact_for_any_voxel(voxel_mm: float) -> None:
    """Uniform activity a in a slab of thickness L, wide enough to lose nothing at its edges: a (1 - exp(-mu L)) / mu."""
    thickness_mm = 200.0
    grid = Grid.centred((3, round(thickness_mm / voxel_mm), 3), (1e8, voxel_mm, 1e8))
    activity = torch.ones(1, 1, *grid.shape, dtype=torch.float64)
    views = camera()(activity, MU_WATER * activity, grid)
    in_air = camera()(activity, 0.0 * activity, grid)
    factor = (1.0 - math.exp(-MU_WATER * thickness_mm)) / (MU_WATER * thickness_mm)
    torch.testing.assert_close(views / in_air, torch.full_like(views, factor), rtol=1e-6, atol=0.0)


def test_depth_of_a_point_shows_in_the_ratio_of_the_views() -> None:
    """Behind d of water, the view ratio is exp(mu (d_posterior - d_anterior)); the product does not depend on depth."""
    grid = Grid.centred((3, 25, 3), (400.0, 8.0, 400.0))
    mu = torch.full((1, 1, *grid.shape), MU_WATER, dtype=torch.float64)
    products = []
    for plane in (4, 12, 20):
        activity = torch.zeros_like(mu)
        activity[0, 0, 1, plane, 1] = 1.0
        anterior, posterior = camera()(activity, mu, grid).sum(dim=(2, 3))[0]
        ahead_mm, behind_mm = (24 - plane) * 8.0, plane * 8.0
        assert math.isclose(float(anterior / posterior), math.exp(MU_WATER * (behind_mm - ahead_mm)), rel_tol=1e-9)
        products.append(float(anterior * posterior))
    assert products[0] == pytest.approx(products[1], rel=1e-9) == pytest.approx(products[2], rel=1e-9)


@pytest.mark.parametrize("name", camera_names())
@pytest.mark.parametrize("plane", [0, 10, 20])
def test_point_source_has_the_width_of_the_collimator(name: str, plane: int) -> None:
    grid = Grid.centred((101, 21, 3), (3.0, 10.0, 900.0))
    device = GammaCamera(
        # the core alone: tails leave the field of view
        response=replace(camera_head(name).response(208.37), tail=()),
        sensitivity_cps_per_mbq=9.0,
        dwell_time_s=10.0,
        energy_kev=208.37,
        distance_mm=(150.0, 250.0),
    )
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    activity[0, 0, 50, plane, 1] = 1.0
    profiles = device(activity, torch.zeros_like(activity), grid)[0, :, :, 1]
    x_mm = (torch.arange(101, dtype=torch.float64) - 50) * 3.0
    ahead_mm = (plane - 10) * 10.0
    for profile, distance_mm in zip(profiles, (150.0 - ahead_mm, 250.0 + ahead_mm), strict=True):
        mean = (profile * x_mm).sum() / profile.sum()
        variance = (profile * (x_mm - mean) ** 2).sum() / profile.sum()
        sigma = device.response.sigma_mm(torch.tensor(distance_mm, dtype=torch.float64))
        # the voxel and the pixel are boxes of 3 mm: each adds its own variance
        assert float(variance) == pytest.approx(float(sigma**2) + 2 * 3.0**2 / 12, rel=2e-3)
        assert abs(float(mean)) < 1e-9


def test_sub_voxel_centre_does_not_shift() -> None:
    """The centroid of an image is that of the activity, at any voxel size: no half-voxel shift."""
    for count in (40, 41):
        grid = Grid.centred((count, 4, 30), (4.0, 8.0, 5.0), (12.0, 0.0, -7.0))
        activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
        activity[0, 0, 17:20, 1, 11:13] = torch.tensor([[1.0, 2.0], [3.0, 4.0], [2.0, 1.0]], dtype=torch.float64)
        views = camera()(activity, torch.zeros_like(activity), grid)[0]
        for axis, projected in ((0, activity.sum(dim=(0, 1, 3, 4))), (1, activity.sum(dim=(0, 1, 2, 3)))):
            index = torch.arange(projected.numel(), dtype=torch.float64)
            truth = (projected * index).sum() / projected.sum()
            seen = views.sum(dim=2 - axis)
            torch.testing.assert_close((seen * index).sum(dim=1) / seen.sum(dim=1), truth.expand(2), rtol=1e-6, atol=1e-6)


def test_orientation() -> None:
    """A source on the patient's right, front and top is right in both views, brighter in the anterior one, and at the top."""
    grid = Grid.centred((20, 20, 20), 10.0)
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    activity[0, 0, 15, 17, 14] = 1.0
    views = camera()(activity, torch.full_like(activity, MU_WATER), grid)[0]
    for view in views:
        assert divmod(int(view.argmax()), 20) == (15, 14)
    assert views[0].sum() > 3 * views[1].sum()


def test_float32_agrees_with_float64(generator: torch.Generator) -> None:
    grid = Grid.centred((32, 24, 28), 8.0)
    x = torch.rand(1, 1, *grid.shape, dtype=torch.float64, generator=generator)
    mu = 0.02 * torch.rand(1, 1, *grid.shape, dtype=torch.float64, generator=generator)
    exact = camera(scatter=True)(x, mu, grid)
    rounded = camera(scatter=True)(x.float(), mu.float(), grid).double()
    assert float((rounded - exact).norm() / exact.norm()) < 1e-6


@pytest.mark.gpu
def test_gpu_agrees_with_cpu(generator: torch.Generator) -> None:
    grid = Grid.centred((32, 24, 28), 8.0)
    x = torch.rand(2, 1, *grid.shape, generator=generator)
    mu = 0.02 * torch.rand(2, 1, *grid.shape, generator=generator)
    on_cpu = camera(scatter=True)(x, mu, grid)
    on_gpu = camera(scatter=True)(x.cuda(), mu.cuda(), grid).cpu()
    assert float((on_gpu - on_cpu).norm() / on_cpu.norm()) < 1e-5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "acme-x"}, "camera 'acme-x' is not known; known are .*siemens-melp"),
        ({"isotope": "Xx-1"}, "isotope 'Xx-1' is not known; known are Lu-177"),
        ({"dwell_time_s": 0.0}, "dwell_time_s must be positive, got 0.0"),
    ],
)
def test_bad_cameras_are_named(arguments: dict, sentence: str) -> None:
    given = {"name": "siemens-melp", "isotope": "Lu-177", "dwell_time_s": 10.0, **arguments}
    with pytest.raises(ValueError, match=sentence):
        GammaCamera.from_name(**given)


def test_bad_mu_maps_are_named() -> None:
    grid = Grid.centred((4, 4, 4), 8.0)
    with pytest.raises(ValueError, match="mu_map has shape"):
        camera().projector(torch.zeros(1, 1, 4, 4, 5), grid)
    with pytest.raises(ValueError, match="mu_map must be non-negative and finite"):
        camera().projector(torch.full((1, 1, 4, 4, 4), math.nan), grid)
    with pytest.raises(ValueError, match="mu_map must be non-negative and finite"):
        camera().projector(torch.full((1, 1, 4, 4, 4), -0.01), grid)
