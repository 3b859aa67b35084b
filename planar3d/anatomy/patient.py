"""A patient's anatomy: CT and organs on one grid, and what the camera needs of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from planar3d.anatomy.ct import AIR_HU, BODY_THRESHOLD_HU, body_mask, hu_to_mu
from planar3d.anatomy.ct_file import read_ct
from planar3d.anatomy.organ_map import read_organ_map
from planar3d.anatomy.reading import read_volume, resample
from planar3d.anatomy.segmentation import fill_from_ct as fill_labels
from planar3d.grid import Grid
from planar3d.organs import BACKGROUND, BODY, organ_id

__all__ = ["Patient"]

SMALLEST_PET_SHARE = 0.9  # of the body; beyond the PET nothing is known of its activity


@dataclass(frozen=True, kw_only=True)
class Patient:
    """CT and organs of a patient on one grid.

    Attributes:
        grid: The grid of both volumes.
        ct_hu: CT numbers, air outside the body ``(1, x, y, z)`` [HU].
        labels: Organ ids of `planar3d.organs`, 0 outside the body and 1 where no organ is known ``(1, x, y, z)``.
        name: What to call the patient in tables and files; never an identifier.
        pet: Pre-therapy PET on the same grid, of any unit, ``(1, x, y, z)``; None where there is none.
    """

    grid: Grid
    ct_hu: Float[Tensor, "1 x y z"]
    labels: Integer[Tensor, "1 x y z"]
    name: str = "patient"
    pet: Float[Tensor, "1 x y z"] | None = None

    def __post_init__(self) -> None:
        for name, volume in (("ct_hu", self.ct_hu), ("labels", self.labels), ("pet", self.pet)):
            if volume is not None and tuple(volume.shape) != (1, *self.grid.shape):
                raise ValueError(f"{name} has shape {tuple(volume.shape)}; the grid asks for {(1, *self.grid.shape)}")
        _require_finite(self.ct_hu)
        if self.pet is not None:
            _require_activity(self.pet)

    @classmethod
    def from_files(
        cls,
        ct: str | Path,
        labels: str | Path,
        *,
        label_scheme: str | Path | Mapping[int, str] | Mapping[str, str | None] = "auto",
        spacing_mm: float | Sequence[float] | None = None,
        fill_from_ct: bool = True,
        pet: str | Path | None = None,
        name: str = "patient",
    ) -> Patient:
        """Read CT and organs from NIfTI or DICOM files of any orientation.

        Args:
            ct: CT in Hounsfield units: NIfTI, or the folder of a DICOM series.
            labels: Organs on the CT's grid: NIfTI label map, DICOM SEG, or DICOM RT structure set.
            label_scheme: What the ids of a label map mean: ``"auto"``, ``"totalsegmentator_v1"``, ``"totalsegmentator_v2"``,
                ``"head_glands"``, the path of a JSON file ``{"id": "organ", ...}``, or such a table itself. For DICOM, whose structures
                go by their names, ``"auto"``, or a file or table of name to organ, None for what is left out.
            spacing_mm: Working spacing to resample to; None keeps the CT's [mm].
            fill_from_ct: Whether lungs and skeleton that the label map lacks are taken from the CT.
            pet: Pre-therapy PET, as `with_pet` takes it.
            name: What to call the patient; never an identifier.

        Raises:
            ValueError: A file is missing or cannot be read, the grids differ, the CT is not finite, or an id or name is unknown; see
                `with_pet`.
        """
        ct_hu, ct_grid = read_ct(ct)
        _require_finite(ct_hu)
        read = read_organ_map(labels, ct=ct, ct_hu=ct_hu, ct_grid=ct_grid, label_scheme=label_scheme)
        patient = cls.from_volumes(ct_grid, ct_hu, read.organs, excluded=read.excluded, fill_from_ct=fill_from_ct, name=name)
        patient = patient if spacing_mm is None else patient.resampled(spacing_mm)
        return patient if pet is None else patient.with_pet(pet)

    @classmethod
    def from_volumes(
        cls,
        grid: Grid,
        ct_hu: Float[Tensor, "1 x y z"],
        labels: Integer[Tensor, "1 x y z"],
        *,
        excluded: Bool[Tensor, "1 x y z"] | None = None,
        fill_from_ct: bool = True,
        name: str = "patient",
    ) -> Patient:
        """Find the body in a CT, take away what is not part of it, and complete the organs.

        Args:
            grid: Grid of both volumes.
            ct_hu: CT numbers, couch and all [HU].
            labels: Organ ids of `planar3d.organs`; 0 where nothing is labelled.
            excluded: Voxels known not to be body, such as a labelled couch.
            fill_from_ct: Whether lungs and skeleton that the labels lack are taken from the CT.
            name: What to call the patient; never an identifier.
        """
        cleaned = ct_hu if excluded is None else ct_hu.masked_fill(excluded, AIR_HU)
        body = body_mask(cleaned, spacing_mm=grid.spacing_mm) | (labels > BODY)
        organs = torch.where(body & (labels == BACKGROUND), BODY, labels.long())
        # Couch and clothes become air; what is fainter than tissue stays, for it is the rim of the skin.
        cleaned = torch.where(body | (cleaned < BODY_THRESHOLD_HU), cleaned, AIR_HU)
        patient = cls(grid=grid, ct_hu=cleaned, labels=organs, name=name)
        return replace(patient, labels=fill_labels(cleaned, organs, grid)) if fill_from_ct else patient

    @property
    def body(self) -> Bool[Tensor, "1 x y z"]:
        """Where the patient is."""
        return self.labels != BACKGROUND

    def mu_map(self, energy_kev: float, scanner: str = "general") -> Float[Tensor, "1 x y z"]:
        """Linear attenuation in the body, 0 outside it [1/mm].

        Args:
            energy_kev: Photon energy [keV].
            scanner: Table of `planar3d.anatomy.hu_to_mu`.
        """
        return hu_to_mu(self.ct_hu, energy_kev, scanner) * self.body

    def resampled(self, target: float | Sequence[float] | Grid) -> Patient:
        """The patient on another grid: CT averaged and interpolated linearly, labels by nearest neighbour.

        Args:
            target: A grid, or a spacing over the same extent [mm].
        """
        grid = target if isinstance(target, Grid) else self.grid.resampled(target)
        if grid.is_close(self.grid):
            return self
        ct_hu = resample(self.ct_hu, self.grid, grid, outside=AIR_HU)
        labels = resample(self.labels, self.grid, grid, outside=float(BACKGROUND))
        pet = None if self.pet is None else resample(self.pet, self.grid, grid, outside=0.0).clamp_min(0.0)  # the low-pass may ring
        return replace(self, grid=grid, ct_hu=ct_hu, labels=labels, pet=pet)

    def with_pet(self, path: str | Path) -> Patient:
        """The patient with a PET, averaged and interpolated onto its grid.

        Args:
            path: NIfTI file of any grid and orientation in the coordinates of the CT, of any unit.

        Raises:
            ValueError: The file is missing or no NIfTI, holds values that are negative or not finite, or does not show the patient.
        """
        values, grid, _ = read_volume(path, name="pet", outside=0.0)
        _require_activity(values)
        seen = resample(torch.ones_like(values, dtype=torch.int32), grid, self.grid, outside=0.0) > 0
        share = float(seen[self.body].float().mean()) if bool(self.body.any()) else 0.0
        if share < SMALLEST_PET_SHARE:
            raise ValueError(
                f"pet {path} shows {100.0 * share:.0f} % of the patient and must show {100.0 * SMALLEST_PET_SHARE:.0f} %; check that both "
                f"are in the coordinates of one scan [mm], or crop CT and labels to the PET"
            )
        pet = resample(values, grid, self.grid, outside=0.0).clamp_min(0.0)
        if not bool((pet[self.body] > 0).any()):
            raise ValueError(f"pet {path} is zero in the whole patient; give one that shows activity")
        return replace(self, pet=pet)

    def without(self, organ_names: Sequence[str]) -> Patient:
        """The patient with these organs unlabelled: they become ``body``, as in a poorer segmentation.

        Raises:
            ValueError: No organ has such a name.
        """
        ids = torch.tensor([organ_id(n) for n in organ_names], dtype=self.labels.dtype, device=self.labels.device)
        return replace(self, labels=self.labels.masked_fill(torch.isin(self.labels, ids), BODY))


def _require_activity(pet: Tensor) -> None:
    """Raise if a PET holds what no PET can."""
    bad = int((~torch.isfinite(pet) | (pet < 0)).sum())
    if bad:
        raise ValueError(f"pet has {bad} voxels that are negative, NaN or infinite; give activity concentrations or uptake values")


def _require_finite(ct_hu: Tensor) -> None:
    """Raise if a CT holds NaN or infinity."""
    bad = int((~torch.isfinite(ct_hu)).sum())
    if bad:
        raise ValueError(f"ct has {bad} voxels that are NaN or infinite; CT numbers must be finite, repair or crop the CT first")
