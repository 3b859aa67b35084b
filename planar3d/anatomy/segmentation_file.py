"""Segments of a DICOM SEG file, which lie on the voxels of the CT or of some of its slices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from planar3d.anatomy.outline import Outline
from planar3d.anatomy.space import LPS_TO_RAS, Space
from planar3d.dicom_files import damage, quietly

__all__ = ["SEG_CLASSES", "SegmentationFile"]

SEG_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # binary or fractional, and label map
TOLERANCE = 0.1  # of a voxel
FRACTION = 0.5  # of a voxel that is in the segment, from which on it belongs to it
OUTSIDE = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentationFile:
    """A SEG file.

    Attributes:
        source: What to call it in messages.
        content: The file as highdicom reads it.
        numbers: Of its segments.
        names: Their labels.
        other_names: What their codes call them.
    """

    source: str
    content: Any
    numbers: tuple[int, ...]
    names: tuple[str, ...]
    other_names: tuple[tuple[str, ...], ...]

    @classmethod
    def open(cls, path: Path) -> SegmentationFile:
        """Read a file.

        Raises:
            ValueError: It is damaged.
        """
        from highdicom.seg import segread

        source = f"labels {path}"
        with quietly():
            try:
                content = segread(path)
                numbers = tuple(int(n) for n in content.segment_numbers)
                described = [content.get_segment_description(n) for n in numbers]
                names = tuple(str(d.segment_label) for d in described)
                other_names = tuple(_by_code(d) for d in described)
            except damage() as error:
                raise ValueError(f"{source} cannot be read as DICOM SEG; export it again") from error
        return cls(source=source, content=content, numbers=numbers, names=names, other_names=other_names)

    def outlines(self, wanted: set[int], space: Space) -> dict[int, Outline]:
        """Segments by their place in `names`; see `planar3d.anatomy.outline.OutlineFile`."""
        space.require_frame(str(self.content.get("FrameOfReferenceUID") or "") or None, self.source)
        found, inside, total = {}, 0, 0
        for index in sorted(wanted):
            mask, affine = self._segment(self.numbers[index])
            total += int(mask.sum())
            found[index] = self._placed(mask, np.linalg.inv(space.affine) @ affine, space.shape)
            inside += found[index].voxels
        if inside < (1.0 - OUTSIDE) * total:
            raise ValueError(
                f"{self.source} lies outside the ct with {100 * (1 - inside / total):.0f} % of its voxels; give the CT that it was drawn on"
            )
        return found

    def _segment(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Mask of one segment ``(slice, row, column)`` and the affine of its voxels in RAS+."""
        with quietly():
            try:
                volume = self.content.get_volume(segment_numbers=[number], combine_segments=False, allow_missing_positions=True)
            except damage() as error:
                raise ValueError(
                    f"{self.source} has segments on no even stack of slices, or pixels that cannot be decoded; export it again on the "
                    f"slices of the ct, uncompressed"
                ) from error
        return volume.array[..., 0] >= FRACTION, LPS_TO_RAS @ volume.affine

    def _placed(self, mask: np.ndarray, to_index: np.ndarray, shape: tuple[int, int, int]) -> Outline:
        """A mask turned to the axes of the CT.

        Args:
            mask: ``(slice, row, column)``.
            to_index: From its indices to those of the CT, ``(4, 4)``.
            shape: Voxels of the CT.
        """
        alone = [a for a in range(3) if mask.shape[a] == 1]
        to_index = to_index.copy()
        to_index[:3, alone] /= np.abs(to_index[:3, alone]).max(axis=0)  # of a single slice no distance to the next is known
        turn, shift = np.rint(to_index[:3, :3]).astype(int), np.rint(to_index[:3, 3]).astype(int)
        beside = np.abs(to_index[:3, :3] - turn) @ (np.array(mask.shape) - 1) + np.abs(to_index[:3, 3] - shift)
        if sorted(np.count_nonzero(turn, axis=0)) != [1, 1, 1] or np.count_nonzero(turn, axis=1).max() > 1 or beside.max() > TOLERANCE:
            raise ValueError(f"{self.source} lies on other voxels than the ct; export it on the slices and pixels of the CT")
        box = _box(mask)
        corner = turn @ np.array([part.start for part in box]) + shift
        axes = np.abs(turn).argmax(axis=0)
        strides = turn[axes, range(3)]
        target = [1, 1, 1]
        for axis, stride, part in zip(axes, strides, box, strict=True):
            target[axis] = abs(stride) * (part.stop - part.start - 1) + 1
            corner[axis] += min(0, stride) * (part.stop - part.start - 1)
        turned = np.zeros(target, dtype=bool)
        # slices that lie between those of the segment, where it has only some, stay empty
        view = turned.transpose(axes)[tuple(slice(None, None, s) for s in strides)]
        view[...] = mask[box]
        x, y, z = (int(c) for c in corner)
        return Outline.within((x, y, z), turned, shape)


def _by_code(description: Any) -> tuple[str, ...]:
    """Other names of a segment: label and coded meaning, each with the coded side, as where both kidneys are called Kidney."""
    code = next(iter(description.get("SegmentedPropertyTypeCodeSequence") or []), {})
    sides = " ".join(str(item.get("CodeMeaning", "")) for item in code.get("SegmentedPropertyTypeModifierCodeSequence") or [])
    names = (str(description.get("SegmentLabel", "")), str(code.get("CodeMeaning", "")))
    return tuple(f"{sides} {name}".strip() for name in names)


def _box(mask: np.ndarray) -> tuple[slice, slice, slice]:
    """Smallest box that holds a mask, one voxel if it is empty."""
    parts = []
    for axis in range(3):
        filled = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        parts.append(slice(int(filled[0]), int(filled[-1]) + 1) if len(filled) else slice(0, 1))
    return parts[0], parts[1], parts[2]
