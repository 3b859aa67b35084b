"""Where the pixels of a camera lie.

Without a detector of its own a camera takes the voxels' raster as pixels, whatever field of view the head has. With one, pixels may be
larger or smaller than voxels and the field of view ends where the matrix ends; what falls beyond is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from planar3d.physics.raster import Raster

__all__ = ["Detector"]


@dataclass(frozen=True, kw_only=True)
class Detector:
    """A matrix of pixels, centred before the middle of the grid but for an offset.

    Attributes:
        matrix: Number of pixels along u (across the patient) and w (along z).
        pixel_mm: Their edges [mm].
        offset_mm: Place of the matrix' centre along u and w, relative to the middle of the grid [mm].
    """

    matrix: tuple[int, int]
    pixel_mm: tuple[float, float]
    offset_mm: tuple[float, float] = (0.0, 0.0)

    def rasters(self, middle_mm: tuple[float, float]) -> tuple[Raster, Raster]:
        """Pixels along u and w.

        Args:
            middle_mm: Middle of the grid along u and w [mm].
        """
        u, w = (
            Raster(count=n, step_mm=p, centre_mm=m + o)
            for n, p, m, o in zip(self.matrix, self.pixel_mm, middle_mm, self.offset_mm, strict=True)
        )
        return u, w
