"""Conditional diffusion: noise levels, sampler, and agreement with the measured counts."""

from planar3d.diffusion.consistency import Consistency, Denoise, EMConsistency, GradientConsistency, Measurement, NoConsistency
from planar3d.diffusion.noise_level import NoiseLevels
from planar3d.diffusion.sampler import Sampler, edm_solver

__all__ = [
    "Consistency",
    "Denoise",
    "EMConsistency",
    "GradientConsistency",
    "Measurement",
    "NoConsistency",
    "NoiseLevels",
    "Sampler",
    "edm_solver",
]
