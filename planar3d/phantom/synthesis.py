"""Phantoms: an anatomy filled with activity as a patient's might be, in the position in which it was imaged.

    labels --(biodistribution)--> organ levels --(texture)--> uneven organs --(deformation)--> position imaged --(blobs, lesions)--> x

`PhantomSynthesizer.draw` makes the record, one generator per seed, on the CPU; `render` is deterministic, batched, and works on the
device of the labels. Blobs and lesions are put into the anatomy as imaged, so that interpolation does not wear small ones away.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Integer
from torch import Tensor

from planar3d.grid import Grid
from planar3d.phantom.biodistribution import Biodistribution
from planar3d.phantom.deformation import Deformation, DeformationRecord
from planar3d.phantom.hot_spot import HotSpots
from planar3d.phantom.lesion import LesionPopulation
from planar3d.phantom.record import TensorRecord
from planar3d.phantom.texture import Texture, TextureRecord
from planar3d.phantom.unlabelled_uptake import UnlabelledRecord, UnlabelledUptake
from planar3d.shapes import LabelMap, Volume

__all__ = ["Phantom", "PhantomRecord", "PhantomSynthesizer"]


@dataclass(frozen=True, kw_only=True)
class PhantomRecord(TensorRecord):
    """What was drawn for a phantom; None for what the synthesiser leaves out.

    Attributes:
        seeds: Seed of each sample, ``(b,)``.
        concentration: Of every organ id, ``(b, organs)`` [Bq/mL].
        texture: Uneven uptake inside organs.
        unlabelled: Uptake that no label explains.
        lesions: Lesions; their concentration is that of the lesion ids.
        deformation: Mismatch between the anatomy given and the one imaged.
    """

    seeds: Tensor
    concentration: Tensor
    texture: TextureRecord | None
    unlabelled: UnlabelledRecord | None
    lesions: HotSpots | None
    deformation: DeformationRecord | None


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """A phantom in the position imaged.

    Attributes:
        activity: ``(b, 1, x, y, z)`` [Bq/mL].
        mu_map: Attenuation in the same position, ``(b, 1, x, y, z)`` [1/mm].
        imaged_labels: Organ ids in the same position, lesions included, ``(b, 1, x, y, z)``.
        record: What it was made from.
    """

    activity: Volume
    mu_map: Volume
    imaged_labels: LabelMap
    record: PhantomRecord


class PhantomSynthesizer:
    """Draws phantoms and renders them in an anatomy.

    Organ levels with a `Deformation` of 2 degrees and 5 mm and nothing else is how the paper varied its phantoms.

    Args:
        biodistribution: Organ levels.
        texture: Uneven uptake inside organs; None for uniform organs.
        lesions: Lesions; None for none but those the label map has.
        deformation: Mismatch with the anatomy given; None for none.
        unlabelled: Uptake outside the labels; None for no more than that of ``body``.
    """

    def __init__(
        self,
        *,
        biodistribution: Biodistribution,
        texture: Texture | None = None,
        lesions: LesionPopulation | None = None,
        deformation: Deformation | None = None,
        unlabelled: UnlabelledUptake | None = None,
    ) -> None:
        self.biodistribution = biodistribution
        self.texture = texture
        self.lesions = lesions
        self.deformation = deformation
        self.unlabelled = unlabelled

    def draw(self, seeds: Integer[Tensor, " b"]) -> PhantomRecord:
        """Draw one phantom per seed; each depends on its own seed alone.

        Args:
            seeds: Not negative, ``(b,)``.
        """
        if seeds.numel() == 0:
            raise ValueError("seeds must hold at least one seed, got none")
        return PhantomRecord.stack([self._draw_one(int(seed)) for seed in seeds.tolist()])

    def render(self, record: PhantomRecord, labels: LabelMap, mu_map: Volume, grid: Grid) -> Phantom:
        """Fill anatomies with the activity of a record.

        Args:
            record: What `draw` gave.
            labels: Organ ids of the anatomy given, ``(b, 1, x, y, z)``; ``b`` may be 1 for one anatomy in all samples.
            mu_map: Its attenuation, ``(b, 1, x, y, z)`` [1/mm].
            grid: Grid of both.
        """
        labels, mu_map = _for_samples(len(record), labels, mu_map, grid)
        record = record.to(labels.device, mu_map.dtype)
        ids = labels.long()
        tissue = ids
        if self.unlabelled is not None and record.unlabelled is not None:
            tissue = self.unlabelled.with_bowel(record.unlabelled, ids, grid)
        activity = record.concentration.gather(1, tissue.flatten(1)).view_as(mu_map)
        if self.texture is not None and record.texture is not None:
            activity = activity * self.texture.render(record.texture, tissue, grid)
        if self.deformation is not None and record.deformation is not None:
            activity, mu_map, ids = self.deformation.render(record.deformation, activity, mu_map, ids, grid)
        if self.unlabelled is not None and record.unlabelled is not None:
            activity = self.unlabelled.add_blobs(record.unlabelled, activity, ids, grid)
        if self.lesions is not None and record.lesions is not None:
            activity, ids = self.lesions.render(record.lesions, record.concentration, activity, ids, grid)
        return Phantom(activity=activity, mu_map=mu_map, imaged_labels=ids.to(labels.dtype), record=record)

    def _draw_one(self, seed: int) -> PhantomRecord:
        """The record of one sample, without batch axis."""
        generator = torch.Generator().manual_seed(seed)
        return PhantomRecord(
            seeds=torch.tensor(seed),
            concentration=self.biodistribution.draw(generator),
            deformation=None if self.deformation is None else self.deformation.draw(generator),
            lesions=None if self.lesions is None else self.lesions.draw(generator),
            unlabelled=None if self.unlabelled is None else self.unlabelled.draw(generator, self.biodistribution.administered_bq),
            texture=None if self.texture is None else self.texture.draw(generator),
        )


def _for_samples(b: int, labels: Tensor, mu_map: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Anatomies for every sample, checked against the grid."""
    for name, volume in (("labels", labels), ("mu_map", mu_map)):
        if tuple(volume.shape[-3:]) != grid.shape:
            raise ValueError(f"{name} must have the grid's shape {grid.shape}, got {tuple(volume.shape[-3:])}; resample it onto the grid")
        if volume.shape[0] not in (1, b):
            raise ValueError(f"{name} must hold one anatomy or one for each of the {b} samples drawn, got {volume.shape[0]}")
    return labels.expand(b, -1, -1, -1, -1), mu_map.expand(b, -1, -1, -1, -1)
