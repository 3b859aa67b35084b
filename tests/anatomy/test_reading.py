"""Files of any orientation come to the same patient coordinates."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from planar3d.anatomy.reading import read_volume, resample
from planar3d.grid import Grid

SPACING_MM = (3.0, 4.0, 5.0)
GRID = Grid.centred((14, 11, 9), SPACING_MM, (20.0, -30.0, 100.0))
ORIENTATIONS = ["".join(c) for p in itertools.permutations(("RL", "AP", "SI")) for c in itertools.product(*p)]


def _volume() -> np.ndarray:
    """A volume without any symmetry."""
    return np.random.default_rng(0).normal(size=GRID.shape).astype(np.float32)


def _reoriented(data: np.ndarray, affine: np.ndarray, codes: str) -> nib.Nifti1Image:
    """The same volume stored with other axes."""
    image = nib.Nifti1Image(data, affine)
    wanted = nib.orientations.axcodes2ornt(codes)
    return image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(affine), wanted))


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_any_order_and_direction_of_axes_reads_the_same(tmp_path: Path, codes: str) -> None:
    data = _volume()
    path = tmp_path / "ct.nii"
    nib.save(_reoriented(data, GRID.affine, codes), path)
    volume, grid, _ = read_volume(path, name="ct")
    assert grid.is_close(GRID)
    np.testing.assert_array_equal(volume[0].numpy(), data)


def test_a_planted_flip_shows(tmp_path: Path) -> None:
    # Data turned left to right under an unchanged affine is another patient: reading must not hide it.
    data = _volume()
    path = tmp_path / "ct.nii"
    nib.save(nib.Nifti1Image(data[::-1].copy(), GRID.affine), path)
    volume, _, _ = read_volume(path, name="ct")
    assert not np.allclose(volume[0].numpy(), data)
    np.testing.assert_array_equal(volume[0].numpy()[::-1], data)


def _tilted_affine(degrees: float) -> np.ndarray:
    """Affine of 3 mm voxels turned about z and x."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x * 3.0
    affine[:3, 3] = (-50.0, -40.0, 10.0)
    return affine


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("is_label", [False, True])
def test_an_oblique_file_puts_things_where_they_are(tmp_path: Path, is_label: bool, flip: bool) -> None:
    affine = _tilted_affine(18.0)
    shape = (40, 36, 30)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    place = index @ affine[:3, :3].T + affine[:3, 3]
    centre = affine[:3, :3] @ (24.0, 14.0, 12.0) + affine[:3, 3]
    near = np.linalg.norm(place - centre, axis=-1) < 14.0
    data = near.astype(np.uint8) * 7 if is_label else np.where(near, 60.0, -1000.0).astype(np.float32)
    image = nib.Nifti1Image(data, affine)
    if flip:
        image = image.as_reoriented([[0, -1], [1, 1], [2, 1]])
    path = tmp_path / "volume.nii.gz"
    nib.save(image, path)
    volume, grid, _ = read_volume(path, name="volume", is_label=is_label)
    found = (volume[0] == 7 if is_label else volume[0] > -470.0).numpy()
    middle = grid.affine[:3, :3] @ np.argwhere(found).mean(axis=0) + grid.affine[:3, 3]
    np.testing.assert_allclose(middle, centre, atol=0.4)
    assert found.sum() * grid.voxel_volume_ml == pytest.approx(near.sum() * 0.027, rel=0.05)
    assert float(volume.min()) == (0.0 if is_label else -1000.0)  # beyond the file there is air


@pytest.mark.parametrize("is_label", [False, True])
def test_a_sheared_file_is_refused(tmp_path: Path, is_label: bool) -> None:
    """As of a CT whose gantry was tilted by a degree."""
    affine = _tilted_affine(18.0)
    affine[:3, 2] += np.tan(np.deg2rad(1.0)) * affine[:3, 1]
    path = tmp_path / "volume.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((40, 36, 30), dtype=np.uint8), affine), path)
    with pytest.raises(ValueError, match=r"not at right angles, by up to 1\.. mm over the volume"):
        read_volume(path, name="volume", is_label=is_label)


def test_labels_stay_whole_and_carry_their_names(tmp_path: Path) -> None:
    xml = (
        '<CaretExtension><LabelTable><Label Key="1" Red="0"><![CDATA[spleen]]></Label><Label Key="21">urinary_bladder</Label></LabelTable>'
    )
    image = nib.Nifti1Image(np.full((4, 4, 4), 21, dtype=np.uint8), np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, xml.encode()))
    path = tmp_path / "labels.nii.gz"
    nib.save(image, path)
    volume, _, names = read_volume(path, name="labels", is_label=True)
    assert volume.dtype == torch.int64
    assert volume.unique().tolist() == [21]
    assert names == {1: "spleen", 21: "urinary_bladder"}


def test_rescaled_integers_are_read_in_their_units(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.full((3, 3, 3), 24, dtype=np.int16), np.eye(4))
    image.header.set_slope_inter(1.0, -1024.0)
    path = tmp_path / "ct.nii"
    nib.save(image, path)
    raw = nib.load(path)
    volume, _, _ = read_volume(path, name="ct")
    np.testing.assert_allclose(volume[0].numpy(), np.asarray(raw.dataobj))


def test_a_fourth_axis_of_one_is_dropped_and_of_more_refused(tmp_path: Path) -> None:
    for count in (1, 2):
        nib.save(nib.Nifti1Image(np.zeros((3, 3, 3, count), dtype=np.float32), np.eye(4)), tmp_path / f"{count}.nii")
    assert read_volume(tmp_path / "1.nii", name="ct")[0].shape == (1, 3, 3, 3)
    with pytest.raises(ValueError, match="has 4 dimensions"):
        read_volume(tmp_path / "2.nii", name="ct")


def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a file; give the path of a NIfTI file"):
        read_volume(tmp_path / "absent.nii.gz", name="ct")
    (tmp_path / "text.nii.gz").write_text("no image", encoding="utf-8")
    (tmp_path / "text.txt").write_text("no image", encoding="utf-8")
    whole = tmp_path / "whole.nii.gz"
    nib.save(nib.Nifti1Image(_volume(), GRID.affine), whole)
    (tmp_path / "half.nii.gz").write_bytes(whole.read_bytes()[:3000])
    for name in ("text.nii.gz", "text.txt", "half.nii.gz"):
        with pytest.raises(ValueError, match="cannot be read as NIfTI"):
            read_volume(tmp_path / name, name="ct")


def test_labels_with_fractions_are_refused(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.full((3, 3, 3), 0.5, dtype=np.float32), np.eye(4)), tmp_path / "p.nii")
    with pytest.raises(ValueError, match="not whole numbers"):
        read_volume(tmp_path / "p.nii", name="labels", is_label=True)


def test_resampling_keeps_places_and_fills_with_what_is_outside() -> None:
    ramp = torch.arange(GRID.shape[0], dtype=torch.float32)[:, None, None].expand(GRID.shape)[None].clone()
    fine = Grid.centred((8, 6, 4), 1.5, GRID.centre_mm)
    moved = resample(ramp, GRID, fine, outside=-1000.0)
    x_mm = torch.arange(8) * 1.5 + fine.origin_mm[0]
    torch.testing.assert_close(moved[0, :, 3, 2], (x_mm - GRID.origin_mm[0]) / SPACING_MM[0], atol=1e-4, rtol=0.0)
    far = Grid.centred((3, 3, 3), 2.0, (500.0, 0.0, 0.0))
    assert (resample(ramp, GRID, far, outside=-1000.0) == -1000.0).all()
    assert (resample(ramp.long(), GRID, far, outside=0.0) == 0).all()
