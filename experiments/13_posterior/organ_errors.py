"""Errors of organs in evaluations: ``python experiments/13_posterior/organ_errors.py outputs/evaluate/sim_v1_coarse [more folders]``.

Prints for every method NMAE, error of the kidneys, and median and 90th percentile of the absolute relative errors of organs of 20 mL and
more: of all, and of those with more than a hundredth of what these hold together. A folder of `planar3d.ablation` stands for its jobs.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

LEAST_ML, MUCH = 20.0, 0.01
SOFT = {"body", "muscle", "fat", "skin", "background"}
Row = dict[str, str]


def main() -> None:
    """Read, tabulate."""
    much = f"with over {100 * MUCH:.0f} % of the activity"
    print(f"| | method | NMAE | kidneys | organs over {LEAST_ML:.0f} mL | median error | 90th percentile | {much}: median | 90th |")
    print("|" + "---|" * 9)
    for name, folder in (pair for given in sys.argv[1:] for pair in evaluations(Path(given))):
        means = {(r["method"], r["metric"]): r["mean"] for r in read(folder / "summary.csv") if r["subset"] == "all"}
        organs = [r for r in read(folder / "organs.csv") if is_organ(r)]
        for method in dict.fromkeys(r["method"] for r in organs):
            large = [r for r in organs if r["method"] == method and float(r["volume_ml"]) >= LEAST_ML and float(r["true_bq"]) > 0]
            cells = [*(f"{float(means[method, m]):.3f}" for m in ("nmae", "error_kidneys")), str(len(large))]
            print(f"| {name} | `{method}` | " + " | ".join([*cells, *(f"{100 * e:.1f} %" for e in errors(large))]) + " |")


def evaluations(folder: Path) -> Iterator[tuple[str, Path]]:
    """The folder with its name, or the jobs of a sweep with the value that each had."""
    if not (folder / "ablation.csv").is_file():
        yield folder.name, folder
        return
    gathered = read(folder / "ablation.csv")
    swept = list(gathered[0])[1]
    yield from ((value, folder / job) for job, value in {row["job"]: row[swept] for row in gathered}.items())


def read(path: Path) -> list[Row]:
    """Rows of a file."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def is_organ(row: Row) -> bool:
    """Whether a row is of an organ: no lesion, and not of the tissue between organs."""
    return row["organ"] not in SOFT and not row["organ"].startswith("lesion")


def errors(large: Sequence[Row]) -> tuple[float, ...]:
    """Median and 90th percentile of the error, of all and of those with much of the activity."""
    total: dict[tuple[str, str], float] = defaultdict(float)
    for row in large:
        total[row["anatomy"], row["case"]] += float(row["true_bq"])
    error = np.abs([float(r["relative_error"]) for r in large])
    much = np.array([float(r["true_bq"]) > MUCH * total[r["anatomy"], r["case"]] for r in large])
    return tuple(float(q) for e in (error, error[much]) for q in np.quantile(e, (0.5, 0.9)))


if __name__ == "__main__":
    main()
