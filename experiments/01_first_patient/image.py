"""Image the known activity of `lu177_dotatate_patient` with a planar camera: writes the measurement and the truth.

    python experiments/01_first_patient/image.py [outputs/01_first_patient]

The data hold activity in seven organs and lesions only (235 MBq). A body background is added that is independent of the library's own
phantoms: 30 % of the activity in the field, twice as concentrated in bone as in soft tissue, half in lung, with smooth log-normal
unevenness (log-sd 0.4, correlation about 25 mm). The camera is the one that goes with the data, Philips BrightView MEGP. Activity and
CT are imaged on 4 mm voxels and reconstructed on about 8 mm, so that the measurement is not made on the grid that explains it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from planar3d.anatomy.patient import Patient
from planar3d.anatomy.reading import read_volume, resample
from planar3d.batch import Batch
from planar3d.grid import Grid
from planar3d.io import write_planar_nifti, write_volume
from planar3d.organs import GROUPS, organ_id
from planar3d.physics import GammaCamera, poisson
from planar3d.simulate import planar_image
from planar3d.units import BQ_PER_MBQ

SEED = 177
ANTERIOR_COUNTS = 7e5
BACKGROUND_SHARE = 0.3
LABELS = {
    "1": "liver", "2": "spleen", "3": "kidney_left", "4": "kidney_right",
    "5": "lesion_1", "6": "lesion_2", "7": "lesion_3", "8": "background",
}  # fmt: skip


def background(labels: Tensor, spacing_mm: float, generator: torch.Generator) -> Tensor:
    """Relative activity of the rest of the body, ``(1, x, y, z)``; zero where the data have activity of their own."""
    relative = (labels > 0).float()
    relative[torch.isin(labels, torch.tensor([organ_id(o) for o in GROUPS["skeleton"]]))] = 2.0
    relative[torch.isin(labels, torch.tensor([organ_id(o) for o in GROUPS["lungs"]]))] = 0.5
    relative[torch.isin(labels, torch.tensor([organ_id(o) for o in LABELS.values()]))] = 0.0
    noise = torch.from_numpy(gaussian_filter(torch.randn(labels.shape, generator=generator).numpy()[0], 25.0 / spacing_mm))[None]
    return relative * torch.exp(0.4 * noise / noise.std())


def truth(folder: Path, patient: Patient, grid: Grid, generator: torch.Generator) -> Tensor:
    """Activity on the imaging grid, ``(1, x, y, z)`` [Bq/mL]."""
    per_voxel, native, _ = read_volume(folder / "activity_24h.nii.gz", name="activity")
    known = resample(per_voxel / native.voxel_volume_ml, native, grid, outside=0.0).clamp(min=0.0)
    known *= per_voxel.sum() / (known.sum() * grid.voxel_volume_ml)
    rest = background(patient.labels, grid.spacing_mm[0], generator)
    return known + rest * (known.sum() / rest.sum()) * BACKGROUND_SHARE / (1.0 - BACKGROUND_SHARE)


def main() -> None:
    """Image and write."""
    output = Path(sys.argv[1] if len(sys.argv) > 1 else "outputs/01_first_patient")
    folder = Path(os.environ.get("PLANAR3D_DATA", "../shared/data")) / "lu177_dotatate_patient"
    output.mkdir(parents=True, exist_ok=True)
    (output / "label_scheme.json").write_text(json.dumps(LABELS, indent=2), encoding="utf-8")
    generator = torch.Generator().manual_seed(SEED)
    patient = Patient.from_files(
        folder / "ct.nii.gz", folder / "labels.nii.gz", label_scheme=output / "label_scheme.json", spacing_mm=4.0, name="first_patient"
    )
    activity = truth(folder, patient, patient.grid, generator)[None]
    camera = GammaCamera.from_name("philips-megp", isotope="Lu-177", dwell_time_s=1.0)
    mu_map = patient.mu_map(camera.energy_kev)[None]
    # the dwell time that gives the counts wanted from the activity as it is
    camera.dwell_time_s = float(ANTERIOR_COUNTS / camera(activity, mu_map, patient.grid)[0, 0].sum())
    views = poisson(camera(activity, mu_map, patient.grid), generator)
    batch = Batch(activity=activity, views=views, mu_map=mu_map, labels=patient.labels[None], imaged_labels=patient.labels[None])
    write_planar_nifti(output / "planar.nii.gz", planar_image(batch, patient, camera, name="philips-megp", isotope="Lu-177"))
    write_volume(output / "truth.nii.gz", activity, patient.grid)
    total_mbq = float(activity.sum()) * patient.grid.voxel_volume_ml / BQ_PER_MBQ
    print(f"{total_mbq:.1f} MBq in the field, dwell time {camera.dwell_time_s:.0f} s, {int(views[0, 0].sum())} counts; wrote {output}")


if __name__ == "__main__":
    main()
