"""What a loader of made-up data has to yield: integers, each the name of a sample that is made on the training device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Integer
from torch import Tensor

__all__ = ["IndexBatches"]


class IndexBatches:
    """Batches of ``0 ... count - 1``, dealt out over the devices of a distributed training.

    Where ``count`` does not divide evenly among the devices, indices from ``count`` on fill up: more samples of the same kind, so that
    every device makes as many steps.

    Args:
        count: Samples over all devices.
        batch_size: Samples of one batch on one device.
        rank: Which device this is.
        world_size: Number of devices.
    """

    def __init__(self, *, count: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.indices = torch.arange(rank, -(-count // world_size) * world_size, world_size)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __iter__(self) -> Iterator[Integer[Tensor, " b"]]:
        return iter(self.indices.split(self.batch_size))
