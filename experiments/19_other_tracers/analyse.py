"""Means over the cases of evaluations with other tracers and cameras, as Markdown and ``cases.csv``.

    python experiments/19_other_tracers/analyse.py outputs/other_tracers

The folder holds one evaluation for each tracer, made as the README says.
"""

from __future__ import annotations

import csv
import statistics
import sys
from pathlib import Path

from planar3d.io import write_csv

HERE = Path(__file__).parent
COLUMNS = ("nmae", "ssim_body", "organ_error", "total_error", "lesion_recovery", "lesion_activity_recovery", "coverage_90")
TRACERS = ("psma", "psma_population", "dotatate", "iodine", "bone_agent")


def main() -> None:
    """Read, write, print."""
    folder, kept = Path(sys.argv[1]), []
    print("| tracer | method | " + " | ".join(COLUMNS) + " |\n|" + "---|" * (len(COLUMNS) + 2))
    for tracer in TRACERS:
        with (folder / tracer / "cases.csv").open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        kept += [{"tracer": tracer} | {k: row[k] for k in ("anatomy", "case", "poor_labels", "method", *COLUMNS)} for row in rows]
        for method in dict.fromkeys(row["method"] for row in rows):
            own = [row for row in rows if row["method"] == method]
            cells = []
            for column in COLUMNS:
                values = [float(row[column]) for row in own if row[column]]
                cells.append(f"{statistics.mean(values):.3f}" if values else "")
            print(f"| {tracer} | `{method}` | " + " | ".join(cells) + " |")
    write_csv(HERE / "cases.csv", kept)


if __name__ == "__main__":
    main()
