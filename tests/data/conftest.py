"""Two small made-up patients and a simulator, which the tests of this folder train on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from planar3d.anatomy.patient import Patient
from planar3d.data import PhantomDataModule
from planar3d.grid import Grid
from planar3d.organs import organ_id
from planar3d.phantom import Biodistribution, Deformation, PhantomSynthesizer
from planar3d.physics import GammaCamera
from planar3d.simulation import PlanarSimulator


def made_up_patient(shape: tuple[int, int, int]) -> Patient:
    """A box of tissue with a liver, a kidney and a vessel, on 20 mm voxels."""
    grid = Grid.centred(shape, 20.0)
    labels = torch.zeros(1, *shape, dtype=torch.int64)
    labels[:, 2:-2, 2:-2] = organ_id("body")
    labels[:, 8:12, 3:7, 6:10] = organ_id("liver")
    labels[:, 4:6, 3:5, 3:7] = organ_id("kidney_left")
    labels[:, 7:8, 4:5] = organ_id("vessels")
    return Patient(grid=grid, ct_hu=torch.where(labels > 0, 20.0, -1000.0), labels=labels)


@pytest.fixture(scope="session")
def patients() -> list[Patient]:
    return [made_up_patient((16, 10, 12)), made_up_patient((14, 11, 15))]


@pytest.fixture(scope="session")
def simulator() -> PlanarSimulator:
    synthesizer = PhantomSynthesizer(
        biodistribution=Biodistribution.from_name("psma617", time_s=86400.0, administered_bq=7.4e9), deformation=Deformation()
    )
    camera = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=240.0, scatter=False)
    return PlanarSimulator(camera=camera, synthesizer=synthesizer)


@pytest.fixture(scope="session")
def make_data(patients: list[Patient], simulator: PlanarSimulator) -> Callable[..., PhantomDataModule]:
    """Makes a data module over the two patients, set up."""

    def make(**options: object) -> PhantomDataModule:
        data = PhantomDataModule(**({"simulator": simulator, "patients": patients, "batch_size": 2} | options))
        data.setup("fit")
        return data

    return make
