"""From two measured views and the patient's CT and organs to an activity map: ``python -m planar3d.reconstruct``.

The working grid takes its x and z from the pixels of the camera, whole pixels summed up to about the spacing asked for, so that counts
stay Poisson counts; along y it holds the body in voxels of the same edge. The estimate goes back to the space of the CT.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from planar3d.anatomy.patient import Patient
from planar3d.config import command, trained_spacing_mm
from planar3d.grid import Grid
from planar3d.io import PlanarImage, read_planar, rebin, resample_to, write_volume
from planar3d.io.volume import load_nifti
from planar3d.physics.gamma_camera import GammaCamera
from planar3d.reconstruction.arrangement import better_arrangement
from planar3d.reconstruction.learned import UNetReconstruction
from planar3d.reconstruction.posterior import Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.report import organ_table, write_organ_table
from planar3d.results import announce, output_folder, stages
from planar3d.visualization import reconstruction_sheet, save_sheet

__all__ = ["camera_of", "main", "pose", "working_grid"]

FEWEST_PIXELS = 8
DEFAULT_SPACING_MM = 4.8


@command("reconstruct")
def main(cfg: DictConfig) -> None:
    """Read, check, reconstruct, write."""
    with output_folder(cfg.output_dir, cfg) as folder, stages(5) as stage:
        stage("Reading the planar image")
        image = read_planar(cfg.planar, **cfg.acquisition)
        camera = camera_of(image, scatter=cfg.scatter)
        stage("Reading the anatomy")
        patient = instantiate(cfg.patient, _convert_="all")
        stage("Setting up the camera before the patient")
        method = instantiate(cfg.method, _convert_="all")
        problem = pose(image, camera, patient, spacing_mm=_spacing_mm(cfg), scanner=cfg.scanner, device=_device(cfg.device))
        if cfg.check_arrangement:
            require_as_given(image, problem)
        stage(f"Reconstructing by {method.name}")
        if isinstance(method, UNetReconstruction):
            method.net.to(problem.views.device)
        posterior = method(problem)
        stage("Writing")
        write_maps(folder, posterior, problem.grid, Path(cfg.patient.ct))
        write_table(folder, posterior, problem, image, method.name)
        write_sheet(folder, posterior, problem, patient, method.name)
    announce(cfg.output_dir)


def camera_of(image: PlanarImage, *, scatter: bool = True) -> GammaCamera:
    """The camera that made an image.

    Args:
        image: The acquisition, which names camera and isotope.
        scatter: Whether to model object scatter.

    Raises:
        ValueError: The camera or the isotope is not known.
    """
    distance = {} if image.distance_mm is None else {"distance_mm": image.distance_mm}
    return GammaCamera.from_name(
        image.camera,
        isotope=image.isotope,
        dwell_time_s=image.dwell_time_s,
        sensitivity_cps_per_mbq=image.sensitivity_cps_per_mbq,
        scatter=scatter,
        **distance,
    )


def pose(
    image: PlanarImage, camera: GammaCamera, patient: Patient, *, spacing_mm: float, scanner: str = "general", device: str = "cpu"
) -> PlanarProblem:
    """The reconstruction problem of one patient before the camera.

    Args:
        image: The acquisition.
        camera: The camera that made it.
        patient: CT and organs as read, at the CT's own resolution.
        spacing_mm: About which voxel edge to work with [mm].
        scanner: Table for the CT's numbers, as in `planar3d.anatomy.hu_to_mu`.
        device: Where to compute.

    Raises:
        ValueError: It is not known where the image lies, or it does not overlap the patient.
    """
    if not image.origin_is_known:
        raise ValueError(
            "acquisition.origin_mm is required: the planar image does not say where it lies relative to the CT; give the centre of its "
            "pixel at the patient's left and feet as acquisition.origin_mm=[x,z] in the CT's coordinates (mm, right and head positive)"
        )
    grid = working_grid(image, patient, spacing_mm)
    placed = patient.resampled(grid)
    if not bool(placed.body.any()):
        raise ValueError("the planar image does not overlap the patient in the CT; check acquisition.origin_mm and the CT's affine")
    mu_map = placed.mu_map(camera.energy_kev, scanner)[None]
    return PlanarProblem.from_camera(
        camera, views=rebin(image, grid).to(device), mu_map=mu_map.to(device), labels=placed.labels[None].to(device), grid=grid
    )


def working_grid(image: PlanarImage, patient: Patient, spacing_mm: float) -> Grid:
    """Grid of whole camera pixels where image and CT overlap.

    Args:
        image: The acquisition.
        patient: CT and organs.
        spacing_mm: About which voxel edge to work with [mm].

    Raises:
        ValueError: The spacing is not positive, or image and CT hardly overlap.
    """
    if not spacing_mm > 0:
        raise ValueError(f"spacing_mm must be positive, got {spacing_mm}; give millimetres, as in 4.8")
    (nx, dx, x), (nz, dz, z) = (_shared_pixels(image, patient.grid, axis, spacing_mm) for axis in ("x", "z"))
    rows = patient.body.any(dim=3).any(dim=1)[0].nonzero().flatten()
    _, dy, _ = patient.grid.spacing_mm
    low, high = (patient.grid.origin_mm[1] + (int(row) + half) * dy for row, half in ((rows[0], -0.5), (rows[-1], 0.5)))
    edge = dx
    ny = math.ceil((high - low) / edge - 1e-6)
    return Grid(shape=(nx, ny, nz), spacing_mm=(dx, edge, dz), origin_mm=(x, 0.5 * (low + high) - 0.5 * (ny - 1) * edge, z))


def _shared_pixels(image: PlanarImage, grid: Grid, axis: str, spacing_mm: float) -> tuple[int, float, float]:
    """Number, edge and first centre [mm] of the summed pixels along an axis that lie within the CT."""
    view_axis, grid_axis = {"x": (0, 0), "z": (1, 2)}[axis]
    pixel, start = image.pixel_mm[view_axis], image.origin_mm[view_axis] - 0.5 * image.pixel_mm[view_axis]
    step = grid.spacing_mm[grid_axis]
    low = grid.origin_mm[grid_axis] - 0.5 * step
    high = low + grid.shape[grid_axis] * step
    first = max(0, math.ceil((low - start) / pixel - 1e-3))
    last = min(image.views.shape[2 + view_axis], math.floor((high - start) / pixel + 1e-3))
    together = max(1, round(spacing_mm / pixel))
    count = (last - first) // together
    if count < FEWEST_PIXELS:
        stop = start + pixel * image.views.shape[2 + view_axis]
        raise ValueError(
            f"the planar image does not overlap the CT enough along {axis}: the image runs from {start:.0f} to {stop:.0f} mm, the CT from "
            f"{low:.0f} to {high:.0f} mm; give acquisition.origin_mm=[x,z] in the CT's coordinates"
        )
    edge = together * pixel
    return count, edge, start + first * pixel + 0.5 * edge


def require_as_given(image: PlanarImage, problem: PlanarProblem) -> None:
    """Raise if the counts say that the views are swapped or mirrored.

    Raises:
        ValueError: Another arrangement of the views fits the patient clearly better.
    """
    better = better_arrangement(problem, lambda turned: rebin(replace(image, views=turned(image.views)), problem.grid))
    if better is not None:
        raise ValueError(
            f"the planar views seem to be {better}: their counts then fit the organs in the CT clearly better; correct the image, or pass "
            "check_arrangement=false if it is right as it is"
        )


def write_maps(folder: Path, posterior: Posterior, grid: Grid, ct: Path) -> None:
    """Write the activity and, where there is one, its standard deviation, in the space of the CT.

    Args:
        folder: Where to write.
        posterior: The estimate.
        grid: Where it lies.
        ct: The CT's file.
    """
    target = load_nifti(ct)
    affine = np.asarray(target.affine, dtype=np.float64)
    for name, volume in (("activity", posterior.mean), ("activity_std", posterior.std)):
        if volume is not None:
            placed = resample_to(volume.cpu(), grid, target.shape[:3], affine)
            write_volume(folder / f"{name}.nii.gz", placed, affine)


def write_table(folder: Path, posterior: Posterior, problem: PlanarProblem, image: PlanarImage, method: str) -> None:
    """Write the activity of each organ as CSV and JSON.

    Args:
        folder: Where to write.
        posterior: The estimate.
        problem: What it was made from.
        image: The acquisition.
        method: Name of the method.
    """
    stated, activity, error = posterior.organs, None, None
    if stated is not None:
        ids = stated.ids.tolist()
        activity = dict(zip(ids, stated.activity_bq[0].tolist(), strict=True))
        if stated.standard_error_bq is not None:
            error = dict(zip(ids, stated.standard_error_bq[0].tolist(), strict=True))
    rows = organ_table(
        posterior.mean, problem.organ_labels, problem.grid, organ_activity_bq=activity, standard_error_bq=error, samples=posterior.samples
    )
    write_organ_table(folder / "organs", rows, method=method, isotope=image.isotope, reference_time="start of the acquisition")


def write_sheet(folder: Path, posterior: Posterior, problem: PlanarProblem, patient: Patient, method: str) -> None:
    """Write the pictures: measured and re-projected views, residuals, projections of the estimate over the CT.

    Args:
        folder: Where to write.
        posterior: The estimate.
        problem: What it was made from.
        patient: CT and organs.
        method: Name of the method.
    """
    expected = problem.projector(posterior.mean) if posterior.expected_views is None else posterior.expected_views
    ct_hu = patient.resampled(problem.grid).ct_hu
    sheet = reconstruction_sheet(
        views=problem.views, expected_views=expected, activity=posterior.mean, grid=problem.grid, ct_hu=ct_hu, title=method
    )
    save_sheet(sheet, folder / "sheet.png")


def _spacing_mm(cfg: DictConfig) -> float:
    """The spacing asked for, else the one that the weights were trained on, else the default [mm]."""
    if cfg.spacing_mm is not None:
        return float(cfg.spacing_mm)
    trained = None if cfg.checkpoint is None else trained_spacing_mm(cfg.checkpoint)
    return DEFAULT_SPACING_MM if trained is None else trained


def _device(name: str) -> str:
    """The device that a name stands for; ``"auto"`` is a GPU where there is one."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    main()
