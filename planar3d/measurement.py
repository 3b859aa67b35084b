"""From a measured planar image and a patient's anatomy to the reconstruction problem on a common grid.

The working grid takes its x and z from the pixels of the camera, whole pixels summed up to about the spacing asked for, so that counts
stay Poisson counts; along y it holds the body in voxels of the same edge. Where the image goes on beyond the CT along z, or the CT
beyond the image, the grid may too by a margin (`planar3d.reconstruction.margin`). An image that does not say where it
lies is placed by its counts less the known background, as dead time does not move organs; the problem itself has both beside the counts
(`planar3d.acquisition`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from planar3d.acquisition import background, dwell_time_s, live_fraction
from planar3d.anatomy.patient import Patient
from planar3d.grid import Grid
from planar3d.io import PlanarImage, rebin, rebin_rows, within_field_of_view
from planar3d.physics.gamma_camera import GammaCamera
from planar3d.reconstruction.placement import place
from planar3d.reconstruction.problem import PlanarProblem

__all__ = ["MARGIN_MM", "camera_of", "located", "pose", "rearranged", "working_grid"]

FEWEST_PIXELS = 8
MARGIN_MM = 25.0
"""How far beyond image and CT activity is sought (`experiments/24_margins`): there the CT's last slice still tells what lies beyond it."""
PLACEMENT_SPACING_MM = 9.6
USUAL_DISTANCE_MM = (200.0, 200.0)


def camera_of(image: PlanarImage) -> GammaCamera:
    """The camera that made an image, with the model of object scatter where the image names it as the scatter correction.

    Args:
        image: The acquisition, which names camera, isotope and line.

    Raises:
        ValueError: The camera, the isotope or its line is not known.
    """
    return GammaCamera.from_name(
        image.camera,
        isotope=image.isotope,
        dwell_time_s=dwell_time_s(image),
        energy_kev=image.energy_kev,
        sensitivity_cps_per_mbq=image.sensitivity_cps_per_mbq,
        scatter=image.scatter_correction == "model",
        distance_mm=USUAL_DISTANCE_MM if image.distance_mm is None else image.distance_mm,
    )


def located(image: PlanarImage, camera: GammaCamera, patient: Patient, *, scanner: str = "general") -> PlanarImage:
    """An image that does not say where it lies, put where its counts fit the organs best.

    Args:
        image: The acquisition.
        camera: The camera that made it.
        patient: CT and organs.
        scanner: Table for the CT's numbers.

    Raises:
        ValueError: No place is clearly best.
    """
    seen = within_field_of_view(image)
    grid = _grid_about_body(patient, PLACEMENT_SPACING_MM)
    anatomy = patient.resampled(grid)
    projector = camera.projector(anatomy.mu_map(camera.energy_kev, scanner)[None], grid)
    net = _net_counts(seen)
    dx, dz = place(projector, anatomy.labels[None], grid, lambda wanted: rebin(seen, wanted, counts=net), seen.extent_mm).offset_mm
    return replace(image, origin_mm=(image.origin_mm[0] + dx, image.origin_mm[1] + dz), origin_is_known=True)


def pose(
    image: PlanarImage,
    camera: GammaCamera,
    patient: Patient,
    *,
    spacing_mm: float,
    scanner: str = "general",
    device: str = "cpu",
    margin_mm: float = 0.0,
) -> PlanarProblem:
    """The reconstruction problem of one patient before the camera.

    Args:
        image: The acquisition; of a matrix larger than the head the part `within_field_of_view`.
        camera: The camera that made it.
        patient: CT and organs as read, at the CT's own resolution.
        spacing_mm: About which voxel edge to work with [mm].
        scanner: Table for the CT's numbers, as in `planar3d.anatomy.hu_to_mu`.
        device: Where to compute.
        margin_mm: How far the grid may go along z beyond the part that image and CT both show, where one of them does;
            `between_margins` takes it away again from an estimate [mm].

    Raises:
        ValueError: It is not known where the image lies, or it does not overlap the patient; dead time or side windows do not go with it;
            or the camera models the scatter that side windows tell.
    """
    if image.scatter_correction in ("tew", "dew") and camera.scatter is not None:
        raise ValueError(
            f"camera models object scatter and scatter_correction={image.scatter_correction} takes it from side windows; make it by "
            f"camera_of(image), or take scatter_correction=model"
        )
    if not image.origin_is_known:
        raise ValueError(
            "acquisition.origin_mm is required: the planar image does not say where it lies relative to the CT; give the centre of its "
            "pixel at the patient's left and feet as acquisition.origin_mm=[x,z] in the CT's coordinates (mm, right and head positive)"
        )
    if not (math.isfinite(margin_mm) and margin_mm >= 0):
        raise ValueError(f"margin_mm must not be negative, got {margin_mm}; give millimetres, as in {MARGIN_MM:g}, or 0 for none")
    grid = working_grid(image, patient, spacing_mm)
    placed = patient.resampled(grid)
    if not bool(placed.body.any()):
        raise ValueError("the planar image does not overlap the patient in the CT; check acquisition.origin_mm and the CT's affine")
    most = math.ceil(margin_mm / grid.spacing_mm[2]) * _body_at_ends(placed)
    in_image, in_ct = (torch.minimum(_rows_beyond(grid, low, high), most) for low, high in (image.extent_mm[1], _extent_mm(patient.grid)))
    margin = torch.maximum(in_image, in_ct)
    placed, grid = patient.resampled(_grown(grid, in_ct)), _grown(grid, margin)
    live = live_fraction(image)
    known = background(image, live)
    return PlanarProblem.from_camera(
        camera,
        views=rebin(image, grid).to(device),
        mu_map=_continued(placed.mu_map(camera.energy_kev, scanner)[None], margin - in_ct).to(device),
        labels=_continued(placed.labels[None], margin - in_ct).to(device),
        grid=grid,
        background=None if known is None else rebin(image, grid, counts=known).to(device),
        live_fraction=None if live is None else rebin_rows(image, grid, live).to(device),
        margin_rows=_pair(margin),
        blind_rows=_pair(margin - in_image),
    )


def rearranged(image: PlanarImage, problem: PlanarProblem, turn: Callable[[Tensor], Tensor]) -> PlanarProblem:
    """The same problem with the views of an image turned, and the background that then goes with them.

    Args:
        image: The acquisition as it was read: an export goes wrong about the middle of its matrix.
        problem: What `pose` made of it.
        turn: Takes counts ``(1, view, x, z)`` and turns them.
    """
    sides = {
        name: turn(views) for name, views in (("lower_views", image.lower_views), ("upper_views", image.upper_views)) if views is not None
    }
    turned = replace(image, views=turn(image.views), **sides)
    known = background(turned, live_fraction(turned))
    return replace(
        problem,
        views=rebin(turned, problem.grid).to(problem.views),
        background=None if known is None else rebin(turned, problem.grid, counts=known).to(problem.views),
    )


def _net_counts(image: PlanarImage) -> Tensor:
    """Counts less the known background; no longer Poisson."""
    known = background(image, live_fraction(image))
    return image.views if known is None else (image.views - known).clamp(min=0.0)


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


def _rows_beyond(grid: Grid, low_mm: float, high_mm: float) -> Tensor:
    """Whole rows by which something that reaches from low to high goes beyond a grid along z, toward the feet and the head, ``(2,)``."""
    first, last = _extent_mm(grid)
    rows = torch.tensor([first - low_mm, high_mm - last], dtype=torch.float64) / grid.spacing_mm[2]
    return torch.floor(rows + 1e-3).clamp(min=0).long()


def _extent_mm(grid: Grid) -> tuple[float, float]:
    """Outer faces of a grid along z [mm]."""
    low = grid.origin_mm[2] - 0.5 * grid.spacing_mm[2]
    return low, low + grid.shape[2] * grid.spacing_mm[2]


def _body_at_ends(patient: Patient) -> Tensor:
    """One where the body reaches the end of the grid toward the feet and the head, zero where it ends before, ``(2,)``."""
    return patient.body[0][..., [0, -1]].flatten(0, 1).any(dim=0).cpu().long()


def _grown(grid: Grid, rows: Tensor) -> Grid:
    """A grid with rows added toward the feet and the head."""
    below, above = _pair(rows)
    return grid.rows(-below, grid.shape[2] + above)


def _continued(volume: Tensor, rows: Tensor) -> Tensor:
    """A volume whose first and last slice along z go on for some rows."""
    n = volume.shape[-1]
    below, above = _pair(rows)
    return volume[..., torch.arange(-below, n + above, device=volume.device).clamp(0, n - 1)]


def _pair(rows: Tensor) -> tuple[int, int]:
    """Numbers of rows toward the feet and the head."""
    below, above = rows.tolist()
    return int(below), int(above)


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


def _grid_about_body(patient: Patient, spacing_mm: float) -> Grid:
    """Cubic voxels over the box that holds the body."""
    places = patient.body[0].nonzero()
    first, last = places.amin(dim=0).tolist(), places.amax(dim=0).tolist()
    step, origin = patient.grid.spacing_mm, patient.grid.origin_mm
    extent = [(j - i + 1) * s for i, j, s in zip(first, last, step, strict=True)]
    middle = [o + 0.5 * (i + j) * s for i, j, s, o in zip(first, last, step, origin, strict=True)]
    nx, ny = (math.ceil(e / spacing_mm - 1e-6) for e in extent[:2])
    # the body ends along x and y, but is cut along z: no voxel there reaches beyond it
    return Grid.centred((nx, ny, max(1, math.floor(extent[2] / spacing_mm + 1e-6))), spacing_mm, middle)
