"""Object scatter: photons that scatter in the patient and still fall into the energy window.

A source under d mm of water-equivalent tissue adds to its unscattered image a scattered one of relative strength ``R(d)``, which is
spread out as two Gaussians whose widths grow with depth:

``R(d) = r_0 + d (r_1 + r_2 d + r_3 d^2)``,  ``share_n G(s_n(d)^2) + (1 - share_n) G(s_w(d)^2)``,  ``s(d) = a_0 + a_1 d + a_2 d^2``.

Photons of the line imaged are one such kernel; down-scatter from higher lines of the same radionuclide is another, which does not vanish at
the surface, as it comes from behind the source too: ``r_0`` counts as far as there is tissue, ``1 - exp(-t / l)`` of it where the patient
is t mm of water thick along the line of sight. What was counted in a side window is the same model with other figures. All are
fitted to a Monte Carlo in water, per line and window (``experiments/03_object_scatter``).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import torch
from torch import Tensor

from planar3d.radionuclide import Radionuclide

__all__ = ["WINDOWS", "ObjectScatter", "ScatterKernel"]

WINDOWS = ("peak", "lower", "upper")
DEEPEST_MM = 300.0
"""The fits reach to 280 mm; deeper sources scatter as at this depth."""
BEHIND_MM = 40.0
"""The length l: a photon that comes back through tissue has passed it twice, and its mean free path is 60 to 90 mm."""


@dataclass(frozen=True, kw_only=True)
class ScatterKernel:
    """Strength and shape of scatter against depth.

    Attributes:
        ratio_per_mm: Coefficients ``r_1, r_2, r_3`` of the scatter-to-primary ratio [1/mm, 1/mm^2, 1/mm^3].
        narrow_share: Share of the narrow Gaussian.
        sigma_narrow: Coefficients ``a_1, a_2`` of its standard deviation [mm/mm, mm/mm^2].
        sigma_wide: The same of the wide Gaussian.
        ratio_at_surface: ``r_0``.
        sigma_at_surface_mm: ``a_0`` of the narrow and of the wide Gaussian [mm].
    """

    ratio_per_mm: tuple[float, float, float]
    narrow_share: float
    sigma_narrow: tuple[float, float]
    sigma_wide: tuple[float, float]
    ratio_at_surface: float = 0.0
    sigma_at_surface_mm: tuple[float, float] = (0.0, 0.0)

    def ratio(self, depth_mm: Tensor) -> Tensor:
        """Scattered counts relative to unscattered ones of the photopeak window, of a source at a depth in a thick patient [mm]."""
        return self.ratio_at_surface + self.ratio_in_front(depth_mm)

    def ratio_in_front(self, depth_mm: Tensor) -> Tensor:
        """The part of `ratio` that tissue in front of the source makes."""
        d = depth_mm.clamp(0.0, DEEPEST_MM)
        r1, r2, r3 = self.ratio_per_mm
        return d * (r1 + d * (r2 + d * r3))

    def shapes(self, depth_mm: Tensor) -> list[tuple[float, Tensor]]:
        """Share and variance [mm^2] of both Gaussians of a source at a depth [mm]."""
        d = depth_mm.clamp(0.0, DEEPEST_MM)
        shapes = zip(
            (self.narrow_share, 1.0 - self.narrow_share), self.sigma_at_surface_mm, (self.sigma_narrow, self.sigma_wide), strict=True
        )
        return [(share, (a0 + d * (a1 + a2 * d)).square()) for share, a0, (a1, a2) in shapes]


@dataclass(frozen=True, kw_only=True)
class ObjectScatter:
    """What an energy window counts beside unscattered photons of the photopeak.

    Attributes:
        kernels: Scatter of the line imaged, and down-scatter from higher lines.
        primary_share: Unscattered counts in this window relative to those in the photopeak window; 1 for the photopeak window.
    """

    kernels: tuple[ScatterKernel, ...]
    primary_share: float = 1.0

    @classmethod
    def in_window(cls, isotope: str, energy_kev: float, window: str = "peak", *, downscatter: bool = True) -> ObjectScatter:
        """Scatter of a line in one of its energy windows (`planar3d.physics.energy_window`).

        Args:
            isotope: Radionuclide, as in ``"Lu-177"``.
            energy_kev: Its line, within a few keV [keV].
            window: ``"peak"``, or ``"lower"`` or ``"upper"`` beside it.
            downscatter: Whether to count photons of higher lines too.

        Raises:
            ValueError: The line or the window is not known.
        """
        entry = _entry(isotope, energy_kev, window)
        kernels = [_kernel(entry)]
        if downscatter and "downscatter" in entry:
            kernels.append(_kernel(entry["downscatter"]))
        return cls(kernels=tuple(kernels), primary_share=entry["primary"])

    def ratio(self, depth_mm: Tensor) -> Tensor:
        """Scattered counts relative to unscattered ones of the photopeak window, of a source at a depth [mm]."""
        return torch.stack([kernel.ratio(depth_mm) for kernel in self.kernels]).sum(dim=0)

    def components(self, depth_mm: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Strength by tissue in front, by tissue all around, and variance [mm^2], of every Gaussian of a source at a depth [mm]."""
        return [
            (share * kernel.ratio_in_front(depth_mm), share * torch.full_like(depth_mm, kernel.ratio_at_surface), variance)
            for kernel in self.kernels
            for share, variance in kernel.shapes(depth_mm)
        ]


@lru_cache
def _table() -> dict:
    """The fitted kernels shipped with the package, by line and window."""
    return json.loads(resources.files("planar3d.physics").joinpath("object_scatter.json").read_text(encoding="utf-8"))


def _entry(isotope: str, energy_kev: float, window: str) -> dict:
    """What the table holds of a line in a window."""
    if window not in WINDOWS:
        raise ValueError(f"window {window!r} is not known; known are {', '.join(WINDOWS)}")
    nuclide = Radionuclide.from_name(isotope)
    line_kev = nuclide.photon_near(energy_kev).energy_kev
    names = [f"{nuclide.name}/{kev}" for kev in (math.floor(line_kev), math.ceil(line_kev))]
    return next(_table()[name] for name in names if name in _table())[window]


def _kernel(entry: dict) -> ScatterKernel:
    """A kernel as the table holds it."""
    return ScatterKernel(
        ratio_per_mm=tuple(entry["ratio_per_mm"]),
        narrow_share=entry["narrow_share"],
        sigma_narrow=tuple(entry["sigma_narrow"]),
        sigma_wide=tuple(entry["sigma_wide"]),
        ratio_at_surface=entry["ratio_at_surface"],
        sigma_at_surface_mm=tuple(entry["sigma_at_surface_mm"]),
    )
