"""The network that corrects a baseline: channels on a grid in, one residual per voxel out, and if asked for its spread.

``d = unfold(body(fold(channels)))``: ``fold`` moves every ``fold^3`` cube of voxels into channels, so that the convolutions run on a
grid ``fold`` times coarser, and ``unfold`` moves the answer back to single voxels. Nothing is lost, and on a CPU a step costs a
third. The body is MONAI's SegResNet (He et al.'s residual blocks with group normalisation, Myronenko 2018, arXiv:1810.11654).

The last convolution starts at zero, so an untrained network answers ``d = 0``: the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["CorrectionUNet"]


class CorrectionUNet(nn.Module):
    """A residual U-Net for any grid size.

    Args:
        in_channels: Number of input channels.
        width: Channels at the finest level, a multiple of `groups`; each further level has twice as many.
        blocks_down: Residual blocks at each level on the way down; its length is the number of levels.
        fold: Edge of the cube of voxels that the finest level treats as one; 1 convolves single voxels.
        groups: Groups of the group normalisation.
        out_channels: Answers per voxel: 1 for the residual alone, 2 for the residual and the logarithm of its spread.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int = 24,
        blocks_down: Sequence[int] = (1, 2, 2),
        fold: int = 2,
        groups: int = 8,
        out_channels: int = 1,
    ) -> None:
        super().__init__()
        sizes = {"in_channels": in_channels, "width": width, "fold": fold, "groups": groups, "out_channels": out_channels}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if width % groups:
            raise ValueError(f"width must be a multiple of groups, got width {width} and groups {groups}")
        from monai.networks.nets.segresnet import SegResNet

        self.in_channels = in_channels
        self.out_channels = out_channels
        self.fold = fold
        self.multiple = fold * 2 ** (len(blocks_down) - 1)
        self.body = SegResNet(
            spatial_dims=3,
            init_filters=width,
            in_channels=in_channels * fold**3,
            out_channels=out_channels * fold**3,
            norm=("GROUP", {"num_groups": groups}),
            blocks_down=tuple(blocks_down),
            blocks_up=(1,) * (len(blocks_down) - 1),
        )
        last = [m for m in self.body.conv_final.modules() if isinstance(m, nn.Conv3d)][-1]
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, channels: Float[Tensor, "b c x y z"]) -> Float[Tensor, "b out x y z"]:
        """The answer.

        Args:
            channels: Input channels, ``(b, c, x, y, z)``; the grid may have any size.

        Returns:
            ``(b, out, x, y, z)``.

        Raises:
            ValueError: The number of channels is not the one the network was made for.
        """
        if channels.shape[1] != self.in_channels:
            raise ValueError(f"channels must hold {self.in_channels} channels, got {channels.shape[1]}; make them as in training")
        x, y, z = channels.shape[2:]
        missing = [-n % self.multiple for n in (x, y, z)]
        before = [m // 2 for m in missing]
        pads = [p for b, m in zip(before[::-1], missing[::-1], strict=True) for p in (b, m - b)]
        answer = _unfold(self.body(_fold(nn.functional.pad(channels, pads), self.fold)), self.fold)
        return answer[:, :, before[0] : before[0] + x, before[1] : before[1] + y, before[2] : before[2] + z]


def _fold(volume: Tensor, k: int) -> Tensor:
    """Cubes of ``k^3`` voxels become channels: ``(b, c, x, y, z)`` to ``(b, c k^3, x/k, y/k, z/k)``."""
    b, c, x, y, z = volume.shape
    cubes = volume.reshape(b, c, x // k, k, y // k, k, z // k, k).permute(0, 1, 3, 5, 7, 2, 4, 6)
    return cubes.reshape(b, c * k**3, x // k, y // k, z // k)


def _unfold(volume: Tensor, k: int) -> Tensor:
    """Inverse of `_fold`."""
    b, c, x, y, z = volume.shape
    cubes = volume.reshape(b, c // k**3, k, k, k, x, y, z).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return torch.reshape(cubes, (b, c // k**3, k * x, k * y, k * z))
