"""OSEM: one subset is MLEM, counts and background are accounted for, activity is found where it lies and nowhere outside the mask."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.physics import Detector, GammaCamera, Orbit, RotatingProjector, poisson, poisson_log_likelihood
from planar3d.reconstruction import OSEM, TomographicProblem
from planar3d.reconstruction.mlem import mlem_update

GRID = Grid.centred((22, 18, 12), 10.0)
ORBIT = Orbit.circular(24, 150.0)
MU_PER_MM = 0.0135


def place() -> tuple[Tensor, Tensor, Tensor]:
    """Coordinates of the voxels [mm]."""
    axes = [o + s * torch.arange(n, dtype=torch.float64) for o, s, n in zip(GRID.origin_mm, GRID.spacing_mm, GRID.shape, strict=True)]
    x, y, z = torch.meshgrid(*axes, indexing="ij")
    return x, y, z


def patient() -> tuple[Tensor, Tensor]:
    """Activity and body: an ellipse, warm, with two hot spheres of which one lies off every axis of symmetry."""
    x, y, z = place()
    body = (x / 95.0) ** 2 + (y / 75.0) ** 2 + (z / 200.0) ** 2 < 1
    activity = 1e4 * body
    for (cx, cy, cz), level in (((40.0, -20.0, 15.0), 1.5e5), ((-50.0, 25.0, -20.0), 8e4)):
        activity = activity + level * ((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 < 20.0**2)
    return (activity * body)[None, None].double(), body[None, None]


def projector(body: Tensor, *, scatter: bool = False, orbit: Orbit = ORBIT, dtype: torch.dtype = torch.float64) -> RotatingProjector:
    camera = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=20.0, scatter=scatter)
    return camera.rotating_projector(MU_PER_MM * body.to(dtype), GRID, orbit, support=body)


def problem(*, noise: torch.Generator | None = None, dtype: torch.dtype = torch.float64, scatter: bool = False) -> TomographicProblem:
    """The patient, with or without counting noise."""
    activity, body = patient()
    camera = projector(body, dtype=dtype, scatter=scatter)
    expected = camera(activity.to(dtype))
    return TomographicProblem(views=expected if noise is None else poisson(expected, noise), projector=camera, mask=body)


def test_likelihood_rises_at_every_step_of_mlem(generator: torch.Generator) -> None:
    given = problem(noise=generator)
    likelihood = [poisson_log_likelihood(given.views, given.projector(x)).item() for x in OSEM(iterations=12, subsets=1).estimates(given)]
    assert (torch.tensor(likelihood).diff() > 0).all()


def test_one_subset_is_mlem(generator: torch.Generator) -> None:
    given = problem(noise=generator)
    x, sensitivity = given.uniform_start(), given.projector.adjoint(torch.ones_like(given.views))
    for _ in range(3):
        x = mlem_update(x, given.projector, given.views, sensitivity, given.mask)
    assert torch.equal(OSEM(iterations=3, subsets=1)(given).mean, x)


def test_subsets_go_as_far_as_as_many_iterations() -> None:
    given = problem()
    slow, fast = OSEM(iterations=24, subsets=1)(given).mean, OSEM(iterations=4, subsets=6)(given).mean
    assert (slow - fast).abs().sum() < 0.03 * slow.sum()


def test_counts_are_kept(generator: torch.Generator) -> None:
    given = problem(noise=generator)
    expected = OSEM(iterations=2, subsets=1)(given).expected_views
    assert expected is not None
    torch.testing.assert_close(expected.sum(), given.views.sum())
    torch.testing.assert_close(given.projector(given.uniform_start()).sum(), given.views.sum())


def test_known_background_changes_nothing_without_noise() -> None:
    given = problem()
    pixel = torch.arange(given.views.numel(), dtype=torch.float64).view_as(given.views)
    background = given.views.mean() * (0.5 + 0.4 * torch.sin(0.1 * pixel))
    with_it = replace(given, views=given.views + background, background=background)
    truth, _ = patient()
    osem = OSEM(iterations=30, subsets=6)
    clean, found = osem(given), osem(with_it)
    assert (clean.mean - found.mean).abs().sum() < 0.05 * truth.sum()
    assert found.expected_views is not None
    torch.testing.assert_close(found.expected_views.sum(), with_it.views.sum(), rtol=1e-3, atol=0.0)
    ignored = osem(replace(with_it, background=None)).mean
    assert (ignored.sum() - truth.sum()) > 0.3 * truth.sum()


def test_the_truth_with_its_background_is_a_fixed_point() -> None:
    given, (truth, _) = problem(), patient()
    background = torch.full_like(given.views, float(given.views.mean()))
    kept = OSEM(iterations=2, subsets=4)(replace(given, views=given.views + background, background=background), start=truth).mean
    torch.testing.assert_close(kept, truth)


def test_activity_stays_in_the_mask_and_non_negative(generator: torch.Generator) -> None:
    given = problem(noise=generator)
    x, _, _ = place()
    half = replace(given, mask=given.mask & (x > 0))
    mean = OSEM(iterations=2, subsets=6)(half, start=torch.ones_like(patient()[0])).mean
    assert (mean >= 0).all()
    assert (mean[~half.mask] == 0).all()
    assert (mean[half.mask] > 0).any()


def test_spheres_are_found_at_their_places() -> None:
    """Centres of mass to a tenth of a voxel: no half voxel is lost, and no axis is mirrored."""
    given, (truth, body) = problem(scatter=True), patient()
    mean = OSEM(iterations=10, subsets=6)(given).mean
    x, y, z = place()
    for cx, cy, cz in ((40.0, -20.0, 15.0), (-50.0, 25.0, -20.0)):
        near = ((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 < 35.0**2) & body[0, 0]
        for axis in (x, y, z):
            found, true = ((axis * (v[0, 0] - 1e4) * near).sum() / ((v[0, 0] - 1e4) * near).sum() for v in (mean, truth))
            assert float(found - true) == pytest.approx(0.0, abs=1.0)
    torch.testing.assert_close(mean.sum(), truth.sum(), rtol=0.01, atol=0.0)


def test_batch_equals_elements(generator: torch.Generator) -> None:
    given = problem(dtype=torch.float32)
    views = poisson(torch.cat([given.views, 0.5 * given.views]), generator)
    background = torch.stack([torch.full_like(views[0], level) for level in (1.0, 4.0)])
    together = replace(given, views=views, mask=given.mask.expand(2, -1, -1, -1, -1), background=background)
    both = OSEM(iterations=2, subsets=4)(together)
    for k in range(2):
        alone = OSEM(iterations=2, subsets=4)(replace(given, views=views[k : k + 1], background=background[k : k + 1]))
        torch.testing.assert_close(both.mean[k : k + 1], alone.mean, rtol=1e-3, atol=1e-2)
    assert both.mean.dtype == torch.float32


def test_two_opposed_views_are_one_subset() -> None:
    activity, body = patient()
    camera = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=20.0, distance_mm=(150.0, 150.0), scatter=False)
    planar = camera.projector(MU_PER_MM * body.double(), GRID)
    turning = projector(body, orbit=Orbit.circular(2, 150.0))
    results = [OSEM(iterations=3, subsets=1)(TomographicProblem(views=p(activity), projector=p, mask=body)).mean for p in (planar, turning)]
    torch.testing.assert_close(results[0], results[1], rtol=1e-3, atol=1.0)
    with pytest.raises(ValueError, match="subsets must be 1 for a PlanarProjector"):
        OSEM(iterations=1, subsets=2)(TomographicProblem(views=planar(activity), projector=planar, mask=body))
    with pytest.raises(ValueError, match="subsets must lie between 1 and 1"):
        OSEM(iterations=1, subsets=2)(TomographicProblem(views=turning(activity), projector=turning, mask=body))


def test_pixels_need_not_be_voxels() -> None:
    activity, body = patient()
    detector = Detector(matrix=(40, 26), pixel_mm=(6.0, 5.0))
    camera = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=20.0, detector=detector)
    fine = camera.rotating_projector(MU_PER_MM * body.double(), GRID, ORBIT, support=body)
    (mean,) = OSEM(iterations=1, subsets=6).estimates(TomographicProblem(views=fine(activity), projector=fine, mask=body))
    torch.testing.assert_close(mean.sum(), activity.sum(), rtol=0.05, atol=0.0)


def test_no_counts_give_no_activity() -> None:
    given = problem()
    empty = replace(given, views=torch.zeros_like(given.views))
    assert (OSEM(iterations=2)(empty).mean == 0).all()
    drowned = OSEM(iterations=2)(replace(given, background=10.0 * given.views)).mean
    assert torch.isfinite(drowned).all()


@pytest.mark.parametrize("name", ["views", "background"])
@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_refuses_what_is_no_count(name: str, bad: float) -> None:
    given = problem()
    counts = given.views.clone()
    counts[0, 0, 3, 3] = bad
    with pytest.raises(ValueError, match=f"{name} must be counts"):
        replace(given, **{name: counts})


def test_refuses_shapes_that_do_not_fit() -> None:
    given = problem()
    with pytest.raises(ValueError, match=r"views must have shape \(1, 24, 22, 12\)"):
        replace(given, views=given.views[:, :20])
    with pytest.raises(ValueError, match="mask must have the projector's grid"):
        replace(given, mask=given.mask[..., :5])
    with pytest.raises(ValueError, match="mask is empty"):
        replace(given, mask=torch.zeros_like(given.mask))
    with pytest.raises(ValueError, match="start must have shape"):
        OSEM()(given, start=torch.ones(1, 1, 3, 3, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="start must be activity"):
        OSEM()(given, start=-torch.ones_like(patient()[0]))


@pytest.mark.parametrize("name", ["iterations", "subsets"])
def test_refuses_no_steps(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        OSEM(**{name: 0})
