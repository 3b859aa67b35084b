"""A measured image with all that its camera counts comes to the activities that were imaged."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from planar3d.anatomy.digital import digital_patient
from planar3d.anatomy.patient import Patient
from planar3d.batch import Batch
from planar3d.io import PlanarImage, within_field_of_view
from planar3d.measurement import MARGIN_MM, camera_of, located, pose, rearranged
from planar3d.organs import organ_id
from planar3d.physics import GammaCamera, poisson
from planar3d.physics.dead_time import DeadTime
from planar3d.physics.exposure import apply_dead_time
from planar3d.physics.sweep import WholeBodySweep
from planar3d.reconstruction import QPlanar
from planar3d.reconstruction.arrangement import ARRANGEMENTS, better_arrangement
from planar3d.simulate import planar_image

SPACING_MM = 16.0
UPTAKE = {"liver": 6.0, "spleen": 8.0, "kidney_left": 25.0, "kidney_right": 25.0, "urinary_bladder": 15.0}
BACKGROUND_ORGAN = "muscle"
ORGANS = (*UPTAKE, "body", BACKGROUND_ORGAN)
DWELL_S = 200.0
COUNTS = 2e6


@dataclass(frozen=True, kw_only=True)
class Scan:
    """A patient, the true activities and the image of them, without noise."""

    patient: Patient
    image: PlanarImage
    truth: dict[str, float]

    def errors(self, image: PlanarImage) -> Tensor:
        """Relative errors of QPlanar's organ activities from an image."""
        organs = QPlanar()(pose(image, camera_of(image), self.patient, spacing_mm=SPACING_MM)).organs
        assert organs is not None
        found = dict(zip(organs.ids.tolist(), organs.activity_bq[0].tolist(), strict=True))
        return torch.tensor([found[organ_id(name)] / self.truth[name] - 1.0 for name in ORGANS])


def views_in(scan_camera: str, window: str, activity: Tensor, patient: Patient, *, isotope: str, kev: float | None) -> Tensor:
    """Expected counts in an energy window."""
    camera = GammaCamera.from_name(scan_camera, isotope=isotope, dwell_time_s=DWELL_S, energy_kev=kev, window=window)
    return camera(activity, patient.mu_map(camera.energy_kev)[None], patient.grid)


@pytest.fixture(scope="module")
def scan() -> Scan:
    """208 keV with side windows."""
    return make_scan("siemens-melp", "Lu-177", None)


def make_scan(name: str, isotope: str, kev: float | None) -> Scan:
    """Even uptake in a few organs of a digital patient."""
    patient = digital_patient(3, SPACING_MM)
    activity = (patient.labels[None] > 0).float()
    for organ, level in UPTAKE.items():
        activity[patient.labels[None] == organ_id(organ)] = level
    windows = {w: views_in(name, w, activity, patient, isotope=isotope, kev=kev) for w in ("peak", "lower", "upper")}
    scale = COUNTS / windows["peak"][:, 0].sum()
    activity = activity * scale
    camera = GammaCamera.from_name(name, isotope=isotope, dwell_time_s=DWELL_S, energy_kev=kev)
    batch = Batch(
        activity=activity, views=windows["peak"] * scale, mu_map=patient.mu_map(camera.energy_kev)[None], labels=patient.labels[None],
        imaged_labels=patient.labels[None],
    )  # fmt: skip
    image = planar_image(batch, patient, camera, name=name, isotope=isotope)
    image = replace(image, lower_views=windows["lower"] * scale, upper_views=windows["upper"] * scale, energy_kev=kev)
    truth = {organ: float(activity[patient.labels[None] == organ_id(organ)].sum()) * patient.grid.voxel_volume_ml for organ in ORGANS}
    return Scan(patient=patient, image=image, truth=truth)


def test_scan_speed_is_the_dwell_time_said_otherwise(scan: Scan) -> None:
    by_speed = replace(scan.image, dwell_time_s=None, scan_speed_mm_per_s=387.0 / DWELL_S)
    torch.testing.assert_close(scan.errors(by_speed), scan.errors(scan.image))
    assert scan.errors(scan.image).abs().max() < 0.005
    assert scan.errors(replace(by_speed, head_length_mm=2 * 387.0)).abs().min() > 0.4


def test_dead_time_of_a_sweep_is_put_right(scan: Scan, generator: torch.Generator) -> None:
    rows = scan.image.views.shape[3]
    (_, (low, high)), z_mm = scan.image.extent_mm, scan.image.origin_mm[1] + SPACING_MM * torch.arange(rows, dtype=torch.float64)
    sweep = WholeBodySweep(speed_mm_per_s=387.0 / DWELL_S, head_length_mm=387.0, start_mm=low, stop_mm=high)
    tau_s = 3e-5
    recorded = apply_dead_time(scan.image.views, DeadTime(tau_s=tau_s), sweep.exposure(z_mm))
    assert 0.7 < float(recorded.sum() / scan.image.views.sum()) < 0.85
    image = replace(scan.image, views=recorded, dwell_time_s=None, scan_speed_mm_per_s=sweep.speed_mm_per_s)
    assert scan.errors(image).abs().min() > 0.08
    assert scan.errors(replace(image, dead_time_s=tau_s)).abs().max() < 0.01
    noisy = replace(image, views=poisson(recorded, generator), dead_time_s=tau_s)
    assert scan.errors(noisy).abs().max() < 0.02


def test_room_background_is_put_right(scan: Scan) -> None:
    per_pixel = torch.tensor([900.0, 300.0]) * DWELL_S * SPACING_MM**2 / (533.0 * 387.0)
    image = replace(scan.image, views=scan.image.views + per_pixel[None, :, None, None])
    assert scan.errors(image).abs().max() > 0.1
    told = scan.errors(replace(image, background_cps=(900.0, 300.0)))
    assert told.abs().max() < 0.005


@pytest.mark.parametrize(
    ("name", "isotope", "kev", "kind", "least"),
    [
        ("siemens-melp", "Lu-177", None, "tew", 0.15),
        ("siemens-he", "I-131", None, "tew", 0.149),  # the tails of its collimator carry scatter out of the organs
        ("siemens-lehr", "Tc-99m", None, "dew", 0.15),
        ("siemens-melp", "Lu-177", None, "dew", 0.15),
    ],
)
def test_side_windows_stand_in_for_the_model_of_scatter(name: str, isotope: str, kev: float | None, kind: str, least: float) -> None:
    """Scatter in side windows comes from farther away than that in the peak: hot organs keep some of theirs."""
    scan = make_scan(name, isotope, kev)
    ignored, estimated = (scan.errors(replace(scan.image, scatter_correction=c)) for c in ("none", kind))
    assert ignored.min() > least
    assert estimated.abs().max() < 0.14  # the bladder, hot and deep
    assert estimated.abs().mean() < 0.3 * ignored.abs().mean()
    assert estimated.abs()[ORGANS.index(BACKGROUND_ORGAN)] < 0.05


def test_total_from_side_windows_is_unbiased(scan: Scan) -> None:
    problem = pose(
        replace(scan.image, scatter_correction="tew"), camera_of(replace(scan.image, scatter_correction="tew")), scan.patient,
        spacing_mm=SPACING_MM,
    )  # fmt: skip
    assert not problem.projector.models_scatter
    total = float(QPlanar()(problem).mean.sum()) * problem.grid.voxel_volume_ml
    imaged = float(sum(scan.truth.values()))
    others = scan.patient.labels[None] > 0
    for organ in ORGANS:
        others = others & (scan.patient.labels[None] != organ_id(organ))
    level = scan.truth[BACKGROUND_ORGAN] / float((scan.patient.labels == organ_id(BACKGROUND_ORGAN)).sum())
    assert total == pytest.approx(imaged + level * float(others.sum()), rel=0.02)


def test_the_line_named_is_the_one_modelled() -> None:
    scan = make_scan("siemens-melp", "Lu-177", 113.0)
    assert camera_of(scan.image).energy_kev == pytest.approx(112.95)
    assert scan.errors(scan.image).abs().max() < 0.005
    assert scan.errors(replace(scan.image, energy_kev=None)).abs().max() > 0.2


def test_a_turned_image_takes_its_background_along(scan: Scan) -> None:
    image = replace(scan.image, scatter_correction="tew")
    problem = pose(image, camera_of(image), scan.patient, spacing_mm=SPACING_MM)
    assert problem.background is not None
    turned = rearranged(image, problem, lambda views: views.flip(1, 3))
    torch.testing.assert_close(turned.views, problem.views.flip(1, 3))
    torch.testing.assert_close(turned.background, problem.background.flip(1, 3))


@pytest.mark.parametrize(
    ("empty", "way"), [((12, 0), "upside down"), ((0, 6), "mirrored left to right"), ((12, 0), "turned by 180 degrees")]
)
def test_an_export_goes_wrong_about_the_middle_of_its_matrix(scan: Scan, empty: tuple[int, int], way: str) -> None:
    """A matrix with rows or columns beyond the field of view on one side, turned: the check names what happened."""
    rows, columns = empty
    counts = torch.poisson(scan.image.views, torch.Generator().manual_seed(1))
    matrix = torch.nn.functional.pad(counts, (0, rows, 0, columns))
    wrong = replace(scan.image, views=ARRANGEMENTS[way](matrix), lower_views=None, upper_views=None)
    problem = pose(within_field_of_view(wrong), camera_of(wrong), scan.patient, spacing_mm=SPACING_MM, margin_mm=MARGIN_MM)
    assert better_arrangement(problem, lambda turn: rearranged(wrong, problem, turn)) == way


def test_an_image_is_placed_by_its_counts_less_what_is_known(scan: Scan) -> None:
    lost = replace(scan.image, origin_mm=(0.0, 0.0), origin_is_known=False, scatter_correction="tew")
    found = located(lost, camera_of(lost), scan.patient)
    for axis in (0, 1):
        assert found.origin_mm[axis] == pytest.approx(scan.image.origin_mm[axis], abs=SPACING_MM)


def test_scatter_is_not_counted_twice(scan: Scan) -> None:
    with pytest.raises(ValueError, match=r"camera models object scatter and scatter_correction=tew takes it from side windows"):
        pose(replace(scan.image, scatter_correction="tew"), camera_of(scan.image), scan.patient, spacing_mm=SPACING_MM)


def test_a_simulated_image_names_its_line_and_whether_it_has_scatter(scan: Scan) -> None:
    patient, views = scan.patient, scan.image.views
    batch = Batch(
        activity=torch.ones_like(patient.labels[None], dtype=torch.float32), views=views, mu_map=patient.mu_map(113.0)[None],
        labels=patient.labels[None], imaged_labels=patient.labels[None],
    )  # fmt: skip
    for scatter in (True, False):
        camera = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=DWELL_S, energy_kev=113.0, scatter=scatter)
        image = planar_image(batch, patient, camera, name="siemens-melp", isotope="Lu-177")
        again = camera_of(image)
        assert (again.energy_kev, again.scatter is not None) == (camera.energy_kev, scatter)
