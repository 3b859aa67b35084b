"""One view of a DICOM NM file: which frames hold its counts, how it lies in the patient, and how far and for how long the head stood.

Of a planar image a view is one frame. Of a SPECT acquisition it is the frame from the front or from behind, or the sum of several
where heads stood there more than once. This and `planar3d.io.nifti` are the only places where measured images are flipped into patient
coordinates.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from planar3d.io import dicom_header
from planar3d.io.dicom_rotation import is_tomographic, opposed_stations, stations, stops
from planar3d.io.dicom_views import Placement, frame_placement
from planar3d.io.metadata import VIEWS

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Frame", "photopeak_frames"]

STRAIGHT_DEG = 0.5  # views that miss front and back by less need no mention


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One view of a file, with where it lies.

    Attributes:
        header: The file.
        indices: Frames whose counts add up to the view.
        detector: Number of the head, from 1.
        window: Number of the energy window, from 1.
        placement: How the image lies in the patient.
        distance_mm: From the face of the head to the axis of the camera [mm]; None where the header does not say.
        seconds: For how long the head counted at this place of a SPECT [s]; None for a planar image, or where the header does not say.
    """

    header: Dataset
    indices: tuple[int, ...]
    detector: int
    window: int
    placement: Placement
    distance_mm: float | None
    seconds: float | None = None

    def counts(self, view: str) -> np.ndarray:
        """Counts ``(x, z)``, x toward the patient's right and z toward the head.

        Args:
            view: Which view it is, for an image that does not say how it lies.
        """
        counts = dicom_header.counts(self.header)[list(self.indices)].sum(axis=0).T
        to_right = self.placement.rows_to_right
        if to_right is None:  # what a camera on that side sees
            to_right = view == "posterior"
        if not to_right:
            counts = counts[::-1]
        if not self.placement.columns_to_head:
            counts = counts[:, ::-1]
        return np.ascontiguousarray(counts, dtype=np.float32)

    def in_window(self, number: int | None) -> Frame | None:
        """The same view in another energy window; None where there is none.

        Args:
            number: Number of the window, from 1.
        """
        count = int(self.header.get("NumberOfFrames") or 1)
        places = stops(self.header)
        windows = dicom_header.frame_vector(self.header, "EnergyWindowVector", count, default=1)
        wanted = {places[k] for k in self.indices}
        same = tuple(k for k in range(count) if windows[k] == number and places[k] in wanted)
        return replace(self, indices=same) if len(same) == len(self.indices) else None

    def timing(self) -> dict[str, Any]:
        """For how long each pixel was imaged, as `planar3d.io.dicom_header.timing` tells it.

        Raises:
            ValueError: The header does not say.
        """
        return dicom_header.timing(self.header) if self.seconds is None else {"dwell_time_s": self.seconds}


def photopeak_frames(header: Dataset, nuclide: str, energy_kev: float | None, *, single: bool, source: str) -> list[Frame]:
    """Views of a file in the energy window that holds the imaging line.

    Args:
        header: The file.
        nuclide: Radionuclide by the library's name; empty where the file has one frame only.
        energy_kev: Its line; None for the usual one [keV].
        single: Whether the file has one view only.
        source: Its name for messages.

    Raises:
        ValueError: No window holds the line, the header contradicts itself, or a SPECT has no views from the front and from behind.
    """
    count = int(header.get("NumberOfFrames") or 1)
    detectors = dicom_header.frame_vector(header, "DetectorVector", count, default=1 if is_tomographic(header) else None)
    windows = dicom_header.frame_vector(header, "EnergyWindowVector", count, default=1)
    wanted = dicom_header.energy_window(header, nuclide, energy_kev) if nuclide else windows[0]
    chosen = [k for k in range(count) if windows[k] == wanted]
    if is_tomographic(header):
        return _tomographic_frames(header, chosen, detectors, wanted, source)
    return [
        Frame(
            header=header,
            indices=(k,),
            detector=detectors[k],
            window=wanted,
            placement=frame_placement(
                header, detectors[k], first=k == chosen[0], single=single or count == 1, source=f"{source}, frame {k + 1}"
            ),
            distance_mm=dicom_header.distance_mm(header, detectors[k]),
        )
        for k in chosen
    ]


def _tomographic_frames(header: Dataset, chosen: list[int], detectors: list[int], window: int, source: str) -> list[Frame]:
    """The views from the front and from behind; where they lie is left to the counts, for makers write it in different ways."""
    found = stations(header, source)
    *pair, tilt = opposed_stations(found, chosen, source)
    if tilt > STRAIGHT_DEG:
        warnings.warn(f"the views of {source} nearest to front and back stand {tilt:.1f} degrees off and are taken as such", stacklevel=5)
    frames = []
    for view, indices in zip(VIEWS, pair, strict=True):
        items = header.get("DetectorInformationSequence") or []
        detector = detectors[indices[0]]
        cosines = items[detector - 1].get("ImageOrientationPatient") if 0 < detector <= len(items) else None
        to_head = cosines is not None and len(cosines) == 6 and float(cosines[5]) > 0
        radii = [radius for k in indices if (radius := found[k].radius_mm) is not None]
        seconds = [found[k].seconds or 0.0 for k in indices]
        frames.append(
            Frame(
                header=header,
                indices=indices,
                detector=detector,
                window=window,
                placement=Placement(view=view, rows_to_right=None, columns_to_head=to_head, first_pixel_mm=None),
                distance_mm=sum(radii) / len(radii) if len(radii) == len(indices) else None,
                seconds=sum(seconds) if all(seconds) else None,
            )
        )
    return frames
