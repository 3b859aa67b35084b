"""Outlined structures as masks, and one label map of them all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from planar3d.anatomy.space import Space

__all__ = ["Outline", "OutlineFile", "paint"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """Voxels of one structure within a box, which saves the memory of the rest.

    Attributes:
        corner: First voxel of the box along the axes of the image.
        mask: Which voxels of the box belong to it, ``(u, v, w)``.
    """

    corner: tuple[int, int, int]
    mask: np.ndarray

    @classmethod
    def within(cls, corner: tuple[int, int, int], mask: np.ndarray, shape: tuple[int, int, int]) -> Outline:
        """An outline less what lies beyond the image.

        Args:
            corner: Of the mask; may lie beyond the image.
            mask: Voxels of the structure, ``(u, v, w)``.
            shape: Voxels of the image.
        """
        low = [max(0, -c) for c in corner]
        high = [max(start, min(m, n - c)) for start, m, n, c in zip(low, mask.shape, shape, corner, strict=True)]
        x, y, z = (c + start for c, start in zip(corner, low, strict=True))
        return cls(corner=(x, y, z), mask=mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])

    @property
    def voxels(self) -> int:
        """How many it has."""
        return int(self.mask.sum())


@runtime_checkable
class OutlineFile(Protocol):
    """A file of outlined structures, of which names can be had before masks are made."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the structures, in the order of the file; may hold anything that was typed in, and are not for files that planar3d writes."""
        ...

    @property
    def other_names(self) -> tuple[tuple[str, ...], ...]:
        """What else tells of each structure what it is."""
        ...

    def outlines(self, wanted: set[int], space: Space) -> dict[int, Outline]:
        """Structures by their number in `names`.

        Args:
            wanted: Which of them.
            space: Voxels of the CT.

        Raises:
            ValueError: They are not outlined on this CT, or the file is damaged.
        """
        ...


def paint(outlines: Mapping[int, Outline], shape: tuple[int, int, int], *, beneath: set[int]) -> np.ndarray:
    """Label map of structures that may overlap: the smaller lies on top, as a lesion does in its organ.

    Args:
        outlines: Structures by number.
        shape: Voxels of the image.
        beneath: Numbers of those that are no organs, which lie under all others whatever their size.

    Returns:
        Number of the structure plus 1 in each voxel, 0 where there is none, int32.
    """
    labels = np.zeros(shape, dtype=np.int32)
    order = sorted(outlines, key=lambda number: (number not in beneath, -outlines[number].voxels))
    for number in order:
        outline = outlines[number]
        if math.prod(outline.mask.shape):
            window = tuple(slice(c, c + n) for c, n in zip(outline.corner, outline.mask.shape, strict=True))
            labels[window][outline.mask] = number + 1
    return labels
