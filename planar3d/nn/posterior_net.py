"""The networks of a diffusion posterior: one that estimates, and one that denoises around the estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from planar3d.nn.denoiser import PreconditionedDenoiser
from planar3d.nn.sliding import SlidingWindow
from planar3d.nn.unet import CorrectionUNet

__all__ = ["PosteriorNet"]


class PosteriorNet(nn.Module):
    """An estimator and a denoiser of the same make.

    Args:
        in_channels: Channels of the condition that both see; the denoiser sees `PreconditionedDenoiser.extra_channels` more, and one
            that says whether the measurement is known.
        estimator: Further options of the estimator, a `CorrectionUNet` with two answers.
        denoiser: Further options of the denoiser, a `CorrectionUNet` with one answer.
    """

    def __init__(self, *, in_channels: int, estimator: Mapping[str, object], denoiser: Mapping[str, object]) -> None:
        super().__init__()
        estimating = CorrectionUNet(in_channels=in_channels, out_channels=2, **estimator)  # pyright: ignore[reportArgumentType]
        self.estimator: nn.Module = estimating
        self.multiple = estimating.multiple
        more = in_channels + 1 + PreconditionedDenoiser.extra_channels
        self.denoiser = PreconditionedDenoiser(CorrectionUNet(in_channels=more, **denoiser))  # pyright: ignore[reportArgumentType]

    def look_through(self, window: Sequence[int]) -> None:
        """Have both networks see a large volume in windows, for inference.

        Args:
            window: Largest part of a volume seen at once, along x, y, z [voxel].
        """
        self.estimator = SlidingWindow(self.estimator, window, align=self.multiple)
        self.denoiser.net = SlidingWindow(self.denoiser.net, window, align=self.multiple)

    def start_from_estimator(self, tensors: Mapping[str, Tensor]) -> bool:
        """Take over the weights of a trained estimator: all of them as estimator, those of its features as start of the denoiser.

        Args:
            tensors: Weights of a `CorrectionUNet`, by name.

        Returns:
            Whether they are of the make of the estimator; otherwise nothing is changed.
        """
        own = self.estimator.state_dict()
        if own.keys() != tensors.keys() or any(own[name].shape != tensors[name].shape for name in own):
            return False
        self.estimator.load_state_dict(dict(tensors))
        target = self.denoiser.net.state_dict()
        for name, value in tensors.items():
            if name not in target or "conv_final" in name:
                continue
            if target[name].shape == value.shape:
                target[name] = value.to(target[name])
            elif target[name].shape[2:] == value.shape[2:] and target[name].shape[0] == value.shape[0]:
                # the first layer: the condition comes first, and what is new begins without a say
                wider = torch.zeros_like(target[name])
                wider[:, : value.shape[1]] = value
                target[name] = wider
        self.denoiser.net.load_state_dict(target)
        return True
