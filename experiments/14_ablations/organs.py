"""Errors of organs in every job of a sweep: ``python experiments/14_ablations/organs.py outputs/ablation/causes/...``.

Prints the README's table: NMAE, kidneys, and the median and 90th percentile of the absolute relative errors of organs of 20 mL and more,
of all of them and of those that hold at least a hundredth of the activity in organs.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from planar3d.organs import GROUPS

LEAST_ML, MUCH = 20.0, 0.01
SOFT = {*GROUPS["soft_tissue"], "background"}
Row = dict[str, str]


def main() -> None:
    """Read, tabulate."""
    folder = Path(sys.argv[1])
    gathered = read(folder / "ablation.csv")
    swept = list(gathered[0])[1]
    print(f"| {swept} | method | NMAE | kidneys | organs: median | 90th | with {100 * MUCH:.0f} % of the activity: median | 90th |")
    print("|" + "---|" * 8)
    for job in dict.fromkeys(row["job"] for row in gathered):
        means = {(r["method"], r["metric"]): float(r["mean"]) for r in gathered if r["job"] == job and r["subset"] == "all"}
        named = next(row[swept] for row in gathered if row["job"] == job)
        organs = [r for r in read(folder / job / "organs.csv") if r["organ"] not in SOFT and not r["organ"].startswith("lesion")]
        for method in dict.fromkeys(r["method"] for r in organs):
            cells = [f"{means[method, m]:.3f}" for m in ("nmae", "error_kidneys")]
            cells += [f"{100 * e:.1f} %" for e in errors([r for r in organs if r["method"] == method])]
            print(f"| {named} | `{method}` | " + " | ".join(cells) + " |")


def read(path: Path) -> list[Row]:
    """Rows of a file."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def errors(organs: list[Row]) -> tuple[float, float, float, float]:
    """Median and 90th percentile, of all organs and of those with much of the activity."""
    total: dict[tuple[str, str], float] = defaultdict(float)
    for row in organs:
        total[row["anatomy"], row["case"]] += float(row["true_bq"])
    large = [r for r in organs if float(r["volume_ml"]) >= LEAST_ML and float(r["true_bq"]) > 0]
    error = np.abs([float(r["relative_error"]) for r in large])
    much = np.array([float(r["true_bq"]) >= MUCH * total[r["anatomy"], r["case"]] for r in large])
    of_all, of_much = ([float(q) for q in np.quantile(e, (0.5, 0.9))] for e in (error, error[much]))
    return of_all[0], of_all[1], of_much[0], of_much[1]


if __name__ == "__main__":
    main()
