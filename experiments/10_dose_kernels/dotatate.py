"""Dose rate of the real 177Lu-DOTATATE patient 24 h after injection from the known activity: local deposition, kernel, and S values."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from planar3d.anatomy import Patient
from planar3d.anatomy.reading import read_volume
from planar3d.dosimetry.density import hu_to_density
from planar3d.dosimetry.organ import local_s_values, organ_doses, organ_s_values
from planar3d.dosimetry.voxel_dose import KernelDose, local_dose
from planar3d.grid import require_same_grid
from planar3d.organs import organ_id
from planar3d.units import BQ_PER_MBQ, SECONDS_PER_HOUR

DATA = Path(os.environ.get("PLANAR3D_DATA", Path(__file__).parents[3] / "shared" / "data")) / "lu177_dotatate_patient"
SCHEME = {1: "liver", 2: "spleen", 3: "kidney_left", 4: "kidney_right", 5: "lesion_1", 6: "lesion_2", 7: "lesion_3", 8: "background"}
ORGANS = tuple(name for name in SCHEME.values() if name != "background")
MGY_PER_GY = 1e3


def main() -> None:
    patient = Patient.from_files(DATA / "ct.nii.gz", DATA / "labels.nii.gz", label_scheme=SCHEME)
    bq, grid, _ = read_volume(DATA / "activity_24h.nii.gz", name="activity")
    require_same_grid("activity", grid, "ct", patient.grid)
    per_ml = bq[None] / grid.voxel_volume_ml
    labels, density = patient.labels[None], hu_to_density(patient.ct_hu)[None]
    ids = [organ_id(name) for name in ORGANS]
    kernel = KernelDose(grid=grid, isotope="Lu-177")
    rates = {
        "local": local_dose(per_ml, isotope="Lu-177", density_g_per_ml=density.clamp(min=0.1)),
        "kernel": kernel(per_ml, density),
        "kernel, water": kernel(per_ml),
    }
    means = {
        name: organ_doses(rate, labels, voxel_volume_ml=grid.voxel_volume_ml, density_g_per_ml=density, ids=ids)
        for name, rate in rates.items()
    }
    activity = torch.stack([bq[None][labels == i].sum() for i in ids])
    s = organ_s_values(labels, kernel, density_g_per_ml=density, ids=ids)
    by_s, own = s.dose(activity), s.self_dose(activity)
    mass_alone = local_s_values(s.mass_g, ids=ids, isotope="Lu-177").dose(activity)
    columns = ("organ", "mass g", "MBq", "local, mGy/h", "kernel, mGy/h", "kernel over local", "no density over kernel", "S values, mGy/h",
               "of it from other organs", "mass alone over kernel")  # fmt: skip
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for i, name in enumerate(ORGANS):
        local, full, water = (float(m.dose_gy[0, i]) * MGY_PER_GY * SECONDS_PER_HOUR for m in means.values())
        mird, mass = (float(v[i]) * MGY_PER_GY * SECONDS_PER_HOUR for v in (by_s, mass_alone))
        cells = (
            name, f"{float(s.mass_g[i]):.1f}", f"{float(activity[i]) / BQ_PER_MBQ:.1f}", f"{local:.2f}", f"{full:.2f}",
            percent(full / local), percent(water / full),
            f"{mird:.2f}", f"{100.0 * (1.0 - float(own[i] / by_s[i])):.1f} %", percent(mass / full),
        )  # fmt: skip
        print("| " + " | ".join(cells) + " |")


def percent(ratio: float) -> str:
    """How far a ratio is from 1."""
    return f"{100.0 * (ratio - 1.0):+.1f} %"


if __name__ == "__main__":
    main()
