"""One door to planar images of any format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from planar3d.io.dicom_nm import read_planar_dicom
from planar3d.io.metadata import parse_metadata
from planar3d.io.nifti import is_nifti, read_planar_nifti
from planar3d.io.planar_image import PlanarImage

__all__ = ["read_planar"]


def read_planar(path: str | Path, **overrides: Any) -> PlanarImage:
    """Read an anterior and a posterior view.

    Args:
        path: NIfTI file ``(x, 2, z)`` with its JSON sidecar, DICOM NM file with both views, or a folder with one DICOM NM file per view.
        **overrides: Keys of `planar3d.io.metadata` to stand above what the file says; None leaves the file's. Of a NIfTI image
            ``lower_window`` and ``upper_window`` are the files of the side windows.

    Raises:
        ValueError: The file cannot be read, lacks a view or a needed value, or contradicts itself.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"there is no file {path}; check the path")
    values = parse_metadata(overrides, "the arguments")
    return read_planar_nifti(path, values) if is_nifti(path) else read_planar_dicom(path, values)
