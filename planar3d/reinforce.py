"""Train a network further by the measured views: ``python -m planar3d.reinforce planar=... patient.ct=... checkpoint=...``.

Writes ``weights.safetensors``, which ``python -m planar3d.reconstruct checkpoint=...`` takes, the weights and the course of the metrics
of every round, ``rounds.csv`` (`planar3d.reinforcement.ReinforcementRound`), and with a reward ``reward.csv``
(`planar3d.models.reward.RewardStep`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from lightning.pytorch import Trainer, seed_everything
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from planar3d.config import command
from planar3d.data.measured_datamodule import MeasuredDataModule
from planar3d.io.csv_rows import write_csv
from planar3d.measured import MeasuredPatient, open_measured
from planar3d.models.checkpoint import load_checkpoint_into, load_config, save_weights, weights_dtype
from planar3d.models.diffusion_module import DiffusionModule
from planar3d.models.reconstruction_module import ReconstructionModule
from planar3d.models.reward import RewardStep
from planar3d.reconstruction.margin import with_spill_known
from planar3d.reinforcement import ReinforcementRound, reinforce
from planar3d.results import announce, output_folder, stages, without_paths
from planar3d.trained import is_ours

__all__ = ["main"]

WEIGHTS = "weights.safetensors"


@command("reinforce")
def main(cfg: DictConfig) -> None:
    """Read, check, train by rounds, write."""
    dtype = weights_dtype(cfg.weights_dtype)
    seed_everything(cfg.seed, verbose=False)
    model, described = open_model(cfg)
    with output_folder(cfg.output_dir, cfg) as folder:
        with stages(3) as stage:
            measured = open_measured(cfg, stage)
            measured = replace(measured, problem=with_spill_known(measured.problem))
        data = _data(cfg, measured)
        config = exported_config(cfg, measured) | {"model": described}

        def keep(what: ReinforcementRound) -> None:
            if what.round:
                save_weights(folder / f"round_{what.round}" / WEIGHTS, model.net, config, dtype=dtype)

        course: list[ReinforcementRound] = []
        if cfg.rounds or cfg.get("reward") is None:
            course = reinforce(
                model, data, trainer=lambda number: _trainer(cfg, folder / f"round_{number}"), rounds=cfg.rounds, pool=cfg.pool,
                defence=cfg.defence, smallest_share=cfg.smallest_share, smallest_change=cfg.smallest_change, after=keep,
            )  # fmt: skip
        rewarded = [] if cfg.get("reward") is None else reward(cfg, model, measured)
        save_weights(folder / WEIGHTS, model.net, config, dtype=dtype)
        for name, rows in (("rounds", course), ("reward", rewarded)):
            if rows:
                write_csv(folder / f"{name}.csv", [asdict(row) for row in rows])
    tell(course, rewarded)
    announce(cfg.output_dir)


def open_model(cfg: DictConfig) -> tuple[ReconstructionModule, dict[str, Any]]:
    """The module that the weights were trained in, with the optimiser of this command, and its configuration.

    Args:
        cfg: Composed ``conf/reinforce.yaml``.

    Raises:
        ValueError: There is no such file, or it describes no such module.
    """
    described = load_config(cfg.checkpoint).get("model", {})
    own: Any = OmegaConf.to_container(cfg, resolve=True)
    described = {key: value for key, value in described.items() if key not in ("optimizer", "scheduler")}
    if "net" not in described or not is_ours(described):
        raise ValueError(f"checkpoint {cfg.checkpoint} does not describe a network of planar3d; give weights that planar3d.train wrote")
    described |= {"optimizer": own["optimizer"], "scheduler": own["scheduler"]}
    model = instantiate(described, _convert_="all")
    if not isinstance(model, ReconstructionModule):
        raise ValueError(
            f"checkpoint {cfg.checkpoint} does not describe a network that reconstructs; give weights that planar3d.train wrote"
        )
    load_checkpoint_into(model.net, cfg.checkpoint)
    return model, described


def reward(cfg: DictConfig, model: ReconstructionModule, measured: MeasuredPatient) -> list[RewardStep]:
    """Tune the denoiser of a module by the likelihood of the measured views.

    Args:
        cfg: Composed ``conf/reinforce.yaml``.
        model: A diffusion model; its network is changed.
        measured: The measurement.

    Raises:
        ValueError: The module is no diffusion model.
    """
    if not isinstance(model, DiffusionModule):
        raise ValueError("reward needs the weights of a diffusion model, and checkpoint holds another network; leave reward out")
    net = model.net.to(measured.problem.views.device)
    tuned, steps = instantiate(cfg.reward, passes=model.passes, noise=model.noise, _convert_="all")(net, model.inputs, measured.problem)
    net.load_state_dict(tuned.state_dict())
    return steps


def exported_config(cfg: DictConfig, measured: MeasuredPatient) -> dict[str, Any]:
    """What made the weights, without paths of this machine and of the patient's files.

    Args:
        cfg: Composed ``conf/reinforce.yaml``.
        measured: The measurement, which names the camera and the spacing.
    """
    config = {key: value for key, value in without_paths(cfg).items() if key not in ("callbacks", "logger", "acquisition")}
    config["camera"] = {"name": measured.image.camera, "isotope": measured.image.isotope}
    config["patient"] = config["patient"] | {"spacing_mm": measured.problem.grid.spacing_mm[0]}
    return config


def tell(course: Sequence[ReinforcementRound], rewarded: Sequence[RewardStep]) -> None:
    """Closing lines: what each round, and the reward, came to.

    Args:
        course: The rounds.
        rewarded: The steps of the reward.
    """
    console = Console(soft_wrap=True, highlight=False)
    for row in course[1:]:
        console.print(
            f"Round {row.round} by {row.estimator}: effective share {row.effective_share:.2f}, NMAE on its phantoms {row.nmae_before:.3f} "
            f"before and {row.nmae_after:.3f} after, deviance of the measured views {row.deviance:.2f} per pixel, in {row.seconds:.0f} s"
        )
    if course:
        console.print(f"Ended after {course[-1].round} rounds: {course[-1].told}")
    if rewarded:
        first, last = rewarded[0].deviance, rewarded[-1].deviance
        console.print(f"Reward: deviance of the samples {first:.2f} per pixel before and {last:.2f} after {len(rewarded)} steps")


def _data(cfg: DictConfig, measured: MeasuredPatient) -> MeasuredDataModule:
    """Phantoms of the measured patient."""
    problem = measured.problem
    pet = measured.patient.resampled(problem.grid).pet
    synthesizer = instantiate(cfg.phantom, _convert_="all")
    return instantiate(cfg.data, _convert_="all")(
        problem=problem, synthesizer=synthesizer, pet=None if pet is None else pet[None].to(problem.views.device)
    )


def _trainer(cfg: DictConfig, folder: Path) -> Trainer:
    """The trainer of a round, which leaves its files in a folder of its own."""
    own = cfg.copy()
    own.output_dir = str(folder)
    callbacks = [instantiate(entry, _convert_="all") for entry in own.callbacks.values() if entry is not None]
    logger = instantiate(own.get("logger"), _convert_="all") or False
    return instantiate(own.trainer, callbacks=callbacks, logger=logger, _convert_="all")


if __name__ == "__main__":
    main()
