"""NIfTI with a sidecar: a round trip keeps everything, any axis direction is understood, contradictions are told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from planar3d.io import PlanarImage, read_planar, write_planar_nifti


def test_round_trip_keeps_everything(image: PlanarImage, tmp_path: Path) -> None:
    full = replace(image, acquired_at=datetime(2025, 3, 14, 10, 30), distance_mm=(230.0, 250.0), sensitivity_cps_per_mbq=9.1)
    write_planar_nifti(tmp_path / "planar.nii.gz", full)
    back = read_planar(tmp_path / "planar.nii.gz")
    torch.testing.assert_close(back.views, full.views)
    for name in ("pixel_mm", "origin_mm", "isotope", "camera", "dwell_time_s", "acquired_at", "distance_mm", "sensitivity_cps_per_mbq"):
        assert getattr(back, name) == getattr(full, name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["planar.json", "planar.nii.gz"]


def test_array_has_the_views_on_its_second_axis(image: PlanarImage, tmp_path: Path) -> None:
    write_planar_nifti(tmp_path / "planar.nii", image)
    array = nibabel.load(tmp_path / "planar.nii").get_fdata()
    np.testing.assert_array_equal(array[:, 1, :], image.views[0, 1].numpy())


@pytest.mark.parametrize("axis", [0, 2])
def test_a_file_with_a_reversed_axis_is_turned_round(image: PlanarImage, tmp_path: Path, axis: int) -> None:
    path = tmp_path / "planar.nii"
    write_planar_nifti(path, image)
    nifti = nibabel.load(path)
    affine = nifti.affine.copy()
    affine[axis, 3] += affine[axis, axis] * (nifti.shape[axis] - 1)
    affine[axis, axis] *= -1
    nibabel.save(nibabel.Nifti1Image(np.flip(nifti.get_fdata(), axis), affine), path)
    back = read_planar(path)
    torch.testing.assert_close(back.views, image.views)
    assert back.origin_mm == pytest.approx(image.origin_mm)


def test_view_order_of_the_sidecar_is_heeded(image: PlanarImage, tmp_path: Path) -> None:
    path = tmp_path / "planar.nii"
    write_planar_nifti(path, image)
    back = read_planar(path, view_order=["posterior", "anterior"])
    torch.testing.assert_close(back.views, image.views.flip(1))


def test_arguments_stand_above_the_sidecar(image: PlanarImage, tmp_path: Path) -> None:
    write_planar_nifti(tmp_path / "planar.nii", image)
    back = read_planar(tmp_path / "planar.nii", camera="ge-megp", isotope=None, distance_mm=210)
    assert (back.camera, back.isotope, back.distance_mm) == ("ge-megp", "Lu-177", (210.0, 210.0))


def test_a_missing_sidecar_key_is_named(image: PlanarImage, tmp_path: Path) -> None:
    path = tmp_path / "planar.nii"
    write_planar_nifti(path, image)
    (tmp_path / "planar.json").write_text(json.dumps({"camera": "siemens-melp", "dwell_time_s": 100}))
    with pytest.raises(ValueError, match=r"isotope missing in the sidecar .*planar.json; add it there or pass isotope="):
        read_planar(path)
    assert read_planar(path, isotope="Lu177").isotope == "Lu-177"
    (tmp_path / "planar.json").unlink()
    with pytest.raises(ValueError, match="camera and isotope and dwell_time_s missing"):
        read_planar(path)


@pytest.mark.parametrize(
    ("sidecar", "message"),
    [
        ('{"camera": ', "no valid JSON"),
        ("[1]", "must hold a JSON object"),
        ('{"sensitivity": 9.1}', "unknown key 'sensitivity'"),
        ('{"dwell_time_s": "long"}', "dwell_time_s .* must be a number of seconds"),
        ('{"acquired_at": "yesterday"}', "acquired_at .* must be a time"),
        ('{"distance_mm": [1, 2, 3]}', "distance_mm .* must be one or two numbers"),
        ('{"view_order": ["anterior", "anterior"]}', "view_order"),
        ('{"camera": "c", "isotope": "Lu-177", "dwell_time_s": 1, "pixel_mm": 0.4}', "pixel_mm is .* in its affine"),
    ],
)
def test_a_wrong_sidecar_is_one_clear_sentence(image: PlanarImage, tmp_path: Path, sidecar: str, message: str) -> None:
    write_planar_nifti(tmp_path / "planar.nii", image)
    (tmp_path / "planar.json").write_text(sidecar)
    with pytest.raises(ValueError, match=message) as caught:
        read_planar(tmp_path / "planar.nii")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((6, 1, 8), "posterior view is missing"), ((6, 8), "posterior view is missing"), ((6, 8, 2), r"shape \(x, 2, z\)")],
)
def test_arrays_of_another_shape_are_refused(tmp_path: Path, shape: tuple, message: str) -> None:
    nibabel.save(nibabel.Nifti1Image(np.ones(shape, np.float32), np.eye(4) * 4), tmp_path / "planar.nii")
    with pytest.raises(ValueError, match=message):
        read_planar(tmp_path / "planar.nii", camera="siemens-melp", isotope="Lu-177", dwell_time_s=100)


def test_oblique_affine_is_refused(tmp_path: Path) -> None:
    affine = np.diag([4.0, 1.0, 4.0, 1.0])
    affine[0, 2] = 1.0
    nibabel.save(nibabel.Nifti1Image(np.ones((6, 2, 8), np.float32), affine), tmp_path / "planar.nii")
    with pytest.raises(ValueError, match="oblique"):
        read_planar(tmp_path / "planar.nii", camera="siemens-melp", isotope="Lu-177", dwell_time_s=100)


def test_no_such_file_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no file"):
        read_planar(tmp_path / "planar.nii.gz")
    for name in ("planar.nii", "planar.nii.gz", "planar.dcm"):
        (tmp_path / name).write_bytes(b"no image at all" * 40)
        with pytest.raises(ValueError, match="NIfTI"):
            read_planar(tmp_path / name)


def test_a_cut_off_file_is_refused(image: PlanarImage, tmp_path: Path) -> None:
    write_planar_nifti(tmp_path / "planar.nii", image)
    whole = (tmp_path / "planar.nii").read_bytes()
    (tmp_path / "planar.nii").write_bytes(whole[:400])
    with pytest.raises(ValueError, match="no readable NIfTI"):
        read_planar(tmp_path / "planar.nii")


def full_image(image: PlanarImage) -> PlanarImage:
    """A scan with side windows and all that may be known of its counts."""
    return replace(
        image, dwell_time_s=None, scan_speed_mm_per_s=1.667, head_length_mm=380.0, energy_kev=113.0, dead_time_s=2e-6,
        scatter_correction="tew", lower_views=image.views + 1.0, upper_views=image.views.flip(2),
        windows_kev=((85.0, 101.0), (101.0, 124.0), (124.0, 141.0)),
    )  # fmt: skip


def test_round_trip_keeps_side_windows_and_what_is_known_of_the_counts(image: PlanarImage, tmp_path: Path) -> None:
    full = full_image(image)
    write_planar_nifti(tmp_path / "out" / "planar.nii.gz", full)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "planar.json", "planar.nii.gz", "planar_lower.nii.gz", "planar_upper.nii.gz",
    ]  # fmt: skip
    (tmp_path / "out").rename(tmp_path / "moved")
    back = read_planar(tmp_path / "moved" / "planar.nii.gz")
    for name in ("views", "lower_views", "upper_views"):
        torch.testing.assert_close(getattr(back, name), getattr(full, name))
    for name in ("dwell_time_s", "scan_speed_mm_per_s", "head_length_mm", "energy_kev", "dead_time_s", "scatter_correction", "windows_kev"):
        assert getattr(back, name) == getattr(full, name)
    room = replace(image, background_cps=(3.0, 4.0))
    write_planar_nifti(tmp_path / "planar.nii", room)
    assert read_planar(tmp_path / "planar.nii").background_cps == (3.0, 4.0)


def test_side_windows_are_named_by_arguments_and_turned_with_the_views(image: PlanarImage, tmp_path: Path) -> None:
    for name, views in (("planar", image.views), ("low", 2.0 * image.views)):
        write_planar_nifti(tmp_path / f"{name}.nii.gz", replace(image, views=views))
    back = read_planar(
        tmp_path / "planar.nii.gz",
        lower_window=str(tmp_path / "low.nii.gz"),
        scatter_correction="dew",
        view_order=["posterior", "anterior"],
    )
    torch.testing.assert_close(back.lower_views, 2.0 * image.views.flip(1))
    with pytest.raises(ValueError, match=r"there is no file .*high.nii.gz for upper_window"):
        read_planar(tmp_path / "planar.nii.gz", upper_window=str(tmp_path / "high.nii.gz"))
    write_planar_nifti(tmp_path / "low.nii.gz", replace(image, origin_mm=(-9.0, 21.0)))
    with pytest.raises(ValueError, match="does not lie on the pixels of the photopeak image"):
        read_planar(tmp_path / "planar.nii.gz", lower_window=str(tmp_path / "low.nii.gz"))


def test_a_timing_given_takes_the_place_of_the_one_in_the_sidecar(image: PlanarImage, tmp_path: Path) -> None:
    write_planar_nifti(tmp_path / "planar.nii", image)
    back = read_planar(tmp_path / "planar.nii", scan_speed_mm_per_s=2.0)
    assert (back.dwell_time_s, back.scan_speed_mm_per_s) == (None, 2.0)
    with pytest.raises(ValueError, match="give exactly one of them"):
        read_planar(tmp_path / "planar.nii", scan_speed_mm_per_s=2.0, dwell_time_s=100.0)
