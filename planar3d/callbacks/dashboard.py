"""What a training shows while it runs: a panel of fixed validation cases, on every logger as far as it can show it.

Weights & Biases gets figures, tables and scalars, TensorBoard figures and scalars, any other logger scalars. This is the only
module that knows wandb, and nothing it sends names a patient, a path or a machine: anatomies are numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from planar3d.callbacks.panel import CURVE_LEVELS, PanelScores, ValidationPanel
from planar3d.callbacks.version import code_version
from planar3d.reconstruction.posterior import Posterior
from planar3d.visualization import calibration_chart, case_sheet, organ_scatter, rendered, trajectory_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Dashboard", "close_loggers", "log_run", "log_sweep"]

STEP = "trainer/global_step"  # the step axis of Lightning's WandbLogger
PANEL_SEED = 0  # of what a reconstruction draws: the same noise at every validation


class Dashboard(Callback):
    """Reconstructs a few fixed validation cases at the end of a validation and logs how well that went.

    The module offers ``reconstruct(batch) -> Posterior`` and, where it draws samples, ``trajectory(batch)``, the noise levels and volumes
    along the sampler's way and the samples. Averaged weights are used where there are any. A validation apart from a training is always
    shown.

    Args:
        cases: Number of cases reconstructed, the first of the validation.
        figures: For how many of them a sheet is drawn; none is where no logger can show it.
        every_n_epochs: In a training, one of how many epochs is shown.
        trajectory: Whether to show a sampler's way for the first case.
        dpi: Dots per inch of figures.
    """

    def __init__(self, *, cases: int = 4, figures: int = 2, every_n_epochs: int = 1, trajectory: bool = True, dpi: int = 80) -> None:
        for name, value, least in (("cases", cases, 1), ("figures", figures, 0), ("every_n_epochs", every_n_epochs, 1), ("dpi", dpi, 1)):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        self.cases = cases
        self.figures = min(figures, cases)
        self.every_n_epochs = every_n_epochs
        self.trajectory = trajectory
        self.dpi = dpi
        self._panel: ValidationPanel | None = None

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Show the panel after the last batch, while averaged weights are still in place."""
        last = batch_idx + 1 == trainer.num_val_batches[dataloader_idx]
        if last and trainer.is_global_zero and trainer.loggers and self._due(trainer):
            with _apart(pl_module.device):
                self._show(trainer, pl_module)

    def _due(self, trainer: Trainer) -> bool:
        """Whether this validation is shown."""
        if trainer.sanity_checking:
            return False
        return trainer.state.fn != "fit" or (trainer.current_epoch + 1) % self.every_n_epochs == 0

    def _show(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reconstruct, score, draw, log."""
        if self._panel is None:
            self._panel = ValidationPanel.draw(getattr(trainer, "datamodule", None), cases=self.cases, device=pl_module.device)
        module: Any = pl_module
        panel, started = self._panel, time.perf_counter()
        with trainer.precision_plugin.val_step_context():
            posteriors = panel.reconstructed(module.reconstruct)
        scores = panel.scores(posteriors)
        scores.scalars["speed/reconstruction_s"] = (time.perf_counter() - started) / self.cases
        images: dict[str, Any] = {}
        if any(isinstance(logger, TensorBoardLogger | WandbLogger) for logger in trainer.loggers):
            images = {name: rendered(figure, dpi=self.dpi) for name, figure in self._figures(panel, posteriors, scores)}
            images |= self._way(trainer, pl_module, panel)
        for logger in trainer.loggers:
            _log(logger, scores, images, trainer.global_step)

    def _figures(self, panel: ValidationPanel, posteriors: Sequence[Posterior], scores: PanelScores) -> Iterator[tuple[str, Figure]]:
        """A sheet per case, and the charts."""
        pairs = ((b, p, k) for b, p in zip(panel.batches, posteriors, strict=True) for k in range(len(b)))
        for case, (batch, posterior, k) in zip(range(self.figures), pairs, strict=False):
            one = slice(k, k + 1)
            estimate = posterior.mean.float()
            expected = batch.problem.expected_counts(estimate) if posterior.expected_views is None else posterior.expected_views
            yield (
                f"panel/case_{case}",
                case_sheet(
                    views=batch.truth.views[one],
                    expected_views=expected[one],
                    truth=batch.truth.activity[one],
                    estimate=estimate[one],
                    grid=panel.grid,
                    title=f"validation case {case}, anatomy {panel.anatomy[case]}",
                ),
            )
        true, own = (torch.tensor([getattr(p, name) for p in scores.organs]) for name in ("true_bq", "estimated_bq"))
        yield "panel/organs", organ_scatter(true, own, [p.organ for p in scores.organs])
        if scores.coverage:
            yield "panel/calibration", calibration_chart(CURVE_LEVELS, scores.coverage)

    def _way(self, trainer: Trainer, pl_module: LightningModule, panel: ValidationPanel) -> dict[str, Any]:
        """The sampler's way for the first case, if the module has one."""
        way: Any = getattr(pl_module, "trajectory", None)
        if way is None or not self.trajectory:
            return {}
        data: Any = getattr(trainer, "datamodule", None)
        first = data.synthesise(torch.zeros(1, dtype=torch.int64, device=pl_module.device), epoch=None)
        with trainer.precision_plugin.val_step_context():
            steps: Any = way(first)[0]
        sheet = trajectory_sheet([v[:1] for _, v in steps], panel.grid, noise=[float(level) for level, _ in steps])
        return {"panel/trajectory": rendered(sheet, dpi=self.dpi)}


def log_run(loggers: Sequence[Logger], config: Mapping[str, Any]) -> None:
    """Tell loggers what is run: the configuration and the version of the code.

    Args:
        loggers: Of the trainer.
        config: Resolved configuration, without paths.
    """
    for logger in loggers:
        logger.log_hyperparams({**config, "version": code_version()})
        if isinstance(logger, WandbLogger):
            for name, best in (("val/nmae", "min"), ("val/ssim_body", "max"), ("panel/nmae", "min")):
                logger.experiment.define_metric(name, step_metric=STEP, summary=best)


def close_loggers(loggers: Sequence[Logger]) -> None:
    """End the run of Weights & Biases, if there is one, so that the next training in this process has a run of its own."""
    if any(isinstance(logger, WandbLogger) for logger in loggers):
        import wandb

        if wandb.run is not None:
            wandb.finish()


def log_sweep(rows: Sequence[Mapping[str, Any]], *, name: str, folder: str | Path, project: str, offline: bool = True) -> None:
    """Send the gathered table of a sweep to Weights & Biases as a run of the sweep's group.

    Args:
        rows: Of the same keys, at least one.
        name: Name of the sweep, which is the group of its runs.
        folder: Where an offline run is kept.
        project: Project of the runs.
        offline: Whether to write it to the folder alone, for ``wandb sync``.
    """
    import wandb

    settings = wandb.Settings(
        host="", x_disable_meta=True, x_disable_stats=True, x_disable_machine_info=True, disable_git=True, console="off", silent=True
    )
    mode = "offline" if offline else "online"
    with wandb.init(project=project, group=name, name=f"{name}, gathered", dir=str(folder), mode=mode, settings=settings) as run:
        run.log({"ablation": _table(list(rows[0]), [list(row.values()) for row in rows])})


def _log(logger: Logger, scores: PanelScores, images: Mapping[str, Any], step: int) -> None:
    """What a logger can show of the panel."""
    if isinstance(logger, WandbLogger):
        import wandb

        organs = [[p.case, p.organ, p.true_bq, p.estimated_bq] for p in scores.organs]
        shown: dict[str, Any] = {name: wandb.Image(image) for name, image in images.items()}
        shown["panel/organ_table"] = _table(["case", "organ", "true activity [Bq]", "estimated activity [Bq]"], organs)
        curve = [[what, level, s] for what, shares in scores.coverage.items() for level, s in zip(CURVE_LEVELS, shares, strict=True)]
        if curve:
            shown["panel/calibration_table"] = _table(["intervals of", "level", "share that holds the truth"], curve)
        logger.experiment.log({**scores.scalars, **shown, STEP: step})
        return
    logger.log_metrics(scores.scalars, step=step)
    if isinstance(logger, TensorBoardLogger):
        for name, image in images.items():
            logger.experiment.add_image(name, image, step, dataformats="HWC")


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """A table as a page. A ``wandb.Table`` would be an artifact, whose offline record holds a path of this machine."""
    import html

    import wandb

    def cells(values: Sequence[Any], tag: str) -> str:
        told = (f"{v:.5g}" if isinstance(v, float) else str(v) for v in values)
        return "<tr>" + "".join(f"<{tag}>{html.escape(t)}</{tag}>" for t in told) + "</tr>"

    return wandb.Html("<table>" + cells(columns, "th") + "".join(cells(row, "td") for row in rows) + "</table>", inject=False)


@contextmanager
def _apart(device: torch.device) -> Iterator[None]:
    """Neither gradients nor random numbers of the training are touched; tensors may serve a method that needs gradients."""
    devices = [device] if device.type == "cuda" else []
    with torch.inference_mode(mode=False), torch.no_grad(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(PANEL_SEED)
        yield
