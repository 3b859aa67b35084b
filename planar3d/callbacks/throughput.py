"""How fast a training goes, which share of a step its data take, and how much memory it needs."""

from __future__ import annotations

import sys
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

__all__ = ["Throughput", "peak_memory_gib"]

GIB = 2**30


class Throughput(Callback):
    """Logs samples per second, the share of a step before the network sees its batch, and the peak of memory, once per epoch.

    Synthetic data are made when a batch is handed to the device, between one step's end and the next one's beginning. On a GPU the steps
    measured wait for it to finish; every step that is not measured runs on.

    Args:
        every_n_steps: One of how many steps is measured.
    """

    def __init__(self, *, every_n_steps: int = 10) -> None:
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps must be at least 1, got {every_n_steps}")
        self.every_n_steps = every_n_steps
        self._forget()

    def _forget(self) -> None:
        """Nothing measured yet."""
        self._previous: float | None = None
        self._begun: float | None = None
        self._data_s = self._step_s = 0.0
        self._samples = 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        self._forget()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The time of a validation belongs to no step."""
        self._previous = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """The data of the step are there."""
        self._begun = None if self._previous is None else _now(pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """The step has ended; perhaps the next one is measured."""
        if self._previous is not None and self._begun is not None:
            ended = _now(pl_module)
            self._data_s += self._begun - self._previous
            self._step_s += ended - self._previous
            self._samples += len(batch) * trainer.world_size
        self._previous = _now(pl_module) if batch_idx % self.every_n_steps == 0 else None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log what was measured."""
        metrics = {"memory/peak_gib": peak_memory_gib(pl_module.device)}
        if self._step_s > 0:
            metrics |= {"speed/samples_per_s": self._samples / self._step_s, "speed/data_share": self._data_s / self._step_s}
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=trainer.global_step)


def peak_memory_gib(device: torch.device) -> float:
    """Most memory in use so far: of the GPU where that is the device, else of this process [GiB]; NaN where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / GIB
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / GIB if sys.platform == "darwin" else peak * 1024 / GIB


def _now(pl_module: LightningModule) -> float:
    """Time when the device has done its work [s]."""
    if pl_module.device.type == "cuda":
        torch.cuda.synchronize(pl_module.device)
    return time.perf_counter()
