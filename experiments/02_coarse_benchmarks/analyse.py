"""Tables of a benchmark run: ``python experiments/02_coarse_benchmarks/analyse.py outputs/evaluate/sim_v1_coarse``.

Copies the run's ``summary.csv`` and ``cases.csv`` beside this file under the name of the run's folder and prints Markdown tables of the
summary.
"""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path

COLUMNS = {
    "nmae": "NMAE",
    "ssim": "SSIM, whole",
    "ssim_body": "SSIM, body",
    "error_liver": "liver error",
    "error_kidneys": "kidney error",
    "error_spleen": "spleen error",
    "organ_error": "mean organ error",
    "total_bias": "total, signed",
    "total_error": "total, absolute",
}
HERE = Path(__file__).parent


def table(rows: list[dict[str, str]]) -> str:
    """Mean [95 % interval] per method and metric, and the NMAE relative to the reference."""
    values = {(r["method"], r["metric"]): r for r in rows}
    methods = list(dict.fromkeys(r["method"] for r in rows))
    lines = ["| method | " + " | ".join(COLUMNS.values()) + " | NMAE against reference |", "|---" * (len(COLUMNS) + 2) + "|"]
    for method in methods:
        cells = []
        for metric in COLUMNS:
            row = values.get((method, metric))
            cells.append("" if row is None else f"{float(row['mean']):.3f} [{float(row['low']):.3f}, {float(row['high']):.3f}]")
        nmae = values[method, "nmae"]
        reference = "" if not nmae["reference"] else f"{_relative(nmae):+.1%}"
        lines.append(f"| `{method}` | " + " | ".join(cells) + f" | {reference} |")
    return "\n".join(lines)


def _relative(row: dict[str, str]) -> float:
    """Paired difference as a share of the reference's mean."""
    return float(row["difference"]) / (float(row["mean"]) - float(row["difference"]))


def main() -> None:
    """Copy and print."""
    run = Path(sys.argv[1])
    for file in ("summary", "cases"):
        shutil.copyfile(run / f"{file}.csv", HERE / f"{run.name}_{file}.csv")
    with (run / "summary.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for subset in dict.fromkeys(r["subset"] for r in rows):
        print(f"\n{run.name}, {subset} anatomies\n\n{table([r for r in rows if r['subset'] == subset])}")


if __name__ == "__main__":
    main()
