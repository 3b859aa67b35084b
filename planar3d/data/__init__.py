"""Synthetic patients for training, drawn and imaged on the training device."""

from planar3d.data.anatomy_bank import AnatomyBank
from planar3d.data.phantom_datamodule import PhantomDataModule
from planar3d.data.population import digital_population

__all__ = ["AnatomyBank", "PhantomDataModule", "digital_population"]
