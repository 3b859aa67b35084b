"""How the networks of a training are executed: as they are, compiled, or with their channels stored last."""

from __future__ import annotations

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from planar3d.nn.unet import CorrectionUNet

__all__ = ["NetworkExecution"]


class NetworkExecution(Callback):
    """Has every `CorrectionUNet` of a module compiled, or its channels stored last, for training and validation; weights keep their names.

    Both are for GPUs. On a CPU compilation takes minutes and gains nothing, and channels stored last cost a quarter.

    Args:
        compile: Whether `torch.compile` makes kernels of the networks, anew for another size of grid.
        channels_last: Whether their weights, and what they make of a volume, are stored ``(b, x, y, z, c)`` in memory.
        backend: Of the compilation.
    """

    def __init__(self, *, compile: bool = False, channels_last: bool = False, backend: str = "inductor") -> None:
        self.compile = compile
        self.channels_last = channels_last
        self.backend = backend

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Once the module is there, and before anything copies it."""
        for body in [m.body for m in pl_module.modules() if isinstance(m, CorrectionUNet)]:
            if self.channels_last:
                body.to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]
            if self.compile and body._compiled_call_impl is None:
                body.compile(backend=self.backend)
