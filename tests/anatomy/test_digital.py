"""Digital patients are people: organs where they belong, of the right size, the same for a seed on any grid."""

from __future__ import annotations

import pytest
import torch

from planar3d.anatomy import Patient, body_mask, digital_patient, draw_habitus, render_patient
from planar3d.anatomy.digital import FIELD
from planar3d.grid import Grid
from planar3d.organs import GROUPS, organ_id

SEEDS = (0, 1, 2, 5, 11)
ALWAYS_THERE = (
    "liver", "spleen", "kidney_left", "kidney_right", "stomach", "duodenum", "small_bowel", "colon", "urinary_bladder", "heart", "vessels",
    "pancreas", "lung_left", "lung_right", "spine", "ribs", "pelvis", "limb_bones", "muscle", "fat", "body",
)  # fmt: skip
PLAUSIBLE_ML = {
    "liver": (900, 2500), "spleen": (60, 350), "kidney_left": (90, 250), "kidney_right": (90, 250), "stomach": (130, 600),
    "urinary_bladder": (40, 420), "heart": (450, 1100), "lung_left": (1000, 2800), "lung_right": (1000, 2900), "pancreas": (45, 180),
    "spine": (400, 900), "ribs": (250, 700), "pelvis": (350, 800),
}  # fmt: skip


@pytest.fixture(scope="module", params=SEEDS)
def patient(request: pytest.FixtureRequest) -> Patient:
    """Several digital patients."""
    return digital_patient(request.param)


def _places_mm(patient: Patient, organ: str) -> torch.Tensor:
    """Voxel centres of an organ ``(n, 3)`` [mm]."""
    index = torch.nonzero(patient.labels[0] == organ_id(organ)).double()
    return index * torch.tensor(patient.grid.spacing_mm, dtype=torch.float64) + torch.tensor(patient.grid.origin_mm, dtype=torch.float64)


def _volume_ml(patient: Patient, organ: str) -> float:
    return len(_places_mm(patient, organ)) * patient.grid.voxel_volume_ml


def test_every_organ_is_there_and_of_human_size(patient: Patient) -> None:
    for organ in ALWAYS_THERE:
        assert _volume_ml(patient, organ) > 0, organ
    for organ, (low, high) in PLAUSIBLE_ML.items():
        assert low < _volume_ml(patient, organ) < high, organ


def test_organs_lie_where_they_belong(patient: Patient) -> None:
    middle = {organ: _places_mm(patient, organ).mean(dim=0) for organ in ALWAYS_THERE}
    x, y, z = ({organ: float(m[axis]) for organ, m in middle.items()} for axis in range(3))
    assert x["liver"] > 20.0  # the patient's right
    assert x["spleen"] < -50.0
    assert x["stomach"] < -15.0
    assert x["kidney_right"] > 30.0 > -30.0 > x["kidney_left"]
    assert x["lung_right"] > 30.0 > -30.0 > x["lung_left"]
    assert x["heart"] < 0.0
    assert y["spine"] < -35.0
    assert y["kidney_left"] < -20.0
    assert y["kidney_right"] < -20.0
    assert y["heart"] > y["spine"] + 50.0
    assert z["urinary_bladder"] < z["small_bowel"] < z["liver"] < z["heart"] < float(_places_mm(patient, "lung_right")[:, 2].max())
    assert z["kidney_right"] < z["spleen"]
    apex = _places_mm(patient, "heart")
    assert float(apex[apex[:, 2] < apex[:, 2].quantile(0.1), 0].mean()) < x["heart"]  # the apex points down and left


def test_tissues_have_their_ct_numbers(patient: Patient) -> None:
    median = {organ: float(patient.ct_hu[patient.labels == organ_id(organ)].median()) for organ in ALWAYS_THERE}
    assert -900 < median["lung_left"] < -650
    assert -130 < median["fat"] < -60
    for organ in ("liver", "spleen", "kidney_left", "muscle", "heart", "pancreas"):
        assert 10 < median[organ] < 80, organ
    assert median["liver"] > median["kidney_right"]
    for organ in GROUPS["skeleton"][:4]:
        assert 120 < median[organ] < 500, organ
    outside = patient.ct_hu[~patient.body]
    assert float(outside.median()) == -1000.0
    assert float(outside.max()) < -300.0  # half a voxel of bone at the most


def test_fat_lies_under_the_skin(patient: Patient) -> None:
    body = patient.body[0]
    inside = body[2:, 2:, 1:-1] & body[:-2, :-2, 1:-1] & body[:-2, 2:, 1:-1] & body[2:, :-2, 1:-1]
    rim = body[1:-1, 1:-1, 1:-1] & ~inside
    assert float((patient.labels[0, 1:-1, 1:-1, 1:-1][rim] == organ_id("fat")).float().mean()) > 0.5


def test_the_body_is_one_piece_that_a_ct_reader_finds(patient: Patient) -> None:
    found = body_mask(patient.ct_hu, spacing_mm=patient.grid.spacing_mm)
    assert int((found ^ patient.body).sum()) < 0.03 * int(patient.body.sum())
    assert not patient.body[:, 0].any()  # no flank is cut off
    assert not patient.body[:, -1].any()


def test_a_seed_is_a_patient() -> None:
    a, b, c = digital_patient(7), digital_patient(7), digital_patient(8)
    assert torch.equal(a.labels, b.labels)
    assert torch.equal(a.ct_hu, b.ct_hu)
    assert float((a.labels != c.labels).float().mean()) > 0.1


def test_no_global_state_is_touched() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    digital_patient(7)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("spacing_mm", [4.8, 10.0])
def test_the_grid_does_not_change_the_patient(spacing_mm: float) -> None:
    habitus = draw_habitus(torch.Generator().manual_seed(4))
    usual, other = render_patient(habitus, FIELD), render_patient(habitus, FIELD.resampled(spacing_mm))
    for organ in ("liver", "spleen", "kidney_left", "lung_right", "heart", "muscle", "stomach"):
        assert _volume_ml(other, organ) == pytest.approx(_volume_ml(usual, organ), rel=0.1), organ
        moved = _places_mm(other, organ).mean(dim=0) - _places_mm(usual, organ).mean(dim=0)
        assert float(moved.norm()) < 2.5, organ


def test_a_part_of_the_field_is_a_part_of_the_patient() -> None:
    habitus = draw_habitus(torch.Generator().manual_seed(4))
    whole = render_patient(habitus, FIELD)
    start = (10, 6, 20)
    corner = tuple(o + 8.0 * s for o, s in zip(FIELD.origin_mm, start, strict=True))
    part = render_patient(habitus, Grid(shape=(20, 15, 16), spacing_mm=FIELD.spacing_mm, origin_mm=(corner[0], corner[1], corner[2])))
    assert float((part.labels != whole.labels[:, 10:30, 6:21, 20:36]).float().mean()) < 1e-3


def test_solid_organs_have_the_volume_drawn() -> None:
    for seed in SEEDS:
        habitus = draw_habitus(torch.Generator().manual_seed(seed))
        patient = render_patient(habitus, FIELD)
        for organ in ("liver", "kidney_left", "kidney_right", "heart", "stomach", "pancreas", "urinary_bladder"):
            assert _volume_ml(patient, organ) == pytest.approx(habitus.volumes_ml[organ], rel=0.05), (seed, organ)


def test_builds_differ() -> None:
    builds = [draw_habitus(torch.Generator().manual_seed(seed)) for seed in range(60)]
    fat = torch.tensor([b.fat_mm for b in builds])
    liver = torch.tensor([b.volumes_ml["liver"] for b in builds])
    assert float(fat.max() / fat.min()) > 2.0
    assert 1400 < float(liver.mean()) < 1800
    assert 100 < float(liver.std()) < 450
    assert 0.2 < sum(b.is_male for b in builds) / len(builds) < 0.8


@pytest.mark.parametrize(("organ", "outward"), [("kidney_right", 1.0), ("kidney_left", -1.0)])
def test_upper_poles_of_the_kidneys_lie_inward_and_backward(organ: str, outward: float) -> None:
    """Kidneys lean on the psoas: upper poles toward the spine and, in most people, the back."""
    leans = []
    for seed in SEEDS:
        places = _places_mm(digital_patient(seed), organ)
        low, high = torch.quantile(places[:, 2], 0.25), torch.quantile(places[:, 2], 0.75)
        leans.append(places[places[:, 2] >= high].mean(dim=0) - places[places[:, 2] <= low].mean(dim=0))
    x_mm, y_mm, _ = torch.stack(leans).T
    assert float((outward * x_mm).max()) < -1.0
    assert float((outward * x_mm).mean()) < -5.0
    assert float(y_mm.mean()) < -5.0
