"""Learned models as Lightning modules, and their weights on disk."""

from planar3d.models.checkpoint import load_checkpoint_into, load_weights, save_weights
from planar3d.models.diffusion_module import DiffusionModule
from planar3d.models.precision import best_precision
from planar3d.models.reconstruction_module import ReconstructionModule
from planar3d.models.sample_score import SampleScore
from planar3d.models.schedule import TimedCosine, warm_up_cosine
from planar3d.models.unet_module import UNetModule

__all__ = [
    "DiffusionModule",
    "ReconstructionModule",
    "SampleScore",
    "TimedCosine",
    "UNetModule",
    "best_precision",
    "load_checkpoint_into",
    "load_weights",
    "save_weights",
    "warm_up_cosine",
]
