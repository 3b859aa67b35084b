"""What it costs that image and CT show different parts of a patient, with and without a margin beyond the part that both show.

    OMP_NUM_THREADS=1 python experiments/24_margins/analyse.py [patients]

Digital patients from mid-thigh to vertex that no training draws are filled with 177Lu-PSMA, moved and imaged as in the benchmark, two
million anterior counts. Methods get either the whole image and 38 cm of CT and labels about the kidneys, as a SPECT/CT has them, or the
whole CT and 38 cm of the image, as a static one is, with margins of several lengths. Errors are of what lies in these 38 cm. Writes
``results.csv`` beside this file and prints means.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from planar3d.anatomy.digital import digital_patient
from planar3d.anatomy.field import WHOLE_BODY
from planar3d.anatomy.patient import Patient
from planar3d.batch import Batch
from planar3d.config import CONFIG_DIR
from planar3d.io import PlanarImage, write_csv
from planar3d.measurement import camera_of, pose
from planar3d.metrics import nmae
from planar3d.organ_sums import organ_sums
from planar3d.organs import GROUPS, organ_id
from planar3d.reconstruction.margin import between_margins
from planar3d.simulate import planar_image
from planar3d.simulation import PlanarSimulator

HERE = Path(__file__).parent
FIRST_SEED, PATIENTS = 910_001, 6
SPACING_MM = 8.0
BED_MM = 380.0
BELOW_KIDNEYS_MM = 50.0
EDGE_MM = 32.0
COUNTS = 2e6
MARGINS_MM = (0.0, 25.0, 50.0, 100.0)
METHODS = ("qplanar", "qplanar_em", "unet")
GIVEN = ("CT of one bed", "image of one bed")
ORGANS = ("liver", "spleen", *GROUPS["kidneys"])

Row = dict[str, Any]


def main() -> None:
    """Image, cut, reconstruct, compare, write, print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else PATIENTS
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        cfg = compose("evaluate", ["+benchmark=sim_v1_coarse", "checkpoint=null", "output_dir=none"])
        simulate = compose("simulate", ["phantom=psma", "camera=siemens_melp", "output_dir=none"])
    methods = {name: instantiate(cfg.candidates[name], _convert_="all") for name in METHODS}
    camera = instantiate(simulate.camera, _convert_="all")
    simulator = PlanarSimulator(camera=camera, synthesizer=instantiate(simulate.phantom, _convert_="all"), anterior_counts=COUNTS)
    rows: list[Row] = []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        patient = digital_patient(seed, field=WHOLE_BODY, spacing_mm=SPACING_MM)
        labels, mu_map = patient.labels[None], patient.mu_map(camera.energy_kev)[None]
        truth = simulator.simulate(labels=labels, given_labels=labels, mu_map=mu_map, grid=patient.grid, seeds=torch.tensor([seed]))
        image = planar_image(truth, patient, camera, name="siemens-melp", isotope="Lu-177")
        rows += [{"patient": seed} | row for row in compared(truth, patient, image, methods)]
        print(f"patient {seed}", flush=True)
    write_csv(HERE / "results.csv", rows)
    tell(rows)


def compared(truth: Batch, patient: Patient, image: PlanarImage, methods: dict[str, Any]) -> Iterator[Row]:
    """Errors in the bed by what is given, margin and method."""
    first, last = bed(patient)
    activity, organs = truth.activity[..., first : last + 1], truth.imaged_labels[..., first : last + 1]
    x_mm, z_mm = image.origin_mm
    cut = replace(image, views=image.views[..., first : last + 1], origin_mm=(x_mm, z_mm + first * SPACING_MM))
    for given, shown, seen in ((GIVEN[0], part_of(patient, first, last), image), (GIVEN[1], patient, cut)):
        for margin_mm in MARGINS_MM:
            problem = pose(seen, camera_of(seen), shown, spacing_mm=SPACING_MM, margin_mm=margin_mm)
            for name, method in methods.items():
                with torch.no_grad():
                    found, left = between_margins(method, problem)
                x = torch.zeros_like(activity)
                front = round((left.grid.origin_mm[1] - shown.grid.origin_mm[1]) / SPACING_MM)  # the working grid holds the body alone
                x[:, :, :, front : front + left.grid.shape[1]] = found.mean
                yield {"given": given, "margin_mm": margin_mm, "method": name} | errors(x, activity, organs)


def errors(x: Tensor, activity: Tensor, organs: Tensor) -> Row:
    """Errors of a map, whole, in its first and last slices and between them, of its total and of organs."""
    rows = round(EDGE_MM / SPACING_MM)
    edge = torch.zeros(x.shape[-1], dtype=torch.bool)
    edge[:rows] = edge[-rows:] = True
    ids = [organ_id(o) for o in ORGANS]
    told, held = organ_sums(x, organs)[0, ids], organ_sums(activity, organs)[0, ids]
    return {
        "nmae": float(nmae(x, activity)),
        "nmae_edge": float(nmae(x[..., edge], activity[..., edge])),
        "nmae_middle": float(nmae(x[..., ~edge], activity[..., ~edge])),
        "total": float(x.sum() / activity.sum()) - 1.0,
        "organs": float((told / held - 1.0).abs()[held > 0].mean()),
    }


def bed(patient: Patient) -> tuple[int, int]:
    """First and last slice of one bed about the kidneys."""
    kidneys = torch.isin(patient.labels[0], torch.tensor([organ_id(k) for k in GROUPS["kidneys"]])).flatten(0, 1).any(dim=0).nonzero()
    first = max(0, int(kidneys.min()) - round(BELOW_KIDNEYS_MM / SPACING_MM))
    return first, min(patient.grid.shape[2] - 1, first + round(BED_MM / SPACING_MM) - 1)


def part_of(patient: Patient, first: int, last: int) -> Patient:
    """The slices from first to last of a patient."""
    grid = patient.grid.rows(first, last + 1)
    return replace(patient, grid=grid, ct_hu=patient.ct_hu[..., first : last + 1], labels=patient.labels[..., first : last + 1])


def tell(rows: list[Row]) -> None:
    """Means over patients; of the total the root mean square of its error too."""
    print("| given | method | margin | NMAE | first and last 32 mm | between | total, mean | total, RMS | organs |\n" + 9 * "|---" + "|")
    for given, name, margin in product(GIVEN, METHODS, MARGINS_MM):
        chosen = [r for r in rows if (r["given"], r["method"], r["margin_mm"]) == (given, name, margin)]
        mean = {k: sum(r[k] for r in chosen) / len(chosen) for k in ("nmae", "nmae_edge", "nmae_middle", "total", "organs")}
        rms = (sum(r["total"] ** 2 for r in chosen) / len(chosen)) ** 0.5
        print(
            f"| {given} | `{name}` | {margin:g} mm | {mean['nmae']:.3f} | {mean['nmae_edge']:.3f} | {mean['nmae_middle']:.3f} "
            f"| {100 * mean['total']:+.1f} % | {100 * rms:.1f} % | {100 * mean['organs']:.1f} % |"
        )


if __name__ == "__main__":
    main()
