"""Compare the reconstructions of the first patient with the truth: writes ``results.csv`` and ``figures/`` beside this file.

    python experiments/01_first_patient/analyse.py [outputs/01_first_patient]

Maps are averaged to a common 8 mm grid. Errors of organs and lesions are those of the activities that the tables report, relative to
what the data hold in the masks; those masks hold no background.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

from torch import Tensor

from planar3d.anatomy.patient import Patient
from planar3d.anatomy.reading import read_volume, resample
from planar3d.io import write_csv
from planar3d.metrics.image import nmae, ssim3d
from planar3d.units import BQ_PER_MBQ
from planar3d.visualization import phantom_sheet, save_sheet

FINE = ("qplanar_em_fine", "unet_fine", "diffusion_fine")
METHODS = ("conjugate_view", "mlem", "qplanar", "qplanar_em", "unet", "diffusion", "unet_ps", *FINE)
ORGANS = ("liver", "spleen", "kidney_left", "kidney_right", "lesion_1", "lesion_2", "lesion_3")
HERE = Path(__file__).parent


def known_mbq(folder: Path) -> dict[str, float]:
    """Activity that the data hold in each organ and lesion [MBq]."""
    per_voxel, _, _ = read_volume(folder / "activity_24h.nii.gz", name="activity")
    labels, _, _ = read_volume(folder / "labels.nii.gz", name="labels", is_label=True)
    return {organ: float(per_voxel[labels == label].sum()) / BQ_PER_MBQ for label, organ in enumerate(ORGANS, start=1)}


def reported_mbq(table: Path) -> dict[str, float]:
    """Activity of each organ as `planar3d.reconstruct` reports it [MBq]."""
    with table.open(newline="", encoding="utf-8") as stream:
        return {row["organ"]: float(row["activity_mbq"]) for row in csv.DictReader(stream)}


def scores(estimate: Tensor, truth: Tensor, patient: Patient) -> dict[str, float]:
    """Metrics of the map of one estimate."""
    return {
        "nmae": float(nmae(estimate, truth)),
        "ssim": float(ssim3d(estimate, truth)),
        "ssim_body": float(ssim3d(estimate, truth, patient.labels[None] > 0)),
    }


def main() -> None:
    """Score, tabulate, draw."""
    output = Path(sys.argv[1] if len(sys.argv) > 1 else "outputs/01_first_patient")
    folder = Path(os.environ.get("PLANAR3D_DATA", "../shared/data")) / "lu177_dotatate_patient"
    patient = Patient.from_files(
        folder / "ct.nii.gz", folder / "labels.nii.gz", label_scheme=output / "label_scheme.json", spacing_mm=8.0, name="first_patient"
    )

    def on_common_grid(path: Path) -> Tensor:
        volume, grid, _ = read_volume(path, name=path.parent.name)
        return resample(volume, grid, patient.grid, outside=0.0)[None].clamp(min=0.0)

    truth = on_common_grid(output / "truth.nii.gz")
    estimates = {m: on_common_grid(output / m / "activity.nii.gz") for m in METHODS if (output / m / "activity.nii.gz").is_file()}
    known, total = known_mbq(folder), _total_mbq(output / "truth.nii.gz")
    rows = []
    for name, x in estimates.items():
        reported = reported_mbq(output / name / "organs.csv")
        errors = {"total_error": reported["total"] / total - 1} | {f"error_{o}": reported[o] / known[o] - 1 for o in ORGANS}
        rows.append({"method": name} | {k: f"{v:.4f}" for k, v in (scores(x, truth, patient) | errors).items()})
    write_csv(HERE / "results.csv", rows)
    (HERE / "figures").mkdir(exist_ok=True)
    save_sheet(phantom_sheet(truth, estimates, patient.grid, title="First patient"), HERE / "figures" / "comparison.png", dpi=70)
    print(f"{len(rows)} methods; wrote {HERE / 'results.csv'} and {HERE / 'figures'}")
    for row in rows:
        print("  ".join(f"{k} {v}" for k, v in row.items()))


def _total_mbq(path: Path) -> float:
    """Activity in a map [MBq]."""
    volume, grid, _ = read_volume(path, name=path.stem)
    return float(volume.sum()) * grid.voxel_volume_ml / BQ_PER_MBQ


if __name__ == "__main__":
    main()
