"""A few synthetic acquisitions of a made-up patient, to train on in seconds."""

from __future__ import annotations

import pytest
import torch

from planar3d.anatomy.patient import Patient
from planar3d.data import PhantomDataModule
from planar3d.grid import Grid
from planar3d.organs import organ_id
from planar3d.phantom import Biodistribution, Deformation, PhantomSynthesizer
from planar3d.physics import GammaCamera
from planar3d.simulation import PlanarSimulator


@pytest.fixture
def data() -> PhantomDataModule:
    """Four training samples and two to validate on, on 20 mm voxels."""
    grid = Grid.centred((15, 10, 12), 20.0)
    labels = torch.zeros(1, *grid.shape, dtype=torch.int64)
    labels[:, 2:-2, 2:-2] = organ_id("body")
    labels[:, 8:12, 3:7, 6:10] = organ_id("liver")
    labels[:, 4:6, 3:5, 3:7] = organ_id("kidney_left")
    biodistribution = Biodistribution.from_name("psma617", time_s=86400.0, administered_bq=7.4e9)
    simulator = PlanarSimulator(
        camera=GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=240.0, scatter=False),
        synthesizer=PhantomSynthesizer(biodistribution=biodistribution, deformation=Deformation()),
    )
    patient = Patient(grid=grid, ct_hu=torch.where(labels > 0, 20.0, -1000.0), labels=labels)
    return PhantomDataModule(simulator=simulator, patients=[patient], batch_size=2, samples_per_epoch=4, validation_samples=2)
