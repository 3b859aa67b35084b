"""Organs in DICOM are those of the same label map in NIfTI, and what does not go with the CT is refused."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from planar3d.anatomy import Patient
from planar3d.grid import Grid
from planar3d.organs import BACKGROUND, BODY, ORGANS, organ_id
from tests.dicom_anatomy import SECRETS, contours_of, lps, write_ct, write_seg, write_structures

GRID = Grid.centred((24, 20, 12), (4.0, 5.0, 6.0), (12.0, -30.0, 100.0))
SCHEME = {i: name for i, name in enumerate(ORGANS) if i > 1}


def blob(middle: tuple[float, float, float], radius: float) -> np.ndarray:
    """Voxels of the grid near a place [voxels]."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in GRID.shape], indexing="ij"), axis=-1)
    return np.linalg.norm(index - middle, axis=-1) < radius


MASKS = {
    "Liver": blob((16.0, 11.0, 7.0), 4.3),
    "Spleen": blob((6.0, 8.0, 8.0), 2.4),
    "Kidney_L": blob((7.0, 7.0, 3.0), 2.2),
    "Rt Kidney": blob((17.0, 7.0, 3.0), 1.7),
}
NAMES = {"Liver": "liver", "Spleen": "spleen", "Kidney_L": "kidney_left", "Rt Kidney": "kidney_right"}


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    """A trunk of water in air."""
    return np.where(blob((12.0, 10.0, 6.0), 40.0) & (blob((12.0, 10.0, 6.0), 9.0) | _trunk()), 40.0, -1000.0)


def _trunk() -> np.ndarray:
    x, y, _ = np.meshgrid(*[np.arange(n) for n in GRID.shape], indexing="ij")
    return ((x - 12.0) / 10.0) ** 2 + ((y - 10.0) / 8.0) ** 2 < 1.0


@pytest.fixture(scope="module")
def ct(hu: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trunk as a DICOM series, files in no order."""
    return write_ct(tmp_path_factory.mktemp("dicom") / "ct", hu, GRID, order=[5, 0, 11, 1, 9, 2, 10, 3, 8, 4, 7, 6])


@pytest.fixture(scope="module")
def ct_nifti(hu: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trunk as NIfTI."""
    path = tmp_path_factory.mktemp("nifti") / "ct.nii"
    nib.save(nib.Nifti1Image(hu.astype(np.float32), GRID.affine), path)
    return path


@pytest.fixture(scope="module")
def expected(ct_nifti: Path) -> Patient:
    """The patient of a label map in NIfTI."""
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    for name, mask in MASKS.items():
        labels[mask] = organ_id(NAMES[name])
    nib.save(nib.Nifti1Image(labels, GRID.affine), ct_nifti.parent / "labels.nii")
    return Patient.from_files(ct_nifti, ct_nifti.parent / "labels.nii", label_scheme=SCHEME)


def structures(path: Path, masks: dict[str, np.ndarray], **options: object) -> Path:
    """A structure set of masks."""
    return write_structures(path, {name: contours_of(mask, GRID) for name, mask in masks.items()}, **options)


def same(one: Patient, other: Patient) -> bool:
    return one.grid.is_close(other.grid) and torch.equal(one.labels, other.labels) and torch.equal(one.ct_hu, other.ct_hu)


def refused(ct: Path, labels: Path, **options: object) -> str:
    """The sentence with which organs are refused, which must not tell who the patient is."""
    with pytest.raises(ValueError, match=r"^(labels|ct|label_scheme)") as told:
        Patient.from_files(ct, labels, **options)
    assert not any(value in str(told.value) for value in SECRETS)
    return str(told.value)


def test_each_kind_of_file_gives_the_same_patient(ct: Path, ct_nifti: Path, expected: Patient, tmp_path: Path) -> None:
    seg, drawn = write_seg(tmp_path / "seg.dcm", ct, MASKS), structures(tmp_path / "rs.dcm", MASKS)
    for scan in (ct, ct_nifti):
        for labels in (seg, drawn):
            assert same(Patient.from_files(scan, labels), expected)
    assert same(Patient.from_files(ct, ct_nifti.parent / "labels.nii", label_scheme=SCHEME), expected)
    assert int((expected.labels == organ_id("kidney_left")).sum()) == MASKS["Kidney_L"].sum()


@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP"])
def test_other_kinds_of_segmentation_give_the_same(kind: str, ct: Path, expected: Patient, tmp_path: Path) -> None:
    assert same(Patient.from_files(ct, write_seg(tmp_path / "seg.dcm", ct, MASKS, kind=kind)), expected)


def test_an_empty_segment_is_no_organ(ct: Path, tmp_path: Path) -> None:
    masks = {**MASKS, "Spleen": np.zeros(GRID.shape, dtype=bool)}
    patient = Patient.from_files(ct, write_seg(tmp_path / "seg.dcm", ct, masks))
    assert not (patient.labels == organ_id("spleen")).any()
    assert int((patient.labels == organ_id("liver")).sum()) == MASKS["Liver"].sum()


def test_a_planted_flip_shows(ct: Path, expected: Patient, tmp_path: Path) -> None:
    flipped = {name: mask[::-1] for name, mask in MASKS.items()}
    assert not same(Patient.from_files(ct, write_seg(tmp_path / "seg.dcm", ct, flipped)), expected)
    assert not same(Patient.from_files(ct, structures(tmp_path / "rs.dcm", flipped)), expected)


def test_nifti_in_any_orientation_takes_structures_and_segments(ct: Path, ct_nifti: Path, expected: Patient, tmp_path: Path) -> None:
    image = nib.load(ct_nifti)
    turned = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt("SLP")))
    nib.save(turned, tmp_path / "ct.nii")
    for labels in (write_seg(tmp_path / "seg.dcm", ct, MASKS), structures(tmp_path / "rs.dcm", MASKS)):
        assert same(Patient.from_files(tmp_path / "ct.nii", labels), expected)


def test_segments_of_some_slices_lie_where_they_are(ct: Path, tmp_path: Path) -> None:
    part = slice(2, 6)
    patient = Patient.from_files(ct, write_seg(tmp_path / "seg.dcm", ct, MASKS, slices=part))
    kept = np.zeros(GRID.shape, dtype=bool)
    kept[..., part] = MASKS["Kidney_L"][..., part]
    assert np.array_equal((patient.labels[0] == organ_id("kidney_left")).numpy(), kept)
    one = Patient.from_files(ct, write_seg(tmp_path / "one.dcm", ct, {"Liver": MASKS["Liver"]}, slices=slice(7, 8)))
    assert np.argwhere((one.labels[0] == organ_id("liver")).numpy())[:, 2].tolist() == [7] * int(MASKS["Liver"][..., 7].sum())


@pytest.mark.parametrize("kind", ["seg", "rs"])
def test_of_structures_that_overlap_the_smaller_lies_on_top(kind: str, ct: Path, tmp_path: Path) -> None:
    lesion, body = blob((16.0, 11.0, 7.0), 2.0), _trunk()
    couch = np.zeros(GRID.shape, dtype=bool)
    couch[2:22, 1:3] = True
    masks = {"GTV 1": lesion, "External": body, "Liver": MASKS["Liver"], "CouchSurface": couch}
    path = tmp_path / "labels.dcm"
    patient = Patient.from_files(ct, structures(path, masks) if kind == "rs" else write_seg(path, ct, masks))
    labels = patient.labels[0].numpy()
    assert np.array_equal(labels == organ_id("lesion_1"), lesion)
    assert np.array_equal(labels == organ_id("liver"), MASKS["Liver"] & ~lesion)
    assert (labels[body & ~MASKS["Liver"] & ~couch & ~lesion] == BODY).all()
    assert (labels[couch & ~blob((12.0, 10.0, 6.0), 9.0)] == BACKGROUND).all()


def test_body_lies_beneath_an_organ_that_is_larger(ct: Path, tmp_path: Path) -> None:
    masks = {"Liver": MASKS["Liver"], "cyst": blob((16.0, 11.0, 7.0), 2.0)}
    for value in ("body", None):
        patient = Patient.from_files(ct, structures(tmp_path / "rs.dcm", masks), label_scheme={"Cyst": value})
        assert np.array_equal((patient.labels[0] == organ_id("liver")).numpy(), MASKS["Liver"])


def test_a_ring_keeps_its_hole(ct: Path, tmp_path: Path) -> None:
    shell = MASKS["Liver"] & ~blob((16.0, 11.0, 7.0), 2.1)
    patient = Patient.from_files(ct, structures(tmp_path / "rs.dcm", {"Liver": shell}))
    assert np.array_equal((patient.labels[0] == organ_id("liver")).numpy(), shell)


@pytest.mark.parametrize("every", [1, 2])
def test_an_ellipsoid_keeps_volume_and_place(every: int, ct: Path, tmp_path: Path) -> None:
    middle, radii = np.array([31.0, -27.0, 103.0]), np.array([19.3, 17.8, 27.0])
    angle = np.linspace(0.0, 2.0 * np.pi, 120, endpoint=False)
    contours = []
    for k in range(0, GRID.shape[2], every):
        z = GRID.origin_mm[2] + 6.0 * k
        part = 1.0 - ((z - middle[2]) / radii[2]) ** 2
        if part > 0:
            x, y = (middle[a] + np.sqrt(part) * radii[a] * f(angle) for a, f in ((0, np.cos), (1, np.sin)))
            contours.append(lps(np.column_stack([x, y, np.full(len(x), z)])))
    patient = Patient.from_files(ct, write_structures(tmp_path / "rs.dcm", {"Liver": contours}))
    places = np.stack(np.meshgrid(*[np.arange(n) for n in GRID.shape], indexing="ij"), axis=-1) * GRID.spacing_mm + GRID.origin_mm
    centres = (((places - middle) / radii) ** 2).sum(axis=-1) < 1.0
    found = (patient.labels[0] == organ_id("liver")).numpy()
    assert found.sum() == pytest.approx(centres.sum(), rel=0.01 if every == 1 else 0.05)
    apart = np.argwhere(found).mean(axis=0) - (middle - GRID.origin_mm) / GRID.spacing_mm
    np.testing.assert_allclose(apart, 0.0, atol=0.1 if every == 1 else 0.2)


def test_an_oblique_scan_is_straightened_with_its_organs(hu: np.ndarray, tmp_path: Path) -> None:
    angle = np.deg2rad(12.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    ct = write_ct(tmp_path / "ct", hu, GRID, turn=turn)
    drawn = write_structures(tmp_path / "rs.dcm", {name: contours_of(mask, GRID, turn=turn) for name, mask in MASKS.items()})
    for labels in (write_seg(tmp_path / "seg.dcm", ct, MASKS), drawn):
        patient = Patient.from_files(ct, labels)
        for name, organ in NAMES.items():
            index = torch.nonzero(patient.labels[0] == organ_id(organ)).double().mean(dim=0).numpy()
            place = patient.grid.affine[:3, :3] @ index + patient.grid.affine[:3, 3]
            expected = turn @ (np.argwhere(MASKS[name]).mean(axis=0) * GRID.spacing_mm + GRID.origin_mm)
            np.testing.assert_allclose(place, expected, atol=1.0)


def test_a_side_that_the_code_alone_tells(ct: Path, tmp_path: Path) -> None:
    masks = {"Kidney": MASKS["Kidney_L"], "kidney": MASKS["Rt Kidney"]}
    patient = Patient.from_files(ct, write_seg(tmp_path / "seg.dcm", ct, masks, sides=("Left", "Right")))
    for organ, mask in (("kidney_left", MASKS["Kidney_L"]), ("kidney_right", MASKS["Rt Kidney"])):
        assert np.array_equal((patient.labels[0] == organ_id(organ)).numpy(), mask)


def test_points_and_open_lines_are_no_structures(ct: Path, expected: Patient, tmp_path: Path) -> None:
    from pydicom import dcmread

    path = structures(tmp_path / "rs.dcm", {**MASKS, "Isocentre": MASKS["Liver"]})
    content = dcmread(path)
    for contour in content.ROIContourSequence[-1].ContourSequence:
        contour.ContourGeometricType = "POINT"
    content.save_as(path)
    assert same(Patient.from_files(ct, path), expected)


def test_a_folder_with_one_file_of_structures_will_do(ct: Path, expected: Patient, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(ct, tmp_path / "export"))
    write_seg(folder / "seg.dcm", ct, MASKS)
    assert same(Patient.from_files(folder, folder), expected)
    structures(folder / "rs.dcm", MASKS)
    assert "holds 2 files of structures" in refused(folder, folder)


def test_structures_of_another_scan_are_refused(ct: Path, ct_nifti: Path, hu: np.ndarray, tmp_path: Path) -> None:
    other = write_ct(tmp_path / "other", hu, GRID, FrameOfReferenceUID="1.2.3.99")
    assert "another frame of reference" in refused(ct, write_seg(tmp_path / "seg.dcm", other, MASKS))
    assert "another frame of reference" in refused(ct, structures(tmp_path / "rs.dcm", MASKS, frame="1.2.3.99"))
    shifted = Grid.centred(GRID.shape, GRID.spacing_mm, (12.0, -30.0, 400.0))
    far = write_structures(tmp_path / "far.dcm", {"Liver": contours_of(MASKS["Liver"], shifted)}, frame=None)
    assert "lies outside the ct with 100 %" in refused(ct_nifti, far)
    beside = Grid.centred(GRID.shape, GRID.spacing_mm, (13.0, -30.0, 100.0))
    elsewhere = write_ct(tmp_path / "beside", hu, beside)
    assert "other voxels than the ct" in refused(ct, write_seg(tmp_path / "b.dcm", elsewhere, MASKS))
    fine = Grid.centred(GRID.shape, (2.0, 2.5, 6.0), (12.0, -30.0, 100.0))
    assert "other voxels than the ct" in refused(ct, write_seg(tmp_path / "f.dcm", write_ct(tmp_path / "fine", hu, fine), MASKS))
    above = Grid.centred(GRID.shape, GRID.spacing_mm, (12.0, -30.0, 148.0))
    assert "lies outside the ct with" in refused(ct, write_seg(tmp_path / "a.dcm", write_ct(tmp_path / "above", hu, above), MASKS))


def test_contours_across_no_plane_of_voxels_are_refused(ct: Path, tmp_path: Path) -> None:
    leaning = [c + np.outer(c[:, 0] - c[:, 0].mean(), (0.0, 0.0, 0.5)) for c in contours_of(MASKS["Liver"], GRID)]
    assert "do not lie in planes" in refused(ct, write_structures(tmp_path / "rs.dcm", {"Liver": leaning}))


def test_names_that_say_nothing_are_listed(ct: Path, tmp_path: Path) -> None:
    masks = {"Liver": MASKS["Liver"], "Herd 1": MASKS["Spleen"], "PTV": MASKS["Kidney_L"]}
    for labels in (write_seg(tmp_path / "seg.dcm", ct, masks), structures(tmp_path / "rs.dcm", masks)):
        assert "'Herd 1', 'PTV'" in refused(ct, labels)
        (tmp_path / "scheme.json").write_text('{"herd 1": "spleen", "PTV": null}')
        patient = Patient.from_files(ct, labels, label_scheme=tmp_path / "scheme.json")
        assert np.array_equal((patient.labels[0] == organ_id("spleen")).numpy(), MASKS["Spleen"])
        assert not (patient.labels == organ_id("kidney_left")).any()


def test_what_holds_no_structures_is_refused(ct: Path, ct_nifti: Path, tmp_path: Path) -> None:
    assert "holds no DICOM SEG or RTSTRUCT (modality CT)" in refused(ct, next(ct.glob("*.dcm")))
    assert "holds no DICOM SEG or RTSTRUCT (modality none)" in refused(ct, tmp_path)
    assert "no structure on the ct that is an organ" in refused(ct, write_structures(tmp_path / "rs.dcm", {}))
    path = write_seg(tmp_path / "seg.dcm", ct, MASKS)
    path.write_bytes(path.read_bytes()[:-400])
    refused(ct, path)
    assert "label_scheme has names for keys" in refused(ct_nifti, ct_nifti, label_scheme={"Herd": "liver"})
