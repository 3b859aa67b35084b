"""Drawing volumes: from noise around an estimate down to none, in a few evaluations of the denoiser.

The schedule and the solver are those of a scheduler of diffusers in the form of Karras et al. 2022 (arXiv:2206.00364), as
`diffusers.EDMDPMSolverMultistepScheduler` or `diffusers.EDMEulerScheduler`. They take what a network answers before its
preconditioning; a denoised volume ``D`` is handed to them as the answer that would have given it. Nothing is random after the start, so
that noise of any covariance serves.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from planar3d.diffusion.consistency import Consistency, Denoise, Measurement, NoConsistency
from planar3d.shapes import Volume

__all__ = ["Sampler", "edm_solver"]


def edm_solver(*, sigma_min: float = 0.02, sigma_max: float = 3.0, rho: float = 7.0) -> Any:
    """The multistep solver of second order (Lu et al. 2022, arXiv:2211.01095) on the schedule of Karras et al.

    Args:
        sigma_min: Lowest noise level before none.
        sigma_max: Highest noise level, far above the spread of the estimate that samples start from.
        rho: Crowds the levels towards the low end.
    """
    from diffusers.schedulers.scheduling_edm_dpmsolver_multistep import EDMDPMSolverMultistepScheduler

    return EDMDPMSolverMultistepScheduler(
        sigma_min=sigma_min,
        sigma_max=sigma_max,
        rho=rho,
        sigma_data=1.0,
        algorithm_type="dpmsolver++",
        solver_order=2,
        final_sigmas_type="zero",
    )


class Sampler:
    """Draws volumes by denoising.

    Args:
        scheduler: An EDM scheduler of diffusers without noise of its own, as `edm_solver` makes one.
        evaluations: How often the denoiser is evaluated per volume.
        consistency: Brings the denoised volumes to agree with a measurement; None for no more than the denoiser knows.
    """

    def __init__(self, *, scheduler: Any = None, evaluations: int = 10, consistency: Consistency | None = None) -> None:
        if evaluations < 2:
            raise ValueError(f"evaluations must be at least 2, got {evaluations}")
        self.scheduler: Any = edm_solver() if scheduler is None else scheduler
        self.evaluations = evaluations
        self.consistency = consistency or NoConsistency()

    @property
    def sigma_max(self) -> float:
        """Noise level of the start."""
        return float(self.scheduler.config.sigma_max)

    def __call__(
        self,
        denoise: Denoise,
        measurement: Measurement,
        start: Volume,
        *,
        correlate: Callable[[Volume], Volume] | None = None,
        watch: Callable[[float, Volume], None] | None = None,
        differentiable: int = 0,
    ) -> Volume:
        """Volumes without noise, ``(n, 1, x, y, z)``.

        Args:
            denoise: The denoiser.
            measurement: What was measured.
            start: Volumes with noise of `sigma_max`, ``(n, 1, x, y, z)``.
            correlate: The covariance of the noise times a volume; None for white noise.
            watch: Called with the noise level and the denoised volumes at every evaluation.
            differentiable: The last so many evaluations keep what a gradient needs to go back through them, unless gradients are off.
        """
        scheduler, volume = self._schedule(start.device), start
        sigmas, wanted = scheduler.sigmas[:-1].tolist(), torch.is_grad_enabled()
        for index, (time, level) in enumerate(zip(scheduler.timesteps, sigmas, strict=True)):
            sigma = torch.full((len(start),), level, device=start.device)
            with torch.set_grad_enabled(wanted and index >= self.evaluations - differentiable):
                denoised = self.consistency(denoise, measurement, volume, sigma, correlate or _unchanged)
            if watch is not None:
                watch(level, denoised)
            scheduler.is_scale_input_called = True  # the denoiser scales what it sees itself
            volume = scheduler.step(_answer(scheduler, denoised, volume, level), time, volume).prev_sample
        return volume

    def _schedule(self, device: torch.device | str) -> Any:
        """A scheduler of its own for every run, as it counts its steps."""
        scheduler = copy.deepcopy(self.scheduler)
        scheduler.set_timesteps(self.evaluations, device=device)
        return scheduler


def _unchanged(volume: Volume) -> Volume:
    return volume


def _answer(scheduler: Any, denoised: Tensor, volume: Tensor, sigma: float) -> Tensor:
    """What a network would have to answer for the scheduler to arrive at the denoised volume."""
    data = float(scheduler.config.sigma_data)
    skip = data**2 / (sigma**2 + data**2)
    out = sigma * data / (sigma**2 + data**2) ** 0.5
    return (denoised - skip * volume) / out
