"""Acquisitions of one patient on common pixels, so that their counts can be compared pixel by pixel.

Images that lie differently before the CT are shifted by less than half a pixel onto the lattice of the first one and cut to what all of
them show. Counts stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from planar3d.io.planar_image import PlanarImage

__all__ = ["on_common_pixels"]


def on_common_pixels(images: Sequence[PlanarImage]) -> list[PlanarImage]:
    """The same acquisitions with one origin, pixel size and number of pixels.

    Args:
        images: Acquisitions whose place before the CT is known.

    Raises:
        ValueError: Pixels differ in size, or there is nothing that all images show.
    """
    first = images[0]
    for i, image in enumerate(images[1:], start=2):
        if any(abs(a - b) > 1e-3 * b for a, b in zip(image.pixel_mm, first.pixel_mm, strict=True)):
            raise ValueError(
                f"images lie on different grids: pixels of image {i} are {image.pixel_mm} mm and those of image 1 {first.pixel_mm} mm; "
                f"give images of one pixel size"
            )
    shifts = [[round((o - f) / p) for o, f, p in zip(i.origin_mm, first.origin_mm, first.pixel_mm, strict=True)] for i in images]
    windows = []
    for axis in (0, 1):
        low = max(s[axis] for s in shifts)
        high = min(s[axis] + image.views.shape[2 + axis] for s, image in zip(shifts, images, strict=True))
        if high <= low:
            raise ValueError(f"images lie on different grids: along {'xz'[axis]} no part of the patient is in all of them; check origin_mm")
        windows.append((low, high))
    origin = (first.origin_mm[0] + windows[0][0] * first.pixel_mm[0], first.origin_mm[1] + windows[1][0] * first.pixel_mm[1])
    return [_cut(image, shift, windows, origin, first.pixel_mm) for image, shift in zip(images, shifts, strict=True)]


def _cut(
    image: PlanarImage, shift: Sequence[int], windows: Sequence[tuple[int, int]], origin: tuple[float, float], pixel: tuple[float, float]
) -> PlanarImage:
    """The part of an image within windows counted in pixels of the first one."""
    x, z = (slice(low - s, high - s) for (low, high), s in zip(windows, shift, strict=True))

    def part(views: Tensor | None) -> Tensor | None:
        return None if views is None else views[:, :, x, z]

    return replace(
        image,
        views=image.views[:, :, x, z],
        lower_views=part(image.lower_views),
        upper_views=part(image.upper_views),
        origin_mm=origin,
        pixel_mm=pixel,
    )
