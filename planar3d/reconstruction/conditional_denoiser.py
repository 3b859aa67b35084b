"""The denoiser of a diffusion model before a patient: what is known of the patient, and what the measurement adds.

With the measurement, the denoiser works around the network's estimate and its spread; without it, around a uniform body, and what the
measurement says is taken from the channels: the prior over activity in this anatomy. Both add white noise to the same volume, the root of
relative activity, so that they can be mixed (classifier-free guidance, Ho and Salimans 2022, arXiv:2207.12598).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from planar3d.nn.denoiser import PreconditionedDenoiser
from planar3d.nn.half_precision import half_precision
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.network_estimate import NetworkEstimate
from planar3d.shapes import BodyMask, Volume

__all__ = ["Condition", "ConditionalDenoiser"]

LEAST_SPREAD = 0.02  # of the root of relative activity: the preconditioning divides by it
PRIOR_SPREAD = 1.0  # around a uniform body


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What a denoiser is told of a batch.

    Attributes:
        mean: Root of relative activity around which it works, ``(n, 1, x, y, z)``.
        spread: Standard deviation of that, ``(n, 1, x, y, z)``.
        channels: Channels of the network, ``(n, c, x, y, z)``.
        mask: Where activity may lie, ``(n, 1, x, y, z)``.
    """

    mean: Volume
    spread: Volume
    channels: Float[Tensor, "n c x y z"]
    mask: BodyMask

    @classmethod
    def of_estimate(cls, made: NetworkEstimate, known: Bool[Tensor, " n"], *, copies: int = 1) -> Condition:
        """The condition of an estimate.

        Args:
            made: The estimate with its spread.
            known: For which volumes the measurement is known, ``(n,)``, with as many of each patient as there are copies, in a row.
            copies: Volumes of each patient.

        Raises:
            ValueError: The estimate has no spread.
        """
        if made.root_spread is None:
            raise ValueError("the estimator states no spread; give a network with out_channels=2")
        inputs, told = made.inputs, known.view(-1, 1, 1, 1, 1)
        root, stated, mask, channels = (
            v.repeat_interleave(copies, dim=0) for v in (inputs.root(made.mean), made.root_spread, inputs.mask, inputs.channels)
        )
        mean = torch.where(told, root, mask.to(root))
        spread = torch.where(told, stated.clamp(min=LEAST_SPREAD), PRIOR_SPREAD)
        measured = torch.zeros(channels.shape[1], dtype=torch.bool, device=channels.device)
        measured[list(PhysicsInputs.measured)] = True
        channels = channels * (told | ~measured.view(1, -1, 1, 1, 1))
        flag = told.to(channels).expand_as(mean)
        return cls(mean=mean, spread=torch.where(mask, spread, 1.0), channels=torch.cat([channels, flag], dim=1), mask=mask)


class ConditionalDenoiser:
    """Denoises volumes of a batch of patients.

    Args:
        denoiser: The network.
        condition: What is known.
        prior: What is known without the measurement; only for a `guidance` other than one.
        guidance: Weight of the answer with the measurement against that without: 1 takes the first alone, 0 the second, more than 1
            exaggerates.
    """

    def __init__(
        self, denoiser: PreconditionedDenoiser, condition: Condition, *, prior: Condition | None = None, guidance: float = 1.0
    ) -> None:
        if guidance != 1.0 and prior is None:
            raise ValueError(f"guidance {guidance} needs the condition without the measurement; give prior")
        self.denoiser = denoiser
        self.condition = condition
        self.prior = prior
        self.guidance = guidance

    def __call__(self, noisy: Volume, sigma: Float[Tensor, " n"]) -> Volume:
        """The expected volumes, ``(n, 1, x, y, z)``."""
        if self.prior is None or self.guidance == 1.0:
            return self._denoise(self.condition, noisy, sigma)
        without = self._denoise(self.prior, noisy, sigma)
        if self.guidance == 0.0:
            return without
        return without + self.guidance * (self._denoise(self.condition, noisy, sigma) - without)

    def _denoise(self, known: Condition, noisy: Volume, sigma: Tensor) -> Volume:
        inside = known.mask.to(noisy)
        with half_precision(noisy.device):
            denoised = self.denoiser(noisy * inside, sigma, mean=known.mean, spread=known.spread, condition=known.channels)
        return denoised.clamp(min=0) * inside
