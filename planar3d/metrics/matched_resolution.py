"""How near an estimate is to a blurrier reference, once it is as blurred.

A SPECT does not resolve what an estimate made with organ masks does, so the two are compared after an isotropic Gaussian blur of the
estimate. Its width belongs to the method, not to the case: of a list of widths, the one whose mean NMAE over all cases is least,

``sigma = argmin_s mean_k NMAE(G_s x_k, r_k)``.

One width for all cases keeps a method from gaining by a blur of its own in each. The figures at every width are kept case by case,
so that no volume need be kept until the last case is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.grid import Grid
from planar3d.metrics.image import nmae, ssim3d
from planar3d.phantom.gaussian import blur
from planar3d.shapes import BodyMask, Volume

__all__ = ["WIDTHS_MM", "BlurredComparison", "compare_blurred", "fitted_width"]

WIDTHS_MM = tuple(float(w) for w in range(0, 22, 2))
"""Standard deviations tried; a SPECT behind a high-energy collimator is not as wide as the last [mm]."""


@dataclass(frozen=True, kw_only=True)
class BlurredComparison:
    """Figures of every case at every width.

    Attributes:
        widths_mm: Standard deviations of the blur [mm].
        nmae: ``(b, width)``.
        ssim: Over the whole volume, ``(b, width)``.
        ssim_body: Over the body, ``(b, width)``.
    """

    widths_mm: tuple[float, ...]
    nmae: Float[Tensor, "b width"]
    ssim: Float[Tensor, "b width"]
    ssim_body: Float[Tensor, "b width"]

    def rows(self, k: int) -> list[dict[str, float]]:
        """The figures of case k, one row per width."""
        columns = (torch.tensor(self.widths_mm), self.nmae[k], self.ssim[k], self.ssim_body[k])
        names = ("width_mm", "nmae", "ssim", "ssim_body")
        return [dict(zip(names, row, strict=True)) for row in zip(*(c.tolist() for c in columns), strict=True)]


def compare_blurred(
    estimate: Volume, reference: Volume, body: BodyMask, grid: Grid, widths_mm: Sequence[float] = WIDTHS_MM
) -> BlurredComparison:
    """Compare estimates with references at several widths of blur.

    Args:
        estimate: Activity maps, ``(b, 1, x, y, z)``.
        reference: Those they are compared with, not empty, ``(b, 1, x, y, z)``.
        body: Where ``ssim_body`` is averaged, ``(b, 1, x, y, z)``.
        grid: Where they lie.
        widths_mm: Standard deviations of the blur [mm]; 0 for none.
    """
    if not widths_mm or min(widths_mm) < 0:
        raise ValueError(f"widths_mm must hold one or more standard deviations, none negative, got {tuple(widths_mm)}")
    figures: list[tuple[Tensor, Tensor, Tensor]] = []
    for width in widths_mm:
        blurred = estimate if width == 0 else blur(estimate, width, grid)
        figures.append((nmae(blurred, reference), ssim3d(blurred, reference), ssim3d(blurred, reference, body)))
    columns = [torch.stack(column, dim=1) for column in zip(*figures, strict=True)]
    return BlurredComparison(widths_mm=tuple(widths_mm), nmae=columns[0], ssim=columns[1], ssim_body=columns[2])


def fitted_width(widths_mm: Sequence[float], errors: Sequence[float]) -> float:
    """The width whose mean error over the cases is least [mm]; the smaller of two that are even.

    Args:
        widths_mm: Width of each entry of ``errors`` [mm].
        errors: NMAE of one case at one width each; every case at every width.
    """
    if not errors or len(errors) != len(widths_mm):
        raise ValueError(f"errors must hold one figure per width given, {len(widths_mm)} and at least one, got {len(errors)}")
    found: dict[float, list[float]] = {}
    for width, error in zip(widths_mm, errors, strict=True):
        found.setdefault(width, []).append(error)
    return min(sorted(found), key=lambda width: sum(found[width]) / len(found[width]))
