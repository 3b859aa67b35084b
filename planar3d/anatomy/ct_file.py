"""A CT as a hospital has it, NIfTI or DICOM: its CT numbers, and where its voxels lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from planar3d.anatomy.ct import AIR_HU
from planar3d.anatomy.dicom_ct import DicomCt
from planar3d.anatomy.reading import axis_aligned, open_nifti, read_volume
from planar3d.anatomy.space import Space
from planar3d.dicom_files import is_dicom
from planar3d.grid import Grid

__all__ = ["read_ct", "space_of"]


def read_ct(path: str | Path) -> tuple[Tensor, Grid]:
    """Read a CT.

    Args:
        path: NIfTI file, or folder of a DICOM series, or multi-frame DICOM file; of any orientation.

    Returns:
        CT numbers ``(1, x, y, z)`` [HU] and their grid; both kinds of file give the same.

    Raises:
        ValueError: There is no such CT, or it cannot be read; see `planar3d.anatomy.dicom_ct.DicomCt`.
    """
    if not is_dicom(path):
        volume, grid, _ = read_volume(path, name="ct")
        return volume, grid
    series = DicomCt.open(path)
    return axis_aligned(torch.from_numpy(series.read_hu())[None], series.space.affine, outside=AIR_HU, is_label=False)


def space_of(ct: str | Path) -> Space:
    """Where the voxels of a CT lie, along its own axes; pixels are not decoded.

    Args:
        ct: As in `read_ct`.

    Raises:
        ValueError: As in `read_ct`.
    """
    if is_dicom(ct):
        return DicomCt.open(ct).space
    image = open_nifti(Path(ct), "ct")
    x, y, z = (int(n) for n in image.shape[:3])
    return Space(shape=(x, y, z), affine=np.asarray(image.affine, dtype=np.float64))
