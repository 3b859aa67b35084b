"""Benchmarks: fixed cases, the same for everybody, on which methods are compared.

A case is an anatomy imaged with one drawn biodistribution. A method gets the two count images, the camera, and the undeformed mu-map
and labels, nothing else; in every second case the labels lack glands, vessels and bowel, as a poorer segmentation would. A benchmark may
also image its cases as a SPECT, with whose reconstruction estimates are compared beside the truth.

Seeds are reserved: digital patients of `RESERVED_PATIENT_SEEDS` and phantom seeds from `FIRST_PHANTOM_SEED` on are drawn by no training.
Training draws below ``2^31``, and generators use the low 32 bits of a seed, so the two never meet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Integer
from torch import Tensor

from planar3d.anatomy.digital import digital_patient
from planar3d.anatomy.field import field_named
from planar3d.anatomy.patient import Patient
from planar3d.batch import Batch
from planar3d.grid import Grid
from planar3d.organs import ABSENT_IN_POOR_SEGMENTATION
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.shapes import Volume
from planar3d.simulation import PlanarSimulator
from planar3d.spect_reference import SpectReference

__all__ = ["FIRST_PHANTOM_SEED", "RESERVED_PATIENT_SEEDS", "Benchmark", "BenchmarkCases", "FilePatient"]

RESERVED_PATIENT_SEEDS = range(900_000, 900_100)
FIRST_PHANTOM_SEED = 2**31 + 900_000
SEEDS_PER_ANATOMY = 1000


@dataclass(frozen=True, kw_only=True)
class FilePatient:
    """A real anatomy of a benchmark, left out where its files are not there.

    Attributes:
        name: What to call it in tables.
        ct: CT file.
        labels: Label map file.
        label_scheme: What the label ids mean, as in `Patient.from_files`.
    """

    name: str
    ct: str
    labels: str
    label_scheme: str | Mapping[int, str] = "auto"

    @property
    def available(self) -> bool:
        """Whether both files are there."""
        return Path(self.ct).is_file() and Path(self.labels).is_file()


@dataclass(frozen=True, kw_only=True)
class BenchmarkCases:
    """The cases of one anatomy.

    Attributes:
        anatomy: Name of the anatomy.
        real: Whether it is a real patient's.
        problem: What a method is given, batched over the cases.
        truth: The same cases with the imaged activity; for evaluation alone.
        poor_labels: Per case, whether the given labels lack glands, vessels and bowel.
        grid: Working grid.
        reference: The same cases reconstructed from a SPECT, ``(b, 1, x, y, z)`` [Bq/mL]; None where there is none.
    """

    anatomy: str
    real: bool
    problem: PlanarProblem
    truth: Batch
    poor_labels: tuple[bool, ...]
    grid: Grid
    reference: Volume | None = None


class Benchmark:
    """A named set of cases.

    Args:
        name: Name of the benchmark.
        simulator: Camera, phantom synthesis and count level.
        digital_seeds: Seeds of the digital patients, within `RESERVED_PATIENT_SEEDS`.
        patients: Real anatomies.
        spacing_mm: Working spacing [mm].
        cases_per_anatomy: Biodistributions per anatomy.
        poor_labels: Whether every second case is given a poorer label map.
        spect: Images the cases as a SPECT too; None for none.
        field: What of the digital patients is imaged, ``"torso"`` or ``"whole_body"``.
    """

    def __init__(
        self,
        *,
        name: str,
        simulator: PlanarSimulator,
        digital_seeds: Sequence[int],
        patients: Sequence[FilePatient] = (),
        spacing_mm: float = 8.0,
        cases_per_anatomy: int = 8,
        poor_labels: bool = True,
        spect: SpectReference | None = None,
        field: str = "torso",
    ) -> None:
        strange = [s for s in digital_seeds if s not in RESERVED_PATIENT_SEEDS]
        if strange:
            raise ValueError(f"digital_seeds {strange} are not reserved for benchmarks; use seeds within {RESERVED_PATIENT_SEEDS}")
        if not 1 <= cases_per_anatomy <= SEEDS_PER_ANATOMY:
            raise ValueError(f"cases_per_anatomy must lie between 1 and {SEEDS_PER_ANATOMY}, got {cases_per_anatomy}")
        self.name = name
        self.simulator = simulator
        self.digital_seeds = tuple(digital_seeds)
        self.patients = tuple(patients)
        self.spacing_mm = spacing_mm
        self.cases_per_anatomy = cases_per_anatomy
        self.poor_labels = poor_labels
        self.spect = spect
        self.field = field_named(field)

    @property
    def missing(self) -> tuple[str, ...]:
        """Real anatomies that are left out because their files are not there."""
        return tuple(p.name for p in self.patients if not p.available)

    @property
    def anatomies(self) -> tuple[str, ...]:
        """Names of the anatomies that can be run."""
        return (*(f"digital_{seed}" for seed in self.digital_seeds), *(p.name for p in self.patients if p.available))

    def __len__(self) -> int:
        return len(self.anatomies)

    def __iter__(self) -> Iterator[BenchmarkCases]:
        return self.only(self.anatomies)

    def only(self, anatomies: Collection[str], *, device: torch.device | str = "cpu") -> Iterator[BenchmarkCases]:
        """The cases of some anatomies, which are the same whether or not others are run.

        Args:
            anatomies: Their names.
            device: Where the cases come to lie.

        Raises:
            ValueError: An anatomy is not part of the benchmark, or its files are not there.
        """
        unknown = sorted(set(anatomies) - set(self.anatomies))
        if unknown:
            raise ValueError(f"anatomies {unknown} are not to be had in {self.name}; there are {', '.join(self.anatomies)}")
        for seed in self.digital_seeds:
            if f"digital_{seed}" in anatomies:
                yield self.cases(digital_patient(seed, self.spacing_mm, self.field), name=f"digital_{seed}", real=False, device=device)
        for source in self.patients:
            if source.name in anatomies:
                yield self.cases(self.read(source), name=source.name, real=True, device=device)

    def seeds(self, anatomy: str) -> Integer[Tensor, " b"]:
        """Seeds of the phantoms of an anatomy, which do not depend on what else is there, ``(b,)``."""
        names = [*(f"digital_{seed}" for seed in self.digital_seeds), *(p.name for p in self.patients)]
        return FIRST_PHANTOM_SEED + names.index(anatomy) * SEEDS_PER_ANATOMY + torch.arange(self.cases_per_anatomy)

    def read(self, source: FilePatient) -> Patient:
        """A real anatomy on the working grid."""
        return Patient.from_files(source.ct, source.labels, label_scheme=source.label_scheme, spacing_mm=self.spacing_mm, name=source.name)

    def cases(self, patient: Patient, *, name: str, real: bool, device: torch.device | str = "cpu") -> BenchmarkCases:
        """Image one anatomy with its biodistributions, on the CPU, so that the cases are the same wherever they come to lie."""
        count, grid, seeds = self.cases_per_anatomy, patient.grid, self.seeds(name)
        poor = tuple(self.poor_labels and k % 2 == 1 for k in range(count))
        poorer = patient.without(ABSENT_IN_POOR_SEGMENTATION)
        labels = patient.labels.expand(count, 1, *grid.shape)
        given = torch.stack([poorer.labels if p else patient.labels for p in poor])
        camera = self.simulator.camera
        mu_map = patient.mu_map(camera.energy_kev).expand(count, 1, *grid.shape)
        truth = self.simulator.simulate(labels=labels, given_labels=given, mu_map=mu_map, grid=grid, seeds=seeds)
        reference = None
        if self.spect is not None:
            # the draw of a seed is always the same, so this is the anatomy in which the planar views were taken
            synthesizer = self.simulator.synthesizer
            imaged = synthesizer.render(synthesizer.draw(seeds), labels, mu_map, grid)
            reference = self.spect(truth, imaged.mu_map, grid, seeds).mean.to(device)
        truth = truth.to(device)
        problem = PlanarProblem.of_batch(truth, camera, grid)
        return BenchmarkCases(anatomy=name, real=real, problem=problem, truth=truth, poor_labels=poor, grid=grid, reference=reference)
