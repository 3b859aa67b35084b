"""Anatomies on one common grid, so that a batch can hold different patients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from planar3d.anatomy.patient import Patient
from planar3d.data.segmented_organs import holding
from planar3d.grid import Grid
from planar3d.shapes import LabelMap, Volume

__all__ = ["AnatomyBank"]


@dataclass(frozen=True, kw_only=True)
class AnatomyBank:
    """Several patients' anatomies, padded to a common shape about their middles.

    Attributes:
        grid: The common grid; its middle is the middle of every patient.
        mu_maps: Linear attenuation at each energy [keV], ``(n, 1, x, y, z)`` [1/mm].
        labels: Organ ids, ``(n, 1, x, y, z)``.
        pet: Pre-therapy PET of every patient, of any unit, ``(n, 1, x, y, z)``; None where they have none.
    """

    grid: Grid
    mu_maps: Mapping[float, Float[Tensor, "n 1 x y z"]]
    labels: Integer[Tensor, "n 1 x y z"]
    pet: Float[Tensor, "n 1 x y z"] | None = None

    @classmethod
    def from_patients(cls, patients: Sequence[Patient], *, energies_kev: Iterable[float]) -> AnatomyBank:
        """Collect patients.

        Args:
            patients: At least one; all of one voxel spacing.
            energies_kev: Energies of the mu-maps [keV].

        Raises:
            ValueError: There is no patient, the spacings differ, or only some have a PET.
        """
        if not patients:
            raise ValueError("patients is empty; give at least one")
        spacings = {p.grid.spacing_mm for p in patients}
        if len(spacings) > 1:
            raise ValueError(f"patients must share one voxel spacing, got {sorted(spacings)} mm; give all the same spacing_mm")
        nx, ny, nz = (max(p.grid.shape[axis] for p in patients) for axis in range(3))
        grid = Grid.centred((nx, ny, nz), patients[0].grid.spacing_mm, patients[0].grid.centre_mm)
        mu_maps = {e: torch.stack([_padded(p.mu_map(e), grid.shape) for p in patients]) for e in energies_kev}
        labels = [_padded(p.labels.to(torch.uint8), grid.shape) for p in patients]
        pets = [_padded(p.pet, grid.shape) for p in patients if p.pet is not None]
        if pets and len(pets) < len(patients):
            without = [p.name for p in patients if p.pet is None]
            raise ValueError(
                f"all patients must have a PET, or none; {', '.join(without)} have none: give theirs, or leave out the others'"
            )
        return cls(grid=grid, mu_maps=mu_maps, labels=torch.stack(labels), pet=torch.stack(pets) if pets else None)

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> AnatomyBank:
        """The same bank on another device."""
        return self._with_each(lambda volume: volume.to(device))

    def window(self, across: slice, along: slice) -> AnatomyBank:
        """The part of every anatomy in some columns along x and slices along z.

        Args:
            across: Voxels along x, with start and stop.
            along: Voxels along z, with start and stop.
        """
        origin, spacing = self.grid.origin_mm, self.grid.spacing_mm
        grid = Grid(
            shape=(across.stop - across.start, self.grid.shape[1], along.stop - along.start),
            spacing_mm=spacing,
            origin_mm=(origin[0] + across.start * spacing[0], origin[1], origin[2] + along.start * spacing[2]),
        )
        return replace(self._with_each(lambda volume: volume[..., across, :, along]), grid=grid)

    def _with_each(self, change: Callable[[Tensor], Tensor]) -> AnatomyBank:
        """The same bank with each of its volumes changed alike."""
        return replace(
            self,
            mu_maps={energy: change(mu_map) for energy, mu_map in self.mu_maps.items()},
            labels=change(self.labels),
            pet=None if self.pet is None else change(self.pet),
        )

    def select(self, index: Integer[Tensor, " b"], held: Bool[Tensor, "b id"], *, energy_kev: float) -> tuple[LabelMap, LabelMap, Volume]:
        """Anatomies for a batch.

        Args:
            index: Which anatomy each sample has, ``(b,)``.
            held: Whether the labels given hold each organ, ``(b, id)``.
            energy_kev: Energy of the mu-map, one of those of the bank [keV].

        Returns:
            Labels, labels given, and mu-map [1/mm], each ``(b, 1, x, y, z)``.
        """
        index, held = index.to(self.labels.device), held.to(self.labels.device)
        labels = self.labels[index].long()
        return labels, holding(labels, held), self.mu_maps[energy_kev][index]

    def pets(self, index: Integer[Tensor, " b"]) -> Volume | None:
        """PET of each sample of a batch, ``(b, 1, x, y, z)``; None where the patients have none.

        Args:
            index: Which anatomy each sample has, ``(b,)``.
        """
        return None if self.pet is None else self.pet[index.to(self.pet.device)]


def _padded(volume: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """A volume ``(1, x, y, z)`` in the middle of a larger one of zeros."""
    missing = [n - m for n, m in zip(shape, volume.shape[1:], strict=True)]
    pads = [p for m in reversed(missing) for p in (m // 2, m - m // 2)]
    return torch.nn.functional.pad(volume, pads)
