"""Train a network on synthetic acquisitions: ``python -m planar3d.train +experiment=unet_ps patient.ct=... patient.labels=...``.

Without a patient's files the patient is a digital one. The run's folder holds the averaged weights (``weights.safetensors``), the
configuration beside them, the course of the metrics, what the validation came to (``summary.csv``) and the checkpoints from which an
interrupted run resumes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch import LightningDataModule, Trainer, seed_everything
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from torch import nn

from planar3d.callbacks.dashboard import close_loggers, log_run
from planar3d.config import command
from planar3d.io.csv_rows import write_csv
from planar3d.models.checkpoint import load_checkpoint_into, save_weights, weights_dtype
from planar3d.models.reconstruction_module import ReconstructionModule
from planar3d.nn.posterior_net import PosteriorNet
from planar3d.results import announce, without_paths

__all__ = ["main", "train"]

WEIGHTS = "weights.safetensors"
SUMMARY = "summary.csv"


@command("train")
def main(cfg: DictConfig) -> None:
    """Train, then tell what was written and what it is worth."""
    started, folder = time.monotonic(), Path(cfg.output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        metrics = train(cfg)
    except BaseException:
        for made in (folder, Path(HydraConfig.get().runtime.output_dir)):
            _remove_while_empty(made)
        raise
    _tell(folder, metrics, time.monotonic() - started)


@rank_zero_only
def _tell(folder: Path, metrics: dict[str, float], seconds: float) -> None:
    """Closing lines: what the training is worth, and what was written where."""
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        f"Validation NMAE {metrics['before']:.3f} before and {metrics['after']:.3f} after training, {metrics['baseline']:.3f} for the "
        f"baseline, in {seconds:.0f} s"
    )
    announce(folder)


def train(cfg: DictConfig) -> dict[str, float]:
    """Train as configured and write the weights.

    Args:
        cfg: Composed ``conf/train.yaml``.

    Returns:
        Validation NMAE ``before`` and ``after`` training and of the ``baseline``.
    """
    dtype = weights_dtype(cfg.weights_dtype)
    seed_everything(cfg.seed, verbose=False)
    data: LightningDataModule = instantiate(cfg.data, _convert_="all")
    model: ReconstructionModule = instantiate(cfg.model, _convert_="all")
    weights = cfg.resume or cfg.checkpoint
    if weights is not None:
        load_checkpoint_into(model.net, weights)
    if cfg.estimator_checkpoint is not None and cfg.resume is None:
        load_checkpoint_into(_estimator(model), cfg.estimator_checkpoint)
    logger = instantiate(cfg.get("logger"), _convert_="all") or False
    trainer: Trainer = instantiate(cfg.trainer, callbacks=_values(cfg.get("callbacks")), logger=logger, _convert_="all")
    started, exported = time.monotonic(), exported_config(cfg)
    try:
        before = trainer.validate(model, datamodule=data, verbose=False)[0]
        log_run(trainer.loggers, exported)
        trainer.fit(model, datamodule=data, ckpt_path=cfg.resume, weights_only=True)
        after = trainer.validate(model, datamodule=data, verbose=False)[0]
    finally:
        close_loggers(trainer.loggers)
    if trainer.is_global_zero:
        folder = Path(cfg.output_dir)
        save_weights(folder / WEIGHTS, model.net, exported, dtype=dtype)
        _write_summary(folder / SUMMARY, before, after, seconds=time.monotonic() - started)
    return {"before": before["val/nmae"], "after": after["val/nmae"], "baseline": after["val/nmae_baseline"]}


def _write_summary(path: Path, before: Mapping[str, float], after: Mapping[str, float], *, seconds: float) -> None:
    """Every metric of the validation before and after training, and the time taken [s]; whole or not at all."""
    rows = [{"metric": name, "before": before[name], "after": value} for name, value in after.items() if name in before]
    write_csv(path, [*rows, {"metric": "seconds", "before": 0.0, "after": seconds}])


def _estimator(model: ReconstructionModule) -> nn.Module:
    """The network that estimates inside a diffusion model."""
    if not isinstance(model.net, PosteriorNet):
        raise ValueError("estimator_checkpoint is for a diffusion model, and this trains another network; give its weights as checkpoint")
    return model.net.estimator


def exported_config(cfg: DictConfig) -> dict[str, Any]:
    """What made the weights, without the paths of this machine and of the patient's files."""
    cfg = cfg.copy()
    cfg.checkpoint = cfg.checkpoint  # settled first, as are the options that follow it: a path is not told
    OmegaConf.resolve(cfg.net)
    return {key: value for key, value in without_paths(cfg).items() if key not in ("callbacks", "logger")}


def _values(group: DictConfig | None) -> list[Any]:
    """The instances of a group of named entries; null leaves one out."""
    return [instantiate(entry, _convert_="all") for entry in (group or {}).values() if entry is not None]


def _remove_while_empty(folder: Path) -> None:
    """Remove the run's folder, and those around it below the working directory, as far as nothing came to be in them."""
    here = Path.cwd()
    while folder.is_dir() and folder != here and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent if here in folder.absolute().parents else here


if __name__ == "__main__":
    main()
