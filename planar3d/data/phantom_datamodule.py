"""Training data made where it is used: the loader yields integers, and each becomes an imaged synthetic patient on the training device.

What a sample is depends on (seed, epoch, index) alone, through a counter-based hash: not on the batch size or the
number of devices (each gets its own indices), nor on whether training was interrupted. Validation depends on the
index alone, so that runs can be compared. What a batch shares, its part of the field and its simulator, goes by its first sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Integer
from lightning.pytorch import LightningDataModule
from torch import Tensor

from planar3d.anatomy.patient import Patient
from planar3d.data.anatomy_bank import AnatomyBank
from planar3d.data.field_window import FieldWindows
from planar3d.data.index_batches import IndexBatches
from planar3d.data.segmented_organs import segmented_organs
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.solved_problem import SolvedProblem
from planar3d.simulation import PlanarSimulator

__all__ = ["PhantomDataModule", "SampleKeys"]

Patients = Sequence[Patient] | Callable[[], Sequence[Patient]]

VALIDATION_STREAM = -1  # stands in place of the epoch, which is never negative
PHANTOM_SEEDS = 1 << 31  # training draws below, benchmarks at and above; generators use the low 32 bits of a seed
_MASK = (1 << 64) - 1


@dataclass(frozen=True, kw_only=True)
class SampleKeys:
    """What fixes the samples of a batch.

    Attributes:
        seeds: Seeds of the phantoms, ``(b,)``.
        anatomy: Which anatomy, ``(b,)``.
        held: Which organs the labels given hold, ``(b, id)``.
        outlined: Whether they hold the lesions too, ``(b,)``.
    """

    seeds: Integer[Tensor, " b"]
    anatomy: Integer[Tensor, " b"]
    held: Bool[Tensor, "b id"]
    outlined: Bool[Tensor, " b"]


class PhantomDataModule(LightningDataModule):
    """Imaged synthetic patients, drawn on the training device.

    Args:
        simulator: Draws and images phantoms.
        patients: Anatomies to train on, or a callable that makes them at set-up.
        validation_patients: Anatomies to validate on; those of training if None.
        batch_size: Samples per step and device.
        samples_per_epoch: Samples of one epoch over all devices.
        validation_samples: Samples of one validation.
        poor_share: Share of the samples whose given labels lack what a poorer segmentation lacks.
        seed: Fixes the training samples.
        outlined_share: Share of the training samples whose given labels hold the lesions, as outlined by a reader.
        windows: Which part of the field a training batch shows; None for all of it. Validation shows all of it.
        sparse_share: Share of the training samples whose given labels hold few organs, which differ from sample to sample
            (`planar3d.data.segmented_organs`).
        training_simulators: Simulators for training, of any names, of which each batch takes one; None for `simulator`. Validation always
            takes that.
    """

    def __init__(
        self,
        *,
        simulator: PlanarSimulator,
        patients: Patients,
        validation_patients: Patients | None = None,
        batch_size: int = 4,
        samples_per_epoch: int = 400,
        validation_samples: int = 16,
        poor_share: float = 0.5,
        seed: int = 0,
        outlined_share: float = 0.0,
        sparse_share: float = 0.0,
        windows: FieldWindows | None = None,
        training_simulators: Mapping[str, PlanarSimulator] | None = None,
    ) -> None:
        super().__init__()
        sizes = {"batch_size": batch_size, "samples_per_epoch": samples_per_epoch, "validation_samples": validation_samples}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name, share in (("poor_share", poor_share), ("outlined_share", outlined_share), ("sparse_share", sparse_share)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {share}")
        self.simulator = simulator
        self.patients = patients
        self.validation_patients = validation_patients
        self.batch_size = batch_size
        self.samples_per_epoch = samples_per_epoch
        self.validation_samples = validation_samples
        self.poor_share = poor_share
        self.outlined_share = outlined_share
        self.sparse_share = sparse_share
        self.seed = seed
        self.windows = windows
        self.training_simulators = training_simulators
        self._banks: dict[bool, AnatomyBank] = {}

    def setup(self, stage: str) -> None:
        """Render the anatomies; once."""
        if not self._banks:
            energies = {s.camera.energy_kev for s in (self.simulator, *(self.training_simulators or {}).values())}
            training = AnatomyBank.from_patients(_made(self.patients), energies_kev=energies)
            others = self.validation_patients
            validation = (
                training if others is None else AnatomyBank.from_patients(_made(others), energies_kev=[self.simulator.camera.energy_kev])
            )
            self._banks = {True: training, False: validation}

    def train_dataloader(self) -> IndexBatches:
        """Indices of one epoch. Their order does not matter: each stands for a fresh draw."""
        return self._batches(self.samples_per_epoch)

    def val_dataloader(self) -> IndexBatches:
        """Indices of the validation samples."""
        return self._batches(self.validation_samples)

    def on_after_batch_transfer(self, batch: Tensor, dataloader_idx: int) -> SolvedProblem:
        """Make the samples that the indices stand for, on their device."""
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("PhantomDataModule is not attached to a trainer; call `synthesise` to make samples without one")
        return self.synthesise(batch, epoch=trainer.current_epoch if trainer.training else None)

    def synthesise(self, index: Integer[Tensor, " b"], *, epoch: int | None) -> SolvedProblem:
        """Imaged synthetic patients.

        Args:
            index: Which samples, ``(b,)``; they are made on its device.
            epoch: Training epoch; None for the validation samples.
        """
        training = epoch is not None
        bank = self._banks[training] = self._banks[training].to(index.device)
        keys = self.keys(index, epoch=epoch)
        simulator = self.simulator
        if training:
            simulator, bank = self._shared(_hash(self.seed, epoch, int(index[0]), 3), bank)
        labels, given, mu_map = bank.select(keys.anatomy, keys.held, energy_kev=simulator.camera.energy_kev)
        pet = bank.pets(keys.anatomy)
        outlined = keys.outlined if keys.outlined.any() else None
        with torch.no_grad():
            truth = simulator.simulate(
                labels=labels, given_labels=given, mu_map=mu_map, grid=bank.grid, seeds=keys.seeds, pet=pet, outlined=outlined
            )
            problem = PlanarProblem.of_batch(truth, simulator.camera, bank.grid)
        return SolvedProblem(problem=problem, truth=truth)

    def keys(self, index: Integer[Tensor, " b"], *, epoch: int | None) -> SampleKeys:
        """Seed, anatomy and quality of segmentation of each sample.

        Args:
            index: Which samples, ``(b,)``.
            epoch: Training epoch; None for validation, which goes through the anatomies in turn.
        """
        indices = index.tolist()
        count = len(self._banks[epoch is not None])
        if epoch is None:
            words = [_hash(VALIDATION_STREAM, 0, i) for i in indices]
            anatomy = [i % count for i in indices]
            turns = [i + i // count for i in indices]  # one further each time round: every anatomy comes with both kinds of labels
            poor = [math.floor((t + 1) * self.poor_share) > math.floor(t * self.poor_share) for t in turns]
            outlined = [False] * len(indices)
            sparse = [None] * len(indices)
        else:
            words = [_hash(self.seed, epoch, i) for i in indices]
            anatomy = [_hash(w, 1, 0) % count for w in words]
            poor = [_hash(w, 2, 0) / _MASK < self.poor_share for w in words]
            outlined = [_hash(w, 4, 0) / _MASK < self.outlined_share for w in words]
            sparse = [_hash(w, 6, 0) if _hash(w, 5, 0) / _MASK < self.sparse_share else None for w in words]
        seeds = [w % PHANTOM_SEEDS for w in words]
        held = [segmented_organs(poor=p, sparse_seed=s) for p, s in zip(poor, sparse, strict=True)]
        return SampleKeys(seeds=torch.tensor(seeds), anatomy=torch.tensor(anatomy), held=torch.stack(held), outlined=torch.tensor(outlined))

    def _shared(self, word: int, bank: AnatomyBank) -> tuple[PlanarSimulator, AnatomyBank]:
        """Simulator and part of the field of a training batch."""
        simulators = list((self.training_simulators or {"": self.simulator}).values())
        if self.windows is not None:
            bank = bank.window(*self.windows.draw(bank.grid, torch.Generator().manual_seed(word & 0xFFFFFFFF)))
        return simulators[word % len(simulators)], bank

    def _batches(self, count: int) -> IndexBatches:
        """This device's share of ``count`` samples."""
        rank, world_size = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        return IndexBatches(count=count, batch_size=self.batch_size, rank=rank, world_size=world_size)


def _hash(*words: int) -> int:
    """64 well-mixed bits of some integers (the finaliser of SplitMix64, Steele et al. 2014)."""
    state = 0
    for word in words:
        state = (state + word + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


def _made(patients: Patients) -> Sequence[Patient]:
    """The patients themselves."""
    return patients() if callable(patients) else patients
