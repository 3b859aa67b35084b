"""Digital patients are people: organs where they belong, of the right size, the same for a seed in any field and on any grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from planar3d.anatomy import TORSO, WHOLE_BODY, Habitus, Patient, body_mask, digital_patient, draw_habitus, render_patient
from planar3d.anatomy.morphology import connected_parts, volumes_of_parts
from planar3d.grid import Grid
from planar3d.organs import GROUPS, organ_id

SEEDS = (3, 4, 6, 12)
"""A man and a woman with raised arms, and a woman and a man with arms beside the trunk."""
OF_THE_TRUNK = (
    "liver", "spleen", "kidney_left", "kidney_right", "stomach", "duodenum", "small_bowel", "colon", "urinary_bladder", "heart", "vessels",
    "pancreas", "gallbladder", "adrenal_left", "adrenal_right", "lung_left", "lung_right", "esophagus", "trachea", "spinal_cord", "spine",
    "ribs", "pelvis", "limb_bones", "muscle", "fat", "body",
)  # fmt: skip
OF_THE_HEAD = ("brain", "skull", "thyroid", "mucosa", *GROUPS["salivary_glands"], *GROUPS["lacrimal_glands"])
PLAUSIBLE_ML = {
    "lung_left": (700, 2500), "lung_right": (900, 2900), "spine": (500, 1400), "ribs": (280, 800), "pelvis": (400, 1150),
    "skull": (350, 1300), "vessels": (300, 900), "mucosa": (30, 110), "trachea": (25, 90),
}  # fmt: skip


@pytest.fixture(scope="module", params=SEEDS)
def patient(request: pytest.FixtureRequest) -> Patient:
    """Several digital patients, whole."""
    return digital_patient(request.param, field=WHOLE_BODY)


def _habitus(seed: int) -> Habitus:
    return draw_habitus(torch.Generator().manual_seed(seed))


def _seed_with(variant: str, *, is_there: bool = True) -> int:
    """The first seed whose patient has a variant, or has none of it, and no other rare one."""
    wanted = {variant} if is_there else set()
    return next(s for s in range(2000) if set(_habitus(s).variants) - ({"arms_up"} - {variant}) == wanted)


def _places_mm(patient: Patient, organ: str) -> torch.Tensor:
    """Voxel centres of an organ ``(n, 3)`` [mm]."""
    index = torch.nonzero(patient.labels[0] == organ_id(organ)).double()
    return index * torch.tensor(patient.grid.spacing_mm, dtype=torch.float64) + torch.tensor(patient.grid.origin_mm, dtype=torch.float64)


def _volume_ml(patient: Patient, organ: str) -> float:
    return len(_places_mm(patient, organ)) * patient.grid.voxel_volume_ml


def test_every_organ_is_there_and_of_human_size(patient: Patient) -> None:
    for organ in (*OF_THE_TRUNK, *OF_THE_HEAD):
        assert _volume_ml(patient, organ) > 0, organ
    for organ, (low, high) in PLAUSIBLE_ML.items():
        assert low < _volume_ml(patient, organ) < high, organ
    assert (_volume_ml(patient, "prostate") > 0) != (_volume_ml(patient, "uterus") > 0)


def test_organs_lie_where_they_belong(patient: Patient) -> None:
    middle = {organ: _places_mm(patient, organ).mean(dim=0) for organ in (*OF_THE_TRUNK, *OF_THE_HEAD)}
    x, y, z = ({organ: float(m[axis]) for organ, m in middle.items()} for axis in range(3))
    assert x["liver"] > 20.0  # the patient's right
    assert x["spleen"] < -50.0
    assert x["stomach"] < -15.0
    assert x["gallbladder"] > 20.0
    assert x["heart"] < 0.0
    for pair in ("kidney", "adrenal", "lung", "parotid", "submandibular", "lacrimal"):
        assert x[f"{pair}_right"] > 15.0 > -15.0 > x[f"{pair}_left"], pair
    assert y["spine"] < -30.0
    assert y["kidney_left"] < -20.0
    assert y["kidney_right"] < -20.0
    assert y["heart"] > y["spine"] + 50.0
    assert y["mucosa"] > y["brain"] + 20.0  # the face looks forward
    assert z["urinary_bladder"] < z["small_bowel"] < z["liver"] < z["heart"] < z["thyroid"] < z["submandibular_left"] < z["parotid_left"]
    assert z["parotid_left"] < z["lacrimal_left"] < z["brain"]
    assert z["kidney_right"] < z["spleen"]
    apex = _places_mm(patient, "heart")
    assert float(apex[apex[:, 2] < apex[:, 2].quantile(0.1), 0].mean()) < x["heart"]  # the apex points down and left


def test_body_and_bones_are_about_symmetric(patient: Patient) -> None:
    for mask in (patient.body, torch.isin(patient.labels, torch.tensor([organ_id(n) for n in GROUPS["skeleton"]]))):
        weight = mask[0].sum(dim=(1, 2)).double()
        assert float((weight - weight.flip(0)).abs().sum() / weight.sum()) < 0.2
        assert float(weight[: len(weight) // 2].sum() / weight.sum()) == pytest.approx(0.5, abs=0.03)


def test_tissues_have_their_ct_numbers(patient: Patient) -> None:
    median = {organ: float(patient.ct_hu[patient.labels == organ_id(organ)].median()) for organ in OF_THE_TRUNK}
    assert -900 < median["lung_left"] < -650
    assert -130 < median["fat"] < -60
    for organ in ("liver", "spleen", "kidney_left", "muscle", "heart", "pancreas"):
        assert 10 < median[organ] < 80, organ
    assert median["liver"] > median["kidney_right"]
    for organ in GROUPS["skeleton"][:4]:
        assert 120 < median[organ] < 500, organ
    skull = patient.ct_hu[patient.labels == organ_id("skull")]
    assert 300 < float(skull.median()) < 1000
    outside = patient.ct_hu[~patient.body]
    assert float(outside.median()) == -1000.0
    assert float(outside.max()) < -300.0  # half a voxel of bone at the most


def test_fat_lies_under_the_skin(patient: Patient) -> None:
    body = patient.body[0]
    inside = body[2:, 2:, 1:-1] & body[:-2, :-2, 1:-1] & body[:-2, 2:, 1:-1] & body[2:, :-2, 1:-1]
    rim = body[1:-1, 1:-1, 1:-1] & ~inside
    assert float((patient.labels[0, 1:-1, 1:-1, 1:-1][rim] == organ_id("fat")).float().mean()) > 0.5


def test_the_body_is_one_piece_within_the_field(patient: Patient) -> None:
    sizes = volumes_of_parts(connected_parts(patient.body[0].numpy()))
    assert np.count_nonzero(sizes) == 1
    body = patient.body[0]
    for face in (body[0], body[-1], body[:, 0], body[:, -1], body[..., -1]):
        assert not face.any()
    assert body[..., 0].any()  # the thighs go on


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_a_ct_reader_finds_the_trunk(seed: int) -> None:
    patient = digital_patient(seed)
    found = body_mask(patient.ct_hu, spacing_mm=patient.grid.spacing_mm)
    assert int((found ^ patient.body).sum()) < 0.03 * int(patient.body.sum())
    assert not patient.body[:, [0, -1]].any()  # no flank is cut off
    assert not patient.body[:, :, [0, -1]].any()


@pytest.mark.parametrize("seed", range(60, 72))
def test_every_trunk_fits_the_default_field(seed: int) -> None:
    """With the arms out of the way; those beside the trunk may be cut."""
    patient = render_patient(replace(_habitus(seed), arms_up=True), TORSO.resampled(16.0))
    assert not patient.body[:, [0, -1]].any()
    assert not patient.body[:, :, [0, -1]].any()


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


@pytest.mark.parametrize("seed", [3, 6])
def test_the_torso_is_cut_out_of_the_whole_body(seed: int) -> None:
    whole, torso = digital_patient(seed, field=WHOLE_BODY), digital_patient(seed)
    start = [round((t - w) / 8.0) for t, w in zip(torso.grid.origin_mm, whole.grid.origin_mm, strict=True)]
    window = tuple(slice(s, s + n) for s, n in zip(start, torso.grid.shape, strict=True))
    assert float((torso.labels[0] != whole.labels[0][window]).float().mean()) < 1e-4
    assert float((torso.ct_hu[0] - whole.ct_hu[0][window]).abs().quantile(0.999)) < 0.1


@pytest.mark.parametrize("spacing_mm", [4.8, 10.0])
def test_the_grid_does_not_change_the_patient(spacing_mm: float) -> None:
    habitus = _habitus(4)
    usual, other = render_patient(habitus, TORSO), render_patient(habitus, TORSO.resampled(spacing_mm))
    for organ in ("liver", "spleen", "kidney_left", "heart", "muscle", "stomach"):
        assert _volume_ml(other, organ) == pytest.approx(_volume_ml(usual, organ), rel=0.1), organ
        moved = _places_mm(other, organ).mean(dim=0) - _places_mm(usual, organ).mean(dim=0)
        assert float(moved.norm()) < 2.5, organ


def test_a_part_of_the_field_is_a_part_of_the_patient() -> None:
    habitus = _habitus(4)
    whole = render_patient(habitus, TORSO)
    start = (10, 6, 20)
    corner = tuple(o + 8.0 * s for o, s in zip(TORSO.origin_mm, start, strict=True))
    part = render_patient(habitus, Grid(shape=(20, 15, 16), spacing_mm=TORSO.spacing_mm, origin_mm=(corner[0], corner[1], corner[2])))
    assert float((part.labels != whole.labels[:, 10:30, 6:21, 20:36]).float().mean()) < 1e-3
    assert float((part.ct_hu - whole.ct_hu[:, 10:30, 6:21, 20:36]).abs().quantile(0.99)) < 0.1


def test_arms_lie_beside_the_trunk_or_above_the_head() -> None:
    habitus = _habitus(12)
    down, up = (render_patient(replace(habitus, arms_up=raised), WHOLE_BODY) for raised in (False, True))
    level = round((-100.0 - WHOLE_BODY.origin_mm[2]) / 8.0)
    parts_down, parts_up = (connected_parts(p.body[0, ..., level : level + 1].numpy()).max() for p in (down, up))
    assert (parts_down, parts_up) == (3, 1)
    vertex = float(_places_mm(down, "skull")[:, 2].max())
    assert float(_places_mm(up, "limb_bones")[:, 2].max()) > vertex
    assert float(_places_mm(down, "limb_bones")[:, 2].max()) < vertex - 150.0
    for organ in ("liver", "brain", "kidney_left"):
        assert _volume_ml(up, organ) == pytest.approx(_volume_ml(down, organ), rel=1e-6)


def test_a_seed_can_be_rendered_in_the_other_pose_of_its_arms() -> None:
    drawn, same, other = (digital_patient(12, arms=arms) for arms in (None, "down", "up"))
    assert torch.equal(drawn.ct_hu, same.ct_hu)
    assert int(other.body.sum()) < int(drawn.body.sum())
    for organ in ("liver", "spleen", "pelvis", "spine", "urinary_bladder"):
        assert torch.equal(drawn.labels == organ_id(organ), other.labels == organ_id(organ)), organ
    with pytest.raises(ValueError, match="arms must be"):
        digital_patient(12, arms="crossed")


def test_a_single_kidney_is_alone_and_large() -> None:
    seed = _seed_with("single_kidney")
    habitus, patient = _habitus(seed), digital_patient(seed)
    there = [k for k in GROUPS["kidneys"] if _volume_ml(patient, k) > 0]
    assert len(there) == 1
    assert there[0] in habitus.volumes_ml
    assert _volume_ml(patient, there[0]) == pytest.approx(habitus.volumes_ml[there[0]], rel=0.05)


def test_scoliosis_bends_the_spine() -> None:
    bent, straight = (
        _places_mm(digital_patient(s), "spinal_cord") for s in (_seed_with("scoliosis"), _seed_with("scoliosis", is_there=False))
    )
    assert float(bent[:, 0].std()) > 1.5 * float(straight[:, 0].std())


def test_a_full_bladder_rises() -> None:
    habitus = replace(_habitus(3), volumes_ml={**_habitus(3).volumes_ml, "urinary_bladder": 600.0})
    full, usual = _places_mm(render_patient(habitus, TORSO), "urinary_bladder"), _places_mm(digital_patient(3), "urinary_bladder")
    assert float(full[:, 2].max()) > float(usual[:, 2].max()) + 20.0


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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("field", [TORSO, WHOLE_BODY])
def test_a_gpu_renders_the_same_patient(field: Grid) -> None:
    cpu, gpu = digital_patient(4, field=field), digital_patient(4, field=field, device="cuda")
    assert gpu.labels.device.type == "cuda"
    assert float((gpu.labels.cpu() != cpu.labels).float().mean()) < 1e-3
    assert float((gpu.ct_hu.cpu() - cpu.ct_hu).abs().quantile(0.99)) < 1.0
