"""Methods on a benchmark, case by case: ``python -m planar3d.evaluate +benchmark=sim_v1_coarse methods=[qplanar,qplanar_em]``.

Writes ``cases.csv`` (one row per case and method), ``organs.csv`` and ``lesions.csv`` (one row per organ or lesion of each), and
``summary.csv``: means with 95 % bootstrap intervals over the cases, and differences from the reference method in the same cases. With a
SPECT, ``spect.csv`` compares each estimate with it at several widths of blur; at that which fits its method best, ``cases.csv`` does.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from torch import Tensor

from planar3d.benchmark import Benchmark, BenchmarkCases
from planar3d.config import command
from planar3d.metrics import (
    bootstrap_mean,
    interval_coverage,
    lesion_recovery,
    nmae,
    organ_errors,
    paired_difference,
    poisson_deviance,
    ssim3d,
)
from planar3d.metrics.calibration import LEVELS
from planar3d.metrics.matched_resolution import compare_blurred, fitted_width
from planar3d.metrics.quantification import OrganErrors
from planar3d.organs import GROUPS, LESIONS, organ_id, organ_name
from planar3d.reconstruction.posterior import Posterior
from planar3d.results import announce, output_folder, stages

__all__ = ["main", "score", "summarise"]

Row = dict[str, Any]

PATIENT_SPECIFIC = "unet_ps"
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
    "deviance",
    "spect_nmae",
    "spect_ssim",
    "spect_ssim_body",
)
PRINTED = ("nmae", "ssim", "ssim_body", "organ_error", "total_error", "spect_nmae", "spect_ssim_body")
SMALLEST_ORGAN_ML = 5.0
TABLE_WIDTH = 150  # even where the output goes to a file
BOOTSTRAP_SEED = 0
_NOT_ORGANS = {organ_id(name) for name in (*GROUPS["soft_tissue"], *LESIONS)}


@command("evaluate")
def main(cfg: DictConfig) -> None:
    """Run, score, summarise, write."""
    methods, benchmark = _methods(cfg), _benchmark(cfg)
    console = Console(highlight=False)
    for name in benchmark.missing:
        console.print(f"Left out {name}: its files are not there; set PLANAR3D_DATA to the folder that holds them")
    tables: dict[str, list[Row]] = {"cases": [], "organs": [], "lesions": [], "spect": []}
    with output_folder(cfg.output_dir, cfg) as folder:
        anatomies = benchmark.anatomies if cfg.anatomies is None else tuple(cfg.anatomies)
        with stages(len(anatomies) * len(cfg.methods)) as stage:
            for cases in benchmark.only(anatomies):
                for name in cfg.methods:
                    stage(f"{cases.anatomy}: {name}")
                    posterior, seconds = _timed(methods[name] or _patient_specific(cfg, cases.anatomy), cases)
                    for table, rows in score(cases, name, posterior, seconds).items():
                        tables[table] += [{"benchmark": benchmark.name} | row for row in rows]
        tables["cases"] = _with_spect(tables["cases"], tables["spect"])
        tables["summary"] = summarise(tables["cases"], reference=cfg.reference)
        for name, rows in tables.items():
            if rows:
                _write_csv(folder / f"{name}.csv", rows)
    Console(width=max(console.width, TABLE_WIDTH)).print(_printed(tables["summary"], benchmark.name))
    announce(cfg.output_dir)


def score(cases: BenchmarkCases, method: str, posterior: Posterior, seconds: float) -> dict[str, list[Row]]:
    """Rows of one method on the cases of one anatomy.

    Args:
        cases: What the method was given, and the truth.
        method: Its name.
        posterior: Its estimate.
        seconds: What it took per case [s].
    """
    truth, labels, x = cases.truth.activity, cases.truth.imaged_labels, posterior.mean
    organs = organ_errors(x, truth, labels, cases.grid)
    lesions = lesion_recovery(x, truth, labels, cases.grid)
    views = cases.problem.expected_counts(x).clamp(min=torch.finfo(x.dtype).eps)
    whole = {
        "nmae": nmae(x, truth),
        "ssim": ssim3d(x, truth),
        "ssim_body": ssim3d(x, truth, labels > 0),
        "deviance": poisson_deviance(cases.truth.views, views),
        "total_bias": x.flatten(1).sum(dim=1) / truth.flatten(1).sum(dim=1) - 1,
    }
    whole["total_error"] = whole["total_bias"].abs()
    hosts = organ_errors(x, truth, _hosts(labels, cases.problem.labels), cases.grid)
    spect = None if cases.reference is None else compare_blurred(x, cases.reference, labels > 0, cases.grid)
    rows: dict[str, list[Row]] = {"cases": [], "organs": [], "lesions": [], "spect": []}
    for k in range(len(x)):
        case: Row = {"anatomy": cases.anatomy, "real": cases.real, "case": k, "poor_labels": cases.poor_labels[k], "method": method}
        recovered = lesions.recovery[lesions.sample == k]
        rows["cases"].append(
            case
            | {name: float(values[k]) for name, values in whole.items()}
            | _organ_summary(organs, k)
            | {"lesion_recovery": float(recovered.mean()) if len(recovered) else None, "lesions": len(recovered)}
            | _coverage(posterior, hosts, k)
            | {"seconds": seconds}
        )
        rows["organs"] += [case | row for row in _organ_rows(organs, k)]
        rows["spect"] += [case | row for row in (spect.rows(k) if spect is not None else ())]
        rows["lesions"] += [
            case | {"lesion": organ_name(int(i)), "volume_ml": float(v), "recovery": float(r)}
            for s, i, v, r in zip(lesions.sample, lesions.ids, lesions.volume_ml, lesions.recovery, strict=True)
            if int(s) == k
        ]
    return rows


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


def _organ_summary(organs: OrganErrors, k: int) -> Row:
    """Mean absolute relative error over organs of some errors, and of the organs that dosimetry asks for first."""
    columns = zip(organs.ids.tolist(), organs.volume_ml[k].tolist(), organs.relative_error[k].tolist(), strict=True)
    errors = {
        i: abs(error) for i, volume, error in columns if i not in _NOT_ORGANS and volume >= SMALLEST_ORGAN_ML and not math.isnan(error)
    }
    return {
        "organ_error": _mean(list(errors.values())),
        "error_liver": errors.get(organ_id("liver")),
        "error_spleen": errors.get(organ_id("spleen")),
        "error_kidneys": _mean([errors[i] for i in map(organ_id, GROUPS["kidneys"]) if i in errors]),
    }


def _organ_rows(organs: OrganErrors, k: int) -> Iterator[Row]:
    """A row per organ that the case has."""
    for column, identifier in enumerate(organs.ids.tolist()):
        if organs.volume_ml[k, column] > 0:
            yield {
                "organ": organ_name(identifier),
                "volume_ml": float(organs.volume_ml[k, column]),
                "true_bq": float(organs.true_bq[k, column]),
                "estimated_bq": float(organs.estimated_bq[k, column]),
                "relative_error": float(organs.relative_error[k, column]),
            }


def _coverage(posterior: Posterior, organs: OrganErrors, k: int) -> Row:
    """Share of the organs whose interval holds the true activity."""
    names = [f"coverage_{round(100 * level)}" for level in LEVELS]
    stated = posterior.organs
    if stated is None or stated.standard_error_bq is None:
        return dict.fromkeys(names)
    place = {int(i): n for n, i in enumerate(stated.ids)}
    shared = [(n, int(i)) for n, i in enumerate(organs.ids) if int(i) in place and int(i) not in _NOT_ORGANS]
    both = [(n, place[i]) for n, i in shared if organs.volume_ml[k, n] >= SMALLEST_ORGAN_ML and stated.activity_bq[k, place[i]] > 0]
    if not both:
        return dict.fromkeys(names)
    true, own = (list(column) for column in zip(*both, strict=True))
    shares = interval_coverage(stated.activity_bq[k, own], stated.standard_error_bq[k, own], organs.true_bq[k, true])
    return {name: float(share) for name, share in zip(names, shares, strict=True)}


def _hosts(imaged: Tensor, given: Tensor) -> Tensor:
    """Imaged labels with the lesions drawn as part of the organ they lie in: a method is not told of them, so its organs hold them."""
    lesions = torch.tensor([organ_id(name) for name in LESIONS])
    return torch.where(torch.isin(imaged, lesions) & ~torch.isin(given, lesions), given, imaged)


def _benchmark(cfg: DictConfig) -> Benchmark:
    """The benchmark that was asked for."""
    if "benchmark" not in cfg:
        raise ValueError("benchmark is required and was not given; add +benchmark=... with the name of a file in conf/benchmark")
    return instantiate(cfg.benchmark, _convert_="all")


def _methods(cfg: DictConfig) -> dict[str, Any]:
    """The methods by name; None for the one that each anatomy has its own of."""
    known = [*cfg.candidates, PATIENT_SPECIFIC]
    if not cfg.methods or not set(cfg.methods) <= set(known):
        raise ValueError(f"methods must be one or more of {', '.join(known)}, got {list(cfg.methods)}; write methods=[qplanar,qplanar_em]")
    if PATIENT_SPECIFIC in cfg.methods and cfg.checkpoints is None:
        raise ValueError(
            f"checkpoints is required by {PATIENT_SPECIFIC}; give the folder that holds NAME/weights.safetensors of each anatomy"
        )
    return {name: None if name == PATIENT_SPECIFIC else instantiate(cfg.candidates[name], _convert_="all") for name in cfg.methods}


def _patient_specific(cfg: DictConfig, anatomy: str) -> Any:
    """The network trained on one anatomy."""
    weights = Path(cfg.checkpoints) / anatomy / "weights.safetensors"
    return instantiate(cfg.candidates.unet, checkpoint=str(weights), _convert_="all")


def _timed(method: Any, cases: BenchmarkCases) -> tuple[Posterior, float]:
    """The estimate and the time per case [s]."""
    started = time.perf_counter()
    posterior = method(cases.problem)
    return posterior, (time.perf_counter() - started) / len(cases.truth)


def _mean(values: Sequence[float]) -> float | None:
    """Mean; None of nothing."""
    return sum(values) / len(values) if values else None


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Rows of the same keys as CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({key: f"{v:.6g}" if isinstance(v, float) else v for key, v in row.items()} for row in rows)


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
