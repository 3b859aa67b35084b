"""Absorbed dose per administered activity of 200 digital patients from their known activity, against clinical figures.

``python experiments/12_dosimetry/population.py [patients]``. Writes ``results_population.csv`` and ``figures/population.png``, prints a
Markdown table. Electrons stay where they are emitted, tissue has 1 g/mL, as in the uptake tables: ``D = Delta_e int c dt``. So an organ's
dose follows from its concentration alone, whatever its mass.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import matplotlib
import torch
from cohort import Cohort
from matplotlib import pyplot as plt
from torch import Tensor

from planar3d.dosimetry import local_dose
from planar3d.organs import organ_id
from planar3d.phantom import PhantomRecord

HERE = Path(__file__).parent
FIRST_SEED = 2000
QUANTILES = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
BQ_PER_GBQ = 1e9
SMALLEST_ML = 1.0
MARROW_G, BONES_ML = 1170.0, 2000.0

# Gy/GBq: what the table was made for, lowest and highest of the clinical figures, and whose they are; README.md cites them
CLINICAL: dict[str, tuple[float, float, float, str]] = {
    "kidneys": (0.50, 0.34, 1.07, "0.49 [0.34-0.66] a; 0.54 b; 0.53 c; 0.82 +- 0.25 d"),
    "parotids": (0.60, 0.39, 3.09, "0.72 c; 0.79 e; 1.90 +- 1.19 d"),
    "submandibular": (0.45, 0.3, 0.6, "0.44 f"),
    "lacrimal": (1.0, 0.36, 2.82, "2.82 c; 0.36 f"),
    "red marrow, bone mean": (0.030, 0.022, 0.11, "0.030 +- 0.008 d; 0.11 f"),
    "red marrow, 1170 g": (0.030, 0.022, 0.11, "0.030 +- 0.008 d; 0.11 f"),
    "liver": (0.10, 0.05, 0.15, "0.10 f"),
    "spleen": (0.08, 0.05, 0.15, "0.06 f"),
    "lesions": (2.5, 1.0, 20.0, "mean 3.7 to 5.3 f"),
}


def main() -> None:
    """Draw, integrate, compare."""
    patients = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    torch.set_num_threads(1)
    cohort = Cohort.of_config()
    record = cohort.draw(list(range(FIRST_SEED, FIRST_SEED + patients)))
    doses = gray_per_gbq(cohort, cohort.integrated(record))
    rows = []
    for name, (target, low, high, _) in CLINICAL.items():
        values = doses[name]
        p10, median, p90 = torch.quantile(values, QUANTILES).tolist()
        inside = float(((values >= low) & (values <= high)).double().mean())
        ends = bootstrap(values)
        rows.append({"organ": name, "n": len(values), "p10": p10, "median": median, "p90": p90, "median_low": ends[0],
                     "median_high": ends[1], "mean": float(values.mean()), "log_sd": float(values.log().std()), "target": target,
                     "clinical_low": low, "clinical_high": high, "share_inside": inside})  # fmt: skip
    with (HERE / "results_population.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows([{k: v if isinstance(v, str | int) else f"{v:.4g}" for k, v in row.items()} for row in rows])
    print(markdown(rows))
    draw(doses)


def gray_per_gbq(cohort: Cohort, integrated: PhantomRecord) -> dict[str, Tensor]:
    """Doses of every patient, of lesions every lesion of 1 mL and more [Gy/GBq]."""
    given_gbq = cohort.administered_bq / BQ_PER_GBQ
    organ = local_dose(integrated.concentration.double(), isotope="Lu-177") / given_gbq

    def mean(*names: str) -> Tensor:
        return organ[:, [organ_id(n) for n in names]].mean(dim=1)

    bones = organ[:, [organ_id(n) for n in ("spine", "ribs", "pelvis")]] @ organ.new_tensor([0.323, 0.228, 0.274]) / 0.825
    spots, lesions = integrated.lesions, cohort.synthesizer.lesions
    assert spots is not None
    assert lesions is not None
    decays = lesions.activity_bq(spots, integrated.lesion_concentration.double())
    tumour = local_dose(decays / spots.volume_ml.clamp(min=1e-6), isotope="Lu-177") / given_gbq
    return {
        "kidneys": mean("kidney_left", "kidney_right"),
        "parotids": mean("parotid_left", "parotid_right"),
        "submandibular": mean("submandibular_left", "submandibular_right"),
        "lacrimal": mean("lacrimal_left", "lacrimal_right"),
        "red marrow, bone mean": bones,
        "red marrow, 1170 g": bones * BONES_ML / MARROW_G,
        "liver": mean("liver"),
        "spleen": mean("spleen"),
        "lesions": tumour[spots.in_use & (spots.volume_ml >= SMALLEST_ML)],
    }


def bootstrap(values: Tensor) -> tuple[float, float]:
    """95 % interval of the median."""
    pick = torch.randint(len(values), (1000, len(values)), generator=torch.Generator().manual_seed(0))
    medians = values[pick].median(dim=1).values
    return float(medians.quantile(0.025)), float(medians.quantile(0.975))


def markdown(rows: list[dict]) -> str:
    """A line per organ."""
    lines = ["| organ | n | median [95 %] | 10-90 % | mean | log-sd | made for | clinical | within |", "|---" * 9 + "|"]
    for r in rows:
        middle = f"{r['median']:.3g} [{r['median_low']:.3g}, {r['median_high']:.3g}]"
        cells = (r["organ"], str(r["n"]), middle, f"{r['p10']:.3g}-{r['p90']:.3g}", f"{r['mean']:.3g}", f"{r['log_sd']:.2f}",
                 f"{r['target']:g}", CLINICAL[r["organ"]][3], f"{100.0 * r['share_inside']:.0f} %")  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(doses: dict[str, Tensor]) -> None:
    """Every patient, quantiles, and the clinical range."""
    matplotlib.use("Agg")
    figure, axis = plt.subplots(figsize=(9, 4.5), constrained_layout=True)
    generator = torch.Generator().manual_seed(0)
    for i, (name, values) in enumerate(doses.items()):
        target, low, high, _ = CLINICAL[name]
        axis.fill_between([i - 0.4, i + 0.4], low, high, color="tab:green", alpha=0.2, lw=0, label="clinical figures" if i == 0 else None)
        shown = values[torch.randperm(len(values), generator=generator)[:200]]
        x = i + 0.5 * (torch.rand(len(shown), generator=generator) - 0.5)
        axis.plot(x, shown, ".", ms=2, color="0.5", label="patients (lesions: 200 of them)" if i == 0 else None)
        p10, median, p90 = torch.quantile(values, QUANTILES).tolist()
        axis.errorbar(i, median, [[median - p10], [p90 - median]], fmt="o", color="tab:blue", capsize=4,
                      label="median, 10 and 90 %" if i == 0 else None)  # fmt: skip
        axis.plot([i - 0.4, i + 0.4], [target, target], "k--", lw=1, label="dose that the table was made for" if i == 0 else None)
    axis.set_xticks(range(len(doses)), [n.replace(", ", ",\n") for n in doses], rotation=30, ha="right")
    axis.set(yscale="log", ylabel="Gy/GBq", ylim=(3e-3, 60.0))
    axis.legend(fontsize=8, loc="upper left")
    figure.savefig(HERE / "figures" / "population.png", dpi=110)


if __name__ == "__main__":
    main()
