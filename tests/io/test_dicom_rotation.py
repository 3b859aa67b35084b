"""The views from the front and from behind are found in a SPECT acquisition, however its heads turned, with their distances and times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from planar3d.io import PlanarImage, read_planar

FRONT, BEHIND = 180.0, 0.0  # as DICOM counts them, from the back by the left


@pytest.fixture
def write_spect(write_nm: Callable[..., Path], camera_frames: np.ndarray) -> Callable[..., Path]:
    """Writes what heads saw that turned: `camera_frames` from the front and from behind, elsewhere the degrees of the angle and one."""

    def write(
        *, starts: tuple[float, ...] = (180.0, 0.0), views: int = 6, step: float = 30.0, way: str = "CC", times: int = 1,
        windows: tuple[int, ...] = (1,), seconds: float = 20.0, rotation: dict[str, Any] | None = None, **elements: Any,
    ) -> Path:  # fmt: skip
        from pydicom import Dataset

        frames, vectors = [], {"EnergyWindowVector": [], "DetectorVector": [], "RotationVector": [], "AngularViewVector": []}
        for window in windows:
            for head, start in enumerate(starts, start=1):
                for view in range(views):
                    angle = (start + (-step if way == "CW" else step) * view) % 360.0
                    seen = {FRONT: camera_frames[0], BEHIND: camera_frames[1]}.get(angle, np.full_like(camera_frames[0], round(angle) + 1))
                    frames.append(seen * window * times)
                    for name, value in zip(vectors, (window, head, 1, view + 1), strict=True):
                        vectors[name].append(value)
        turn = Dataset()
        turn.StartAngle, turn.AngularStep, turn.RotationDirection = starts[0], step, way
        turn.ActualFrameDuration, turn.NumberOfFramesInRotation, turn.ScanArc = round(1000 * seconds), views, views * step
        for keyword, value in (rotation or {}).items():
            setattr(turn, keyword, value)
        heads = []
        for head, start in enumerate(starts, start=1):
            item = Dataset()
            item.CollimatorGridName, item.CollimatorType, item.StartAngle = "MELP", "PARA", start
            item.RadialPosition = [100.0 * head + view for view in range(views)]
            heads.append(item)
        kind = {"ImageType": ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"], "ActualFrameDuration": None}
        about = {"RotationInformationSequence": [turn], "DetectorInformationSequence": heads, "NumberOfFrames": len(frames)}
        return write_nm(np.stack(frames).astype(np.uint16), **(kind | about | vectors | elements))

    return write


def check(image: PlanarImage, counts: float = 1.0) -> None:
    """The liver on the patient's right in both views, the front brighter."""
    assert image.views.shape == (1, 2, 9, 12)
    assert image.views[0, 0, 7, 9] == 500 * counts
    assert image.views[0, 1, 7, 9] == 300 * counts
    assert float(image.views.sum()) == 940 * counts


@pytest.mark.parametrize(
    ("starts", "way", "views", "distances"),
    [
        ((180.0, 0.0), "CC", 6, (100.0, 200.0)),
        ((0.0, 180.0), "CC", 6, (200.0, 100.0)),
        ((90.0, 270.0), "CC", 6, (103.0, 203.0)),  # the first head comes by the left to the front
        ((90.0, 270.0), "CW", 6, (203.0, 103.0)),
        ((270.0, 90.0), "CW", 6, (103.0, 203.0)),
        ((60.0,), "CC", 12, (104.0, 110.0)),  # one head all around
        ((240.0,), "CW", 12, (102.0, 108.0)),
        ((270.0, 180.0), "CC", 6, (200.0, 103.0)),  # heads at a right angle
    ],
)
def test_the_front_and_the_back_are_found_however_the_heads_turn(
    write_spect: Callable, starts: tuple, way: str, views: int, distances: tuple
) -> None:
    image = read_planar(write_spect(starts=starts, way=way, views=views))
    check(image)
    assert image.distance_mm == distances
    assert image.dwell_time_s == 20.0
    assert image.camera == "siemens-melp"
    assert not image.origin_is_known  # makers differ in what they write: the counts place the views


def test_heads_that_both_turn_all_around_see_each_side_twice(write_spect: Callable) -> None:
    image = read_planar(write_spect(starts=(180.0, 0.0), views=12))
    check(image, counts=2.0)
    assert image.dwell_time_s == 40.0
    assert image.distance_mm == (0.5 * (100 + 206), 0.5 * (106 + 200))


def test_stops_may_be_counted_on_from_head_to_head_or_not_at_all(write_spect: Callable) -> None:
    starts = (90.0, 270.0)
    for numbers in (list(range(1, 13)), None):
        check(read_planar(write_spect(starts=starts, AngularViewVector=numbers)))


def test_the_start_may_stand_with_the_rotation_alone(write_spect: Callable) -> None:
    path = write_spect(starts=(60.0,), views=12, DetectorInformationSequence=None, rotation={"RadialPosition": 240.0})
    image = read_planar(path, camera="siemens-melp")
    check(image)
    assert image.distance_mm == (240.0, 240.0)


def test_two_heads_with_one_start_are_refused(write_spect: Callable) -> None:
    """The start of a rotation is that of one head; taken for both, frames from front and behind would be added up."""
    for starts, step, views in (((183.0, 3.0), 6.0, 30), ((180.0, 0.0), 3.0, 60)):
        path = write_spect(starts=starts, step=step, views=views, DetectorInformationSequence=None)
        with pytest.raises(ValueError, match="at which angles each of its heads"):
            read_planar(path, camera="siemens-melp")


@pytest.mark.parametrize("numbers", ["each window anew", None, list(range(1, 73))])
def test_side_windows_are_of_the_same_stops(write_spect: Callable, numbers: list[int] | str | None) -> None:
    from pydicom import Dataset

    items = []
    for low, high in ((166.4, 187.2), (187.2, 228.8), (228.8, 249.6)):
        limits, item = Dataset(), Dataset()
        limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = low, high
        item.EnergyWindowRangeSequence = [limits]
        items.append(item)
    own = {} if isinstance(numbers, str) else {"AngularViewVector": numbers}
    path = write_spect(windows=(1, 2, 3), views=12, EnergyWindowInformationSequence=items, **own)
    image = read_planar(path, scatter_correction="tew")
    check(image, counts=4.0)
    torch.testing.assert_close(image.lower_views, image.views / 2)
    torch.testing.assert_close(image.upper_views, image.views * 1.5)


def test_views_a_little_off_are_taken_and_told(write_spect: Callable, camera_frames: np.ndarray) -> None:
    with pytest.warns(UserWarning, match=r"2\.0 degrees off"):
        image = read_planar(write_spect(starts=(182.0, 2.0)))
    assert image.distance_mm == (100.0, 200.0)
    with pytest.raises(ValueError, match=r"within 5\.0 degrees of front and back"):
        read_planar(write_spect(starts=(185.0, 5.0)))


def test_opposed_views_go_before_views_that_are_each_nearer(write_spect: Callable) -> None:
    """Heads half a step off on both sides: the two taken face each other."""
    with pytest.warns(UserWarning, match=r"3\.0 degrees off"):
        image = read_planar(write_spect(starts=(183.0, 3.0), step=6.0, views=30))
    front, behind = image.views[0, :, 0, 0].tolist()  # each frame is filled with its degrees and one
    assert abs(front - behind) == 180.0


@pytest.mark.parametrize(
    ("elements", "says"),
    [
        ({"starts": (180.0,), "views": 4}, "within 90.0 degrees of front and back"),
        ({"rotation": {"AngularStep": None}}, "does not say at which angles"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "GATED TOMO", "EMISSION"]}, "holds 12 frames of the photopeak"),
        ({"RotationVector": [2] * 12}, "names rotation 2 of 1"),
    ],
)
def test_what_has_no_two_opposed_views_is_refused(write_spect: Callable, elements: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_planar(write_spect(**elements))


def test_a_table_that_moved_between_rotations_is_refused(write_spect: Callable) -> None:
    from pydicom import Dataset, dcmread

    path = write_spect()
    header = dcmread(path)
    first = header.RotationInformationSequence[0]
    second = Dataset()
    second.update(first)
    first.TableTraverse, second.TableTraverse = 100.0, 480.0
    header.RotationInformationSequence = [first, second]
    header.save_as(path)
    with pytest.raises(ValueError, match="several positions of the table"):
        read_planar(path)
