"""What a perfect registration would be worth: cases of ``sim_v1_coarse``, the anatomy given brought exactly to where it was imaged.

    python experiments/14_ablations/aligned.py [digital_900000 ...]

Translation, rotation and bending are undone; texture, lesions, uptake in no mask and the poorer half of the label maps stay. Writes
``aligned.csv`` beside this file and prints means with paired differences and their 95 % intervals.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from planar3d.benchmark import Benchmark, BenchmarkCases
from planar3d.config import CONFIG_DIR
from planar3d.io import write_csv
from planar3d.metrics import bootstrap_mean, paired_difference
from planar3d.reconstruction import PlanarProblem
from planar3d.scoring import score

METHODS = ("qplanar", "qplanar_em", "unet")
COLUMNS = ("nmae", "ssim_body", "organ_error", "error_kidneys", "lesion_recovery")
ANATOMIES = ("digital_900000", "digital_900001", "lu177_dotatate_patient")


def aligned(benchmark: Benchmark, cases: BenchmarkCases) -> BenchmarkCases:
    """The same cases, labels and attenuation where they were imaged."""
    synthesizer, given = benchmark.simulator.synthesizer, cases.problem
    assert synthesizer.deformation is not None
    record = synthesizer.draw(benchmark.seeds(cases.anatomy)).deformation
    assert record is not None
    _, mu_map, labels = synthesizer.deformation.render(record, given.mu_map, given.mu_map, given.labels, given.grid)
    problem = PlanarProblem.from_camera(benchmark.simulator.camera, views=given.views, mu_map=mu_map, labels=labels, grid=given.grid)
    return replace(cases, problem=problem)


def main() -> None:
    """Reconstruct, write, print."""
    wanted = sys.argv[1:] or list(ANATOMIES)
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        cfg = compose("evaluate", ["+benchmark=sim_v1_coarse", "checkpoint=null", "output_dir=none"])
    benchmark = instantiate(cfg.benchmark, _convert_="all")
    methods = {name: instantiate(cfg.candidates[name], _convert_="all") for name in METHODS}
    rows = []
    for as_given in benchmark.only(wanted):
        for where, cases in {"given": as_given, "aligned": aligned(benchmark, as_given)}.items():
            for name, method in methods.items():
                with torch.no_grad():
                    rows += [{"anatomy_at": where} | row for row in score(cases, name, method(cases.problem), 0.0)["cases"]]
    write_csv(Path(__file__).parent / "aligned.csv", rows)
    groups = torch.tensor([wanted.index(row["anatomy"]) for row in rows if row["method"] == METHODS[0] and row["anatomy_at"] == "given"])
    for name in METHODS:
        for column in COLUMNS:
            before, after = (_values(rows, name, where, column) for where in ("given", "aligned"))
            both = torch.isfinite(before) & torch.isfinite(after)
            means = [bootstrap_mean(v[both], generator=torch.Generator().manual_seed(0)).mean for v in (before, after)]
            d = paired_difference(after[both], before[both], generator=torch.Generator().manual_seed(0), groups=groups[both])
            print(f"{name} {column}: {means[0]:.3f} as given, {means[1]:.3f} aligned, {d.mean:+.4f} [{d.low:+.4f}, {d.high:+.4f}]")


def _values(rows: list[dict[str, object]], method: str, where: str, column: str) -> torch.Tensor:
    """One column of a method, NaN where a case has none."""
    mine = [row[column] for row in rows if row["method"] == method and row["anatomy_at"] == where]
    return torch.tensor([float("nan") if v is None else v for v in mine])


if __name__ == "__main__":
    main()
