"""Methods on a benchmark, case by case: ``python -m planar3d.evaluate +benchmark=sim_v1_coarse methods=[qplanar,qplanar_em]``.

Writes ``cases.csv`` (one row per case and method), ``organs.csv`` and ``lesions.csv`` (one row per organ or lesion of each), and
``summary.csv``: means with 95 % bootstrap intervals over the cases, and differences from the reference method in the same cases. With a
SPECT, ``spect.csv`` compares each estimate with it at several widths of blur; at that which fits its method best, ``cases.csv`` does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from planar3d.benchmark import Benchmark, BenchmarkCases
from planar3d.config import command
from planar3d.io.csv_rows import write_csv
from planar3d.measured import device_of
from planar3d.metrics import bootstrap_mean, paired_difference
from planar3d.metrics.matched_resolution import fitted_width
from planar3d.reconstruction.posterior import Posterior
from planar3d.results import announce, output_folder, stages
from planar3d.scoring import score

__all__ = ["main", "summarise"]

Row = dict[str, Any]

PATIENT_SPECIFIC = {"unet_ps": "unet", "diffusion_ps": "diffusion"}  # methods with weights of each anatomy
SUMMARISED = (
    "nmae",
    "ssim",
    "ssim_body",
    "organ_error",
    "error_liver",
    "error_spleen",
    "error_kidneys",
    "total_bias",
    "total_error",
    "lesion_recovery",
    "lesion_activity_recovery",
    "deviance",
    "spect_nmae",
    "spect_ssim",
    "spect_ssim_body",
)
PRINTED = ("nmae", "ssim", "ssim_body", "organ_error", "total_error", "spect_nmae", "spect_ssim_body")
TABLE_WIDTH = 150  # even where the output goes to a file
BOOTSTRAP_SEED = 0


@command("evaluate")
def main(cfg: DictConfig) -> None:
    """Run, score, summarise, write."""
    methods, benchmark, device = _methods(cfg), _benchmark(cfg), device_of(cfg.device)
    console = Console(highlight=False)
    for name in benchmark.missing:
        console.print(f"Left out {name}: its files are not there; set PLANAR3D_DATA to the folder that holds them")
    tables: dict[str, list[Row]] = {"cases": [], "organs": [], "lesions": [], "spect": []}
    with output_folder(cfg.output_dir, cfg) as folder:
        anatomies = benchmark.anatomies if cfg.anatomies is None else tuple(cfg.anatomies)
        with stages(len(anatomies) * len(cfg.methods)) as stage:
            for cases in benchmark.only(anatomies, device=device):
                for name in cfg.methods:
                    stage(f"{cases.anatomy}: {name}")
                    posterior, seconds = _timed(methods[name] or _patient_specific(cfg, name, cases.anatomy), cases)
                    for table, rows in score(cases, name, posterior, seconds).items():
                        tables[table] += [{"benchmark": benchmark.name} | row for row in rows]
        tables["cases"] = _with_spect(tables["cases"], tables["spect"])
        tables["summary"] = summarise(tables["cases"], reference=cfg.reference)
        for name, rows in tables.items():
            if rows:
                write_csv(folder / f"{name}.csv", rows)
    Console(width=max(console.width, TABLE_WIDTH)).print(_printed(tables["summary"], benchmark.name))
    announce(cfg.output_dir)


def summarise(rows: Sequence[Row], *, reference: str) -> list[Row]:
    """Means with intervals of every metric, over all cases and over digital and real anatomies apart.

    Args:
        rows: One per case and method.
        reference: Method that the others are compared with in the same cases; ignored where it was not run.
    """
    summary = []
    for subset, chosen in (("all", (True, False)), ("digital", (False,)), ("real", (True,))):
        inside = [r for r in rows if r["real"] in chosen]
        if not inside or (subset != "all" and len(inside) == len(rows)):
            continue
        for method in dict.fromkeys(r["method"] for r in inside):
            for metric in SUMMARISED:
                summary += _interval(inside, subset, method, metric, reference)
    return summary


def _with_spect(cases: Sequence[Row], spect: Sequence[Row]) -> list[Row]:
    """Rows of cases with what the comparison with the SPECT gives at the width of blur that fits their method."""
    widths = {}
    for method in {row["method"] for row in spect}:
        widths[method] = fitted_width(*zip(*((row["width_mm"], row["nmae"]) for row in spect if row["method"] == method), strict=True))
    key = ("anatomy", "case", "method")
    fitted = {tuple(row[k] for k in key): row for row in spect if row["width_mm"] == widths[row["method"]]}
    names = ("width_mm", "nmae", "ssim", "ssim_body")
    return [row | {f"spect_{n}": own[n] for n in names if (own := fitted.get(tuple(row[k] for k in key)))} for row in cases]


def _interval(rows: Sequence[Row], subset: str, method: str, metric: str, reference: str) -> list[Row]:
    """The row of one metric of one method; none where no case has it."""
    own, other = ({(r["anatomy"], r["case"]): r.get(metric) for r in rows if r["method"] == m} for m in (method, reference))
    known = [key for key, value in own.items() if value is not None]
    if not known:
        return []
    values = torch.tensor([own[key] for key in known], dtype=torch.float64)
    anatomies = sorted({anatomy for anatomy, _ in known})
    groups = torch.tensor([anatomies.index(anatomy) for anatomy, _ in known])
    mean = bootstrap_mean(values, groups=groups, generator=torch.Generator().manual_seed(BOOTSTRAP_SEED))
    row: Row = {"subset": subset, "method": method, "metric": metric} | asdict(mean)
    row |= {"reference": None, "difference": None, "difference_low": None, "difference_high": None}
    if method != reference and all(other.get(key) is not None for key in known):
        theirs = torch.tensor([other[key] for key in known], dtype=torch.float64)
        gain = paired_difference(values, theirs, groups=groups, generator=torch.Generator().manual_seed(BOOTSTRAP_SEED))
        row |= {"reference": reference, "difference": gain.mean, "difference_low": gain.low, "difference_high": gain.high}
    return [row]


def _benchmark(cfg: DictConfig) -> Benchmark:
    """The benchmark that was asked for."""
    if "benchmark" not in cfg:
        raise ValueError("benchmark is required and was not given; add +benchmark=... with the name of a file in conf/benchmark")
    return instantiate(cfg.benchmark, _convert_="all")


def _methods(cfg: DictConfig) -> dict[str, Any]:
    """The methods by name; None for the one that each anatomy has its own of."""
    known = [*cfg.candidates, *PATIENT_SPECIFIC]
    if not cfg.methods or not set(cfg.methods) <= set(known):
        raise ValueError(f"methods must be one or more of {', '.join(known)}, got {list(cfg.methods)}; write methods=[qplanar,qplanar_em]")
    if set(PATIENT_SPECIFIC) & set(cfg.methods) and cfg.checkpoints is None:
        raise ValueError(
            f"checkpoints is required by {', '.join(PATIENT_SPECIFIC)}; give the folder that holds NAME/weights.safetensors of each anatomy"
        )
    return {name: None if name in PATIENT_SPECIFIC else instantiate(cfg.candidates[name], _convert_="all") for name in cfg.methods}


def _patient_specific(cfg: DictConfig, method: str, anatomy: str) -> Any:
    """The network trained on one anatomy."""
    weights = Path(cfg.checkpoints) / anatomy / "weights.safetensors"
    return instantiate(cfg.candidates[PATIENT_SPECIFIC[method]], checkpoint=str(weights), _convert_="all")


def _timed(method: Any, cases: BenchmarkCases) -> tuple[Posterior, float]:
    """The estimate and the time per case [s]."""
    started = time.perf_counter()
    posterior = method(cases.problem)
    if posterior.mean.is_cuda:
        torch.cuda.synchronize()
    return posterior, (time.perf_counter() - started) / len(cases.truth)


def _printed(summary: Sequence[Row], name: str) -> Table:
    """The summary as a table for the terminal."""
    printed = [metric for metric in PRINTED if any(row["metric"] == metric for row in summary)]
    table = Table("anatomies", "method", *printed, title=f"{name}: mean [95 % interval]")
    for subset, method in dict.fromkeys((r["subset"], r["method"]) for r in summary):
        cells = {
            r["metric"]: f"{r['mean']:.3f} [{r['low']:.3f}, {r['high']:.3f}]"
            for r in summary
            if (r["subset"], r["method"]) == (subset, method)
        }
        table.add_row(subset, method, *(cells.get(metric, "") for metric in printed))
    return table


if __name__ == "__main__":
    main()
