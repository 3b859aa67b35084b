"""Volumes: any axis order in, mm and nothing of the patient out, and concentration kept on the way to another grid."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from planar3d.anatomy.reading import read_volume
from planar3d.grid import Grid
from planar3d.io import resample_to, whole_file, write_volume

GRID = Grid(shape=(8, 6, 7), spacing_mm=(4.0, 5.0, 6.0), origin_mm=(-10.0, 3.0, 20.0))


@pytest.fixture
def volume(generator: torch.Generator) -> torch.Tensor:
    """A volume of which no two voxels agree."""
    return torch.rand((1, 1, *GRID.shape), generator=generator)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LAS", "SRA", "PIR"])
def test_any_axis_order_is_read_alike(volume: torch.Tensor, tmp_path: Path, axes: str) -> None:
    from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(axes))
    array = apply_orientation(volume[0, 0].numpy(), turn)
    nibabel.save(nibabel.Nifti1Image(array, GRID.affine @ inv_ornt_aff(turn, GRID.shape)), tmp_path / "ct.nii")
    values, grid, _ = read_volume(tmp_path / "ct.nii", name="ct")
    assert grid.is_close(GRID)
    torch.testing.assert_close(values[None], volume)


def test_what_is_written_is_in_mm_and_reads_back(volume: torch.Tensor, tmp_path: Path) -> None:
    write_volume(tmp_path / "activity.nii.gz", volume, GRID)
    image = nibabel.load(tmp_path / "activity.nii.gz")
    assert image.header.get_xyzt_units()[0] == "mm"
    assert bytes(image.header["descrip"]).rstrip(b"\0") == b"Bq/mL"
    values, grid, _ = read_volume(tmp_path / "activity.nii.gz", name="activity")
    torch.testing.assert_close(values[None], volume)
    assert grid.is_close(GRID)


def test_resampling_to_its_own_grid_changes_nothing(volume: torch.Tensor) -> None:
    torch.testing.assert_close(resample_to(volume, GRID, GRID.shape, GRID.affine), volume, rtol=0, atol=1e-5)


def test_resampling_meets_the_same_points_in_a_turned_target(volume: torch.Tensor) -> None:
    turned = GRID.affine @ np.array([[0, -1, 0, 7], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    moved = resample_to(volume, GRID, (7, 8, 6), turned)
    torch.testing.assert_close(moved, volume.permute(0, 1, 4, 2, 3).flip(3), rtol=0, atol=1e-5)


@pytest.mark.parametrize("spacing_mm", [1.7, 4.8, 13.0])
def test_resampling_keeps_concentration_and_total(spacing_mm: float) -> None:
    uniform = torch.full((1, 1, *GRID.shape), 3.0)
    target = Grid.centred((60, 60, 60), spacing_mm, GRID.centre_mm)
    moved = resample_to(uniform, GRID, target.shape, target.affine)
    assert moved.max() == pytest.approx(3.0)
    total = moved.sum() * target.voxel_volume_ml
    assert total == pytest.approx(float(uniform.sum() * GRID.voxel_volume_ml), rel=0.12 if spacing_mm < 13 else 0.3)


def test_total_of_a_blob_is_kept_both_ways() -> None:
    fine = Grid.centred((48, 40, 44), 2.0)
    x = [torch.linspace(-1, 1, n) for n in fine.shape]
    blob = torch.exp(-8 * (x[0][:, None, None] ** 2 + x[1][:, None] ** 2 + (x[2] - 0.1) ** 2))[None, None]
    coarse = fine.resampled(8.0)
    down = resample_to(blob, fine, coarse.shape, coarse.affine)
    up = resample_to(down, coarse, fine.shape, fine.affine)
    total = float(blob.sum() * fine.voxel_volume_ml)
    assert float(down.sum() * coarse.voxel_volume_ml) == pytest.approx(total, rel=1e-3)
    assert float(up.sum() * fine.voxel_volume_ml) == pytest.approx(total, rel=1e-2)


def test_slabs_do_not_show(volume: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    target = GRID.resampled(3.0)
    whole = resample_to(volume, GRID, target.shape, target.affine)
    monkeypatch.setattr("planar3d.io.volume.SAMPLES_PER_SLAB", 500)
    torch.testing.assert_close(resample_to(volume, GRID, target.shape, target.affine), whole)


def test_a_target_elsewhere_is_refused(volume: torch.Tensor) -> None:
    elsewhere = Grid.centred((4, 4, 4), 4.0, (500.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="does not overlap"):
        resample_to(volume, GRID, elsewhere.shape, elsewhere.affine)


def test_wrong_volumes_are_refused(volume: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give the grid that the volume lies on"):
        write_volume(tmp_path / "a.nii.gz", volume, GRID.resampled(8.0))
    with pytest.raises(ValueError, match=r"must end in \.nii\.gz"):
        write_volume(tmp_path / "a.mha", volume, GRID)
    with pytest.raises(ValueError, match="one volume at a time"):
        write_volume(tmp_path / "a.nii.gz", volume.expand(2, -1, -1, -1, -1), GRID)
    assert list(tmp_path.iterdir()) == []


def fail_half_way(path: Path) -> None:
    """Write part of a file, then raise."""
    with whole_file(path) as partial:
        partial.write_text("half")
        raise RuntimeError("half way")


def test_after_an_error_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way(tmp_path / "table.csv")
    assert list(tmp_path.iterdir()) == []


def test_after_an_error_the_former_file_stands(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("former")
    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "former"


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file where a folder should be")
    with pytest.raises(ValueError, match="cannot be written to"), whole_file(tmp_path / "occupied" / "table.csv"):
        pass
