"""Dose errors of `planar.py`'s patients: bias, spread, one time against four, and whether stated intervals hold the truth.

``python experiments/12_dosimetry/summary.py``. Writes ``results_errors.csv`` and figures, prints the tables of README.md. Of the patients
reported; the others choose the component of misregistration.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import torch
from cohort import HOURS, Cohort
from doses import GROUPS, METHODS, OUTLINED, REPORTED, Found, fitted, read, together
from matplotlib import pyplot as plt
from torch import Tensor

from planar3d.dosimetry import EffectiveHalfLifePrior
from planar3d.metrics.calibration import interval_coverage

HERE = Path(__file__).parent
Z90 = 1.6449


def main() -> None:
    """All tables."""
    activities, curves = read("results_activities.csv"), read("results_curves.csv")
    seeds = sorted({int(r["seed"]) for r in activities})
    print(f"{sum(s in REPORTED for s in seeds)} patients reported, {sum(s not in REPORTED for s in seeds)} to choose\n")
    methods = [m for m in METHODS if any(r["method"] == m for r in activities)]
    priors = Cohort.of_config().priors()
    ways: dict[tuple[str, str], Found] = {}
    for m in methods:
        ways[m, "one by one"] = fitted(activities, m, priors)
        if any(r["method"] == m for r in curves):
            ways[m, "together"] = together(curves, activities, m)
    plain = {k: v for k, v in ways.items() if not k[0].endswith(OUTLINED)}
    print("## Errors\n")
    print_errors(plain)
    lay = {(m, "where it lay"): fitted(activities, m, priors, region="lay") for m in methods if not m.endswith(OUTLINED)}
    print("\n## The same maps, organs where they lay\n")
    print_errors(lay)
    few = sorted({int(r["seed"]) for r in activities if r["method"].endswith(OUTLINED)})
    print(f"\n## Lesions outlined or not, {sum(s in REPORTED for s in few)} patients\n")
    if few:
        print_errors({k: v.only(few) for k, v in ways.items()})
    print("\n## One time\n")
    single = print_single(activities, [m for m in methods if not m.endswith(OUTLINED)], priors)
    print("\n## Intervals\n")
    print_intervals({k: v for k, v in ways.items() if not k[0].startswith("conjugate_view")})
    print("\n## Deviation from a curve that is allowed, in patients that choose\n")
    print_deviations(curves, activities)
    write(ways | lay)
    draw(plain, single)


def print_errors(ways: dict[tuple[str, str], Found]) -> None:
    """Bias, standard deviation, root mean square and median of absolute relative errors."""
    groups = [g for g in GROUPS if any(len(w.relative(g)) for w in ways.values())]
    print("| method | times | " + " | ".join(groups) + " |\n" + "|---" * (len(groups) + 2) + "|")
    for (method, how), way in ways.items():
        cells = []
        for group in groups:
            e = 100.0 * way.relative(group)
            rms = float(e.square().mean().sqrt())
            cells.append(f"{e.mean():+.0f} ± {e.std():.0f}; {rms:.0f}; {e.abs().median():.0f}" if len(e) > 1 else "-")
        print(f"| {method} | {how} | " + " | ".join(cells) + " |")


def print_single(
    activities: Sequence[dict[str, str]], methods: Sequence[str], priors: dict[str, EffectiveHalfLifePrior]
) -> dict[tuple[str, str], Found]:
    """Root mean square and median of absolute relative errors by one time and by four; of true activities, what curves alone add."""
    kinds: dict[str, tuple[Sequence[float], str]] = {
        "four times": (HOURS, "mono_exponential"),
        "24 h, prior": (HOURS[1:2], "single_time_point"),
        "72 h, prior": (HOURS[2:3], "single_time_point"),
        "24 h, Hänscheid": (HOURS[1:2], "haenscheid"),
        "72 h, Hänscheid": (HOURS[2:3], "haenscheid"),
    }
    found = {}
    groups = list(GROUPS)
    print("| activities | times | " + " | ".join(groups) + " |\n" + "|---" * (len(groups) + 2) + "|")
    for source in ("true", *methods):
        for kind, (hours, model) in kinds.items():
            method, prefix = ("qplanar", "true") if source == "true" else (source, "bq")
            way = fitted(activities, method, priors, hours=hours, model=model, prefix=prefix)
            found[source, kind] = way
            cells = []
            for group in groups:
                e = 100.0 * way.relative(group)
                cells.append(f"{e.mean():+.0f}; {e.square().mean().sqrt():.0f}; {e.abs().median():.0f}" if len(e) else "-")
            print(f"| {source} | {kind} | " + " | ".join(cells) + " |")
    return found


def print_intervals(ways: dict[tuple[str, str], Found]) -> None:
    """Coverage of 90 % intervals as stated, and with a component of misregistration that other patients chose."""
    print("| method | times | organ | n | stated | stated half-width | component | with it | half-width | share of the component |")
    print("|---" * 10 + "|")
    inside = {}
    for (method, how), way in ways.items():
        for group in GROUPS:
            truth, value, error = way.of(group)
            if len(truth) < 2 or not bool((error > 0).any()) or (group == "lesions") != method.endswith(OUTLINED):
                continue
            u = component(*way.of(group, reported=False))
            whole = torch.hypot(error, u * value)
            stated, wide = (interval_coverage(value, e, truth, levels=(0.9,)).item() for e in (error, whole))
            n_stated, n_inside, n_all = inside.get((method, how), (0.0, 0.0, 0))
            inside[method, how] = (n_stated + stated * len(truth), n_inside + wide * len(truth), n_all + len(truth))
            share = ((u * value / whole.clamp(min=1e-300)) ** 2).median()
            print(
                f"| {method} | {how} | {group} | {len(truth)} | {100 * stated:.0f} % | {half_width(error, truth)} | {100 * u:.0f} % | "
                f"{100 * wide:.0f} % | {half_width(whole, truth)} | {100 * share:.0f} % |"
            )
    for (method, how), (n_stated, n_inside, n_all) in inside.items():
        print(f"{method}, {how}: {100 * n_stated / n_all:.0f} % as stated, {100 * n_inside / n_all:.0f} % with it, of {n_all}")


def print_deviations(curves: Sequence[dict[str, str]], activities: Sequence[dict[str, str]]) -> None:
    """Errors and coverage of joint QPlanar with other deviations."""
    names = [m for m in dict.fromkeys(r["method"] for r in curves) if m.startswith("qplanar_sd")]
    few = sorted({int(r["seed"]) for r in curves if r["method"] in names})
    print(f"{len(few)} patients\n\n| log-sd | organs | median error | coverage | median half-width |\n|---|---|---|---|---|")
    for name in ("qplanar", *names):
        way = together(curves, activities, name).only(few)
        e = 100.0 * (way.value / way.truth - 1.0)
        covered = interval_coverage(way.value, way.error, way.truth, levels=(0.9,)).item()
        print(
            f"| {name.partition('_sd')[2] or 0.1} | {len(e)} | {e.abs().median():.0f} % | {100 * covered:.0f} % | "
            f"{half_width(way.error, way.truth)} |"
        )


def half_width(error: Tensor, truth: Tensor) -> str:
    """Median half-width of a 90 % interval over the true dose."""
    return f"{100.0 * (Z90 * error / truth).median():.0f} %"


def component(truth: Tensor, value: Tensor, error: Tensor) -> float:
    """Least relative component with which nine tenths of 90 % intervals hold the truth."""
    grid = torch.linspace(0.0, 3.0, 601, dtype=torch.float64)
    whole = torch.hypot(error[None], grid[:, None] * value[None])
    covered = ((value - truth).abs()[None] <= Z90 * whole).double().mean(dim=1)
    enough = (covered >= 0.9 - 1e-9).nonzero()
    return float(grid[int(enough[0])] if len(enough) else grid[-1])


def write(ways: dict[tuple[str, str], Found]) -> None:
    """Errors by organ group as a file."""
    with (HERE / "results_errors.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["method", "times", "organ", "n", "bias_percent", "sd_percent", "rms_percent", "median_abs_percent"])
        for (method, how), way in ways.items():
            for group in GROUPS:
                e = 100.0 * way.relative(group)
                if len(e) > 1:
                    figures = (e.mean(), e.std(), e.square().mean().sqrt(), e.abs().median())
                    writer.writerow([method, how, group, len(e), *(f"{float(v):.1f}" for v in figures)])


def draw(ways: dict[tuple[str, str], Found], single: dict[tuple[str, str], Found]) -> None:
    """Boxes of estimated over true dose."""
    matplotlib.use("Agg")
    for name, shown in (("errors", ways), ("one_time", {k: v for k, v in single.items() if k[0] in ("true", "qplanar")})):
        figure, axis = plt.subplots(figsize=(12, 4.5), constrained_layout=True)
        width = 0.8 / len(shown)
        for i, (key, way) in enumerate(shown.items()):
            data = [(way.relative(g) + 1.0).clamp(min=0.02).numpy() for g in GROUPS]
            places = [j + (i - 0.5 * len(shown) + 0.5) * width for j in range(len(GROUPS))]
            boxes = axis.boxplot(data, positions=places, widths=0.85 * width,
                                 whis=(10, 90), showfliers=False, patch_artist=True, medianprops={"color": "k"})  # fmt: skip
            for box in boxes["boxes"]:
                box.set_facecolor(f"C{i}")
            axis.plot([], [], "s", color=f"C{i}", label=", ".join(key))
        axis.axhline(1.0, color="k", lw=0.8)
        axis.set_xticks(range(len(GROUPS)), list(GROUPS))
        axis.set(yscale="log", ylim=(0.02, 8.0), ylabel="estimated over true dose; box quartiles, whiskers 10-90 %")
        axis.legend(fontsize=8, ncols=2)
        figure.savefig(HERE / "figures" / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main()
