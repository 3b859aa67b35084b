"""Where the voxels of an image lie, as its file has them: of any orientation, not yet on a grid of the library."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["LPS_TO_RAS", "Space"]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM's patient coordinates grow to the left and to the back, the library's to the right and to the front."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """Voxels of an image along its own axes.

    Attributes:
        shape: Number of voxels along each axis.
        affine: Index to the centre of a voxel in RAS+ patient coordinates, ``(4, 4)`` float64 [mm].
        frame_of_reference: What DICOM calls the coordinates; None where the file does not say, as in NIfTI. Never shown or written.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    frame_of_reference: str | None = None

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of voxels along each axis [mm]."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    def require_frame(self, other: str | None, source: str) -> None:
        """Raise if outlines are known to be drawn in other coordinates.

        Args:
            other: Frame of reference of the outlines; None where it is not known.
            source: What to call them.
        """
        if other and self.frame_of_reference and other != self.frame_of_reference:
            raise ValueError(
                f"{source} is in another frame of reference than the ct: it was drawn on another scan; give the CT that it was drawn on"
            )
