"""What a DICOM NM header says of camera, isotope, time and distances; who the patient is is never read.

Of a moving whole-body scan the duration in the header is that of the whole scan, while each pixel is imaged for
``axial field of view / scan velocity``: what is read is the velocity. A side window is one beside the peak window, at most half of its
width away, that holds no line of the isotope; the nearest counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from planar3d.radionuclide import RADIONUCLIDES, Radionuclide
from planar3d.units import MS_PER_SECOND

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = [
    "COLLIMATORS",
    "acquired_at",
    "camera",
    "counts",
    "distance_mm",
    "energy_window",
    "frame_vector",
    "isotope",
    "listed",
    "side_windows",
    "timing",
    "window_kev",
]


MAKERS = {"siemens": ("SIEMENS",), "ge": ("GE", "GENERAL"), "philips": ("PHILIPS", "ADAC"), "mediso": ("MEDISO",)}
COLLIMATORS = {
    "siemens-lehr": ("LEHR",), "siemens-leap": ("LEAP",), "siemens-melp": ("MELP", "MEGP", "ME"), "siemens-he": ("HE", "HEGP"),
    "ge-lehr": ("LEHR", "LEHRS"), "ge-legp": ("LEGP",), "ge-elegp": ("ELEGP",), "ge-megp": ("MEGP", "ME"), "ge-hegp": ("HEGP", "HE"),
    "philips-lehr": ("LEHR",), "philips-legp": ("LEGP", "LEAP"), "philips-megp": ("MEGP", "ME"), "philips-hegp": ("HEGP", "HE"),
    "mediso-lehr": ("LEHR",), "mediso-megp": ("MEGP", "ME"), "mediso-hegp": ("HEGP", "HE"),
}  # fmt: skip
"""Words by which the makers call the collimators that the library has a model of."""

SIDE_WINDOW_REACH = 0.5
"""Farthest edge of a side window from that of the peak window, in widths of the peak window."""

ELEMENTS = {"lutetium": "lu", "iodine": "i", "technetium": "tc"}


def camera(header: Dataset) -> str:
    """Camera and collimator by the library's name.

    Raises:
        ValueError: The header names none that is known.
    """
    item = next(iter(header.get("DetectorInformationSequence") or []), {})
    maker_words = _words(str(header.get("Manufacturer", "")))
    collimator = str(item.get("CollimatorGridName", "") or "")
    words = _words(collimator)
    for name, known in COLLIMATORS.items():
        if maker_words & set(MAKERS[name.split("-")[0]]) and words & set(known):
            return name
    told = f"{header.get('Manufacturer', '') or 'no maker'} / {collimator or 'no collimator'}"
    raise ValueError(f"camera in the DICOM header is not known ({told}); pass camera=..., one of {', '.join(COLLIMATORS)}")


def isotope(header: Dataset) -> str:
    """Radionuclide by the library's name.

    Raises:
        ValueError: The header names none, or one that is not known.
    """
    told = []
    for item in header.get("RadiopharmaceuticalInformationSequence") or []:
        codes = item.get("RadionuclideCodeSequence") or []
        told += [str(c.get("CodeMeaning", "")) for c in codes] + [str(item.get("Radiopharmaceutical", "") or "")]
    for text in told:
        if name := _nuclide(text):
            return name
    known = ", ".join(n.name for n in RADIONUCLIDES)
    says = ", ".join(filter(None, told)) or "nothing"
    raise ValueError(f"isotope in the DICOM header is not known (it says {says}); known are {known}: pass isotope=...")


def energy_window(header: Dataset, nuclide: str, energy_kev: float | None = None) -> int:
    """Number, from 1, of the energy window that holds the imaging line.

    Args:
        header: The file.
        nuclide: Radionuclide by the library's name.
        energy_kev: Its line, within a few keV; None for the usual one [keV].

    Raises:
        ValueError: No window holds it, or the header does not say which.
    """
    items = header.get("EnergyWindowInformationSequence") or []
    energy = _line_kev(nuclide, energy_kev)
    ranges = [_limits(item) for item in items]
    holding = [k for k, parts in enumerate(ranges, start=1) if any(low <= energy <= high for low, high in parts)]
    if holding:
        return min(holding, key=lambda k: min(high - low for low, high in ranges[k - 1]))
    if len(set(listed(header.get("EnergyWindowVector")))) <= 1 and not any(ranges):
        return 1
    told = "; ".join(", ".join(f"{low:g} to {high:g} keV" for low, high in parts) for parts in ranges if parts) or "no energies"
    raise ValueError(f"no energy window of the DICOM file is known to hold {energy} keV of {nuclide} ({told}); export the photopeak window")


def side_windows(header: Dataset, nuclide: str, peak: int) -> tuple[int | None, int | None]:
    """Numbers, from 1, of the windows below and above the peak window; None where there is none.

    Args:
        header: The file.
        nuclide: Radionuclide by the library's name.
        peak: Number of the peak window.
    """
    edges = window_kev(header, peak)
    if edges is None:
        return None, None
    low, high = edges
    reach = SIDE_WINDOW_REACH * (high - low)
    lines = [photon.energy_kev for photon in Radionuclide.from_name(nuclide).photons]
    below, above = [], []
    for number in range(1, len(header.get("EnergyWindowInformationSequence") or []) + 1):
        beside = window_kev(header, number)
        if number == peak or beside is None or any(beside[0] <= line <= beside[1] for line in lines):
            continue
        below += [(abs(beside[1] - low), number)] if beside[0] < low and abs(beside[1] - low) <= reach else []
        above += [(abs(beside[0] - high), number)] if beside[1] > high and abs(beside[0] - high) <= reach else []
    return (min(below)[1] if below else None), (min(above)[1] if above else None)


def window_kev(header: Dataset, number: int) -> tuple[float, float] | None:
    """Lowest and highest energy of a window by its number, from 1 [keV]; None where the header does not say, or names several ranges."""
    items = header.get("EnergyWindowInformationSequence") or []
    parts = _limits(items[number - 1]) if 0 < number <= len(items) else []
    return parts[0] if len(parts) == 1 else None


def timing(header: Dataset) -> dict[str, float]:
    """For how long each pixel was imaged: ``dwell_time_s`` [s], or of a moving scan ``scan_speed_mm_per_s`` [mm/s] and, where the header
    has it, ``head_length_mm`` [mm].

    Raises:
        ValueError: The header does not say.
    """
    duration = header.get("ActualFrameDuration")
    kind = [str(v).upper() for v in header.get("ImageType") or []]
    if "WHOLE BODY" not in kind:
        if duration is None:
            raise ValueError("the DICOM header has no Actual Frame Duration; pass dwell_time_s=... in seconds")
        return {"dwell_time_s": float(duration) / MS_PER_SECOND}  # Actual Frame Duration is in milliseconds
    velocity = float(header.get("ScanVelocity") or 0.0)
    if velocity <= 0 and header.get("ScanLength") and duration:
        velocity = float(header.ScanLength) / (float(duration) / MS_PER_SECOND)
    item = next(iter(header.get("DetectorInformationSequence") or []), {})
    field = item.get("FieldOfViewDimensions")
    if velocity <= 0 or str(header.get("WholeBodyTechnique", "")).upper() == "MSP":
        raise ValueError(
            "the dwell time of this whole-body scan does not follow from the DICOM header (Actual Frame Duration is that of the whole "
            "scan); pass dwell_time_s=..., the axial field of view divided by the scan velocity, or scan_speed_mm_per_s=..."
        )
    length = {} if field is None else {"head_length_mm": float(listed(field)[-1])}
    return {"scan_speed_mm_per_s": velocity} | length


def acquired_at(header: Dataset) -> datetime | None:
    """Date and time at which the acquisition began; a time without its date is no time."""
    both = str(header.get("AcquisitionDateTime", "") or "")
    if not both and header.get("AcquisitionDate") and header.get("AcquisitionTime"):
        both = f"{header.AcquisitionDate}{header.AcquisitionTime}"
    digits = re.match(r"\d{14}", both)
    return datetime.strptime(digits[0], "%Y%m%d%H%M%S") if digits else None


def distance_mm(header: Dataset, detector: int) -> float | None:
    """Distance of a head from the axis of the camera, averaged along a body contour [mm]."""
    items = header.get("DetectorInformationSequence") or []
    radial = items[detector - 1].get("RadialPosition") if 0 < detector <= len(items) else None
    values = [float(v) for v in listed(radial)]
    return sum(values) / len(values) if values and min(values) > 0 else None


def frame_vector(header: Dataset, keyword: str, frames: int, default: int | None = None) -> list[int]:
    """A frame index vector: one number, from 1, per frame.

    Args:
        header: The file.
        keyword: Name of the vector.
        frames: Number of frames.
        default: Its value where it is missing; None counts the frames.

    Raises:
        ValueError: It has another length than there are frames.
    """
    values = [int(v) for v in listed(header.get(keyword))]
    if not values:
        return list(range(1, frames + 1)) if default is None else [default] * frames
    if len(values) != frames:
        raise ValueError(f"{keyword} of the DICOM file has {len(values)} entries for {frames} frames; export the image again")
    return values


def counts(header: Dataset) -> np.ndarray:
    """Counts of all frames, ``(frame, row, column)``.

    Raises:
        ValueError: The pixels were compressed with loss, or cannot be decoded.
    """
    if str(header.get("LossyImageCompression", "00")) == "01":
        raise ValueError("the DICOM image was compressed with loss, so its values are no longer counts; export it uncompressed")
    try:
        pixels = header.pixel_array
    except (AttributeError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ValueError("the pixels of the DICOM image cannot be decoded; export it uncompressed (explicit VR little endian)") from error
    slope, intercept = float(header.get("RescaleSlope", 1.0)), float(header.get("RescaleIntercept", 0.0))
    return (pixels * slope + intercept).reshape(-1, header.Rows, header.Columns)


def listed(value: object) -> list:
    """A header value as a list, empty where it is missing."""
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def _limits(item: Dataset) -> list[tuple[float, float]]:
    """Ranges of one energy window [keV]."""
    ranges = item.get("EnergyWindowRangeSequence") or []
    pairs = [(r.get("EnergyWindowLowerLimit"), r.get("EnergyWindowUpperLimit")) for r in ranges]
    return [(float(low), float(high)) for low, high in pairs if low is not None and high is not None]


def _line_kev(nuclide: str, energy_kev: float | None) -> float:
    """The line asked for, or the usual one [keV]."""
    known = Radionuclide.from_name(nuclide)
    return known.imaging_energy_kev if energy_kev is None else known.photon_near(energy_kev).energy_kev


def _nuclide(text: str) -> str | None:
    """Library name of the radionuclide that a text such as ``^177^Lutetium`` or ``Lu177 DOTATATE`` speaks of."""
    folded = text.lower().replace("^", "").replace("-", "").replace(" ", "")
    for long, short in ELEMENTS.items():
        folded = folded.replace(long, short)
    for nuclide in RADIONUCLIDES:
        symbol, mass = nuclide.name.lower().split("-")
        if re.search(rf"(?<!\d){mass}{symbol}|(?<![a-z]){symbol}{mass}(?![\dm])", folded):
            return nuclide.name
    return None


def _words(text: str) -> set[str]:
    """Words in capitals, split at anything that is no letter."""
    return set(re.split(r"[^A-Z]+", text.upper())) - {""}
