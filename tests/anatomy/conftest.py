"""A digital patient, and files of it, for the tests of anatomy."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from planar3d.anatomy import Patient, digital_patient
from planar3d.organs import ORGANS

DOTATATE_IDS = {
    "1": "liver", "2": "spleen", "3": "kidney_left", "4": "kidney_right", "5": "lesion_1", "6": "lesion_2", "7": "lesion_3",
    "8": "background",
}  # fmt: skip


@pytest.fixture(scope="session")
def digital() -> Patient:
    """One digital patient at 8 mm."""
    return digital_patient(3)


@pytest.fixture(scope="session")
def digital_files(digital: Patient, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """CT, labels (organ id plus 100) and the table of those ids, of the digital patient."""
    folder = tmp_path_factory.mktemp("digital")
    paths = folder / "ct.nii.gz", folder / "labels.nii.gz", folder / "ids.json"
    shifted = torch.where(digital.labels > 1, digital.labels + 100, 0)
    for path, volume, dtype in ((paths[0], digital.ct_hu, np.float32), (paths[1], shifted, np.uint8)):
        nib.save(nib.Nifti1Image(volume[0].numpy().astype(dtype), digital.grid.affine), path)
    paths[2].write_text(json.dumps({str(i + 100): name for i, name in enumerate(ORGANS) if i > 1}), encoding="utf-8")
    return paths


@pytest.fixture(scope="session")
def dotatate_ids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the label ids of the real DOTATATE patient mean."""
    path = tmp_path_factory.mktemp("dotatate") / "ids.json"
    path.write_text(json.dumps(DOTATATE_IDS), encoding="utf-8")
    return path
