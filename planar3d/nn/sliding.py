"""A network trained on one size of grid, applied to any: windows along all axes, blended.

``answer(p) = sum_w g(p - p_w) net(channels in w)(p) / sum_w g(p - p_w)`` over the windows w that hold voxel p, with a Gaussian g about the
middle ``p_w`` of each. Near a face of a window that is not one of the volume the network sees an end that is not there; within
``margin`` voxels of such a face g is zero. A network that looks no further than that gives exactly what it gives on the whole volume. One
whose normalisation is over the whole grid (group normalisation) sees other means in a window than in the whole: near, not equal.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["SlidingWindow"]

SIGMA = 0.125  # of the window's edge, as nnU-Net has it (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z)


class SlidingWindow(nn.Module):
    """A network over windows of a volume; passes a volume that fits one window straight on.

    Args:
        net: Channels to answer, ``(b, c, x, y, z)`` to ``(b, k, x, y, z)``; any other arguments go along with every window.
        window: Largest part of a volume given to the network at once, about what it was trained on [voxel].
        overlap: Share of a window that the next one along an axis has too, at least.
        margin: Width of the rim that does not count where a window ends inside the volume [voxel]; None for a quarter of the overlap.
        align: Multiple at which windows begin, as the coarsest stride of the network; the volume is padded with zeros where need be.
    """

    def __init__(self, net: nn.Module, window: Sequence[int], *, overlap: float = 0.5, margin: int | None = None, align: int = 1) -> None:
        super().__init__()
        if len(window) != 3 or min(window) < 1:
            raise ValueError(f"window must be three positive numbers of voxels, got {tuple(window)}; give (x, y, z)")
        if not 0 < overlap < 1:
            raise ValueError(f"overlap must lie between 0 and 1, got {overlap}; it is a share of the window")
        shared = [math.ceil(overlap * n) for n in window]
        step = min(n - s for n, s in zip(window, shared, strict=True))
        if not 1 <= align <= step:
            raise ValueError(f"align must lie between 1 and the step from window to window, {step} voxels, got {align}")
        if margin is not None and not 0 <= 2 * margin < min(shared):
            raise ValueError(
                f"margin must be less than half of the overlap, {min(shared)} voxels, or some voxels count nowhere; got {margin}"
            )
        self.net = net
        self.window = tuple(window)
        self.align = align
        self.shared = tuple(shared)
        self.margin = margin

    def forward(self, channels: Float[Tensor, "b c x y z"], *arguments: Tensor) -> Float[Tensor, "b k x y z"]:
        """The network's answer on the whole volume.

        Args:
            channels: Input channels, ``(b, c, x, y, z)``; the grid may have any size.
            *arguments: What else the network takes, the same for every window.
        """
        size = channels.shape[2:]
        if all(n <= w for n, w in zip(size, self.window, strict=True)):
            return self.net(channels, *arguments)
        axes = [self._places(n, axis) for axis, n in enumerate(size)]
        ends = [places[-1][1] for places in axes]
        padded = nn.functional.pad(channels, [p for end, n in zip(ends[::-1], size[::-1], strict=True) for p in (0, end - n)])
        answer = total = weights = channels.new_zeros(0)
        for places in itertools.product(*axes):
            here = (..., *(slice(first, end) for first, end in places))
            answer = self.net(padded[here], *arguments)
            weight = self._weight(places, ends).to(answer.device, torch.promote_types(answer.dtype, torch.float32))
            if not total.numel():  # the first answer tells how many channels there are
                total, weights = weight.new_zeros(*answer.shape[:2], *ends), weight.new_zeros(ends)
            total[here] += answer * weight
            weights[here] += weight
        return (total / weights)[..., : size[0], : size[1], : size[2]].to(answer.dtype)

    def _places(self, n: int, axis: int) -> list[tuple[int, int]]:
        """First voxel of each window along an axis and the one after its last; the last may reach past the volume's end."""
        window = self.window[axis]
        if n <= window:
            return [(0, n)]
        step = (window - self.shared[axis]) // self.align * self.align
        end = -(-(n - window) // self.align) * self.align  # where the last begins
        return [(first, first + window) for first in (*range(0, end, step), end)]

    def _weight(self, places: Sequence[tuple[int, int]], size: Sequence[int]) -> Float[Tensor, "x y z"]:
        """Gaussian about the middle of a window, zero in the rim of faces inside the volume."""
        axes = []
        for axis, ((first, end), n) in enumerate(zip(places, size, strict=True)):
            length = end - first
            voxel = torch.arange(length, dtype=torch.float64)
            weight = torch.exp(-0.5 * ((voxel - 0.5 * (length - 1)) / (SIGMA * length)) ** 2)
            rim = self.shared[axis] // 4 if self.margin is None else self.margin
            if first > 0:
                weight[:rim] = 0.0
            if end < n:
                weight[length - rim :] = 0.0
            axes.append(weight)
        return axes[0].view(-1, 1, 1) * axes[1].view(-1, 1) * axes[2]
