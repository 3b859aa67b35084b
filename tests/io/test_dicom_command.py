"""DICOM through the command line: the same acquisition as DICOM and as NIfTI, and headers that show what went wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

PIXEL_MM = 16.0


@pytest.fixture
def frames(acquisition: Path) -> np.ndarray:
    """What the two cameras show of the acquisition, ``(2, row, column)``, the head up."""
    counts = np.asarray(nibabel.load(acquisition / "planar.nii.gz").dataobj).astype(np.uint16)
    return np.stack([counts[::-1, 0, ::-1].T, counts[:, 1, ::-1].T])


@pytest.fixture
def as_dicom(write_nm: Callable[..., Path], acquisition: Path) -> Callable[..., list[str]]:
    """Writes frames as DICOM NM and gives what the header cannot say as arguments."""

    def write(pixels: np.ndarray, **elements: object) -> list[str]:
        path = write_nm(np.ascontiguousarray(pixels), PixelSpacing=[PIXEL_MM, PIXEL_MM], ActualFrameDuration=240000, **elements)
        origin = nibabel.load(acquisition / "planar.nii.gz").affine[[0, 2], 3]
        distance = json.loads((acquisition / "planar.json").read_text())["distance_mm"]
        return [f"planar={path}", f"acquisition.origin_mm=[{origin[0]},{origin[1]}]", f"acquisition.distance_mm={distance}"]

    return write


def test_dicom_and_nifti_give_the_same_activity(
    run: Callable[..., None], given: Callable[..., list[str]], as_dicom: Callable[..., list[str]], frames: np.ndarray, acquisition: Path
) -> None:
    run("reconstruct", *given(acquisition, output_dir="nifti"), "method=qplanar_em")
    run("reconstruct", *given(acquisition, output_dir="dicom"), "method=qplanar_em", *as_dicom(frames))
    nifti, dicom = (np.asarray(nibabel.load(f"{name}/activity.nii.gz").dataobj) for name in ("nifti", "dicom"))
    np.testing.assert_allclose(dicom, nifti, rtol=1e-3, atol=1e-3 * nifti.max())


def test_a_matrix_larger_than_the_head_changes_nothing(
    run: Callable[..., None], given: Callable[..., list[str]], as_dicom: Callable[..., list[str]], frames: np.ndarray, acquisition: Path
) -> None:
    """Rows and columns without counts lie beyond the field of view; they are no patient without activity."""
    cut = frames[:, 6:-5]  # the head counted a part of the patient
    padded = np.pad(cut, ((0, 0), (6, 5), (3, 3)))
    *_, origin, distance = as_dicom(cut)
    first, last = (float(v) for v in origin.split("=")[1].strip("[]").split(","))
    run("reconstruct", *given(acquisition, output_dir="cut"), "method=qplanar_em", as_dicom(cut)[0],
        f"acquisition.origin_mm=[{first},{last + 5 * PIXEL_MM}]", distance)  # fmt: skip
    run("reconstruct", *given(acquisition, output_dir="padded"), "method=qplanar_em", as_dicom(padded)[0],
        f"acquisition.origin_mm=[{first - 3 * PIXEL_MM},{last}]", distance)  # fmt: skip
    seen, all_of_it = (np.asarray(nibabel.load(f"{name}/activity.nii.gz").dataobj) for name in ("cut", "padded"))
    np.testing.assert_allclose(all_of_it, seen, rtol=1e-3, atol=1e-3 * seen.max())


def test_a_spect_gives_the_activity_of_its_opposed_views(
    run: Callable[..., None], given: Callable[..., list[str]], as_dicom: Callable[..., list[str]], frames: np.ndarray, acquisition: Path
) -> None:
    from pydicom import Dataset

    side, turn = np.zeros_like(frames[0]), Dataset()
    turn.StartAngle, turn.AngularStep, turn.RotationDirection, turn.ActualFrameDuration = 90.0, 90.0, "CC", 240000
    about = {"ImageType": ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"], "RotationInformationSequence": [turn], "DetectorVector": [1] * 4}
    spect = np.stack([side, frames[0], side, frames[1]])  # from the left by the front
    arguments = as_dicom(spect, AngularViewVector=[1, 2, 3, 4], views=(None,), **about)
    run("reconstruct", *given(acquisition, output_dir="nifti"), "method=qplanar_em")
    run("reconstruct", *given(acquisition, output_dir="spect"), "method=qplanar_em", *arguments)
    nifti, tomographic = (np.asarray(nibabel.load(f"{name}/activity.nii.gz").dataobj) for name in ("nifti", "spect"))
    np.testing.assert_allclose(tomographic, nifti, rtol=1e-3, atol=1e-3 * nifti.max())


def test_views_swapped_against_the_header(
    fails: Callable[..., str], given: Callable[..., list[str]], as_dicom: Callable[..., list[str]], frames: np.ndarray, acquisition: Path,
    nm_detector: Callable,
) -> None:  # fmt: skip
    behind = [-1.0, 0.0, 0.0, 0.0, 0.0, -1.0]
    detectors = [nm_detector("Anterior", behind), nm_detector("Posterior", behind)]
    arguments = as_dicom(frames, DetectorInformationSequence=detectors)
    assert "swapped or mirrored" in fails("reconstruct", *given(acquisition), *arguments)


def test_views_of_different_size(
    fails: Callable[..., str], given: Callable[..., list[str]], as_dicom: Callable[..., list[str]], frames: np.ndarray, acquisition: Path,
) -> None:  # fmt: skip
    as_dicom(frames[:1], name="both/anterior.dcm", views=("Anterior",))
    arguments = as_dicom(frames[1:, :, 2:], name="both/posterior.dcm", views=("Posterior",))
    folder = Path(arguments[0].removeprefix("planar=")).parent
    assert "different sizes" in fails("reconstruct", *given(acquisition), *arguments, f"planar={folder}")


def test_image_that_does_not_say_where_it_lies_is_placed_by_its_counts(
    run: Callable[..., None], given: Callable[..., list[str]], as_dicom: Callable[..., list[str]], frames: np.ndarray, acquisition: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    planar, origin, distance = as_dicom(frames)
    run("reconstruct", *given(acquisition), "method=qplanar_em", planar, distance)
    told = re.search(r"acquisition\.origin_mm=\[(.*?),(.*?)\]", capsys.readouterr().out)
    assert told is not None
    true = json.loads(origin.partition("=")[2])
    np.testing.assert_allclose([float(value) for value in told.groups()], true, atol=PIXEL_MM)


def test_image_without_a_clear_place(
    fails: Callable[..., str], given: Callable[..., list[str]], as_dicom: Callable[..., list[str]], frames: np.ndarray, acquisition: Path,
) -> None:  # fmt: skip
    planar, _, distance = as_dicom(np.full_like(frames, 100))
    assert "acquisition.origin_mm is required" in fails("reconstruct", *given(acquisition), planar, distance)
