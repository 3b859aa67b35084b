"""The conjugate view is exact where its assumptions hold: slabs, in closed form."""

from __future__ import annotations

import pytest
import torch

from planar3d.grid import Grid
from planar3d.organs import organ_id
from planar3d.physics import GammaCamera
from planar3d.physics.collimator import CollimatorResponse
from planar3d.reconstruction import ConjugateView, OrganActivities, PlanarProblem

GRID = Grid.centred((24, 20, 24), 10.0)
MU_PER_MM = 0.012
LIVER, SPLEEN = organ_id("liver"), organ_id("spleen")


@pytest.fixture
def sharp_camera() -> GammaCamera:
    """A camera without blur or scatter."""
    response = CollimatorResponse(slope=0.0, offset_mm=0.0, intrinsic_mm=0.0)
    return GammaCamera(response=response, sensitivity_cps_per_mbq=10.0, dwell_time_s=100.0, energy_kev=208.37)


def _problem(camera: GammaCamera, labels: torch.Tensor, activity: torch.Tensor) -> PlanarProblem:
    mu_map = torch.where(labels > 0, MU_PER_MM, 0.0)
    views = camera(activity, mu_map, GRID)
    return PlanarProblem.from_camera(camera, views=views, mu_map=mu_map, labels=labels, grid=GRID)


def _slab(thickness_voxels: int = 14) -> torch.Tensor:
    labels = torch.zeros(1, 1, *GRID.shape, dtype=torch.long)
    start = (GRID.shape[1] - thickness_voxels) // 2
    labels[:, :, 2:-2, start : start + thickness_voxels, 2:-2] = 1
    return labels


def _organs(problem: PlanarProblem) -> OrganActivities:
    organs = ConjugateView()(problem).organs
    assert organs is not None
    return organs


def _true_bq(activity: torch.Tensor, labels: torch.Tensor, organ: int) -> float:
    return float(activity[labels == organ].sum()) * GRID.voxel_volume_ml


def test_uniform_slab_is_exact(sharp_camera: GammaCamera) -> None:
    labels = _slab()
    activity = 5e4 * (labels > 0).float()
    assert _organs(_problem(sharp_camera, labels, activity)).activity_bq.item() == pytest.approx(_true_bq(activity, labels, 1), rel=1e-3)


@pytest.mark.parametrize("depth", [4, 7, 10])
def test_organ_in_a_cold_slab_is_exact_at_any_depth(sharp_camera: GammaCamera, depth: int) -> None:
    labels = _slab()
    labels[:, :, 8:14, depth : depth + 5, 8:15] = LIVER
    activity = 5e4 * (labels == LIVER).float()
    organs = _organs(_problem(sharp_camera, labels, activity))
    assert organs.activity_bq[0, 1].item() == pytest.approx(_true_bq(activity, labels, LIVER), rel=1e-3)
    assert organs.activity_bq[0, 0].item() == pytest.approx(0.0, abs=1e-3 * organs.activity_bq[0, 1].item())


def test_organ_that_reaches_through_the_slab_needs_no_background_taken_off(sharp_camera: GammaCamera) -> None:
    labels = _slab()
    labels[:, :, 8:14, :, 8:15] = torch.where(labels[:, :, 8:14, :, 8:15] > 0, LIVER, 0)
    activity = 5e4 * (labels == LIVER).float() + 1e4 * (labels == 1).float()
    organs = _organs(_problem(sharp_camera, labels, activity))
    assert organs.activity_bq[0].tolist() == pytest.approx([_true_bq(activity, labels, i) for i in (1, LIVER)], rel=1e-3)


def test_background_is_taken_off_less_what_the_organ_displaces(sharp_camera: GammaCamera) -> None:
    labels = _slab()
    labels[:, :, 8:14, 8:12, 8:15] = LIVER
    activity = 2e5 * (labels == LIVER).float() + 1e4 * (labels == 1).float()
    problem = _problem(sharp_camera, labels, activity)
    estimate, truth = _organs(problem).activity_bq[0, 1].item(), _true_bq(activity, labels, LIVER)
    # MIRD 16 takes the background in front and behind for uniform: right to a few per cent of a contrast of 20
    assert estimate == pytest.approx(truth, rel=0.05)
    untouched = ConjugateView(source_organs=())(problem).organs
    assert untouched is not None
    assert estimate != pytest.approx(untouched.activity_bq[0, 1].item(), rel=0.1)


def test_overlap_is_left_out_and_scaled_by_area(sharp_camera: GammaCamera) -> None:
    labels = _slab()
    labels[:, :, 6:14, 5:9, 8:15] = LIVER
    labels[:, :, 11:19, 11:15, 8:15] = SPLEEN
    activity = 5e4 * (labels == LIVER).float() + 2e5 * (labels == SPLEEN).float()
    organs = _organs(_problem(sharp_camera, labels, activity))
    for column, organ in ((1, LIVER), (2, SPLEEN)):
        assert organs.activity_bq[0, column].item() == pytest.approx(_true_bq(activity, labels, organ), rel=1e-2)


def test_map_holds_the_activity_of_the_organs(sharp_camera: GammaCamera) -> None:
    labels = _slab()
    labels[:, :, 8:14, 8:12, 8:15] = LIVER
    activity = 2e5 * (labels == LIVER).float() + 1e4 * (labels == 1).float()
    posterior = ConjugateView()(_problem(sharp_camera, labels, activity))
    assert posterior.organs is not None
    assert posterior.mean.sum().item() * GRID.voxel_volume_ml == pytest.approx(posterior.organs.activity_bq.sum().item(), rel=1e-4)


def test_swapped_views_do_not_matter(sharp_camera: GammaCamera) -> None:
    labels = _slab()
    labels[:, :, 8:14, 4:8, 8:15] = LIVER
    problem = _problem(sharp_camera, labels, 5e4 * (labels == LIVER).float())
    swapped = PlanarProblem.from_camera(sharp_camera, views=problem.views.flip(1), mu_map=problem.mu_map, labels=labels, grid=GRID)
    assert torch.allclose(_organs(problem).activity_bq, _organs(swapped).activity_bq, rtol=1e-4, atol=1.0)


def test_scatter_is_taken_off() -> None:
    labels = _slab()
    activity = 5e4 * (labels > 0).float()
    cameras = [GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=100.0, scatter=s) for s in (True, False)]
    with_scatter, without = (_organs(_problem(c, labels, activity)).activity_bq for c in cameras)
    assert torch.allclose(with_scatter, without, rtol=1e-3)


def test_anatomy_without_source_organs(sharp_camera: GammaCamera) -> None:
    labels = _slab()
    labels[labels == 1] = organ_id("muscle")
    activity = 5e4 * (labels > 0).float()
    organs = _organs(_problem(sharp_camera, labels, activity))
    assert organs.ids.tolist() == [organ_id("muscle")]
    assert organs.activity_bq.item() == pytest.approx(_true_bq(activity, labels, organ_id("muscle")), rel=1e-3)


def test_refuses_an_unknown_organ() -> None:
    with pytest.raises(ValueError, match="tail"):
        ConjugateView(source_organs=("tail",))
