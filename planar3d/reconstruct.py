"""From two measured views and the patient's CT and organs to an activity map: ``python -m planar3d.reconstruct``.

Works on the grid of `planar3d.measurement`; the estimate goes back to the space of the CT.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.utils import instantiate
from omegaconf import DictConfig

from planar3d.anatomy.ct_file import space_of
from planar3d.anatomy.patient import Patient
from planar3d.config import command
from planar3d.grid import Grid
from planar3d.io import PlanarImage, reference_for, resample_to, write_nm_activity, write_volume
from planar3d.measured import open_measured
from planar3d.reconstruction.margin import between_margins
from planar3d.reconstruction.partial_volume import read_organs
from planar3d.reconstruction.posterior import Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.report import organ_table, write_organ_table
from planar3d.results import announce, output_folder, stages
from planar3d.visualization import reconstruction_sheet, save_sheet

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["main"]


@command("reconstruct")
def main(cfg: DictConfig) -> None:
    """Read, check, reconstruct, write."""
    if cfg.patient.get("ct") is None or cfg.patient.get("labels") is None:
        raise ValueError("patient.ct and patient.labels are required to reconstruct; give the patient's CT and label map")
    reference = reference_for(cfg.patient.ct, wanted=cfg.dicom, given=cfg.dicom_reference)
    with output_folder(cfg.output_dir, cfg) as folder, stages(5) as stage:
        measured = open_measured(cfg, stage)
        method = instantiate(cfg.method, _convert_="all")
        image, patient = measured.image, measured.patient
        if reference is not None:
            require_time(image)
        stage(f"Reconstructing by {method.name}")
        posterior, problem = between_margins(method, measured.problem)
        stage("Writing")
        write_maps(folder, posterior, problem.grid, Path(cfg.patient.ct))
        write_table(folder, posterior, problem, image, method.name, edge_spill=getattr(method, "edge_spill", 0.0))
        write_sheet(folder, posterior, problem, patient, method.name)
        if reference is not None:
            write_dicom(folder, posterior, problem.grid, image, reference)
    announce(cfg.output_dir)


def write_maps(folder: Path, posterior: Posterior, grid: Grid, ct: Path) -> None:
    """Write the activity and, where there is one, its standard deviation, in the space of the CT.

    Args:
        folder: Where to write.
        posterior: The estimate.
        grid: Where it lies.
        ct: The CT's file or folder.
    """
    space = space_of(ct)
    for name, volume in (("activity", posterior.mean), ("activity_std", posterior.std)):
        if volume is not None:
            placed = resample_to(volume.cpu(), grid, space.shape, space.affine)
            write_volume(folder / f"{name}.nii.gz", placed, space.affine)


def require_time(image: PlanarImage) -> datetime:
    """When an acquisition began, without which its activity in DICOM means nothing.

    Raises:
        ValueError: It is not known.
    """
    if image.acquired_at is None:
        raise ValueError(
            "dicom=true needs the time of the acquisition and the image does not say it; add acquisition.acquired_at=..., as in "
            "2026-03-02T13:00"
        )
    return image.acquired_at


def write_dicom(folder: Path, posterior: Posterior, grid: Grid, image: PlanarImage, reference: Dataset) -> None:
    """Write the activity as DICOM, on the grid that it was found on.

    Args:
        folder: Where to write.
        posterior: The estimate.
        grid: Where it lies.
        image: The acquisition.
        reference: Header of the CT.
    """
    window_kev = None if image.windows_kev is None else image.windows_kev[1]  # the peak stands between the others
    path, time = folder / "activity.dcm", require_time(image)
    write_nm_activity(path, posterior.mean, grid, reference=reference, acquired_at=time, isotope=image.isotope, window_kev=window_kev)


def write_table(
    folder: Path, posterior: Posterior, problem: PlanarProblem, image: PlanarImage, method: str, *, edge_spill: float = 0.0
) -> None:
    """Write the activity of each organ as CSV and JSON.

    Args:
        folder: Where to write.
        posterior: The estimate.
        problem: What it was made from.
        image: The acquisition.
        method: Name of the method.
        edge_spill: As `edge_recovered` takes it.
    """
    stated, activity, error = read_organs(posterior, problem, edge_spill) if edge_spill else posterior.organs, None, None
    if stated is not None:
        ids = stated.ids.tolist()
        activity = dict(zip(ids, stated.activity_bq[0].tolist(), strict=True))
        if stated.standard_error_bq is not None:
            error = dict(zip(ids, stated.standard_error_bq[0].tolist(), strict=True))
    rows = organ_table(
        posterior.mean, problem.organ_labels, problem.grid, organ_activity_bq=activity, standard_error_bq=error, samples=posterior.samples
    )
    write_organ_table(folder / "organs", rows, method=method, isotope=image.isotope, reference_time="mean over the acquisition")


def write_sheet(folder: Path, posterior: Posterior, problem: PlanarProblem, patient: Patient, method: str) -> None:
    """Write the pictures: measured and re-projected views, residuals, projections of the estimate over the CT.

    Args:
        folder: Where to write.
        posterior: The estimate.
        problem: What it was made from.
        patient: CT and organs.
        method: Name of the method.
    """
    expected = problem.expected_counts(posterior.mean) if posterior.expected_views is None else posterior.expected_views
    ct_hu = patient.resampled(problem.grid).ct_hu
    sheet = reconstruction_sheet(
        views=problem.views, expected_views=expected, activity=posterior.mean, grid=problem.grid, ct_hu=ct_hu, title=method
    )
    save_sheet(sheet, folder / "sheet.png")


if __name__ == "__main__":
    main()
