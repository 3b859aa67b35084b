"""A CT that shows less of the patient than the image, or the other way round: what lies beyond is not put into the last slices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from planar3d.anatomy.digital import digital_patient
from planar3d.anatomy.patient import Patient
from planar3d.io import PlanarImage
from planar3d.measurement import camera_of, pose
from planar3d.organ_sums import organ_sums
from planar3d.organs import organ_id
from planar3d.reconstruction import ConjugateView, QPlanar, QPlanarEM
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.margin import between_margins, with_spill_known, without_margin
from planar3d.reconstruction.posterior import OrganActivities, Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.reconstruct_series import _spill_known

SPACING_MM = 16.0
FIRST, LAST = 9, 22  # slices that the CT shows, of 30


@dataclass(frozen=True, kw_only=True)
class Scan:
    """A patient with even organs, imaged whole and without noise, and the part that the CT shows."""

    patient: Patient
    shown: Patient
    activity: Tensor
    image: PlanarImage

    def problem(self, margin_mm: float, shown: Patient | None = None, image: PlanarImage | None = None) -> PlanarProblem:
        """What a command would make of it."""
        image = image or self.image
        return pose(image, camera_of(image), shown or self.shown, spacing_mm=SPACING_MM, margin_mm=margin_mm)


def part_of(patient: Patient, first: int, last: int) -> Patient:
    """The slices from first to last of a patient."""
    grid = patient.grid.rows(first, last + 1)
    return replace(patient, grid=grid, ct_hu=patient.ct_hu[..., first : last + 1], labels=patient.labels[..., first : last + 1])


@pytest.fixture(scope="module")
def scan() -> Scan:
    patient = digital_patient(3, SPACING_MM)
    labels = patient.labels[None]
    activity = (labels > 0).float()
    for organ, level in {"liver": 6.0, "kidney_left": 25.0, "kidney_right": 25.0, "urinary_bladder": 40.0, "heart": 10.0}.items():
        activity[labels == organ_id(organ)] = level
    activity *= 100.0
    grid = patient.grid
    image = PlanarImage(
        views=torch.ones(1, 2, grid.shape[0], grid.shape[2]), pixel_mm=(SPACING_MM, SPACING_MM), origin_mm=grid.origin_mm[::2],
        isotope="Lu-177", camera="siemens-melp", dwell_time_s=200.0,
    )  # fmt: skip
    camera = camera_of(image)
    views = camera(activity, patient.mu_map(camera.energy_kev)[None], grid)
    return Scan(patient=patient, shown=part_of(patient, FIRST, LAST), activity=activity, image=replace(image, views=views))


def total_error(scan: Scan, posterior: Posterior) -> float:
    """Relative error of the activity in the CT."""
    return float(posterior.mean.sum() / scan.activity[..., FIRST : LAST + 1].sum()) - 1.0


def test_activity_beyond_the_ct_does_not_come_into_it(scan: Scan) -> None:
    method = QPlanarEM()
    alone = method(scan.problem(0.0))
    problem = scan.problem(50.0)
    found, inner = without_margin(method(problem), problem)
    assert problem.margin_rows == (4, 4)
    assert inner.margin_rows == (0, 0)
    assert total_error(scan, alone) > 0.025
    assert abs(total_error(scan, found)) < 0.01
    truth, slices = scan.activity[..., FIRST : LAST + 1].sum(dim=(2, 3)), [0, 1, -2, -1]  # the working grid holds the body alone along y
    before, after = ((e.mean.sum(dim=(2, 3)) - truth)[..., slices].abs().sum() for e in (alone, found))
    assert after < 0.5 * before


def test_what_is_left_is_a_problem_of_its_own(scan: Scan) -> None:
    """The cut estimate, before the camera with the counts from beyond, gives what the whole estimate gave."""
    problem = scan.problem(50.0)
    found, inner = without_margin(QPlanarEM()(problem), problem)
    assert found.expected_views is not None
    difference = inner.expected_counts(found.mean) - found.expected_views
    assert difference.norm() < 2e-3 * found.expected_views.norm()
    torch.testing.assert_close(inner.views, scan.problem(0.0).views)
    assert inner.grid.is_close(scan.problem(0.0).grid)


def test_known_spill_serves_methods_that_work_on_the_ct_alone(scan: Scan) -> None:
    problem = with_spill_known(scan.problem(50.0))
    assert problem.grid.is_close(scan.problem(0.0).grid)
    assert abs(total_error(scan, QPlanarEM()(problem))) < 0.01
    untouched = scan.problem(0.0)
    assert with_spill_known(untouched) is untouched


def test_organs_are_those_in_the_ct(scan: Scan) -> None:
    """Whole organs keep their activity and error; of those that go on beyond the CT the part in it is told."""
    problem = scan.problem(50.0)
    whole = QPlanar()(problem)
    found, inner = without_margin(whole, problem)
    assert whole.organs is not None
    assert found.organs is not None
    assert whole.organs.standard_error_bq is not None
    assert found.organs.standard_error_bq is not None
    sums = organ_sums(found.mean, inner.organ_labels)[:, found.organs.ids.long()] * inner.grid.voxel_volume_ml
    torch.testing.assert_close(found.organs.activity_bq, sums, rtol=1e-4, atol=1.0)
    ids = found.organs.ids.tolist()
    kidney, body = ids.index(organ_id("kidney_left")), ids.index(organ_id("muscle"))
    share = found.organs.activity_bq / whole.organs.activity_bq
    assert share[0, kidney] == 1.0
    assert share[0, body] < 0.9
    some = whole.organs.activity_bq > 0
    torch.testing.assert_close(found.organs.standard_error_bq[some], (whole.organs.standard_error_bq * share)[some])


def test_an_organ_without_activity_is_told_by_its_voxels(scan: Scan) -> None:
    problem = scan.problem(50.0)
    ids = torch.tensor([organ_id("muscle")])
    posterior = Posterior(
        mean=torch.zeros_like(problem.mu_map),
        organs=OrganActivities(ids=ids, activity_bq=torch.tensor([[0.0]]), standard_error_bq=torch.tensor([[8.0]])),
    )
    found, inner = without_margin(posterior, problem)
    muscle = int(ids)
    share = (inner.labels == muscle).sum() / (problem.labels == muscle).sum()
    assert found.organs is not None
    assert found.organs.standard_error_bq is not None
    assert float(found.organs.standard_error_bq) == pytest.approx(8.0 * float(share))


def test_an_organ_that_lies_in_the_margin_alone_is_left_out(scan: Scan) -> None:
    """As the bladder below an image of one bed: tables of organs and doses go by the labels that are left."""
    problem = scan.problem(50.0)
    labels = problem.labels.clone()
    labels[..., :3] = torch.where(labels[..., :3] > 0, organ_id("urinary_bladder"), 0)
    problem = replace(problem, labels=labels)
    found, inner = between_margins(QPlanar(), problem)
    assert found.organs is not None
    assert found.organs.covariance_bq2 is not None
    left = inner.organ_labels.unique().tolist()
    assert found.organs.ids.tolist() == [i for i in left if i]
    assert organ_id("urinary_bladder") in problem.labels.unique().tolist()
    assert found.organs.covariance_bq2.shape == (1, len(left) - 1, len(left) - 1)


def test_problems_that_share_a_projector_share_one_between_the_margins(scan: Scan) -> None:
    first = scan.problem(50.0)
    inner = _spill_known([first, replace(first, views=2 * first.views), scan.problem(50.0)])
    assert inner[1].projector is inner[0].projector
    assert inner[1].labels is inner[0].labels
    assert inner[2].projector is not inner[0].projector
    assert not torch.equal(inner[1].views, inner[0].views)


def test_margins_of_different_length_on_both_sides(scan: Scan) -> None:
    """The image goes on by two rows below the CT's end and ends two rows before it above, where the CT goes on by one more."""
    x, z = scan.image.origin_mm
    image = replace(scan.image, views=scan.image.views[..., FIRST - 2 : LAST - 1], origin_mm=(x, z + (FIRST - 2) * SPACING_MM))
    problem = scan.problem(50.0, image=image)
    assert (problem.margin_rows, problem.blind_rows) == ((2, 2), (0, 2))
    inner = between_margins(QPlanarEM(), problem)[1]
    torch.testing.assert_close(inner.views, scan.image.views[..., FIRST : LAST - 1][:, :, : inner.grid.shape[0]])


@pytest.mark.parametrize("margin_mm", [-50.0, float("nan")])
def test_a_margin_that_is_no_length_is_refused(scan: Scan, margin_mm: float) -> None:
    with pytest.raises(ValueError, match="margin_mm must not be negative"):
        scan.problem(margin_mm)


def test_nothing_changes_where_the_image_ends_with_the_ct(scan: Scan) -> None:
    problem = scan.problem(50.0, shown=scan.patient)
    posterior = QPlanar()(problem)
    assert problem.margin_rows == (0, 0)
    assert without_margin(posterior, problem) == (posterior, problem)


def test_an_image_that_shows_less_than_the_ct(scan: Scan) -> None:
    """Nothing is known of the counts beyond the image, yet what lies there is not put into its last rows."""
    x, z = scan.image.origin_mm
    bed = replace(scan.image, views=scan.image.views[..., FIRST : LAST + 1], origin_mm=(x, z + FIRST * SPACING_MM))
    alone = QPlanarEM()(scan.problem(0.0, shown=scan.patient, image=bed))
    problem = scan.problem(50.0, shown=scan.patient, image=bed)
    assert (problem.margin_rows, problem.blind_rows) == ((4, 4), (4, 4))
    assert not problem.seen[..., :4].any()
    assert torch.equal(problem.labels[0], scan.patient.resampled(problem.grid).labels)  # and not those of the last slice
    found, inner = between_margins(QPlanarEM(), problem)
    assert inner.blind_rows == (0, 0)
    assert total_error(scan, alone) > 0.02
    assert abs(total_error(scan, found)) < 0.01


def test_inputs_of_networks_take_rows_without_pixels_as_the_baseline_has_them(scan: Scan) -> None:
    """A network is not told that nothing counts where nothing was counted."""
    x, z = scan.image.origin_mm
    bed = replace(scan.image, views=scan.image.views[..., FIRST : LAST + 1], origin_mm=(x, z + FIRST * SPACING_MM))
    blind = scan.problem(50.0, shown=scan.patient, image=bed)
    baseline = QPlanarEM()(blind).mean
    filled = replace(blind, views=torch.where(blind.covered, blind.views, blind.expected_counts(baseline)), blind_rows=(0, 0))
    empty = replace(blind, blind_rows=(0, 0))
    told, right, wrong = (PhysicsInputs(baseline=lambda _: Posterior(mean=baseline))(p).channels for p in (blind, filled, empty))
    assert (told - right).abs().max() < 0.02  # of pixels at the rim of the body, whose counts are left out
    assert (told - wrong).abs().max() > 0.5
    one = PhysicsInputs(baseline=lambda _: Posterior(mean=baseline), views=[0])(blind).channels
    assert one[:, (1, 3)].abs().max() == 0.0  # the view that is left out says nothing there either


def test_the_conjugate_view_knows_of_no_margin(scan: Scan) -> None:
    alone, (found, _) = ConjugateView()(scan.problem(0.0)), between_margins(ConjugateView(), scan.problem(50.0))
    torch.testing.assert_close(found.mean, alone.mean, rtol=1e-3, atol=1e-3)


def test_the_margin_ends_with_the_image_and_is_none_beyond_the_body(scan: Scan) -> None:
    rows = FIRST - 2
    shorter = replace(
        scan.image, views=scan.image.views[..., rows:], origin_mm=(scan.image.origin_mm[0], scan.image.origin_mm[1] + rows * SPACING_MM)
    )
    problem = scan.problem(50.0, image=shorter)
    assert problem.margin_rows == (2, 4)
    torch.testing.assert_close(problem.views, scan.problem(50.0).views[..., 2:])
    air = replace(scan.shown, labels=scan.shown.labels.clone(), ct_hu=scan.shown.ct_hu.clone())
    air.labels[..., -1] = 0
    air.ct_hu[..., -1] = -1000.0
    assert scan.problem(50.0, shown=air).margin_rows == (4, 0)


def test_dead_time_and_room_go_on_with_the_rows(scan: Scan) -> None:
    image = replace(scan.image, dead_time_s=2e-6, background_cps=(3.0, 3.0), dwell_time_s=None, scan_speed_mm_per_s=2.0)
    problem = scan.problem(50.0, image=image)
    found, inner = without_margin(QPlanarEM()(problem), problem)
    alone = scan.problem(0.0, image=image)
    assert inner.live_fraction is not None
    assert alone.live_fraction is not None
    torch.testing.assert_close(inner.live_fraction, alone.live_fraction)
    assert (inner.known_counts >= alone.known_counts).all()
    assert found.mean.shape[2:] == alone.grid.shape
