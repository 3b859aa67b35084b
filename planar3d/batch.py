"""What a model trains and is tested on: phantoms, their images and the anatomy that goes with them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch

from planar3d.shapes import LabelMap, ViewPair, Volume

__all__ = ["Batch"]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Imaged activity and what a method is given to estimate it, all on one working grid.

    The anatomy given (`mu_map`, `labels`) is that of the CT; the one imaged (`activity`, `imaged_labels`) may have moved.

    Attributes:
        activity: The truth, in the position imaged, ``(b, 1, x, y, z)`` [Bq/mL].
        views: Counts measured, ``(b, view, x, z)``.
        mu_map: Linear attenuation at the imaging energy as given, ``(b, 1, x, y, z)`` [1/mm].
        labels: Organ ids as given, ``(b, 1, x, y, z)``.
        imaged_labels: Organ ids in the position imaged, lesions included, ``(b, 1, x, y, z)``; for evaluation alone.
    """

    activity: Volume
    views: ViewPair
    mu_map: Volume
    labels: LabelMap
    imaged_labels: LabelMap

    def __len__(self) -> int:
        return self.activity.shape[0]

    def __getitem__(self, index: slice) -> Batch:
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})
