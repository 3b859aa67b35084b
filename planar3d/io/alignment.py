"""Acquisitions of one patient on common pixels, so that their counts can be compared pixel by pixel.

Images that lie differently before the CT are shifted by less than half a pixel onto the lattice of the first one and cut to what all of
them show. Counts stay what they are. A matrix is often larger than the head that filled it: what lies beyond the field of view holds no
counts, which is not the same as counting none there, and is cut away (`within_field_of_view`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from planar3d.io.planar_image import PlanarImage

__all__ = ["on_common_pixels", "within_field_of_view"]


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
    return [
        replace(
            _part(image, *(slice(low - s, high - s) for (low, high), s in zip(windows, shift, strict=True))),
            origin_mm=origin,
            pixel_mm=first.pixel_mm,
        )
        for image, shift in zip(images, shifts, strict=True)
    ]


def within_field_of_view(image: PlanarImage, *, among: Sequence[PlanarImage] = ()) -> PlanarImage:
    """An acquisition without the outer rows and columns in which neither view has a count.

    Args:
        image: The acquisition; all its pixels stay where they are.
        among: Acquisitions on the same pixels by the same heads, as at other times, whose counts tell the field of view too.
    """
    counted = torch.stack([other.views[0].sum(dim=0) for other in (image, *among)]).sum(dim=0) > 0
    x, z = (counted.any(dim=axis).nonzero().flatten().tolist() for axis in (1, 0))
    kept = slice(x[0], x[-1] + 1), slice(z[0], z[-1] + 1)
    origin = tuple(o + k.start * p for o, k, p in zip(image.origin_mm, kept, image.pixel_mm, strict=True))
    return replace(_part(image, *kept), origin_mm=origin)


def _part(image: PlanarImage, x: slice, z: slice) -> PlanarImage:
    """Some columns and rows of an image, as if they lay where its first ones do."""

    def part(views: Tensor | None) -> Tensor | None:
        return None if views is None else views[:, :, x, z]

    return replace(image, views=image.views[:, :, x, z], lower_views=part(image.lower_views), upper_views=part(image.upper_views))
