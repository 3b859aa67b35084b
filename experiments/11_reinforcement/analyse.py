"""Rounds of reinforcement against plain fine-tuning for the same number of steps, on cases of ``sim_v1_coarse``.

    python experiments/11_reinforcement/analyse.py checkpoint=unet_population_8mm [anatomies=[digital_900000]] [cases=[0,2]] [steps=50]

For each case the network of the checkpoint is taken as it is (``start``), trained on phantoms of the patient under the prior
(``fine_tuned``), and trained by rounds with each of the corrections of `planar3d.data.measured_datamodule` (``rounds_local``,
``rounds_prior``, ``rounds_none``). Phantoms are made from the labels that the case is given. Writes ``cases.csv`` (one row per case and
training) and ``rounds.csv`` beside this file, and prints a table with paired differences from ``fine_tuned``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging
from omegaconf import DictConfig, OmegaConf

from planar3d.benchmark import BenchmarkCases
from planar3d.config import CONFIG_DIR
from planar3d.data.measured_datamodule import CORRECTIONS, MeasuredDataModule
from planar3d.io import write_csv
from planar3d.metrics import bootstrap_mean, paired_difference
from planar3d.models.precision import best_precision
from planar3d.models.reconstruction_module import ReconstructionModule
from planar3d.reconstruction.posterior import Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reinforce import open_model
from planar3d.reinforcement import SEEDS_APART, reinforce
from planar3d.scoring import score

HERE = Path(__file__).parent
COLUMNS = ("nmae", "ssim_body", "organ_error", "error_kidneys", "total_error", "lesion_recovery", "deviance")
DEFAULTS = {
    "checkpoint": "unet_population_8mm",
    "anatomies": [f"digital_{900_000 + k}" for k in range(4)],
    "cases": [0, 2, 4],
    "rounds": 2,
    "steps": 50,  # of each round
    "batch_size": 4,
    "pool": 64,
    "lr": 3e-4,
    "seed": 0,
    "variants": ["fine_tuned", *(f"rounds_{name}" for name in CORRECTIONS)],
    "accelerator": "auto",
    "out": str(HERE),
}

Row = dict[str, Any]


def main() -> None:
    """Train, score, write, print."""
    options = OmegaConf.merge(DEFAULTS, OmegaConf.from_dotlist(sys.argv[1:]))
    assert isinstance(options, DictConfig)
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        benchmark = instantiate(compose("evaluate", ["+benchmark=sim_v1_coarse"]).benchmark, _convert_="all")
        given = ["planar=none", "patient.ct=none", "patient.labels=none", "output_dir=none"]
        cfg = compose("reinforce", [*given, f"checkpoint={options.checkpoint}", f"optimizer.lr={options.lr}"])
    rows, rounds = [], []
    for cases in benchmark.only(list(options.anatomies)):
        for k in options.cases:
            one = single(cases, k)
            for variant in ("start", *options.variants):
                seed_everything(options.seed, verbose=False)
                model, started = open_model(cfg)[0], time.monotonic()
                course = train(model, one.problem, benchmark.simulator.synthesizer, variant, options)
                seconds = time.monotonic() - started
                with torch.no_grad():
                    mean = model.cpu().eval().estimate(one.problem).mean
                row = score(one, variant, Posterior(mean=mean), seconds)["cases"][0] | {"case": k}
                rows.append(row)
                rounds += [{"anatomy": cases.anatomy, "case": k, "variant": variant} | asdict(r) for r in course]
                print(f"{cases.anatomy} {k} {variant}: NMAE {row['nmae']:.4f}, deviance {row['deviance']:.2f}, {seconds:.0f} s", flush=True)
            write_csv(Path(options.out) / "cases.csv", rows)  # after every case, so that a run broken off leaves what it found
            if rounds:
                write_csv(Path(options.out) / "rounds.csv", rounds)
    print(table(rows))


def single(cases: BenchmarkCases, k: int) -> BenchmarkCases:
    """One case alone."""
    truth, given = cases.truth[k : k + 1], cases.problem
    problem = PlanarProblem.from_camera(
        given.camera, views=truth.views, mu_map=given.mu_map[k : k + 1], labels=given.labels[k : k + 1], grid=cases.grid
    )
    return replace(cases, problem=problem, truth=truth, poor_labels=cases.poor_labels[k : k + 1], reference=None)


def train(model: ReconstructionModule, problem: PlanarProblem, synthesizer: Any, variant: str, options: DictConfig) -> list[Any]:
    """Train a network in place; the rounds, where there are any."""
    if variant == "start":
        return []
    data = MeasuredDataModule(
        problem=problem, synthesizer=synthesizer, correction=variant.removeprefix("rounds_") if variant != "fine_tuned" else "none",
        batch_size=options.batch_size, samples_per_epoch=options.batch_size * options.steps, validation_samples=2, seed=options.seed,
    )  # fmt: skip
    trainer = trainers(options)
    if variant != "fine_tuned":
        return reinforce(model, data, trainer=trainer, rounds=options.rounds, pool=options.pool, smallest_change=0.0)
    for number in range(options.rounds):
        data.seed = options.seed + (number + 1) * SEEDS_APART
        trainer(number).fit(model.train(), datamodule=data)
    return []


def trainers(options: DictConfig) -> Callable[[int], Trainer]:
    """Makes the trainer of a round."""

    def make(number: int) -> Trainer:
        return Trainer(
            accelerator=options.accelerator, devices=1, precision=best_precision(), max_epochs=1, gradient_clip_val=1.0, logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0,
            num_sanity_val_steps=0, callbacks=[EMAWeightAveraging(decay=0.98)],
        )  # fmt: skip

    return make


def table(rows: list[Row]) -> str:
    """Mean of each training, and paired differences of NMAE from ``fine_tuned`` with 95 % intervals, as Markdown."""
    lines = ["| training | " + " | ".join(COLUMNS) + " | NMAE against fine_tuned |", "|---" * (len(COLUMNS) + 2) + "|"]
    groups = torch.tensor([sorted({r["anatomy"] for r in rows}).index(r["anatomy"]) for r in rows if r["method"] == "start"])
    reference = torch.tensor([r["nmae"] for r in rows if r["method"] == "fine_tuned"])
    for method in dict.fromkeys(r["method"] for r in rows):
        mine, cells = [r for r in rows if r["method"] == method], []
        for column in COLUMNS:
            values = torch.tensor([r[column] for r in mine if r[column] is not None])
            cells.append(f"{bootstrap_mean(values, generator=torch.Generator().manual_seed(0)).mean:.4f}" if len(values) else "")
        nmae, against = torch.tensor([r["nmae"] for r in mine]), ""
        if len(reference) == len(nmae) and method != "fine_tuned":
            d = paired_difference(nmae, reference, generator=torch.Generator().manual_seed(0), groups=groups)
            against = f"{d.mean:+.4f} [{d.low:+.4f}, {d.high:+.4f}]"
        lines.append(f"| `{method}` | " + " | ".join(cells) + f" | {against} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
