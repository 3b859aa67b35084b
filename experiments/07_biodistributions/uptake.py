"""Organ shares of the administered activity over many drawn patients, against the table they are drawn from.

Writes ``shares.csv``, prints a Markdown table, and draws ``figures/shares.png``. Per tissue and time: the median and the standard deviation
of the logarithm over 500 patients, with a 95 % bootstrap interval, and over 20,000; the table's own are the exponential through its figure
at 24 h with its median half-time, and ``sqrt(s^2 + var(ln g(t)))`` with the spread s at 24 h and half-times as stated.
"""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from matplotlib import pyplot as plt
from torch import Tensor

from planar3d.config import CONFIG_DIR
from planar3d.io import write_csv
from planar3d.organs import organ_id
from planar3d.phantom import PhantomRecord, PhantomSynthesizer
from planar3d.phantom.tissue_uptake import TissueUptake
from planar3d.units import SECONDS_PER_HOUR

HERE = Path(__file__).parent
HOURS = (1.0, 24.0, 48.0, 72.0, 168.0)
FEW, MANY = 500, 20_000
FIRST_SEED = 10_000
RESAMPLES = 1000

# Percent of the administered activity at 1, 24, 48, 72 and 168 h and median half-time [h]: planar3d/phantom/tracers/psma.py has the sources
TABLE: dict[str, tuple[float, float]] = {
    "kidneys": (2.2, 35.5),
    "parotids": (0.39, 42.2),
    "submandibular": (0.16, 35.0),
    "lacrimal": (0.019, 35.0),
    "liver": (3.1, 22.9),
    "spleen": (0.29, 16.8),
    "red marrow": (0.53, 32.0),
    "tumour, 10 mL": (0.58, 50.0),
}
ORGAN = {"kidneys": "kidney_left", "parotids": "parotid_left", "submandibular": "submandibular_left", "lacrimal": "lacrimal_left",
         "liver": "liver", "spleen": "spleen", "red marrow": "spine"}  # fmt: skip
LESION = "tumour, 10 mL"


def main() -> None:
    """Draw, compare, write."""
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        cfg = compose("simulate", ["phantom=psma_population", "output_dir=out"])
    synthesizer = instantiate(cfg.phantom, _convert_="all")
    record = synthesizer.draw(torch.arange(FIRST_SEED, FIRST_SEED + FEW))
    many = PhantomSynthesizer(biodistribution=synthesizer.biodistribution, lesions=synthesizer.lesions, sink=synthesizer.sink)
    wide = PhantomRecord.stack([many._draw_one(seed) for seed in range(FIRST_SEED, FIRST_SEED + MANY)])
    rows = []
    for name in TABLE:
        for hours in HOURS:
            few, lots = (shares(s, r, name, hours) for s, r in ((synthesizer, record), (many, wide)))
            rows.append(compare(row_of(synthesizer, name), name, hours, few, lots))
    write_csv(HERE / "shares.csv", rows)
    print(markdown(rows))
    draw(rows)


def row_of(synthesizer: PhantomSynthesizer, name: str) -> TissueUptake:
    """The tissue behind a row of the table."""
    organ = ORGAN.get(name, "lesion_1")
    return next(t for t in synthesizer.biodistribution.table if organ in t.organs)


def shares(synthesizer: PhantomSynthesizer, record: PhantomRecord, name: str, hours: float) -> Tensor:
    """Percent of the administered activity of each patient, ``(n,)``; for tumour in 10 mL of each lesion."""
    at = synthesizer.at(record, hours * SECONDS_PER_HOUR)
    tissue = row_of(synthesizer, name)
    percent = 100.0 * tissue.volume_ml / synthesizer.biodistribution.administered_bq
    if name == LESION:
        lesions = synthesizer.lesions
        unit = lesions.activity_bq(at.lesions, at.lesion_concentration) / at.lesions.volume_ml
        return percent * unit[at.lesions.in_use]
    organs = [organ_id(organ) for organ in tissue.organs]  # halves of a pair have half of the volume each
    return percent * at.concentration[:, organs].mean(dim=1)


def compare(tissue: TissueUptake, name: str, hours: float, few: Tensor, many: Tensor) -> dict[str, str | float]:
    """One row of the comparison."""
    share, half_time_h = TABLE[name]
    stated = share * 2.0 ** (-(hours - 24.0) / half_time_h)
    target = stated_log_sd(tissue, name, hours)
    low, high = bootstrap(few.log().double())
    log_few, log_many = few.log().double(), many.log().double()
    return {
        "tissue": name,
        "hours": hours,
        "table_percent": round(stated, 5),
        "median_500_percent": round(float(few.median()), 5),
        "median_ratio_500": round(float(few.median()) / stated, 3),
        "median_ratio_500_low": round(low / stated, 3),
        "median_ratio_500_high": round(high / stated, 3),
        "median_ratio_20000": round(float(many.median()) / stated, 3),
        "table_log_sd": round(target, 3),
        "log_sd_ratio_500": round(float(log_few.std()) / target, 3),
        "log_sd_ratio_20000": round(float(log_many.std()) / target, 3),
    }


def stated_log_sd(tissue: TissueUptake, name: str, hours: float) -> float:
    """``sqrt(s^2 + var(ln g))`` by quadrature over half-times, log-normal and cut as stated."""
    organs = 1 if name in (LESION, "liver", "spleen") else len(tissue.organs)
    log_sd = math.hypot(tissue.log_sd, tissue.organ_log_sd / math.sqrt(organs))
    normal = torch.special.ndtri((torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000)
    half_time = TABLE[name][1] * torch.exp(tissue.half_time_log_sd * normal)
    half_time = half_time[(half_time > tissue.shortest_half_time_h) & (half_time < 159.5)]
    return math.hypot(log_sd, float((math.log(2.0) * (hours - 24.0) / half_time).std()))


def bootstrap(log: Tensor) -> tuple[float, float]:
    """95 % interval of the median."""
    pick = torch.randint(len(log), (RESAMPLES, len(log)), generator=torch.Generator().manual_seed(0))
    medians = log[pick].median(dim=1).values.exp()
    return float(medians.quantile(0.025)), float(medians.quantile(0.975))


def markdown(rows: list[dict]) -> str:
    """Two tables, one line per tissue: medians over the table's, and standard deviations of the logarithm over those stated."""
    lines = []
    for kind in ("median", "log_sd"):
        lines += ["", "| tissue | " + " | ".join(f"{h:g} h" for h in HOURS) + " |", "|---" * (len(HOURS) + 1) + "|"]
        for name in TABLE:
            own = [r for r in rows if r["tissue"] == name]
            lines.append(f"| {name} | " + " | ".join(cell(r, kind) for r in own) + " |")
    return "\n".join(lines)


def cell(row: dict, kind: str) -> str:
    """A tissue at a time."""
    if kind == "log_sd":
        return f"{row['table_log_sd']:.2f}: {row['log_sd_ratio_500']:.2f}; {row['log_sd_ratio_20000']:.2f}"
    interval = f"[{row['median_ratio_500_low']:.2f}, {row['median_ratio_500_high']:.2f}]"
    return f"{row['table_percent']:.3g} %: {row['median_ratio_500']:.2f} {interval}; {row['median_ratio_20000']:.2f}"


def draw(rows: list[dict]) -> None:
    """Medians and spread over time against the table."""
    matplotlib.use("Agg")
    figure, axes = plt.subplots(2, 4, figsize=(13, 6), sharex=True, constrained_layout=True)
    for axis, name in zip(axes.flat, TABLE, strict=True):
        own = [r for r in rows if r["tissue"] == name]
        hours, median = [r["hours"] for r in own], [r["median_500_percent"] for r in own]
        spread = [math.exp(r["log_sd_ratio_500"] * r["table_log_sd"]) for r in own]
        axis.fill_between(hours, [m / s for m, s in zip(median, spread, strict=True)], [m * s for m, s in zip(median, spread, strict=True)],
                          alpha=0.2, label="one standard deviation of the logarithm")  # fmt: skip
        axis.plot(hours, median, "o", label="median of 500 patients")
        axis.plot(hours, [r["table_percent"] for r in own], "k--", lw=1, label="table")
        axis.set(yscale="log", title=name, xlabel="h after injection", ylabel="% of administered")
    axes[0, 0].legend(fontsize=7)
    figure.savefig(HERE / "figures" / "shares.png", dpi=110)


if __name__ == "__main__":
    main()
