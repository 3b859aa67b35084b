"""Reward by the measured counts against EM consistency, on cases of ``sim_v1_coarse``.

    OMP_NUM_THREADS=1 python experiments/11_reinforcement/reward.py [anatomies=[digital_900000]] [cases=[0,2]] [steps=20] [samples=8]

For each case, samples of the diffusion model that comes with the package are drawn without any consistency (``none``), by a denoiser
tuned to this measurement by the likelihood of such samples (``reward``), and with EM steps (``em``), which need no tuning. Writes
``reward.csv`` beside this file and prints means.
"""

from __future__ import annotations

import copy
import sys
import time
from pathlib import Path
from typing import Any

import torch
from analyse import single
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from planar3d.config import CONFIG_DIR
from planar3d.io import write_csv
from planar3d.metrics import poisson_deviance
from planar3d.models.reward import RewardTuning
from planar3d.reconstruction import PlanarProblem
from planar3d.reconstruction.diffusion import DiffusionReconstruction
from planar3d.reconstruction.posterior import Posterior
from planar3d.scoring import score

HERE = Path(__file__).parent
COLUMNS = ("nmae", "ssim_body", "organ_error", "error_kidneys", "lesion_recovery", "deviance", "deviance_sample", "coverage_90", "seconds")
DEFAULTS = {"anatomies": ["digital_900000", "digital_900001", "lu177_dotatate_patient"], "cases": [0, 2], "steps": 20, "samples": 8}


def main() -> None:
    """Tune, draw, score, write, print."""
    options = OmegaConf.merge(DEFAULTS, OmegaConf.from_dotlist(sys.argv[1:]))
    alone = ["candidates.diffusion.estimator_share=0", "candidates.diffusion.em_steps=0"]  # nothing else that brings samples to the counts
    common = ["+benchmark=sim_v1_coarse", "checkpoint=null", "output_dir=none", *alone]
    methods, rows = {}, []
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        for name in ("none", "em"):
            cfg = compose("evaluate", [*common, f"sampler@candidates.diffusion.sampler={name}"])
            methods[name] = instantiate(cfg.candidates.diffusion, samples=options.samples, _convert_="all")
    benchmark = instantiate(cfg.benchmark, _convert_="all")
    for cases in benchmark.only(list(options.anatomies)):
        for k in options.cases:
            one = single(cases, k)
            for name in ("none", "reward", "em"):
                started = time.monotonic()
                method = tuned(methods["none"], one.problem, options.steps) if name == "reward" else methods[name]
                posterior = method(one.problem)
                row = score(one, name, posterior, time.monotonic() - started)["cases"][0]
                rows.append(row | {"case": k, "deviance_sample": deviance_of_a_sample(one.problem, posterior)})
                print(f"{cases.anatomy} {k}", mean(rows[-1:], name), flush=True)
    write_csv(HERE / "reward.csv", rows)
    for name in ("none", "reward", "em"):
        print(mean(rows, name))


def tuned(method: DiffusionReconstruction, problem: PlanarProblem, steps: int) -> DiffusionReconstruction:
    """A method whose denoiser was tuned by the likelihood of its samples."""
    other = copy.copy(method)
    other.net = RewardTuning(sampler=method.sampler, noise=method.noise, steps=steps)(method.net, method.inputs, problem)[0].eval()
    return other


def deviance_of_a_sample(problem: PlanarProblem, posterior: Posterior) -> float:
    """Mean deviance per pixel of single samples."""
    assert posterior.samples is not None
    views = [problem.expected_counts(x).clamp(min=1e-3) for x in posterior.samples]
    return float(torch.stack([poisson_deviance(problem.views, v) for v in views]).mean())


def mean(rows: list[dict[str, Any]], name: str) -> str:
    """Means of one way, over the cases that have a value."""
    mine = [row for row in rows if row["method"] == name]
    values = {c: [row[c] for row in mine if row[c] is not None] for c in COLUMNS}
    return f"{name}, n={len(mine)}: " + ", ".join(f"{c} {sum(v) / len(v):.3f}" for c, v in values.items() if v)


if __name__ == "__main__":
    main()
