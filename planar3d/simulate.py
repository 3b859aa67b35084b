"""A synthetic acquisition with its truth: ``python -m planar3d.simulate``.

Writes what `planar3d.reconstruct` reads (``planar.nii.gz`` with its sidecar, ``ct.nii.gz``, ``labels.nii.gz``) and what it is judged by
(``truth.nii.gz`` in Bq/mL and ``truth_labels.nii.gz``, both in the position imaged).
"""

from __future__ import annotations

from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from planar3d.anatomy.patient import Patient
from planar3d.batch import Batch
from planar3d.config import command
from planar3d.io import PlanarImage, write_planar_nifti, write_volume
from planar3d.io.label_map import write_label_map
from planar3d.physics.gamma_camera import GammaCamera
from planar3d.results import announce, output_folder, stages
from planar3d.simulation import PlanarSimulator

__all__ = ["main", "planar_image", "write_acquisition"]


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
        batch = simulator.simulate(
            labels=patient.labels[None],
            given_labels=patient.labels[None],
            mu_map=patient.mu_map(camera.energy_kev)[None],
            grid=patient.grid,
            seeds=torch.tensor([cfg.seed]),
        )
        stage("Writing")
        image = planar_image(batch, patient, camera, name=cfg.camera.name, isotope=cfg.camera.isotope)
        write_acquisition(folder, batch, patient, image)
    announce(cfg.output_dir)


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
    write_volume(folder / "ct.nii.gz", patient.ct_hu[None], patient.grid, unit="HU")
    write_label_map(folder / "labels.nii.gz", patient.labels, patient.grid)
    write_volume(folder / "truth.nii.gz", batch.activity, patient.grid)
    write_label_map(folder / "truth_labels.nii.gz", batch.imaged_labels, patient.grid)


if __name__ == "__main__":
    main()
