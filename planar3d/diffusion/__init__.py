"""Conditional diffusion: noise and its levels, sampler, and agreement with the measured counts."""

from planar3d.diffusion.consistency import Consistency, Denoise, EMConsistency, GradientConsistency, Measurement, NoConsistency
from planar3d.diffusion.noise_field import NoiseField
from planar3d.diffusion.noise_level import NoiseLevels
from planar3d.diffusion.sampler import Sampler, edm_solver

__all__ = [
    "Consistency",
    "Denoise",
    "EMConsistency",
    "GradientConsistency",
    "Measurement",
    "NoConsistency",
    "NoiseField",
    "NoiseLevels",
    "Sampler",
    "edm_solver",
]
