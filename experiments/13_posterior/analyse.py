"""What the intervals of a posterior are worth: tables from ``organs.csv`` and ``lesions.csv`` of an evaluation with samples.

``python experiments/13_posterior/analyse.py outputs/evaluate/sim_v1_coarse [method]`` prints the README's tables and writes
``calibration.csv`` and ``figures/ranks.png``.

An organ's interval is that of Student's t for the mean and spread of N samples, ``mean +- t sd sqrt(1 + 1/N)``, so that few samples
do not make it too narrow; the truth is the activity in the region that the organ had when imaged. The rank is the number of samples
below the truth.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from organ_errors import Row, is_organ, read
from scipy import stats

from planar3d.io import write_csv

HERE = Path(__file__).parent
LEVELS = (0.5, 0.9, 0.95)


def main() -> None:
    """Read, tabulate, draw."""
    folder, method = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "diffusion"
    organs = [r for r in sampled(folder / "organs.csv", method) if is_organ(r)]
    lesions = sampled(folder / "lesions.csv", method)
    table = [coverage(title, rows) for title, rows in groups(organs) if rows]
    print_table(table)
    print_lesions(lesions)
    write_csv(HERE / "calibration.csv", table)
    draw(organs, HERE / "figures" / "ranks.png")


def sampled(path: Path, method: str) -> list[Row]:
    """Rows of a method that have samples."""
    return [r for r in read(path) if r["method"] == method and r.get("samples")]


def groups(organs: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Organs by volume and by what labels were given."""

    def some(low: float, high: float = math.inf, poor: str | None = None) -> list[Row]:
        return [r for r in organs if low <= float(r["volume_ml"]) < high and (poor is None or r["poor_labels"] == poor)]

    return [
        ("all of at least 5 mL", some(5)),
        ("20 mL and more", some(20)),
        ("100 mL and more", some(100)),
        ("5 to 20 mL", some(5, 20)),
        ("20 mL and more, complete labels", some(20, poor="False")),
        ("20 mL and more, poor labels", some(20, poor="True")),
    ]


def coverage(title: str, rows: Sequence[Row]) -> dict[str, object]:
    """Share of the intervals that hold the truth, and the bias in standard deviations."""
    n = int(rows[0]["samples"])
    z = np.array([(float(r["true_bq"]) - float(r["estimated_bq"])) / max(float(r["sd_bq"]), 1e-30) for r in rows]) / math.sqrt(1 + 1 / n)
    made: dict[str, object] = {"organs": title, "n": len(rows)}
    for level in LEVELS:
        made[f"coverage_{round(100 * level)}"] = round(float(np.mean(np.abs(z) <= stats.t.ppf(0.5 + level / 2, n - 1))), 3)
    rank = np.array([int(r["rank"]) for r in rows])
    made |= {"mean_rank": round(float(rank.mean() / n), 3), "at_either_end": round(float(np.mean((rank == 0) | (rank == n))), 3)}
    return made


def print_table(table: Sequence[dict[str, object]]) -> None:
    """Coverage as Markdown."""
    print("| organs | n | 50 % | 90 % | 95 % | mean rank (0.5) | truth beyond all samples |")
    print("|---|---|---|---|---|---|---|")
    for row in table:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")


def print_lesions(lesions: Sequence[Row]) -> None:
    """Recovery of lesions against their volume, each alike and by activity, and coverage of their intervals."""
    print("\n| lesions | n | mean recovery | of all their activity | 90 % interval holds the truth |\n|---|---|---|---|---|")
    for low, high in ((0.5, 2), (2, 5), (5, 15), (15, 1000), (0, math.inf)):
        rows = [r for r in lesions if low <= float(r["volume_ml"]) < high]
        if rows:
            rank, n = np.array([int(r["rank"]) for r in rows]), int(rows[0]["samples"])
            inside = np.mean((rank > 0) & (rank < n)) if n <= 20 else np.mean((rank > 0.05 * n) & (rank < 0.95 * n))
            recovery, true = (np.array([float(r[name]) for r in rows]) for name in ("recovery", "true_bq"))
            figures = (recovery.mean(), np.sum(recovery * true) / true.sum(), inside)
            print(f"| {low} to {high} mL | {len(rows)} | " + " | ".join(f"{f:.2f}" for f in figures) + " |")


def draw(organs: Sequence[Row], path: Path) -> None:
    """Histogram of ranks."""
    path.parent.mkdir(exist_ok=True)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), constrained_layout=True)
    for axis, (title, low, high) in zip(axes, (("20 mL and more", 20, math.inf), ("5 to 20 mL", 5, 20)), strict=True):
        rows = [r for r in organs if low <= float(r["volume_ml"]) < high]
        n = int(rows[0]["samples"])
        axis.hist([int(r["rank"]) for r in rows], bins=np.arange(n + 2) - 0.5, color="#4c72b0", density=True)
        axis.axhline(1 / (n + 1), color="k", lw=1)
        axis.set(title=f"organs of {title}, n = {len(rows)}", xlabel="samples below the truth", ylabel="share")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
