"""Organ errors of methods on whole bodies: ``python experiments/15_whole_body/analyse.py outputs/evaluate/sim_body_coarse [more folders]``.

Reads ``cases.csv`` and ``organs.csv`` of one evaluation or several of the same cases, a method of the same name in a later folder going by
the folder's name too, writes ``organs.csv`` beside this file and prints Markdown tables.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from planar3d.io import write_csv
from planar3d.organs import GROUPS

HERE = Path(__file__).parent
SMALLEST_ML = 0.5  # a voxel of 8 mm
REGIONS: dict[str, tuple[str, ...]] = {
    "kidneys": GROUPS["kidneys"],
    "liver": ("liver",),
    "spleen": ("spleen",),
    "parotids": ("parotid_left", "parotid_right"),
    "submandibular glands": ("submandibular_left", "submandibular_right"),
    "lacrimal glands": GROUPS["lacrimal_glands"],
    "urinary bladder": ("urinary_bladder",),
    "brain": ("brain",),
    "muscle": ("muscle",),
}
METRICS = ("nmae", "ssim_body", "organ_error", "total_error", "lesion_recovery", "deviance")
Row = dict[str, str]


def main() -> None:
    """Read, tabulate, write."""
    cases, organs = [], []
    for number, folder in enumerate(Path(name) for name in sys.argv[1:]):
        for file, rows in (("cases", cases), ("organs", organs)):
            with (folder / f"{file}.csv").open(encoding="utf-8") as stream:
                for row in csv.DictReader(stream):
                    rows.append(row | {"method": row["method"] if number == 0 else f"{row['method']} ({folder.name})"})
    print(means(cases))
    table = [row for method in dict.fromkeys(r["method"] for r in organs) for row in errors([r for r in organs if r["method"] == method])]
    print(markdown(table))
    write_csv(HERE / "organs.csv", table)


def means(cases: Sequence[Row]) -> str:
    """Means of the metrics of every method."""
    lines = ["| method | cases | " + " | ".join(METRICS) + " |", "|---" * (len(METRICS) + 2) + "|"]
    for method in dict.fromkeys(r["method"] for r in cases):
        own = [r for r in cases if r["method"] == method]
        values = ([float(r[m]) for r in own if r[m]] for m in METRICS)
        lines.append(f"| `{method}` | {len(own)} | " + " | ".join(f"{np.mean(v):.3f}" for v in values) + " |")
    return "\n".join(lines)


def errors(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Median and root mean square of the relative error of each region, left and right counted apart [%]."""
    table = []
    for region, names in REGIONS.items():
        inside = [r for r in rows if r["organ"] in names and float(r["volume_ml"]) >= SMALLEST_ML]
        chosen = [r for r in inside if r["relative_error"] not in ("", "nan")]
        if not chosen:
            continue
        error = 100 * np.array([float(r["relative_error"]) for r in chosen])
        figures = {"median": round(float(np.median(error)), 1), "rms": round(float(np.sqrt(np.mean(error**2))), 1)}
        table.append({"method": rows[0]["method"], "region": region, "n": len(chosen)} | figures)
    return table


def markdown(table: Sequence[dict[str, object]]) -> str:
    """Median error, RMS in brackets, of each method and region."""
    methods, regions = ([*dict.fromkeys(row[key] for row in table)] for key in ("method", "region"))
    cells = {(row["method"], row["region"]): f"{row['median']:+} % ({row['rms']} %)" for row in table}
    lines = ["\n| region | " + " | ".join(f"`{m}`" for m in methods) + " |", "|---" * (len(methods) + 1) + "|"]
    return "\n".join([*lines, *(f"| {r} | " + " | ".join(cells.get((m, r), "") for m in methods) + " |" for r in regions)])


if __name__ == "__main__":
    main()
