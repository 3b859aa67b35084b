"""What the organ table says when the measurement was not made on the grid that explains it.

    OMP_NUM_THREADS=1 python experiments/18_organ_table/analyse.py [digital_900000 ...]

Patients of ``sim_v1_coarse`` are filled and imaged on 4 mm voxels, where organs have sharp edges; the counts are added up to 8 mm pixels
and reconstructed on 8 mm with the anatomy that a user would give, every second time the poorer one. The activity of each organ that the
table of `planar3d.reconstruct` would show (what the method states itself, or the sum over the mask given) is compared with the activity
that the organ holds, lesions in it included. Once the patient lies as in the CT, once as the benchmark has it. Writes ``organs.csv`` and
``maps.csv`` beside this file and prints medians.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from planar3d.benchmark import Benchmark, BenchmarkCases
from planar3d.config import CONFIG_DIR
from planar3d.io import write_csv
from planar3d.metrics import interval_coverage, nmae, ssim3d
from planar3d.metrics.calibration import LEVELS
from planar3d.organ_sums import organ_sums
from planar3d.organs import GROUPS, LESIONS, ORGANS, organ_id
from planar3d.reconstruction import PlanarProblem
from planar3d.reconstruction.partial_volume import read_organs
from planar3d.reconstruction.posterior import OrganActivities, Posterior

HERE = Path(__file__).parent
METHODS = ("conjugate_view", "qplanar", "qplanar_em", "unet", "diffusion")
LEARNED = ("unet", "diffusion")
ANATOMIES = ("digital_900000", "digital_900001", "digital_900002", "digital_900003")
CASES = 4
SMALLEST_ML = 20.0
MUCH = 0.01  # of the activity in the field
NOT_ORGANS = {organ_id(name) for name in (*GROUPS["soft_tissue"], *LESIONS, "background")}
SHOWN = {"all": ORGANS, "liver": ("liver",), "spleen": ("spleen",), "kidneys": GROUPS["kidneys"]}

Row = dict[str, Any]


def main() -> None:
    """Image, reconstruct, compare, write, print."""
    names = sys.argv[1:] or list(ANATOMIES)
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        cfg = compose("evaluate", ["+benchmark=sim_v1_coarse", "checkpoint=null", "output_dir=none"])
    methods = {name: instantiate(cfg.candidates[name], _convert_="all") for name in METHODS}
    organs: list[Row] = []
    maps: list[Row] = []
    for lies in ("as in the CT", "moved"):
        fine, coarse = (instantiate(cfg.benchmark, spacing_mm=s, cases_per_anatomy=CASES, _convert_="all") for s in (4.0, 8.0))
        if lies != "moved":
            fine.simulator.synthesizer.deformation = None
        for truth, problem in pairs(fine, coarse, names):
            still = coarse_truth(truth)
            for name, method in methods.items():
                with torch.no_grad():
                    posterior = method(problem)
                case = {"patient": lies, "anatomy": truth.anatomy, "method": name}
                organs += [case | row for row in organ_rows(posterior, problem, truth, getattr(method, "edge_spill", 0.0))]
                x = posterior.mean
                for k in range(len(x)):
                    values = {"nmae": float(nmae(x, still)[k]), "ssim_body": float(ssim3d(x, still, problem.body)[k])}
                    maps.append(case | {"case": k, "poor_labels": truth.poor_labels[k]} | values)
            print(f"{truth.anatomy}, patient {lies}", flush=True)
    write_csv(HERE / "organs.csv", organs)
    write_csv(HERE / "maps.csv", maps)
    tell(organs, maps)


def pairs(fine: Benchmark, coarse: Benchmark, names: list[str]) -> Iterator[tuple[BenchmarkCases, PlanarProblem]]:
    """Cases imaged on fine voxels, and what a user gives of them on coarse ones."""
    for truth, given in zip(fine.only(names), coarse.only(names), strict=True):
        if tuple(2 * n for n in given.grid.shape) != tuple(truth.grid.shape):
            raise ValueError(f"{truth.anatomy} lies on grids that do not nest, {truth.grid.shape} and {given.grid.shape}; leave it out")
        views = truth.problem.views
        pooled = views.unflatten(3, (-1, 2)).sum(dim=4).unflatten(2, (-1, 2)).sum(dim=3)
        yield truth, replace(given.problem, views=pooled)


def coarse_truth(truth: BenchmarkCases) -> Tensor:
    """Activity of fine voxels averaged over coarse ones, ``(b, 1, x, y, z)`` [Bq/mL]."""
    return torch.nn.functional.avg_pool3d(truth.truth.activity, 2)


def organ_rows(posterior: Posterior, problem: PlanarProblem, truth: BenchmarkCases, edge_spill: float) -> Iterator[Row]:
    """Errors of the activities of the organs that the labels given hold: of the table, and of the sum over the mask."""
    lesion = torch.isin(truth.truth.imaged_labels, torch.tensor([organ_id(name) for name in LESIONS]))
    hosts = torch.where(lesion, truth.problem.labels, truth.truth.imaged_labels)  # a lesion in no label counts to the organ around it
    true = organ_sums(truth.truth.activity, hosts) * truth.grid.voxel_volume_ml
    summed = OrganActivities.of_map(posterior.mean, problem.organ_labels, problem.grid.voxel_volume_ml)
    stated = read_organs(posterior, problem, edge_spill)
    places = [{o: c for c, o in enumerate(a.ids.tolist())} for a in (stated, summed)]
    volume = organ_sums(torch.ones_like(posterior.mean), problem.labels) * problem.grid.voxel_volume_ml
    for k in range(len(true)):
        for o in range(len(ORGANS)):
            if o not in NOT_ORGANS and volume[k, o] >= SMALLEST_ML and true[k, o] > 0:
                case = {"case": k, "poor_labels": truth.poor_labels[k], "organ": ORGANS[o], "volume_ml": float(volume[k, o])}
                case["share"] = float(true[k, o] / true[k].sum())
                found = (a.activity_bq[k, place[o]] for a, place in zip((stated, summed), places, strict=True))
                errors = (float(a / true[k, o] - 1) for a in found)
                sigma = None if stated.standard_error_bq is None else float(stated.standard_error_bq[k, places[0][o]] / true[k, o])
                yield case | dict(zip(("error", "error_of_sum"), errors, strict=True)) | {"standard_error": sigma}


def tell(organs: list[Row], maps: list[Row]) -> None:
    """Medians of signed and absolute errors, and means of the maps' scores, as Markdown."""
    for lies in dict.fromkeys(row["patient"] for row in organs):
        print(f"\n| patient {lies} | NMAE | SSIM, body | " + " | ".join(f"{name}: signed, absolute" for name in SHOWN) + " |")
        for method, column in [(m, "error") for m in METHODS] + [(m, "error_of_sum") for m in LEARNED]:
            scores = [torch.tensor([r[c] for r in maps if r["patient"] == lies and r["method"] == method]) for c in ("nmae", "ssim_body")]
            mine = [row for row in organs if row["patient"] == lies and row["method"] == method]
            cells = []
            for wanted in SHOWN.values():
                errors = torch.tensor([row[column] for row in mine if row["organ"] in wanted])
                cells.append(f"{100 * float(errors.quantile(0.5)):+.1f} %, {100 * float(errors.abs().quantile(0.5)):.1f} %")
            told = "" if column == "error" else ", summed over masks"
            print(f"| `{method}`{told} | " + " | ".join([*(f"{float(s.mean()):.3f}" for s in scores), *cells]) + " |")
        for method in METHODS:
            mine = [row for row in organs if row["patient"] == lies and row["method"] == method]
            for least, told in ((0.0, "all organs"), (MUCH, f"those with at least {100 * MUCH:.0f} % of the activity")):
                errors = torch.tensor([row["error"] for row in mine if row["share"] >= least]).abs()
                median, tenth = (100 * float(errors.quantile(q)) for q in (0.5, 0.9))
                print(f"{method}, {told} ({len(errors)}): median {median:.1f} %, 90th percentile {tenth:.1f} %")
            stated = [row for row in mine if row["standard_error"] is not None]
            if stated:
                error, sigma = (torch.tensor([row[c] for row in stated]) for c in ("error", "standard_error"))
                held = interval_coverage(1.0 + error, sigma, torch.ones_like(error))
                told = ", ".join(f"{100 * level:.0f} %: {100 * float(share):.0f} %" for level, share in zip(LEVELS, held, strict=True))
                print(f"intervals of {method} that hold the truth, {told}")


if __name__ == "__main__":
    main()
