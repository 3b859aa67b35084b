"""A synthetic acquisition with its truth: ``python -m planar3d.simulate``.

Writes what `planar3d.reconstruct` reads (``planar.nii.gz`` with its sidecar, ``ct.nii.gz``, ``labels.nii.gz``) and what it is judged by
(``truth.nii.gz`` in Bq/mL and ``truth_labels.nii.gz``, both in the position imaged). With ``times_h`` the same patient is imaged at
several times, ``planar_1.nii.gz`` and so on; ``study.yaml`` is what `planar3d.dosimetry` reads of it, ``study_truth.yaml`` that of the
truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from planar3d.anatomy.patient import Patient
from planar3d.batch import Batch
from planar3d.config import command
from planar3d.io import PlanarImage, whole_file, write_planar_nifti, write_volume
from planar3d.io.label_map import write_label_map
from planar3d.phantom.stream import fork
from planar3d.physics.gamma_camera import GammaCamera
from planar3d.physics.noise import poisson
from planar3d.results import announce, output_folder, stages
from planar3d.simulation import NOISE_STREAM, PlanarSimulator
from planar3d.units import SECONDS_PER_HOUR

__all__ = ["main", "planar_image", "simulate_times", "write_acquisition", "write_times"]

INJECTION = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""When a synthetic patient is injected."""


@command("simulate")
def main(cfg: DictConfig) -> None:
    """Make a patient, image it, write both."""
    with output_folder(cfg.output_dir, cfg) as folder, stages(4) as stage:
        stage("Setting up camera and phantom")
        camera = instantiate(cfg.camera, _convert_="all")
        simulator = PlanarSimulator(
            camera=camera, synthesizer=instantiate(cfg.phantom, _convert_="all"), anterior_counts=cfg.anterior_counts
        )
        stage("Making the patient")
        patient = instantiate(cfg.patient, _convert_="all")
        stage("Imaging")
        if cfg.times_h is None:
            batch = _simulate(simulator, patient, cfg.seed)
            stage("Writing")
            image = planar_image(batch, patient, camera, name=cfg.camera.name, isotope=cfg.camera.isotope)
            write_acquisition(folder, batch, patient, image)
        else:
            times_h = [float(hours) for hours in cfg.times_h]
            batches, scale = simulate_times(simulator, patient, seed=cfg.seed, times_h=times_h)
            stage("Writing")
            images = [planar_image(batch, patient, camera, name=cfg.camera.name, isotope=cfg.camera.isotope) for batch in batches]
            administered_bq = scale * simulator.synthesizer.biodistribution.administered_bq
            write_times(folder, batches, patient, images, times_h=times_h, administered_bq=administered_bq)
    announce(cfg.output_dir)


def simulate_times(simulator: PlanarSimulator, patient: Patient, *, seed: int, times_h: Sequence[float]) -> tuple[list[Batch], float]:
    """One patient imaged at several times; counts and activities of all times have one scale.

    The scale is such that at the phantom's own time after injection the image has the counts that a single one has.

    Args:
        simulator: Draws and images.
        patient: The anatomy.
        seed: Of the phantom and the counts.
        times_h: Times after injection, ascending [h].

    Returns:
        An image of each time, and by what the administered activity has been scaled.

    Raises:
        ValueError: Times are not positive, or out of order.
    """
    if not times_h or not all(0 < t < float("inf") for t in times_h) or any(b <= a for a, b in pairwise(times_h)):
        raise ValueError(f"times_h must hold ascending hours after injection above zero, got {list(times_h)}; write [4,24,72,168]")
    first, synthesizer = _simulate(simulator, patient, seed), simulator.synthesizer
    labels, mu_map = patient.labels[None], patient.mu_map(simulator.camera.energy_kev)[None]
    pet = None if patient.pet is None else patient.pet[None]
    record = synthesizer.draw(torch.tensor([seed]))
    own = synthesizer.render(record, labels, mu_map, patient.grid, pet=pet)
    scale = float(first.activity.double().sum() / own.activity.double().sum())
    # time moves no tissue: the attenuation is that of the first image
    projector = simulator.camera.projector(own.mu_map, patient.grid)
    batches = []
    for i, time_h in enumerate(times_h):
        phantom = synthesizer.render(synthesizer.at(record, time_h * SECONDS_PER_HOUR), labels, mu_map, patient.grid, pet=pet)
        activity = phantom.activity * scale
        noise = fork(torch.Generator().manual_seed(seed ^ NOISE_STREAM), f"time {i}")
        batches.append(replace(first, activity=activity, views=poisson(projector(activity), noise), imaged_labels=phantom.imaged_labels))
    return batches, scale


def _simulate(simulator: PlanarSimulator, patient: Patient, seed: int) -> Batch:
    """One image of one patient."""
    return simulator.simulate(
        labels=patient.labels[None],
        given_labels=patient.labels[None],
        mu_map=patient.mu_map(simulator.camera.energy_kev)[None],
        grid=patient.grid,
        seeds=torch.tensor([seed]),
        pet=None if patient.pet is None else patient.pet[None],
    )


def planar_image(batch: Batch, patient: Patient, camera: GammaCamera, *, name: str, isotope: str) -> PlanarImage:
    """The views of a simulated patient as an acquisition.

    Args:
        batch: One simulated patient.
        patient: The anatomy it was made from.
        camera: The camera that imaged it.
        name: The camera's name.
        isotope: Radionuclide imaged.
    """
    grid = patient.grid
    rows = patient.body.any(dim=3).any(dim=1)[0].nonzero().flatten().double()
    # the camera counts from the middle of the grid, an acquisition from the middle of the patient
    ahead_mm = (float(rows[0] + rows[-1]) - (grid.shape[1] - 1)) * 0.5 * grid.spacing_mm[1]
    if not isinstance(camera.dwell_time_s, float):
        raise ValueError("camera.dwell_time_s must be one figure to be written with an image; it holds one per row")
    return PlanarImage(
        views=batch.views,
        pixel_mm=(grid.spacing_mm[0], grid.spacing_mm[2]),
        origin_mm=(grid.origin_mm[0], grid.origin_mm[2]),
        isotope=isotope,
        camera=name,
        dwell_time_s=camera.dwell_time_s,
        distance_mm=(camera.distance_mm[0] - ahead_mm, camera.distance_mm[1] + ahead_mm),
        sensitivity_cps_per_mbq=camera.sensitivity_cps_per_mbq,
        energy_kev=camera.energy_kev,
        scatter_correction="none" if camera.scatter is None else "model",
    )


def write_acquisition(folder: Path, batch: Batch, patient: Patient, image: PlanarImage) -> None:
    """Write images, anatomy and truth.

    Args:
        folder: Where to write.
        batch: One simulated patient.
        patient: The anatomy it was made from.
        image: Its views.
    """
    write_planar_nifti(folder / "planar.nii.gz", image)
    write_volume(folder / "truth.nii.gz", batch.activity, patient.grid)
    _write_anatomy(folder, batch, patient)


def write_times(
    folder: Path,
    batches: Sequence[Batch],
    patient: Patient,
    images: Sequence[PlanarImage],
    *,
    times_h: Sequence[float],
    administered_bq: float,
) -> None:
    """Write images and truth of several times, anatomy, and the studies that `planar3d.dosimetry` reads.

    Args:
        folder: Where to write.
        batches: One image for each time.
        patient: The anatomy they were made from.
        images: Their views.
        times_h: Times after injection [h].
        administered_bq: Activity at injection [Bq].
    """
    planar, truth = [], []
    for i, (batch, image, time_h) in enumerate(zip(batches, images, times_h, strict=True), start=1):
        time = INJECTION + timedelta(hours=float(time_h))
        write_planar_nifti(folder / f"planar_{i}.nii.gz", replace(image, acquired_at=time))
        write_volume(folder / f"truth_{i}.nii.gz", batch.activity, patient.grid)
        planar.append(f"  - {{planar: planar_{i}.nii.gz, time: {time.isoformat()}}}")
        truth.append(f"  - {{activity: truth_{i}.nii.gz, time: {time.isoformat()}}}")
    _write_anatomy(folder, batches[0], patient)
    head = f"isotope: {images[0].isotope}\ninjection: {{time: {INJECTION.isoformat()}, activity_bq: {administered_bq:.6e}}}\n"
    joint = "reconstruction: {method: qplanar, joint: true}\nuncertainty: {calibration: 0.05}\n"
    for name, labels, lines, more in (("study", "labels", planar, joint), ("study_truth", "truth_labels", truth, "")):
        text = f"{head}patient: {{ct: ct.nii.gz, labels: {labels}.nii.gz}}\nimages:\n" + "\n".join(lines) + f"\n{more}"
        with whole_file(folder / f"{name}.yaml") as partial:
            partial.write_text(text, encoding="utf-8")


def _write_anatomy(folder: Path, batch: Batch, patient: Patient) -> None:
    """Write CT and organs as given, and the organs imaged."""
    write_volume(folder / "ct.nii.gz", patient.ct_hu[None], patient.grid, unit="HU")
    write_label_map(folder / "labels.nii.gz", patient.labels, patient.grid)
    write_label_map(folder / "truth_labels.nii.gz", batch.imaged_labels, patient.grid)


if __name__ == "__main__":
    main()
