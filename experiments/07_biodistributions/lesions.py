"""Lesion counts, volumes, sites and uptake over 2000 drawn patients against the distributions stated: ``lesions.csv``."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from planar3d.config import CONFIG_DIR
from planar3d.io import write_csv

HERE = Path(__file__).parent
PATIENTS = 2000
KOLMOGOROV_95 = 1.36


def main() -> None:
    """Draw, test, write."""
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        synthesizer = instantiate(compose("simulate", ["phantom=psma_population", "output_dir=out"]).phantom, _convert_="all")
    population, source = synthesizer.lesions, synthesizer.biodistribution
    record = synthesizer.draw(torch.arange(PATIENTS))
    lesions, in_use = record.lesions, record.lesions.in_use
    rows = []

    count = in_use.sum(dim=1)
    stated = population.count.probability.cumsum(0)
    running = torch.bincount(count, minlength=61)[1:].cumsum(0) / PATIENTS
    rows.append(row("count", "KS distance", float((running - stated).abs().max()), KOLMOGOROV_95 / math.sqrt(PATIENTS), below=True))
    rows.append(row("count", "mean", float(count.double().mean()), 12.0))
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9, 0.99):
        wanted = 1 + int(torch.searchsorted(stated, torch.tensor(quantile, dtype=torch.float64)))
        rows.append(row("count", f"quantile {quantile}", float(count.double().quantile(quantile)), wanted))

    volume = lesions.volume_ml[in_use].double()
    free = volume[volume < population.shape.largest_ml * 0.999]
    cut = normal_cdf((math.log(population.shape.largest_ml) - math.log(3.0)) / 1.1)
    rows.append(row("volume", "share at the largest, 80 mL", 1.0 - len(free) / len(volume), 1.0 - cut))
    distance = ks(free.sort().values, lambda v: normal_cdf((v.log() - math.log(3.0)) / 1.1) / cut)
    rows.append(row("volume", "KS distance below it", distance, KOLMOGOROV_95 / math.sqrt(len(free)), below=True))
    rows.append(row("volume", "median mL", float(volume.median()), 3.0))
    rows.append(row("volume", "log-sd", float(volume.log().std()), 1.1))

    site = lesions.site[in_use]
    for index, (name, probability) in enumerate(zip(population.sites.names, population.sites.probability.tolist(), strict=True)):
        rows.append(row("site", name, float((site == index).double().mean()), probability))

    unit = population.activity_bq(lesions, record.lesion_concentration) / lesions.volume_ml
    tissue = next(t for t in source.table if "lesion_1" in t.organs)
    base = tissue.fraction / tissue.volume_ml * source.administered_bq
    for index, name in enumerate(population.sites.names):
        there = in_use & (lesions.site == index)
        factor = float(population._uptake[index])
        rows.append(row("uptake", f"median, {name}", float(unit[there].median()) / base, factor))
    rows.append(row("uptake", "log-sd of all", float(unit[in_use].log().std()), math.hypot(tissue.log_sd, tissue.organ_log_sd)))

    write_csv(HERE / "lesions.csv", rows)
    print("| what | | drawn | stated |\n|---|---|---|---|")
    for r in rows:
        print(f"| {r['quantity']} | {r['statistic']} | {r['drawn']:.4g} | {r['stated']} |")


def row(quantity: str, statistic: str, drawn: float, stated: float, *, below: bool = False) -> dict[str, str | float]:
    """One comparison."""
    return {"quantity": quantity, "statistic": statistic, "drawn": drawn, "stated": f"{'< ' if below else ''}{stated:.4g}"}


def normal_cdf(value: Tensor | float) -> Tensor | float:
    """Distribution function of a standard normal."""
    return torch.special.ndtr(value) if isinstance(value, Tensor) else 0.5 * math.erfc(-value / math.sqrt(2.0))


def ks(ordered: Tensor, distribution) -> float:  # noqa: ANN001
    """Largest distance of the running share of ordered values from a distribution."""
    share = torch.arange(1, len(ordered) + 1, dtype=torch.float64) / len(ordered)
    expected = distribution(ordered)
    return float(torch.maximum((share - expected).abs(), (share - 1.0 / len(ordered) - expected).abs()).max())


if __name__ == "__main__":
    main()
