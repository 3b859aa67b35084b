"""Conditional diffusion: noise schedule, sampler and guidance by the measured counts."""
