"""What a camera may be told beside its response: pixels, rows, tails, side windows; precision and what is shared between projectors."""

from dataclasses import replace

import pytest
import torch

from planar3d.grid import Grid
from planar3d.physics import CollimatorResponse, Detector, GammaCamera, ObjectScatter, ResponseTail
from planar3d.physics.attenuation import transmission
from planar3d.physics.blur import blur_matrix
from planar3d.physics.raster import Raster

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


def random_projector(generator: torch.Generator, *, scatter: bool, batch: int = 2) -> torch.nn.Module:
    mu = 0.02 * torch.rand(batch, 1, *ANISOTROPIC.shape, dtype=torch.float64, generator=generator)
    return camera(scatter=scatter).projector(mu, ANISOTROPIC)


def test_width_nodes_differ_little_from_a_blur_per_plane(generator: torch.Generator) -> None:
    grid = Grid.centred((40, 50, 36), 4.8)
    x = torch.rand(1, 1, *grid.shape, dtype=torch.float64, generator=generator) ** 4
    mu = torch.full_like(x, MU_WATER)
    axes = [Raster(count=n, step_mm=4.8) for n in grid.shape]
    expected = torch.zeros(2, 40, 36, dtype=torch.float64)
    seen = transmission(mu, 4.8)[0]
    for view, side in ((0, 1), (1, -1)):
        for plane, ahead_mm in enumerate(axes[1].centres_mm):
            sigma = camera().response.sigma_mm(200.0 - side * ahead_mm)
            kx, kz = (blur_matrix(sigma, a, a) for a in (axes[0], axes[2]))
            expected[view] += kx @ (seen[view, :, plane] * x[0, 0, :, plane]) @ kz.T
    views = camera(sensitivity_cps_per_mbq=1e6 / grid.voxel_volume_ml, dwell_time_s=1.0)(x, mu, grid)[0]
    assert float((views - expected).norm() / expected.norm()) < 2e-3


@pytest.mark.parametrize("scatter", [False, True])
def test_other_pixels_keep_counts_and_place(scatter: bool) -> None:
    grid = Grid.centred((41, 9, 37), (4.0, 8.0, 5.0), (30.0, 0.0, -12.0))
    detector = Detector(matrix=(150, 90), pixel_mm=(2.2, 3.7), offset_mm=(6.0, -4.0))
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    activity[0, 0, 12, 4, 30] = 1.0
    mu = torch.zeros_like(activity)
    views, plain = (camera(scatter=scatter, detector=d)(activity, mu, grid)[0] for d in (detector, None))
    torch.testing.assert_close(views.sum(), plain.sum(), rtol=1e-4, atol=0.0)
    u_mm = (torch.arange(150, dtype=torch.float64) - 74.5) * 2.2 + 30.0 + 6.0
    w_mm = (torch.arange(90, dtype=torch.float64) - 44.5) * 3.7 - 12.0 - 4.0
    for view in views:
        assert float((view.sum(dim=1) * u_mm).sum() / view.sum()) == pytest.approx(30.0 + (12 - 20) * 4.0, abs=1e-2)
        assert float((view.sum(dim=0) * w_mm).sum() / view.sum()) == pytest.approx(-12.0 + (30 - 18) * 5.0, abs=1e-2)


def test_a_small_detector_loses_what_lies_beyond() -> None:
    grid = Grid.centred((21, 5, 21), 4.0)
    activity = torch.ones(1, 1, *grid.shape, dtype=torch.float64)
    detector = Detector(matrix=(10, 21), pixel_mm=(4.0, 4.0), offset_mm=(-22.0, 0.0))
    half, whole = (camera(detector=d)(activity, 0.0 * activity, grid) for d in (detector, None))
    torch.testing.assert_close(half, whole[:, :, :10])


def test_rows_count_for_as_long_as_they_were_imaged(generator: torch.Generator) -> None:
    x = torch.rand(1, 1, *ANISOTROPIC.shape, dtype=torch.float64, generator=generator)
    dwell = (0.0, 20.0, 100.0, 100.0, 100.0, 50.0, 10.0, 0.0)
    projector = camera(dwell_time_s=dwell).projector(0.01 * x, ANISOTROPIC)
    whole = camera(dwell_time_s=100.0)(x, 0.01 * x, ANISOTROPIC)
    torch.testing.assert_close(projector(x), whole * torch.tensor(dwell, dtype=torch.float64) / 100.0)
    y = signed(generator, 1, 2, 9, 8)
    assert projector.adjointness_gap(x, y) < 1e-12
    with pytest.raises(ValueError, match="one time per row of the image, 8, or be one figure; got 3 times"):
        camera(dwell_time_s=(1.0, 2.0, 3.0)).projector(0.01 * x, ANISOTROPIC)


def test_tails_take_their_share_far_out() -> None:
    """Total counts stay; the variance of a point is (1 - w) s^2 + w t^2."""
    tail = ResponseTail(share=0.3, slope=0.1, offset_mm=5.0)
    grid = Grid.centred((161, 5, 161), 4.0)
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    activity[0, 0, 79:83, 2, 79:83] = 1.0
    response = CollimatorResponse(slope=0.032, offset_mm=1.25, intrinsic_mm=1.3, tail=(tail,))
    view, plain = (camera(response=r)(activity, 0.0 * activity, grid)[0, 0].sum(dim=1) for r in (response, replace(response, tail=())))
    assert float(view.sum()) == pytest.approx(float(plain.sum()), rel=1e-3)
    x_mm = (torch.arange(161, dtype=torch.float64) - 80.5) * 4.0
    variances = [float((v * x_mm**2).sum() / v.sum()) for v in (view, plain)]
    widths = [float(w.sigma_mm(torch.tensor(200.0, dtype=torch.float64))) ** 2 for w in (tail, response)]
    assert variances[0] - variances[1] == pytest.approx(0.3 * (widths[0] - widths[1]), rel=0.03)


def test_scattered_photons_cross_septa_as_unscattered_ones_do() -> None:
    """What scattered in the patient is spread out by the tails too, at the same total counts."""
    tail = ResponseTail(share=0.3, slope=0.1, offset_mm=5.0)
    grid = Grid.centred((161, 41, 161), 4.0)
    activity = torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
    activity[0, 0, 79:83, 20, 79:83] = 1.0
    mu = torch.full_like(activity, MU_WATER)
    response = CollimatorResponse(slope=0.032, offset_mm=1.25, intrinsic_mm=1.3, tail=(tail,))
    images = []
    for collimator in (response, replace(response, tail=())):
        with_scatter, without = (camera(response=collimator, scatter=s)(activity, mu, grid)[0, 0].sum(dim=1) for s in (True, False))
        images.append(with_scatter - without)
    assert float(images[0].sum()) == pytest.approx(float(images[1].sum()), rel=1e-2)
    x_mm = (torch.arange(161, dtype=torch.float64) - 80.5) * 4.0
    variances = [float((v * x_mm**2).sum() / v.sum()) for v in images]
    distance_mm = torch.tensor(200.0, dtype=torch.float64)
    widths = [float(w.sigma_mm(distance_mm)) ** 2 for w in (tail, response)]
    assert variances[0] - variances[1] == pytest.approx(0.3 * (widths[0] - widths[1]), rel=0.03)


def test_side_windows_see_scatter_and_hardly_anything_else(generator: torch.Generator) -> None:
    grid = Grid.centred((31, 25, 31), 8.0)
    mu = torch.full((1, 1, *grid.shape), MU_WATER, dtype=torch.float64)
    activity = torch.zeros_like(mu)
    activity[:, :, 12:19, 10:15, 12:19] = 1.0
    settings = {"isotope": "Lu-177", "dwell_time_s": 1.0}
    peak, lower, upper = (
        GammaCamera.from_name("siemens-melp", window=w, **settings).projector(mu, grid) for w in ("peak", "lower", "upper")
    )
    primary = float(peak.unscattered()(activity).sum())
    assert float(lower.unscattered()(activity).sum()) == pytest.approx(primary * lower_share(), rel=1e-9)
    assert 0.05 * primary < float(lower(activity).sum()) < 0.5 * primary
    assert float(upper(activity).sum()) < 0.05 * primary


def lower_share() -> float:
    return ObjectScatter.in_window("Lu-177", 208.37, "lower").primary_share


def test_scatter_is_differentiable_with_respect_to_the_mu_map(generator: torch.Generator) -> None:
    grid = Grid.centred((5, 6, 4), 9.0)
    mu = (0.01 + 0.01 * torch.rand(1, 1, *grid.shape, dtype=torch.float64, generator=generator)).requires_grad_()
    x = torch.rand(1, 1, *grid.shape, dtype=torch.float64, generator=generator)
    assert torch.autograd.gradcheck(lambda m: camera(scatter=True)(x, m, grid), mu)


def test_mixed_precision_training_leaves_the_physics_alone(generator: torch.Generator) -> None:
    projector = random_projector(generator, scatter=True)
    x = torch.rand(2, 1, *ANISOTROPIC.shape, dtype=torch.float64, generator=generator)
    exact, back = projector(x), projector.adjoint(projector(x))
    with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(projector(x), exact, rtol=0.0, atol=0.0)
        torch.testing.assert_close(projector.adjoint(exact), back, rtol=0.0, atol=0.0)


def test_a_projector_first_made_in_validation_serves_training(generator: torch.Generator) -> None:
    grid = Grid.centred((6, 5, 7), 11.0)
    x = torch.rand(1, 1, *grid.shape, generator=generator)
    with torch.inference_mode():
        camera(scatter=True).projector(0.01 * x, grid)
    x.requires_grad_()
    camera(scatter=True).projector(0.01 * x.detach(), grid)(x).sum().backward()
    assert x.grad is not None


def test_bfloat16_differs_by_less_than_a_percent(generator: torch.Generator) -> None:
    grid = Grid.centred((32, 24, 28), 8.0)
    x = torch.rand(1, 1, *grid.shape, generator=generator)
    mu = torch.full_like(x, MU_WATER)
    exact = camera(scatter=True).projector(mu, grid)
    rounded = camera(scatter=True).projector(mu, grid).to(torch.bfloat16)
    gap = (rounded(x.bfloat16()).float() - exact(x)).norm() / exact(x).norm()
    assert 1e-4 < float(gap) < 1e-2
