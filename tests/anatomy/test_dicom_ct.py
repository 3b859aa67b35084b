"""A CT in DICOM is the CT that NIfTI has, and what would put voxels at wrong places is refused."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from planar3d.anatomy.ct_file import read_ct, space_of
from planar3d.grid import Grid
from tests.dicom_anatomy import SECRETS, header, write_ct, write_multi_frame

GRID = Grid.centred((13, 10, 7), (2.0, 3.0, 5.0), (20.0, -30.0, 100.0))


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    """CT numbers without any symmetry."""
    return np.rint(np.random.default_rng(0).uniform(-1000.0, 1900.0, size=GRID.shape)).astype(np.float32)


def edit(file: Path, change: Callable[[Dataset], Any]) -> None:
    """Change one file."""
    image = dcmread(file)
    change(image)
    image.save_as(file)


def refused(path: Path) -> str:
    """The sentence with which a CT is refused, which must not tell who the patient is."""
    with pytest.raises(ValueError, match=r"^ct ") as told:
        read_ct(path)
    assert not any(value in str(told.value) for value in SECRETS)
    return str(told.value)


@pytest.mark.parametrize("order", [range(7), range(6, -1, -1), [3, 0, 6, 2, 5, 1, 4]])
def test_dicom_and_nifti_are_one_ct_whatever_the_order_of_the_files(tmp_path: Path, hu: np.ndarray, order: list[int]) -> None:
    nib.save(nib.Nifti1Image(hu, GRID.affine), tmp_path / "ct.nii")
    expected, _ = read_ct(tmp_path / "ct.nii")
    values, grid = read_ct(write_ct(tmp_path / "ct", hu, GRID, order=order))
    assert grid.is_close(GRID, tolerance_mm=1e-4)
    np.testing.assert_array_equal(values.numpy(), expected.numpy())


def test_a_planted_flip_shows(tmp_path: Path, hu: np.ndarray) -> None:
    values, _ = read_ct(write_ct(tmp_path / "ct", hu[::-1], GRID))
    np.testing.assert_array_equal(values[0].numpy()[::-1], hu)
    assert not np.array_equal(values[0].numpy(), hu)


@pytest.mark.parametrize(
    ("directions", "expected"),
    [  # of rows and columns, and where then a bright voxel in the middle of row 0, column 0 of the first slice lies
        ([1.0, 0, 0, 0, 1, 0], (20.0, 30.0, -50.0)),
        ([-1.0, 0, 0, 0, -1, 0], (20.0, 30.0, -50.0)),
        ([0.0, 1, 0, 0, 0, -1], (20.0, 30.0, -50.0)),
    ],
)
def test_the_first_pixel_lies_where_its_position_says(tmp_path: Path, directions: list[float], expected: tuple[float, ...]) -> None:
    normal = np.cross(directions[:3], directions[3:])
    grid = Grid.centred((6, 5, 2), (2.0, 3.0, 4.0))
    dark = np.full(grid.shape, -1000.0)
    folder = write_ct(tmp_path / "ct", dark, grid, ImageOrientationPatient=directions)
    for k, file in enumerate(sorted(folder.iterdir())):
        edit(file, lambda image, k=k: setattr(image, "ImagePositionPatient", list(np.array([-20.0, -30, -50]) + 4.0 * k * normal)))

    def brighten(image: Dataset) -> None:
        pixels = np.array(image.pixel_array)
        pixels[0, 0] = 1600
        image.PixelData = pixels.tobytes()

    edit(sorted(folder.iterdir())[0], brighten)
    values, grid = read_ct(folder)
    index = np.unravel_index(int(values.argmax()), grid.shape)
    np.testing.assert_allclose(grid.affine[:3, :3] @ index + grid.affine[:3, 3], expected, atol=1e-3)
    assert float(values.max()) == 100.0


def test_slope_and_intercept_of_each_slice_count(tmp_path: Path, hu: np.ndarray) -> None:
    folder = write_ct(tmp_path / "ct", hu, GRID)
    edit(folder / "2-002.dcm", lambda image: image.update({"RescaleIntercept": "-40", "RescaleSlope": "0.125"}))
    values, _ = read_ct(folder)
    np.testing.assert_allclose(values[0, ..., 2].numpy(), 2 * hu[..., 2] - 40)
    np.testing.assert_allclose(values[0, ..., 3].numpy(), hu[..., 3])


def test_an_oblique_series_puts_things_where_they_are(tmp_path: Path) -> None:
    grid = Grid.centred((40, 36, 30), 3.0, (5.0, -8.0, 20.0))
    place = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1) * 3.0 + grid.origin_mm
    near = np.linalg.norm(place - (20.0, -20.0, 10.0), axis=-1) < 14.0
    angle = np.deg2rad(15.0)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    values, found = read_ct(write_ct(tmp_path / "ct", np.where(near, 60.0, -1000.0), grid, turn=turn))
    inside = (values[0] > -470.0).numpy()
    middle = found.affine[:3, :3] @ np.argwhere(inside).mean(axis=0) + found.affine[:3, 3]
    np.testing.assert_allclose(middle, turn @ (20.0, -20.0, 10.0), atol=0.4)
    assert inside.sum() == pytest.approx(near.sum(), rel=0.05)


def test_the_space_is_known_without_pixels(tmp_path: Path, hu: np.ndarray) -> None:
    folder = write_ct(tmp_path / "ct", hu, GRID)
    for file in folder.iterdir():
        edit(file, lambda image: delattr(image, "PixelData"))
    space = space_of(folder)
    assert space.shape == GRID.shape
    corner = space.affine @ (12, 9, 0, 1)  # the last pixel of the first slice lies at the patient's left, behind, at the feet
    np.testing.assert_allclose(corner[:3], GRID.origin_mm, atol=1e-4)
    nib.save(nib.Nifti1Image(hu, GRID.affine), tmp_path / "ct.nii")
    np.testing.assert_allclose(space_of(tmp_path / "ct.nii").affine, GRID.affine)


def test_other_files_scouts_and_copies_are_passed_over(tmp_path: Path, hu: np.ndarray) -> None:
    folder = write_ct(tmp_path / "export" / "ct", hu, GRID)
    write_ct(
        tmp_path / "export", hu[..., :2], Grid.centred((13, 10, 2), 2.0), series="1.2.3.5", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    )
    header("1.2.840.10008.5.1.4.1.1.20", "NM", "1.2.3.6", 5).save_as(tmp_path / "export" / "nm.dcm", enforce_file_format=True)
    (tmp_path / "export" / "notes.txt").write_text("nothing")
    shutil.copy(folder / "2-003.dcm", folder / "copy.dcm")
    values, _ = read_ct(tmp_path / "export")
    np.testing.assert_array_equal(values[0].numpy(), hu)


def test_damaged_files_are_passed_over_and_values_that_break_rules_not_quoted(tmp_path: Path, hu: np.ndarray) -> None:
    """Scanners write identities with leading zeros, at which pydicom warns and quotes them; warnings are errors here."""
    with warnings.catch_warnings(action="ignore"):
        folder = write_ct(tmp_path / "ct", hu, GRID, FrameOfReferenceUID="1.2.840.113619.2.055.4711")
    whole = (folder / "2-003.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(whole[:420])
    place = whole.index(b"RescaleType") if b"RescaleType" in whole else whole.index(b"\x28\x00\x10\x00")  # Rows
    (folder / "odd.dcm").write_bytes(whole[:place] + b"\x28\x00\x10\x00US\x01\x00\x07" + whole[place + 10 :])  # of a single byte
    (folder / "type.dcm").write_bytes(whole[: place + 4] + b"QQ" + whole[place + 6 :])  # of no known kind
    values, _ = read_ct(folder)
    np.testing.assert_array_equal(values[0].numpy(), hu)


def test_a_multi_frame_file_is_the_same_ct(tmp_path: Path, hu: np.ndarray) -> None:
    path = write_multi_frame(tmp_path / "ct.dcm", hu, GRID, [3, 0, 6, 1, 5, 2, 4])
    values, grid = read_ct(path)
    assert grid.is_close(GRID, tolerance_mm=1e-4)
    np.testing.assert_array_equal(values[0].numpy(), hu)
    assert space_of(path).shape == GRID.shape
    assert "no even stack" in refused(write_multi_frame(tmp_path / "ct.dcm", hu, GRID, [3, 0, 6, 1, 5, 2]))


def test_lossless_compression_is_undone_and_what_cannot_be_is_said(tmp_path: Path, hu: np.ndarray) -> None:
    import SimpleITK as sitk

    folder = write_ct(tmp_path / "ct", hu, GRID)
    for file in folder.iterdir():
        image, elements = sitk.ReadImage(str(file)), dcmread(file)
        pixels = sitk.GetImageFromArray(np.rint(sitk.GetArrayFromImage(image) / 0.0625)[0].astype(np.int16))
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetUseCompression(True)
        writer.SetCompressor("JPEG")
        writer.SetFileName(str(tmp_path / "one.dcm"))
        writer.Execute(pixels)
        packed = dcmread(tmp_path / "one.dcm")
        elements.PixelData, elements.file_meta.TransferSyntaxUID = packed.PixelData, packed.file_meta.TransferSyntaxUID
        elements["PixelData"].is_undefined_length = True
        elements.save_as(file)
    values, _ = read_ct(folder)
    np.testing.assert_allclose(values[0].numpy(), hu, atol=1e-3)
    edit(folder / "2-003.dcm", lambda image: setattr(image, "PixelData", image.PixelData[:60]))
    assert "cannot be decoded (slice 4 of 7)" in refused(folder)


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"ImagePositionPatient": [-32.0, 16.5, 101.5]}, "spaced unevenly, 3.50 to 6.50 mm"),
        ({"ImagePositionPatient": [-31.0, 16.5, 100.0]}, "slide sideways by up to 1.0 mm"),
        ({"ImagePositionPatient": None}, "lacks ImagePositionPatient"),
        ({"PixelSpacing": [0.0, 0.0]}, "lacks PixelSpacing"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 1]}, "lacks ImageOrientationPatient"),
        ({"PixelSpacing": [3.0, 2.1]}, "different pixel spacings"),
        ({"ImageOrientationPatient": [0, 1, 0, 1, 0, 0]}, "different directions"),
        ({"FrameOfReferenceUID": "1.2"}, "different frames"),
        ({"RescaleIntercept": None}, "lacks RescaleIntercept"),
        ({"RescaleType": "Z_EFF"}, "not Hounsfield units"),
        ({"PixelData": None}, "cannot be decoded"),
        ({"PixelData": bytes(200)}, "cannot be decoded"),
    ],
)
def test_a_slice_unlike_the_others_is_refused(tmp_path: Path, hu: np.ndarray, elements: dict[str, Any], words: str) -> None:
    folder = write_ct(tmp_path / "ct", hu, GRID)
    edit(folder / "2-003.dcm", lambda i: [delattr(i, k) if v is None else setattr(i, k, v) for k, v in elements.items()])
    assert words in refused(folder)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("*-003.dcm", "misses slices: between 95.0 and 105.0 mm along its axis lie 10.0 mm, where slices lie 5.00 mm apart; export"),
        ("*-00[2,4].dcm", "(2 such gaps in all)"),
        ("*-00[1-6].dcm", "is a single slice"),
        ("*", "holds no DICOM CT image"),
    ],
)
def test_missing_slices_are_told(tmp_path: Path, hu: np.ndarray, pattern: str, words: str) -> None:
    folder = write_ct(tmp_path / "ct", hu, GRID)
    for file in folder.glob(pattern):
        file.unlink()
    assert words in refused(folder)


def test_several_series_are_told_apart_by_number_alone(tmp_path: Path, hu: np.ndarray) -> None:
    folder = write_ct(tmp_path / "ct", hu, GRID)
    write_ct(folder, hu[..., :4], GRID, order=range(4), series="1.2.3.5", number=4)
    assert "holds 2 CT series (series 2 of 7 slices, series 4 of 4 slices); give a folder" in refused(folder)


def test_two_phases_in_one_series_are_refused(tmp_path: Path, hu: np.ndarray) -> None:
    folder = write_ct(tmp_path / "ct", hu, GRID)
    write_ct(tmp_path / "again", hu, GRID, order=range(2))
    for file in (tmp_path / "again").iterdir():
        shutil.move(file, folder / f"second-{file.name}")
    assert "has 2 slices at places where it has one already" in refused(folder)
