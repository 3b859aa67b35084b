"""Structures of a DICOM RT structure set: contours in the planes of a CT's slices, or in planes across them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from planar3d.anatomy.contour_stack import fill_stack, planes_of
from planar3d.anatomy.outline import Outline
from planar3d.anatomy.space import LPS_TO_RAS, Space
from planar3d.dicom_files import damage, quietly

__all__ = ["RTSTRUCT_CLASS", "StructureSet"]

RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
REGIONS = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")  # points and open lines enclose nothing
FLAT = 0.2  # voxels by which a contour may leave its plane
OUTSIDE = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class StructureSet:
    """A structure set.

    Attributes:
        source: What to call it in messages.
        names: Of the structures that have closed contours.
        contours: Corners of the contours of each structure, ``(n, 3)`` in RAS+ [mm].
        frames: Frame of reference of each structure, where the file says.
    """

    source: str
    names: tuple[str, ...]
    contours: tuple[tuple[np.ndarray, ...], ...]
    frames: tuple[str | None, ...]

    @classmethod
    def open(cls, path: Path) -> StructureSet:
        """Read a file; structures without a closed contour are passed over.

        Raises:
            ValueError: It is damaged.
        """
        from pydicom import dcmread

        source = f"labels {path}"
        with quietly():
            try:
                content = dcmread(path)
                drawn = {int(item.ReferencedROINumber): _contours(item) for item in content.get("ROIContourSequence") or []}
                rois = [roi for roi in content.get("StructureSetROISequence") or [] if drawn.get(int(roi.ROINumber))]
                names = tuple(str(roi.get("ROIName") or "") for roi in rois)
                frames = tuple(str(roi.get("ReferencedFrameOfReferenceUID") or "") or None for roi in rois)
            except damage() as error:
                raise ValueError(f"{source} cannot be read as a DICOM RT structure set; export it again") from error
        return cls(source=source, names=names, contours=tuple(drawn[int(roi.ROINumber)] for roi in rois), frames=frames)

    @property
    def other_names(self) -> tuple[tuple[str, ...], ...]:
        """None: a structure set has its names alone."""
        return ((),) * len(self.names)

    def outlines(self, wanted: set[int], space: Space) -> dict[int, Outline]:
        """Structures by their place in `names`; see `planar3d.anatomy.outline.OutlineFile`."""
        to_index = np.linalg.inv(space.affine)
        placed = {k: [c @ to_index[:3, :3].T + to_index[:3, 3] for c in self.contours[k]] for k in sorted(wanted)}
        for k in placed:
            space.require_frame(self.frames[k], self.source)
        self._require_inside([c for contours in placed.values() for c in contours], space)
        return {k: self._outline(contours, space) for k, contours in placed.items()}

    def _require_inside(self, contours: list[np.ndarray], space: Space) -> None:
        """Raise if contours lie beyond the CT, on which they were then not drawn."""
        if not contours:
            return
        points = np.concatenate(contours)
        outside = float(((points < -1) | (points > np.array(space.shape))).any(axis=1).mean())
        if outside > OUTSIDE:
            raise ValueError(
                f"{self.source} lies outside the ct with {100 * outside:.0f} % of its contour points; give the CT that it was drawn on"
            )

    def _outline(self, contours: list[np.ndarray], space: Space) -> Outline:
        """Voxels of one structure.

        Args:
            contours: In voxels of the CT.
            space: The CT.
        """
        leaving = np.max([np.ptp(c, axis=0) for c in contours], axis=0)
        across = 2 - int(np.argmin(leaving[::-1]))  # the slices of a DICOM CT where all are alike
        if leaving[across] > FLAT:
            raise ValueError(
                f"{self.source} has contours that do not lie in planes of the ct's voxels; export it with contours on the slices of the CT"
            )
        pixels = [a for a in range(3) if a != across]
        points = np.concatenate(contours)[:, pixels]
        low = np.maximum(np.floor(points.min(axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(points.max(axis=0)).astype(int), np.array(space.shape)[pixels] - 1)
        shape = (max(1, int(high[0] - low[0]) + 1), max(1, int(high[1] - low[1]) + 1))
        planes = planes_of([float(c[:, across].mean()) for c in contours], [c[:, pixels] - low for c in contours])
        first, mask = fill_stack(planes, shape, (space.spacing_mm[pixels[0]], space.spacing_mm[pixels[1]]))
        corner = [0, 0, 0]
        corner[across], corner[pixels[0]], corner[pixels[1]] = first, int(low[0]), int(low[1])
        return Outline.within((corner[0], corner[1], corner[2]), np.moveaxis(mask, 2, across), space.shape)


def _contours(item: Any) -> tuple[np.ndarray, ...]:
    """Closed contours of a structure in RAS+ [mm]."""
    found = []
    for contour in item.get("ContourSequence") or []:
        if str(contour.get("ContourGeometricType", "")) in REGIONS:
            points = _numbers(contour).reshape(-1, 3)
            found += [points @ LPS_TO_RAS[:3, :3]] if len(points) else []
    return tuple(found)


def _numbers(contour: Any) -> np.ndarray:
    """Contour Data; read at once, for it may have millions of numbers."""
    element = contour.get_item("ContourData")
    if element is None or element.value is None:
        return np.empty(0)
    if isinstance(element.value, bytes):
        return np.array(element.value.strip(b" \0").split(b"\\"), dtype="S").astype(np.float64)
    return np.asarray(contour.ContourData, dtype=np.float64)
