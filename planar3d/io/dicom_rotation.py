"""Where the head stood in each frame of a SPECT acquisition, and which frames look from the front and from behind.

Convention: DICOM counts the angle of a head from the patient's back by the patient's left, and a rotation ``CC`` grows it (PS3.3 C.8.4.12).
Here, as in `planar3d.physics.Orbit`, 0 degrees is in front and 90 on the patient's right: DICOM's angle less 180.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from planar3d.io.dicom_header import frame_vector, listed
from planar3d.units import MS_PER_SECOND

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Station", "is_tomographic", "opposed_stations", "stations", "stops"]

FRONT_DEG, BEHIND_DEG = 0.0, 180.0
TILT_DEG = 3.0
"""Largest angle between a view and the front or the back: half a step of 60 views."""
SAME_ANGLE_DEG = 0.1
SAME_TABLE_MM = 1.0


@dataclass(frozen=True, kw_only=True)
class Station:
    """One stop of a head.

    Attributes:
        angle_deg: Where it stands, 0 in front and 90 on the patient's right [degree].
        radius_mm: From its face to the axis of rotation [mm]; None where the header does not say.
        seconds: For how long it counts [s]; None where the header does not say.
    """

    angle_deg: float
    radius_mm: float | None
    seconds: float | None

    def tilt_deg(self, wanted_deg: float) -> float:
        """Angle between this stop and another, 0 to 180 [degree]."""
        return abs((self.angle_deg - wanted_deg + 180.0) % 360.0 - 180.0)


def is_tomographic(header: Dataset) -> bool:
    """Whether a file holds the views of a SPECT, not its slices and not planar views."""
    kinds = [str(kind).upper() for kind in header.get("ImageType") or []]
    return "TOMO" in kinds and bool(header.get("RotationInformationSequence"))


def stations(header: Dataset, source: str) -> list[Station]:
    """The stop of each frame.

    Args:
        header: The file.
        source: Its name for messages.

    Raises:
        ValueError: The header does not say where the head stood, or the table moved between rotations.
    """
    rotations, detectors = header.RotationInformationSequence, header.get("DetectorInformationSequence") or []
    tables = [float(item.TableTraverse) for item in rotations if item.get("TableTraverse") is not None]
    if tables and max(tables) - min(tables) > SAME_TABLE_MM:
        raise ValueError(f"{source} holds several positions of the table; give one position of the SPECT, or a planar image")
    places = stops(header)
    heads = {rotation: {d for d, r, _ in places if r == rotation} for _, rotation, _ in places}
    found = []
    for detector, rotation, view in places:
        if not 0 < rotation <= len(rotations):
            raise ValueError(f"RotationVector of {source} names rotation {rotation} of {len(rotations)}; export the image again")
        item = detectors[detector - 1] if 0 < detector <= len(detectors) else None
        start = _start_deg(rotations[rotation - 1], item, detectors[:1], alone=len(rotations) == 1, heads=len(heads[rotation]))
        found.append(_station(rotations[rotation - 1], item, start, view, source))
    return found


def stops(header: Dataset) -> list[tuple[int, int, int]]:
    """Detector, rotation and number of the stop in it of each frame, all from 1, whichever the energy window.

    Makers number stops anew for each head, on from head to head or window to window, or not at all: here they are counted anew.

    Args:
        header: The file, planar or of a SPECT.

    Raises:
        ValueError: A vector has another length than there are frames.
    """
    count = int(header.get("NumberOfFrames") or 1)
    names = ("EnergyWindowVector", "DetectorVector", "RotationVector")
    keys = list(zip(*(frame_vector(header, name, count, default=1) for name in names), strict=True))
    views = frame_vector(header, "AngularViewVector", count)  # in the order of the frames where there is none
    alike: dict[tuple[int, ...], list[int]] = {}
    for key, view in zip(keys, views, strict=True):
        alike.setdefault(key, []).append(view)
    numbers = [1 + sorted(set(alike[key])).index(view) for key, view in zip(keys, views, strict=True)]
    return [(detector, rotation, number) for (_, detector, rotation), number in zip(keys, numbers, strict=True)]


def opposed_stations(stops: Sequence[Station], frames: Sequence[int], source: str) -> tuple[tuple[int, ...], tuple[int, ...], float]:
    """Frames from the front and from behind.

    Args:
        stops: The stop of each frame of a file.
        frames: Those among which to look, as those of one energy window.
        source: Name of the file for messages.

    Returns:
        Frames of the anterior and of the posterior view, as many of each, several where the heads stood there more than once; and the angle
        by which they miss front and back [degree].

    Raises:
        ValueError: No two views are near enough to front and back.
    """

    def misses(pair: tuple[int, int]) -> float:
        front, behind = (stops[k] for k in pair)
        apart = front.tilt_deg(behind.angle_deg + BEHIND_DEG)
        return max(front.tilt_deg(FRONT_DEG), behind.tilt_deg(BEHIND_DEG)) + apart

    pair = min(product(frames, frames), key=misses)
    tilt = max(stops[pair[0]].tilt_deg(FRONT_DEG), stops[pair[1]].tilt_deg(BEHIND_DEG))
    if tilt > TILT_DEG:
        raise ValueError(
            f"{source} is a SPECT acquisition whose views come within {tilt:.1f} degrees of front and back, and {TILT_DEG:g} are allowed; "
            f"give a planar image, or a SPECT with views from the front and from behind"
        )
    front, behind = ([k for k in frames if stops[k].tilt_deg(stops[chosen].angle_deg) < SAME_ANGLE_DEG] for chosen in pair)
    if len(front) != len(behind):  # one exposure for both: planar images have one dwell time
        front, behind = [pair[0]], [pair[1]]
    return tuple(front), tuple(behind), tilt


def _station(rotation: Dataset, detector: Dataset | None, start_deg: float | None, view: int, source: str) -> Station:
    """The stop of one frame.

    Args:
        rotation: Its item of the rotations.
        detector: Its item of the detectors, where there is one.
        start_deg: Where its head began the rotation, from the back [degree]; None where the header does not say.
        view: Its number among the stops, from 1.
        source: Name of the file for messages.
    """
    step = rotation.get("AngularStep")
    if start_deg is None or step is None:
        raise ValueError(
            f"{source} does not say at which angles each of its heads took its views; export the SPECT again or give a planar image"
        )
    sense = -1.0 if str(rotation.get("RotationDirection", "")).upper() == "CW" else 1.0
    angle = start_deg + sense * abs(float(step)) * (view - 1) - 180.0
    radii = next((values for item in (detector, rotation) if item is not None and (values := listed(item.get("RadialPosition")))), [])
    radius = float(radii[min(view, len(radii)) - 1]) if radii else 0.0
    duration = rotation.get("ActualFrameDuration")
    return Station(
        angle_deg=angle % 360.0, radius_mm=radius if radius > 0 else None, seconds=float(duration) / MS_PER_SECOND if duration else None
    )


def _start_deg(rotation: Dataset, detector: Dataset | None, first: Sequence[Dataset], *, alone: bool, heads: int) -> float | None:
    """Angle from the back at which a head began a rotation [degree]; None where the header does not say.

    Args:
        rotation: The item of the rotation.
        detector: The item of the head, where there is one.
        first: The item of the first head, where there is one.
        alone: Whether there is one rotation only, whose start the items of the heads tell.
        heads: Number of heads that took part in the rotation.
    """
    of_rotation, of_detector, of_first = (
        None if item is None or item.get("StartAngle") is None else float(item.StartAngle)
        for item in (rotation, detector, next(iter(first), None))
    )
    if of_detector is None and heads > 1:  # the start of the rotation is that of one head, and the other stood elsewhere
        return None
    if of_rotation is None or (alone and of_detector is not None):
        return of_detector
    # a later rotation: the second head goes before or behind the first by as much as it did at the start
    return of_rotation + (0.0 if of_detector is None or of_first is None else of_detector - of_first)
