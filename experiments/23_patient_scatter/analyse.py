"""Scatter from a Monte Carlo in the patient against the library's kernel, and what reconstruction makes of both.

    OMP_NUM_THREADS=1 python experiments/23_patient_scatter/analyse.py [photons]      # views.csv, organs.csv, figures/scatter.png

Phantoms of `phantom=psma` in anatomies that no training draws, real ones among them where the data are there. Unscattered counts are the
library's in both images, the scatter differs; the counts drawn are of the same level and from the same stream of random numbers.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from photons import scatter_images
from torch import Tensor

from planar3d.anatomy.digital import digital_patient
from planar3d.anatomy.patient import Patient
from planar3d.batch import Batch
from planar3d.config import CONFIG_DIR
from planar3d.grid import Grid
from planar3d.io import write_csv
from planar3d.metrics import nmae, organ_errors, ssim3d
from planar3d.organs import GROUPS, LESIONS, organ_name
from planar3d.phantom.synthesis import Phantom
from planar3d.physics import GammaCamera
from planar3d.physics.noise import poisson
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.simulation import PlanarSimulator

HERE = Path(__file__).parent
SPACING_MM = 4.8
PHOTONS = 4_000_000
ANTERIOR_COUNTS = 7.0e5
PHANTOM_SEED = 77
DIGITAL_SEEDS = (200_001, 200_002)
SMALLEST_ML = 20.0
METHODS = ("qplanar", "qplanar_em", "unet", "diffusion")
NOT_ORGANS = {*GROUPS["soft_tissue"], *LESIONS, "background"}


def main() -> None:
    """Image each patient twice, compare, reconstruct, tabulate, draw."""
    photons = int(sys.argv[1]) if len(sys.argv) > 1 else PHOTONS
    patients, simulator = patients_and_simulator()
    candidates = configuration().candidates
    methods = {name: instantiate(candidates[name], _convert_="all") for name in METHODS}
    bare = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=240.0, scatter=False)
    views, organs, drawn = [], [], []
    for patient in patients:
        batch, phantom = truth_of(patient, simulator), phantom_of(patient, simulator)
        started = time.perf_counter()
        seen = replace(phantom, activity=batch.activity)
        primary, kernel, monte_carlo = images_of(seen, bare, simulator.camera, patient.grid, entry="Lu-177/208", photons=photons)
        print(f"{patient.name}: {photons} photons in {time.perf_counter() - started:.0f} s", flush=True)
        views += compared(patient.name, primary, kernel, monte_carlo)
        drawn.append((patient.name, primary, kernel, monte_carlo))
        for source, scatter in (("kernel", kernel), ("monte_carlo", monte_carlo)):
            problem, scale = counted(batch, primary + scatter, simulator.camera, patient)
            for name, method in methods.items():
                organs.append(
                    {"anatomy": patient.name, "scatter": source, "method": name} | worth(method(problem).mean / scale, batch, patient)
                )
                print(organs[-1], flush=True)
    write_csv(HERE / "views.csv", views)
    write_csv(HERE / "organs.csv", organs)
    draw(drawn)


def configuration() -> DictConfig:
    """That of the benchmark whose methods and simulator these are."""
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return compose("evaluate", ["+benchmark=sim_v1", "output_dir=out"])


def patients_and_simulator() -> tuple[list[Patient], PlanarSimulator]:
    """Digital patients that no training draws, real ones where their files are, and what images them."""
    benchmark = instantiate(configuration().benchmark, _convert_="all")
    real = [benchmark.read(source) for source in benchmark.patients if source.available]
    return [*(digital_patient(seed, SPACING_MM) for seed in DIGITAL_SEEDS), *real], benchmark.simulator


def truth_of(patient: Patient, simulator: PlanarSimulator) -> Batch:
    """A phantom of the patient as the library images it."""
    labels, mu_map = patient.labels[None], patient.mu_map(simulator.camera.energy_kev)[None]
    seeds = torch.tensor([PHANTOM_SEED])
    return simulator.simulate(labels=labels, given_labels=labels, mu_map=mu_map, grid=patient.grid, seeds=seeds)


def phantom_of(patient: Patient, simulator: PlanarSimulator, energy_kev: float | None = None) -> Phantom:
    """That phantom before it is scaled to counts, with its attenuation at an energy [keV], moved as its activity is."""
    synthesizer, mu_map = simulator.synthesizer, patient.mu_map(energy_kev or simulator.camera.energy_kev)[None]
    return synthesizer.render(synthesizer.draw(torch.tensor([PHANTOM_SEED])), patient.labels[None], mu_map, patient.grid)


def images_of(
    phantom: Phantom, bare: GammaCamera, camera: GammaCamera, grid: Grid, *, entry: str, photons: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Expected unscattered counts, scatter by the kernel of ``camera``, and scatter by the Monte Carlo, each ``(1, view, x, z)``."""
    primary = bare.projector(phantom.mu_map, grid)(phantom.activity)
    kernel = camera.projector(phantom.mu_map, grid)(phantom.activity) - primary
    generator = torch.Generator().manual_seed(PHANTOM_SEED)
    return primary, kernel, scatter_images(phantom, bare, grid, entry=entry, photons=photons, generator=generator)


def counted(batch: Batch, expected: Tensor, camera: GammaCamera, patient: Patient) -> tuple[PlanarProblem, float]:
    """The problem of an image with `ANTERIOR_COUNTS`, and the factor by which it is brighter than the truth."""
    scale = ANTERIOR_COUNTS / float(expected[:, 0].sum())
    drawn = poisson((expected * scale)[0], torch.Generator().manual_seed(PHANTOM_SEED))[None]
    return PlanarProblem.of_batch(replace(batch, views=drawn), camera, patient.grid), scale


def compared(name: str, primary: Tensor, kernel: Tensor, monte_carlo: Tensor) -> list[dict]:
    """What both say of the scatter in each view."""
    rows = []
    for v, view in enumerate(("anterior", "posterior")):
        p, k, m = (image[0, v] for image in (primary, kernel, monte_carlo))
        body = p > 0.02 * p.max()
        rows.append({
            "anatomy": name, "view": view,
            "ratio_kernel": float(k.sum() / p.sum()), "ratio_monte_carlo": float(m.sum() / p.sum()),
            "counts_kernel_over_monte_carlo": float((p + k).sum() / (p + m).sum()),
            "image_l1": float((k - m).abs()[body].sum() / (p + m)[body].sum()),
            "image_bias_rms": float((((p + k) / (p + m) - 1)[body]).square().mean().sqrt()),
        })  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def worth(estimate: Tensor, batch: Batch, patient: Patient) -> dict[str, float]:
    """Errors of an estimate against the phantom."""
    found = organ_errors(estimate, batch.activity, batch.imaged_labels, patient.grid)
    errors = {
        organ_name(i): float(e)
        for i, e, volume, true in zip(found.ids.tolist(), found.relative_error[0], found.volume_ml[0], found.true_bq[0], strict=True)
        if organ_name(i) not in NOT_ORGANS and volume >= SMALLEST_ML and true > 0
    }
    sizes = torch.tensor(list(errors.values())).abs()
    return {
        "nmae": float(nmae(estimate, batch.activity)),
        "ssim_body": float(ssim3d(estimate, batch.activity, batch.imaged_labels > 0)),
        "total": float(estimate.sum() / batch.activity.sum() - 1),
        "organs_median": float(sizes.median()),
        **{organ: errors.get(organ, float("nan")) for organ in ("liver", "spleen", "kidney_left", "kidney_right")},
    }


def draw(patients: list[tuple[str, Tensor, Tensor, Tensor]]) -> None:
    """Anterior scatter of both, and profiles along the body."""
    figure, axes = plt.subplots(len(patients), 3, figsize=(9, 3 * len(patients)), squeeze=False, layout="constrained")
    for row, (name, primary, kernel, monte_carlo) in zip(axes, patients, strict=True):
        top = float(monte_carlo[0, 0].max())
        for axis, image, title in ((row[0], kernel, "kernel"), (row[1], monte_carlo, "Monte Carlo")):
            axis.imshow(image[0, 0].T, origin="lower", cmap="gray_r", vmin=0, vmax=top)
            axis.set_title(f"{name}: scatter, {title}", fontsize=8)
            axis.set_axis_off()
        for image, title, style in ((primary, "unscattered", ":"), (kernel, "kernel", "-"), (monte_carlo, "Monte Carlo", "--")):
            row[2].plot(image[0, 0].sum(dim=0), style, label=title)
        row[2].set_xlabel("z [voxel]")
        row[2].set_ylabel("anterior counts per row")
        row[2].legend(fontsize=7)
    (HERE / "figures").mkdir(exist_ok=True)
    figure.savefig(HERE / "figures" / "scatter.png", dpi=80)


if __name__ == "__main__":
    main()
