"""A box of tissue with two organs of known activity at three times, and a study of it in files."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

Study = dict[str, Any]

SHAPE, SPACING_MM = (12, 10, 14), 8.0
ORGANS = {2: "liver", 4: "kidney_left"}
HOURS = (4.0, 24.0, 72.0)
INJECTED = datetime.fromisoformat("2026-03-02T09:00+01:00")
HALF_LIFE_H = {2: 30.0, 4: 50.0}
FIRST_BQ_PER_ML = {2: 2e5, 4: 1e6}


def label_map() -> np.ndarray:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[1:-1, 1:-1] = 1
    labels[2:6, 3:7, 4:9] = 2
    labels[8:10, 3:6, 5:9] = 4
    return labels


def activity(time_h: float) -> np.ndarray:
    values = np.zeros(SHAPE, dtype=np.float32)
    for organ, half_life_h in HALF_LIFE_H.items():
        values[label_map() == organ] = FIRST_BQ_PER_ML[organ] * 2.0 ** (-time_h / half_life_h)
    return values


def save(path: Path, values: np.ndarray, *, shift_mm: float = 0.0) -> None:
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = shift_mm
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


def make_study(folder: Path) -> Study:
    """Write the patient and the maps; the content of a study of them."""
    labels = label_map()
    save(folder / "ct.nii.gz", np.where(labels > 0, 0.0, -1000.0).astype(np.float32))
    save(folder / "labels.nii.gz", labels)
    for i, hours in enumerate(HOURS, start=1):
        save(folder / f"map_{i}.nii.gz", activity(hours))
    return {
        "isotope": "Lu-177",
        "injection": {"time": INJECTED.isoformat(), "activity_bq": 7.4e9},
        "patient": {"ct": "ct.nii.gz", "labels": "labels.nii.gz", "label_scheme": {1: "body", **ORGANS}, "fill_from_ct": False},
        "images": [
            {"activity": f"map_{i}.nii.gz", "time": (INJECTED + timedelta(hours=hours)).isoformat()}
            for i, hours in enumerate(HOURS, start=1)
        ],
        "options": {"voxel_dose": "local", "density": "water"},
    }
