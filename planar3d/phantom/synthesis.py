"""Phantoms: an anatomy filled with activity as a patient's might be, in the position in which it was imaged.

    labels --(filling)--> anatomy on the day --(biodistribution, tumour sink)--> organ levels --(texture, or a PET)--> uneven organs
        --(deformation)--> position imaged --(arms, blobs, lesions)--> --(breathing)--> x;   mu-map likewise, and --(scale error)-->

`PhantomSynthesizer.draw` makes the record, one generator per seed, on the CPU; `render` is deterministic, batched, and works on the
device of the labels. Blobs and lesions are put into the anatomy as imaged, so that interpolation does not wear small ones away. What was
drawn for the uptake holds at any time: `PhantomSynthesizer.at` is the same patient at another time after injection.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace

import torch
from jaxtyping import Integer
from torch import Tensor

from planar3d.grid import Grid
from planar3d.organs import organ_id
from planar3d.phantom.arm_position import ArmPosition, ArmRecord
from planar3d.phantom.biodistribution import Biodistribution, UptakeRecord
from planar3d.phantom.breathing import Breathing, BreathingRecord
from planar3d.phantom.deformation import Deformation, DeformationRecord
from planar3d.phantom.filling import Filling, FillingRecord
from planar3d.phantom.hot_spot import HotSpots
from planar3d.phantom.lesion import LesionPopulation, lesions_alone
from planar3d.phantom.mu_error import MuError, MuErrorRecord
from planar3d.phantom.pet import PetGuide, PetRecord
from planar3d.phantom.proposal import UptakeProposal
from planar3d.phantom.record import TensorRecord
from planar3d.phantom.stream import fork
from planar3d.phantom.texture import Texture, TextureRecord
from planar3d.phantom.tumour_sink import TumourSink
from planar3d.phantom.unlabelled_uptake import UnlabelledRecord, UnlabelledUptake
from planar3d.shapes import LabelMap, Volume
from planar3d.units import SECONDS_PER_HOUR

__all__ = ["Phantom", "PhantomRecord", "PhantomSynthesizer"]

TUMOUR_TIME_S = 4.0 * SECONDS_PER_HOUR  # when uptake in tumour is judged for its sink: over, and little has left


@dataclass(frozen=True, kw_only=True)
class PhantomRecord(TensorRecord):
    """What was drawn for a phantom; None for what the synthesiser leaves out.

    Attributes:
        seeds: Seed of each sample, ``(b,)``.
        uptake: Uptake at any time.
        concentration: Of every organ id at the time of imaging, ``(b, organs)`` [Bq/mL].
        lesion_concentration: Of every lesion then, but for the factor of its site, ``(b, 60)`` [Bq/mL].
        texture: Uneven uptake inside organs.
        unlabelled: Uptake that no label explains, as at the time of imaging of the biodistribution.
        unlabelled_scale: What is left of it at the record's time, as of the mucosa, ``(b,)``.
        lesions: Lesions.
        deformation: Mismatch between the anatomy given and the one imaged.
        filling: Hollow organs that are larger or smaller than in the anatomy given.
        breathing: Motion while it was imaged.
        mu_error: Scale error of the attenuation.
        pet: Ratios of therapy to PET.
        arms: Arms that the anatomy given lacks.
    """

    seeds: Tensor
    uptake: UptakeRecord
    concentration: Tensor
    lesion_concentration: Tensor
    texture: TextureRecord | None = None
    unlabelled: UnlabelledRecord | None = None
    unlabelled_scale: Tensor | None = None
    lesions: HotSpots | None = None
    deformation: DeformationRecord | None = None
    filling: FillingRecord | None = None
    breathing: BreathingRecord | None = None
    mu_error: MuErrorRecord | None = None
    pet: PetRecord | None = None
    arms: ArmRecord | None = None


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """A phantom in the position imaged.

    Attributes:
        activity: ``(b, 1, x, y, z)`` [Bq/mL].
        mu_map: Attenuation in the same position, ``(b, 1, x, y, z)`` [1/mm].
        imaged_labels: Organ ids in the same position, lesions included, ``(b, 1, x, y, z)``.
        record: What it was made from.
        outlines: Lesion ids where a reader of the anatomy given would outline the lesions, zero elsewhere, ``(b, 1, x, y, z)``; None where
            they were not asked for.
    """

    activity: Volume
    mu_map: Volume
    imaged_labels: LabelMap
    record: PhantomRecord
    outlines: LabelMap | None = None


class PhantomSynthesizer:
    """Draws phantoms and renders them in an anatomy.

    Organ levels with a `Deformation` of 2 degrees and 5 mm and nothing else is how the paper varied its phantoms.

    Args:
        biodistribution: Organ levels.
        texture: Uneven uptake inside organs; None for uniform organs.
        lesions: Lesions; None for none but those the label map has.
        deformation: Mismatch with the anatomy given; None for none.
        unlabelled: Uptake outside the labels; None for no more than that of ``body``.
        filling: Hollow organs that fill or empty; None for none.
        breathing: Motion of the upper abdomen; None for none.
        mu_error: Scale error of the attenuation; None for none.
        sink: Less uptake in organs beside a large tumour; None for none.
        pet: How a PET guides the activity where `render` is given one; with it, texture and unlabelled uptake are the PET's.
        arms: Arms beside the trunk that the anatomy given lacks; None for none.
        proposal: Where uptake is drawn from, the record then carrying the importance; None for the biodistribution itself.
    """

    def __init__(
        self,
        *,
        biodistribution: Biodistribution,
        texture: Texture | None = None,
        lesions: LesionPopulation | None = None,
        deformation: Deformation | None = None,
        unlabelled: UnlabelledUptake | None = None,
        filling: Filling | None = None,
        breathing: Breathing | None = None,
        mu_error: MuError | None = None,
        sink: TumourSink | None = None,
        pet: PetGuide | None = None,
        arms: ArmPosition | None = None,
        proposal: UptakeProposal | None = None,
    ) -> None:
        self.biodistribution = biodistribution
        self.texture = texture
        self.lesions = lesions
        self.deformation = deformation
        self.unlabelled = unlabelled
        self.filling = filling
        self.breathing = breathing
        self.mu_error = mu_error
        self.sink = sink
        self.pet = pet
        self.arms = arms
        self.proposal = proposal

    def with_proposal(self, proposal: UptakeProposal | None) -> PhantomSynthesizer:
        """The same but for where uptake is drawn from."""
        other = copy(self)
        other.proposal = proposal
        return other

    def draw(self, seeds: Integer[Tensor, " b"]) -> PhantomRecord:
        """Draw one phantom per seed; each depends on its own seed alone.

        Args:
            seeds: Not negative, ``(b,)``.
        """
        if seeds.numel() == 0:
            raise ValueError("seeds must hold at least one seed, got none")
        return self.at(PhantomRecord.stack([self._draw_one(int(seed)) for seed in seeds.tolist()]), self.biodistribution.time_s)

    def at(self, record: PhantomRecord, time_s: float) -> PhantomRecord:
        """The same patients at another time after injection.

        Args:
            record: What `draw` gave.
            time_s: Time after injection [s].
        """
        source, uptake = self.biodistribution, record.uptake
        concentration = source.concentration(uptake, time_s)
        if self.sink is not None:
            concentration = self.sink(concentration, self._tumour_share(record))
        scale = None if record.unlabelled is None else self._mucosa(uptake, time_s) / self._mucosa(uptake, source.time_s)
        lesions = source.lesion_concentration(uptake, time_s)
        return replace(record, concentration=concentration, lesion_concentration=lesions, unlabelled_scale=scale)

    def render(
        self, record: PhantomRecord, labels: LabelMap, mu_map: Volume, grid: Grid, *, pet: Volume | None = None, outline: bool = False
    ) -> Phantom:
        """Fill anatomies with the activity of a record.

        Args:
            record: What `draw` gave.
            labels: Organ ids of the anatomy given, ``(b, 1, x, y, z)``; ``b`` may be 1 for one anatomy in all samples.
            mu_map: Its attenuation, ``(b, 1, x, y, z)`` [1/mm].
            grid: Grid of both.
            pet: Pre-therapy PET of the same anatomy, of any unit, ``(b, 1, x, y, z)``; None where there is none.
            outline: Whether the phantom says where the lesions drawn lie in the anatomy given.
        """
        labels, mu_map = _for_samples(len(record), grid, labels=labels, mu_map=mu_map)
        most = None if record.lesions is None else int(record.lesions.in_use.sum(dim=1).amax())
        record = record.to(labels.device, mu_map.dtype)
        ids = labels.long()
        if self.filling is not None and record.filling is not None:
            mu_map, ids = self.filling.render(record.filling, mu_map, ids, grid)
        if pet is None or self.pet is None:
            unlabelled, activity = _at_its_time(record), self._filled(record, ids, grid)
        else:
            (pet,) = _for_samples(len(record), grid, pet=pet)
            unlabelled, activity = None, self._guided(record, pet.to(mu_map), ids)
        if self.deformation is not None and record.deformation is not None:
            activity, mu_map, ids = self.deformation.render(record.deformation, activity, mu_map, ids, grid)
        if self.arms is not None and record.arms is not None:
            activity, mu_map, ids = self.arms.render(record.arms, activity, mu_map, ids, grid)
        if self.unlabelled is not None and unlabelled is not None:
            activity = self.unlabelled.add_blobs(unlabelled, activity, ids, grid)
        if self.lesions is not None and record.lesions is not None:
            activity, ids = self.lesions.render(record.lesions, record.lesion_concentration, activity, ids, grid, most=most)
        outlines = self._outlines(record, ids, grid) if outline else None
        if self.breathing is not None and record.breathing is not None:
            activity, mu_map, ids = self.breathing.render(record.breathing, activity, mu_map, ids, grid)
        if self.mu_error is not None and record.mu_error is not None:
            mu_map = self.mu_error.render(record.mu_error, mu_map)
        return Phantom(activity=activity, mu_map=mu_map, imaged_labels=ids.to(labels.dtype), record=record, outlines=outlines)

    def _outlines(self, record: PhantomRecord, ids: LabelMap, grid: Grid) -> LabelMap:
        """Lesion ids brought back to the anatomy given."""
        lesions = lesions_alone(ids)
        return (
            lesions
            if self.deformation is None or record.deformation is None
            else self.deformation.undone(record.deformation, lesions, grid)
        )

    def _mucosa(self, uptake: UptakeRecord, time_s: float) -> Tensor:
        """Concentration of the mucosa, whose course unlabelled glands, mucosa and vessels take, ``(b,)`` [Bq/mL]."""
        return self.biodistribution.concentration(uptake, time_s)[..., organ_id("mucosa")]

    def _filled(self, record: PhantomRecord, ids: LabelMap, grid: Grid) -> Volume:
        """Uneven organs, before they move."""
        tissue = ids
        if self.unlabelled is not None and record.unlabelled is not None:
            tissue = self.unlabelled.with_bowel(record.unlabelled, ids, grid)
        activity = record.concentration.gather(1, tissue.flatten(1)).view(tissue.shape)
        if self.texture is not None and record.texture is not None:
            activity = activity * self.texture.render(record.texture, tissue, grid)
        return activity

    def _guided(self, record: PhantomRecord, pet: Volume, ids: LabelMap) -> Volume:
        """Organs as a PET has them, before they move."""
        if self.pet is None or record.pet is None:
            raise ValueError("pet needs a record that was drawn with it; draw with a synthesiser that has a PetGuide")
        return self.pet.render(record.pet, pet, record.concentration, ids)

    def _tumour_share(self, record: PhantomRecord) -> Tensor:
        """Share of the administered activity that the lesions take up, decay left out, ``(b,)``."""
        if self.lesions is None or record.lesions is None:
            return record.seeds.new_zeros(len(record), dtype=record.uptake.log_level.dtype)
        source = self.biodistribution
        taken = self.lesions.activity_bq(record.lesions, source.lesion_concentration(record.uptake, TUMOUR_TIME_S))
        return taken.sum(dim=1) / source.administered_bq * 2.0 ** (TUMOUR_TIME_S / SECONDS_PER_HOUR / source.physical_half_life_h)

    def _draw_one(self, seed: int) -> PhantomRecord:
        """The record of one sample, without batch axis; concentrations are those of `at`."""
        generator = torch.Generator().manual_seed(seed)
        source = self.biodistribution
        uptake = source.draw(generator, self.proposal)

        def more(name: str) -> torch.Generator:  # what was added later draws beside the others
            return fork(torch.Generator().manual_seed(seed), name)

        return PhantomRecord(
            seeds=torch.tensor(seed),
            uptake=uptake,
            concentration=torch.zeros(()),
            lesion_concentration=torch.zeros(()),
            deformation=None if self.deformation is None else self.deformation.draw(generator),
            lesions=None if self.lesions is None else self.lesions.draw(generator),
            unlabelled=None if self.unlabelled is None else self.unlabelled.draw(generator, source.administered_bq),
            texture=None if self.texture is None else self.texture.draw(generator),
            filling=None if self.filling is None else self.filling.draw(more("filling")),
            breathing=None if self.breathing is None else self.breathing.draw(more("breathing")),
            mu_error=None if self.mu_error is None else self.mu_error.draw(more("mu_error")),
            pet=None if self.pet is None else self.pet.draw(more("pet")),
            arms=None if self.arms is None else self.arms.draw(more("arms")),
        )


def _at_its_time(record: PhantomRecord) -> UnlabelledRecord | None:
    """The uptake that no label explains, at the time of the record."""
    unlabelled, scale = record.unlabelled, record.unlabelled_scale
    return unlabelled if unlabelled is None or scale is None else replace(unlabelled, activity_bq=unlabelled.activity_bq * scale[:, None])


def _for_samples(b: int, grid: Grid, **volumes: Tensor) -> tuple[Tensor, ...]:
    """Anatomies for every sample, checked against the grid."""
    for name, volume in volumes.items():
        if tuple(volume.shape[-3:]) != grid.shape:
            raise ValueError(f"{name} must have the grid's shape {grid.shape}, got {tuple(volume.shape[-3:])}; resample it onto the grid")
        if volume.shape[0] not in (1, b):
            raise ValueError(f"{name} must hold one anatomy or one for each of the {b} samples drawn, got {volume.shape[0]}")
    return tuple(volume.expand(b, -1, -1, -1, -1) for volume in volumes.values())
