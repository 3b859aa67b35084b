"""DICOM NM: each view lands in patient coordinates, contradictions are told, and the patient's name goes nowhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from planar3d.acquisition import dwell_time_s
from planar3d.io import PlanarImage, read_planar, write_planar_nifti
from planar3d.io.dicom_header import COLLIMATORS
from planar3d.physics import camera_names

if TYPE_CHECKING:
    from pydicom import Dataset

FROM_FRONT = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0]
FROM_BEHIND = [-1.0, 0.0, 0.0, 0.0, 0.0, -1.0]


def check_liver(image: PlanarImage) -> None:
    """The liver lies on the patient's right and high, the bladder in the middle and low, in both views."""
    assert image.views.shape == (1, 2, 9, 12)
    for view, (liver, bladder) in enumerate([(500, 80), (300, 60)]):
        assert image.views[0, view, 7, 9] == liver
        assert image.views[0, view, 4, 1] == bladder


def test_both_views_share_patient_coordinates(write_nm: Callable, camera_frames: np.ndarray) -> None:
    image = read_planar(write_nm(camera_frames))
    check_liver(image)
    assert image.pixel_mm == (4.0, 5.0)  # Pixel Spacing gives the rows, z, first
    assert (image.isotope, image.camera, image.dwell_time_s) == ("Lu-177", "siemens-melp", 120.0)
    assert image.acquired_at == datetime(2025, 3, 14, 10, 30)
    assert image.distance_mm == (230.0, 250.0)
    assert image.origin_mm == (-16.0, -27.5)
    assert not image.origin_is_known


def test_frames_in_the_other_order_are_named_by_their_codes(write_nm: Callable, camera_frames: np.ndarray) -> None:
    image = read_planar(write_nm(camera_frames[::-1].copy(), views=("Posterior", "Anterior")))
    check_liver(image)
    assert image.distance_mm == (230.0, 250.0)


def test_frames_follow_the_detector_vector(write_nm: Callable, camera_frames: np.ndarray) -> None:
    check_liver(read_planar(write_nm(camera_frames[::-1].copy(), DetectorVector=[2, 1])))


def test_image_axes_alone_name_and_place_the_views(write_nm: Callable, camera_frames: np.ndarray, nm_detector: Callable) -> None:
    front = nm_detector(None, FROM_FRONT, [-20.0, -200.0, 300.0])
    behind = nm_detector(None, FROM_BEHIND, [12.0, 200.0, 300.0])
    image = read_planar(write_nm(camera_frames, DetectorInformationSequence=[front, behind]))
    check_liver(image)
    assert image.origin_mm == (-12.0, 245.0)  # right of the first pixel of the front view by -(-20) - 8 x 4; 300 - 11 x 5
    assert image.origin_is_known


def test_an_image_stored_feet_up_is_turned(write_nm: Callable, camera_frames: np.ndarray, nm_detector: Callable) -> None:
    turned = [[-1.0, 0.0, 0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
    items = [nm_detector(v, o) for v, o in zip(("Anterior", "Posterior"), turned, strict=True)]
    check_liver(read_planar(write_nm(camera_frames[:, ::-1, ::-1].copy(), DetectorInformationSequence=items)))


def test_one_file_per_view_in_a_folder(write_nm: Callable, camera_frames: np.ndarray) -> None:
    write_nm(camera_frames[1:], name="nm/a.dcm", views=(None,), ImageID="WHOLEBODY_POST")
    path = write_nm(camera_frames[:1], name="nm/b.dcm", views=(None,), ImageID="WHOLEBODY_ANT")
    (path.parent / "notes.txt").write_text("not an image")
    check_liver(read_planar(path.parent))


def test_the_photopeak_window_is_chosen(write_nm: Callable, camera_frames: np.ndarray) -> None:
    frames = np.concatenate([camera_frames // 2, camera_frames])
    vectors = {"EnergyWindowVector": [1, 1, 2, 2], "DetectorVector": [1, 2, 1, 2]}
    windows = [energy_window(166.4, 187.2), energy_window(187.2, 228.8)]
    check_liver(read_planar(write_nm(frames, EnergyWindowInformationSequence=windows, **vectors)))
    with pytest.raises(ValueError, match=r"no energy window .* 208\.37 keV"):
        read_planar(write_nm(frames, EnergyWindowInformationSequence=windows[:1] * 2, **vectors))


def energy_window(low: float, high: float) -> Dataset:
    """One item of the energy window sequence."""
    from pydicom import Dataset

    limits, item = Dataset(), Dataset()
    limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = low, high
    item.EnergyWindowRangeSequence = [limits]
    return item


LUTETIUM_KEV = ((175.0, 187.6), (84.75, 101.7), (187.5, 229.2), (101.7, 124.3), (229.2, 241.8))
"""Side windows and peaks of both lines as a console might list them: the third and the fourth are the peaks."""


def write_windows(write_nm: Callable, camera_frames: np.ndarray, windows_kev: tuple = LUTETIUM_KEV, **elements: Any) -> Path:
    """A file with both views in several windows, the counts of the k-th multiplied by k."""
    count = len(windows_kev)
    frames = np.concatenate([(k + 1) * camera_frames for k in range(count)])
    vectors = {"EnergyWindowVector": [k + 1 for k in range(count) for _ in "ap"], "DetectorVector": [1, 2] * count}
    return write_nm(frames, EnergyWindowInformationSequence=[energy_window(*w) for w in windows_kev], **(vectors | elements))


def test_side_windows_lie_beside_the_peak(write_nm: Callable, camera_frames: np.ndarray) -> None:
    path = write_windows(write_nm, camera_frames)
    peak = read_planar(path)
    assert peak.lower_views is None
    image = read_planar(path, scatter_correction="tew")
    for views, number in ((image.views, 3), (image.lower_views, 1), (image.upper_views, 5)):
        torch.testing.assert_close(views, peak.views * (number / 3))
    assert image.windows_kev == ((175.0, 187.6), (187.5, 229.2), (229.2, 241.8))
    low = read_planar(path, scatter_correction="dew", energy_kev=113)
    torch.testing.assert_close(low.views, peak.views * (4 / 3))
    torch.testing.assert_close(low.lower_views, peak.views * (2 / 3))
    assert low.upper_views is None
    assert low.windows_kev == ((84.75, 101.7), (101.7, 124.3))


def test_a_peak_of_another_line_is_no_side_window(write_nm: Callable, camera_frames: np.ndarray) -> None:
    path = write_windows(write_nm, camera_frames, ((154.2, 219.0), (220.8, 269.9)))
    with pytest.raises(ValueError, match="scatter_correction=dew needs the counts of an energy window below the peak"):
        read_planar(path, scatter_correction="dew", isotope="In-111", energy_kev=245)
    with pytest.raises(ValueError, match="lower_window goes with a NIfTI image"):
        read_planar(path, lower_window="planar_lower.nii.gz")


def test_side_windows_follow_the_detector_of_each_view(write_nm: Callable, camera_frames: np.ndarray) -> None:
    """Side frames in the other order of detectors still come to their views."""
    windows = ((175.0, 187.6), (187.5, 229.2), (229.2, 241.8))
    frames = np.concatenate([camera_frames[::-1], 2 * camera_frames, camera_frames])
    path = write_nm(
        frames, EnergyWindowInformationSequence=[energy_window(*w) for w in windows], EnergyWindowVector=[1, 1, 2, 2, 3, 3],
        DetectorVector=[2, 1, 1, 2, 1, 2],
    )  # fmt: skip
    image = read_planar(path, scatter_correction="tew")
    torch.testing.assert_close(image.lower_views, 0.5 * image.views)
    torch.testing.assert_close(image.upper_views, 0.5 * image.views)


def test_a_sweep_is_told_by_its_speed_and_the_length_of_the_head(write_nm: Callable, camera_frames: np.ndarray) -> None:
    sweep = {"ImageType": ["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"], "ActualFrameDuration": 1_200_000}
    image = read_planar(write_nm(camera_frames, ScanVelocity=1.667, **sweep))
    assert (image.dwell_time_s, image.scan_speed_mm_per_s, image.head_length_mm) == (None, pytest.approx(1.667), 387.0)
    assert dwell_time_s(image) == pytest.approx(387 / 1.667)
    assert read_planar(write_nm(camera_frames, ScanLength=2000, **sweep)).scan_speed_mm_per_s == pytest.approx(2000 / 1200)
    with pytest.raises(ValueError, match="pass dwell_time_s="):
        read_planar(write_nm(camera_frames, **sweep))
    with pytest.raises(ValueError, match="pass dwell_time_s="):
        read_planar(write_nm(camera_frames, ScanVelocity=1.667, WholeBodyTechnique="MSP", **sweep))
    given = read_planar(write_nm(camera_frames, **sweep), dwell_time_s=180)
    assert (given.dwell_time_s, given.scan_speed_mm_per_s) == (180, None)
    faster = read_planar(write_nm(camera_frames, ScanVelocity=1.667, **sweep), scan_speed_mm_per_s=3.3)
    assert (faster.dwell_time_s, faster.scan_speed_mm_per_s) == (None, 3.3)


@pytest.mark.parametrize("meaning", ["^177^Lutetium", "Lutetium-177", "Lu177", "177Lu DOTATATE", "Lu-177 PSMA-617"])
def test_spellings_of_an_isotope(write_nm: Callable, camera_frames: np.ndarray, meaning: str) -> None:
    from pydicom import Dataset

    item = Dataset()
    item.Radiopharmaceutical = meaning
    assert read_planar(write_nm(camera_frames, RadiopharmaceuticalInformationSequence=[item])).isotope == "Lu-177"


def test_views_that_contradict_their_axes_are_refused(write_nm: Callable, camera_frames: np.ndarray, nm_detector: Callable) -> None:
    items = [nm_detector("Anterior", FROM_BEHIND), nm_detector("Posterior", FROM_FRONT)]
    with pytest.raises(ValueError, match=r"swapped or mirrored: the view code says anterior, its orientation says posterior"):
        read_planar(write_nm(camera_frames, DetectorInformationSequence=items))
    with pytest.raises(ValueError, match="swapped or mirrored"):
        read_planar(write_nm(camera_frames, PatientOrientation=["R", "F"]))


def test_unnamed_views_are_taken_in_order_but_not_in_silence(write_nm: Callable, camera_frames: np.ndarray) -> None:
    path = write_nm(camera_frames, views=(None, None))
    with pytest.warns(UserWarning, match="detector 1 is taken as anterior"):
        check_liver(read_planar(path))
    check_liver(read_planar(path, view_order=["anterior", "posterior"]))
    swapped = read_planar(write_nm(camera_frames[::-1].copy(), views=(None, None)), view_order=["posterior", "anterior"])
    check_liver(swapped)
    with pytest.raises(ValueError, match="does not lie supine"):
        read_planar(write_nm(camera_frames, views=(None, None), PatientPosition="HFP"))
    with pytest.raises(ValueError, match="leave view_order away"):
        read_planar(write_nm(camera_frames), view_order=["posterior", "anterior"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"views": ("Anterior", "Anterior")}, "the posterior view is missing"),
        ({"RadiopharmaceuticalInformationSequence": None}, "isotope in the DICOM header is not known"),
        ({"Manufacturer": "Unheard Of"}, "camera in the DICOM header is not known"),
        ({"ActualFrameDuration": None}, "pass dwell_time_s="),
        ({"PixelSpacing": None}, "pass pixel_mm="),
        ({"Modality": "CT"}, "holds no DICOM NM image"),
        ({"LossyImageCompression": "01"}, "compressed with loss"),
        ({"DetectorVector": [1, 2, 3]}, "DetectorVector"),
    ],
)
def test_what_is_wrong_is_one_clear_sentence(write_nm: Callable, camera_frames: np.ndarray, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_planar(write_nm(camera_frames, **change))
    assert "\n" not in str(caught.value)
    assert "Muster" not in str(caught.value)


def test_negative_counts_are_refused(write_nm: Callable, camera_frames: np.ndarray) -> None:
    frames = camera_frames.astype(np.int16)
    frames[0, 0, 0] = -3
    with pytest.raises(ValueError, match="negative counts"):
        read_planar(write_nm(frames))


def test_views_of_different_size_are_refused(write_nm: Callable, camera_frames: np.ndarray) -> None:
    write_nm(camera_frames[:1], name="nm/a.dcm", views=("Anterior",))
    path = write_nm(camera_frames[1:, :-1].copy(), name="nm/b.dcm", views=("Posterior",))
    with pytest.raises(ValueError, match=r"different sizes, \(9, 12\) and \(9, 11\)"):
        read_planar(path.parent)


def test_a_real_anterior_scan_alone_lacks_the_posterior_view() -> None:
    from pydicom.data import get_testdata_file

    path = get_testdata_file("JPGExtended.dcm", download=False)
    if path is None:
        pytest.skip("pydicom was installed without its sample file JPGExtended.dcm")
    with pytest.raises(ValueError, match="the posterior view is missing"):
        read_planar(str(path))


def test_no_identifier_is_copied(write_nm: Callable, camera_frames: np.ndarray, tmp_path: Path) -> None:
    image = read_planar(write_nm(camera_frames, InstitutionName="Muster Hospital"))
    write_planar_nifti(tmp_path / "out" / "planar.nii", image)
    for file in (tmp_path / "out").iterdir():
        for secret in (b"Muster", b"Erika", b"4711", b"1950"):
            assert secret not in file.read_bytes()
    assert not any("Muster" in str(value) for value in vars(image).values())


def test_cameras_of_the_reader_are_those_of_the_physics() -> None:
    assert set(COLLIMATORS) == set(camera_names())


def test_counts_are_float_and_unchanged(write_nm: Callable, camera_frames: np.ndarray) -> None:
    image = read_planar(write_nm(camera_frames))
    assert image.views.dtype == torch.float32
    assert image.views.sum() == camera_frames.sum()
