"""Which frame of a DICOM NM file is which view, and how it lies in the patient.

Convention: DICOM's patient axes are LPS. The image of an anterior camera has the patient's right on its left, so its rows run toward
the patient's left ``(1, 0, 0)`` and its columns from head to feet ``(0, 0, -1)``; their cross product is the direction of sight,
toward posterior ``(0, 1, 0)``. The rows of a posterior camera run toward the right and it looks toward anterior. An image
that its header calls anterior and whose axes look toward anterior is mirrored or swapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Placement", "frame_placement", "named_view"]

VIEW_CODES = {
    "399321004": "anterior", "255549009": "anterior", "G-5215": "anterior", "R-404CC": "anterior",
    "399001007": "posterior", "255551008": "posterior", "G-5216": "posterior", "R-404CE": "posterior",
}  # fmt: skip
"""SNOMED CT codes, and their older SNOMED-RT forms, of DICOM context group 26 (projections of nuclear medicine) and of plain sides."""

ROWS_OF_VIEW = {"anterior": (1.0, 0.0, 0.0), "posterior": (-1.0, 0.0, 0.0)}
HEAD_TO_FEET = (0.0, 0.0, -1.0)
LETTERS = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "H": (0, 0, 1), "F": (0, 0, -1)}
ALIGNED = 0.9  # least direction cosine along a patient axis


@dataclass(frozen=True, kw_only=True)
class Placement:
    """How one frame lies in the patient.

    Attributes:
        view: ``"anterior"`` or ``"posterior"``; None where the header does not say.
        rows_to_right: Whether the column index grows toward the patient's right; None where the header does not say.
        columns_to_head: Whether the row index grows toward the head.
        first_pixel_mm: x (right) and z (head) of the centre of the first pixel [mm]; None where the header does not say.
    """

    view: str | None
    rows_to_right: bool | None
    columns_to_head: bool
    first_pixel_mm: tuple[float, float] | None


def frame_placement(header: Dataset, detector: int, *, first: bool, single: bool, source: str) -> Placement:
    """Placement of the frame of one detector.

    Args:
        header: The file.
        detector: Its number in the detector vector, from 1.
        first: Whether the frame is the first of the file, which is the one that Patient Orientation describes.
        single: Whether the file has one view only, so that Image ID and the descriptions speak of this one.
        source: Name of the frame for messages.

    Raises:
        ValueError: The header contradicts itself, or the view is neither anterior nor posterior.
    """
    items = header.get("DetectorInformationSequence") or []
    item = items[detector - 1] if 0 < detector <= len(items) else None
    axes = _axes(header, item, first)
    names = dict(_names(header, item, single))
    if axes is not None:
        names["its orientation"] = _looks_from(axes, source)
    if len(set(names.values())) > 1:
        told = ", ".join(f"{where} says {view}" for where, view in names.items())
        raise ValueError(f"the views in {source} are swapped or mirrored: {told}; export the image again or correct the header")
    return Placement(
        view=next(iter(names.values()), None),
        rows_to_right=None if axes is None else bool(axes[0][0] < 0),
        columns_to_head=False if axes is None else bool(axes[1][2] > 0),
        first_pixel_mm=None if axes is None else _first_pixel(item),
    )


def named_view(text: str) -> str | None:
    """The view that a free text speaks of, None if none or both."""
    words = text.upper().replace("_", " ").replace("-", " ").replace("/", " ").split()
    anterior = any(w in ("ANT", "ANTERIOR", "VENTRAL") for w in words)
    posterior = any(w in ("POST", "POSTERIOR", "DORSAL", "POS") for w in words)
    return None if anterior == posterior else ("anterior" if anterior else "posterior")


def _names(header: Dataset, item: Dataset | None, single: bool) -> list[tuple[str, str]]:
    """Where the header names the view of a frame, and the name; descriptions only where nothing better is there."""
    found = []
    for where, holder in (("the view code", item), ("the view code", header if single else None)):
        for code in (holder.get("ViewCodeSequence") or [])[:1] if holder is not None else []:
            view = VIEW_CODES.get(str(code.get("CodeValue", ""))) or named_view(str(code.get("CodeMeaning", "")))
            found += [(where, view)] if view else []
    if single:
        fields = [("Image ID", "ImageID"), ("Series Description", "SeriesDescription")]
        texts = [(label, named_view(_text(header, keyword))) for label, keyword in fields]
        told = [(label, view) for label, view in texts if view]
        found += told[:1]
    return found


def _axes(header: Dataset, item: Dataset | None, first: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """Directions of rows and columns in the patient (LPS)."""
    cosines = item.get("ImageOrientationPatient") if item is not None else None
    cosines = cosines or header.get("ImageOrientationPatient")
    if cosines is not None and len(cosines) == 6:
        values = np.array([float(c) for c in cosines])
        return values[:3], values[3:]
    letters = header.get("PatientOrientation")
    if first and letters is not None and len(letters) == 2 and all(str(c)[:1] in LETTERS for c in letters):
        rows, columns = (np.array(LETTERS[str(c)[0]], dtype=float) for c in letters)
        return rows, columns
    return None


def _looks_from(axes: tuple[np.ndarray, np.ndarray], source: str) -> str:
    """The side that a camera with these image axes stands on."""
    rows, columns = axes
    if abs(rows[0]) < ALIGNED or abs(columns[2]) < ALIGNED:
        raise ValueError(
            f"{source} has image axes {[round(float(v), 2) for v in (*rows, *columns)]}, which are those of neither an anterior nor a "
            "posterior view; give two opposed views with rows across the patient"
        )
    return "anterior" if np.cross(rows, columns)[1] > 0 else "posterior"


def _first_pixel(item: Dataset | None) -> tuple[float, float] | None:
    """Centre of the first pixel, x and z in RAS [mm]."""
    position: Any = item.get("ImagePositionPatient") if item is not None else None
    return None if position is None or len(position) != 3 else (-float(position[0]), float(position[2]))


def _text(header: Dataset, keyword: str) -> str:
    """A header field as text, empty where it is missing."""
    value = header.get(keyword)
    return "" if value is None else str(value)
