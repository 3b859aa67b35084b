"""Uneven uptake inside organs.

The concentration of an organ is multiplied by ``e^(a g)``, normalised so that the organ's total stays as drawn, with

    g = sigma (sqrt(f) z_fine + sqrt(1 - f) z_coarse)     smooth random fields of two correlation lengths
      + segments tanh(3 z_coarse)                         bowel: filled loops beside empty ones
      + axial z_axial(z)                                  marrow: from vertebra to vertebra
      - core (2 m - 1)                                    kidney: cortex above pelvis; m is the blurred organ mask, one deep inside
      + layer h (y - y_0) / 50 mm                         bladder, gall bladder: activity settles or floats, h standard normal
      + proximal (z - x) / (sqrt(2) 100 mm)               small bowel: jejunum, up on the left, above ileum

The coefficients belong to an organ; a, about one, to a patient. All are judgement, set to the looks of SPECT and PET images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace

import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.organs import GROUPS, LESIONS, ORGANS, organ_id
from planar3d.phantom.gaussian import blur, centred_axis
from planar3d.phantom.random_field import RandomField
from planar3d.phantom.record import TensorRecord
from planar3d.shapes import LabelMap, Volume

__all__ = ["Texture", "TextureRecord", "Unevenness"]

_LAYER_MM = 50.0
_PROXIMAL_MM = 141.0
_CORTEX_MM = 7.0


@dataclass(frozen=True, kw_only=True)
class Unevenness:
    """Coefficients of g for an organ; see the module's equation.

    Attributes:
        sigma: Standard deviation of the smooth part.
        fine: Share f of it with the short correlation length.
        segments: Height of filled segments.
        axial: Standard deviation of the part that varies along z alone.
        core: How much less the inside holds than the surface.
        layer: Standard deviation of the gradient along y.
        proximal: Gradient from the lower right to the upper left.
    """

    sigma: float = 0.25
    fine: float = 0.5
    segments: float = 0.0
    axial: float = 0.0
    core: float = 0.0
    layer: float = 0.0
    proximal: float = 0.0


UNEVENNESS: dict[str, Unevenness] = {
    "background": Unevenness(sigma=0.0),
    "liver": Unevenness(sigma=0.12),
    "spleen": Unevenness(sigma=0.12),
    **dict.fromkeys(GROUPS["kidneys"], Unevenness(sigma=0.15, fine=0.7, core=0.9)),
    "stomach": Unevenness(sigma=0.4),
    "duodenum": Unevenness(sigma=0.5, fine=0.7, segments=0.4),
    "small_bowel": Unevenness(sigma=0.6, fine=0.7, segments=0.7),
    "colon": Unevenness(sigma=0.5, fine=0.5, segments=0.9),
    "urinary_bladder": Unevenness(sigma=0.05, layer=0.4),
    "heart": Unevenness(sigma=0.15),
    **dict.fromkeys(("spine", "pelvis"), Unevenness(sigma=0.25, axial=0.25)),
    **dict.fromkeys(("ribs", "limb_bones", "skull"), Unevenness(sigma=0.35, axial=0.15)),
    **dict.fromkeys(("body", "muscle", "fat"), Unevenness(sigma=0.35, fine=0.4)),
    "mucosa": Unevenness(sigma=0.5),
    **dict.fromkeys(LESIONS, Unevenness(sigma=0.3, fine=1.0)),
}
"""Coefficients by organ; those not named have the defaults of `Unevenness`."""


@dataclass(frozen=True, kw_only=True)
class TextureRecord(TensorRecord):
    """What was drawn for the texture.

    Attributes:
        fine: White noise, ``(b, 1, i, j, k)``.
        coarse: The same for the longer correlation length.
        axial: White noise along z, ``(b, nodes)``.
        layer: Gradient h, ``(b,)``.
        amplitude: Factor a, ``(b,)``.
    """

    fine: Tensor
    coarse: Tensor
    axial: Tensor
    layer: Tensor
    amplitude: Tensor


class Texture:
    """Smooth, mean-preserving texture by organ.

    Args:
        strength: Factor on all coefficients; 0 makes every organ uniform.
        strength_range: Relative range of that factor between patients: uniform in ``strength * (1 +- strength_range)``.
        fine_mm: Short correlation length [mm].
        coarse_mm: Long correlation length [mm].
        organs: Coefficients of `Unevenness` by organ, in place of those of `UNEVENNESS`.
    """

    def __init__(
        self,
        *,
        strength: float = 1.0,
        strength_range: float = 0.4,
        fine_mm: float = 12.0,
        coarse_mm: float = 28.0,
        organs: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        if not strength >= 0:
            raise ValueError(f"strength must be zero or more, got {strength}")
        self.strength = strength
        self.strength_range = strength_range
        self.fine = RandomField(correlation_mm=fine_mm, lattice=(44, 32, 56))
        self.coarse = RandomField(correlation_mm=coarse_mm, lattice=(28, 20, 36))
        chosen = dict(UNEVENNESS)
        for name, changes in (organs or {}).items():
            organ_id(name)  # refuses a name that is not known
            chosen[name] = replace(chosen.get(name, Unevenness()), **changes)
        self._coefficients = torch.tensor([astuple(chosen.get(name, Unevenness())) for name in ORGANS])
        self._has_proximal = any(unevenness.proximal for unevenness in chosen.values())

    def draw(self, generator: torch.Generator) -> TextureRecord:
        """The texture of one sample."""
        return TextureRecord(
            fine=self.fine.draw(generator),
            coarse=self.coarse.draw(generator),
            axial=torch.randn(self.fine.lattice[2], generator=generator),
            layer=torch.randn((), generator=generator),
            amplitude=self.strength * (1.0 + self.strength_range * (2.0 * torch.rand((), generator=generator) - 1.0)),
        )

    def render(self, record: TextureRecord, labels: LabelMap, grid: Grid) -> Volume:
        """Factor on the concentration, ``(b, 1, x, y, z)``, of mean one in every organ.

        Args:
            record: What `draw` gave, batched, on the device of ``labels``.
            labels: Organ ids, ``(b, 1, x, y, z)``.
            grid: Grid of the labels.
        """
        fine = self.fine.render(record.fine, grid)
        coarse = self.coarse.render(record.coarse, grid)
        along_z = record.axial @ self.fine.axis_weights(centred_axis(grid, 2, fine), 2).T
        x, y, z = (centred_axis(grid, axis, fine) for axis in range(3))
        table = self._coefficients.to(fine)
        sigma, share, segments, axial, core, layer, proximal = table.unbind(dim=1)
        deep = 2.0 * blur((core > 0).to(fine.dtype)[labels], _CORTEX_MM, grid) - 1.0
        exponent = (
            (sigma * share.sqrt())[labels] * fine
            + (sigma * (1.0 - share).sqrt())[labels] * coarse
            + segments[labels] * torch.tanh(3.0 * coarse)
            + axial[labels] * along_z[:, None, None, None, :]
            - core[labels] * deep
            + layer[labels] * (record.layer.view(-1, 1, 1, 1, 1) * y[:, None] / _LAYER_MM)
        )
        if self._has_proximal:
            exponent = exponent + proximal[labels] * ((z - x[:, None, None]) / _PROXIMAL_MM)
        factor = torch.exp(record.amplitude.view(-1, 1, 1, 1, 1) * exponent)
        return factor / organ_mean(factor, labels)


def organ_mean(values: Volume, labels: LabelMap) -> Volume:
    """Mean of a volume over the organ that each voxel belongs to, ``(b, 1, x, y, z)``."""
    flat = labels.flatten(1)
    total = values.new_zeros(len(flat), len(ORGANS), dtype=torch.float64)
    count = torch.zeros_like(total)
    total.scatter_add_(1, flat, values.flatten(1).double())
    count.scatter_add_(1, flat, torch.ones_like(flat, dtype=torch.float64))
    mean = (total / count.clamp_min(1.0)).to(values.dtype)
    return mean.gather(1, flat).view_as(values)
