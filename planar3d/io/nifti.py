"""Planar images as NIfTI with a JSON sidecar of the same stem.

Convention: the array is ``(x, 2, z)``. The second axis counts the views (anterior, then posterior, unless the sidecar's
``view_order`` says otherwise) and has no length in space. The affine places x and z in patient coordinates [mm, RAS]; a negative
step along x or z is turned round on reading. Files are written with all steps positive. Side windows are files of the same kind, on the
same pixels, which the sidecar names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from planar3d.io.metadata import SIDE_WINDOWS, VIEWS, merged, metadata_of, read_sidecar, require
from planar3d.io.planar_image import PlanarImage
from planar3d.io.volume import load_nifti
from planar3d.io.whole_file import whole_file

__all__ = ["is_nifti", "read_planar_nifti", "sidecar_path", "write_planar_nifti"]

SUFFIXES = (".nii.gz", ".nii")
PIXEL_TOLERANCE = 0.01  # relative; sidecars are written by hand and rounded


def is_nifti(path: Path) -> bool:
    """Whether a file name is that of a NIfTI file."""
    return path.name.lower().endswith(SUFFIXES)


def sidecar_path(path: Path) -> Path:
    """The JSON file that goes with a NIfTI file: ``planar.nii.gz`` has ``planar.json``."""
    stem = next((path.name[: -len(s)] for s in SUFFIXES if path.name.lower().endswith(s)), path.stem)
    return path.with_name(f"{stem}.json")


def read_planar_nifti(path: Path, overrides: dict[str, Any]) -> PlanarImage:
    """Read views and their sidecar.

    Args:
        path: The NIfTI file.
        overrides: Metadata that stand above the sidecar's, as `planar3d.io.parse_metadata` returns them.

    Raises:
        ValueError: The file is no NIfTI, a view is missing, the affine is oblique, or metadata are missing or contradict the affine.
    """
    views, pixel, origin = _read_views(path)
    stated = read_sidecar(sidecar_path(path))
    for key in SIDE_WINDOWS:
        if key in stated:
            stated[key] = str(path.parent / stated[key])
    metadata = merged(stated, overrides)
    require(metadata, f"the sidecar {sidecar_path(path)}" if sidecar_path(path).is_file() else f"{path}, which has no sidecar")
    images = {"views": views}
    for key, window in zip(("lower_views", "upper_views"), SIDE_WINDOWS, strict=True):
        if window in metadata:
            images[key] = _read_side_window(Path(metadata.pop(window)), (views, pixel, origin), window)
    if metadata.pop("view_order", VIEWS) != VIEWS:
        images = {key: counts.flip(1) for key, counts in images.items()}
    _check_pixel(metadata.pop("pixel_mm", pixel), pixel, path)
    origin = metadata.pop("origin_mm", origin)
    return PlanarImage(**images, pixel_mm=pixel, origin_mm=origin, **metadata)


def write_planar_nifti(path: str | Path, image: PlanarImage) -> None:
    """Write views ``(x, 2, z)``, their sidecar and side windows, ``planar_lower.nii.gz`` and so on; each file appears whole or not at all.

    Args:
        path: Name that ends in ``.nii.gz`` or ``.nii``.
        image: The acquisition.

    Raises:
        ValueError: The name has another ending, or the folder cannot be written to.
    """
    import nibabel

    path = Path(path)
    if not is_nifti(path):
        raise ValueError(f"path must end in .nii.gz or .nii, got {path.name!r}; rename it")
    affine = np.diag([image.pixel_mm[0], 1.0, image.pixel_mm[1], 1.0])
    affine[[0, 2], 3] = image.origin_mm
    stem, metadata, files = sidecar_path(path).stem, metadata_of(image), {path: image.views}
    for window, views in zip(SIDE_WINDOWS, (image.lower_views, image.upper_views), strict=True):
        if views is not None:
            metadata[window] = f"{stem}_{window.removesuffix('_window')}{path.name[len(stem) :]}"
            files[path.with_name(metadata[window])] = views
    with whole_file(sidecar_path(path)) as partial:
        partial.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    for file, views in files.items():
        nifti = nibabel.Nifti1Image(views[0].permute(1, 0, 2).cpu().numpy().astype(np.float32), affine)
        nifti.header.set_xyzt_units("mm")
        nifti.header["descrip"] = b"counts; axis 2: anterior, posterior"
        with whole_file(file) as partial:
            nibabel.save(nifti, partial)


def _read_views(path: Path) -> tuple[torch.Tensor, tuple[float, float], tuple[float, float]]:
    """Counts ``(1, view, x, z)``, pixel size and origin [mm]."""
    image = load_nifti(path)
    counts = _two_views(np.asarray(image.dataobj, dtype=np.float32), path)
    counts, pixel, origin = _to_patient_axes(counts, np.asarray(image.affine, dtype=np.float64), path)
    return torch.from_numpy(np.ascontiguousarray(counts.transpose(1, 0, 2)))[None], pixel, origin


def _read_side_window(path: Path, peak: tuple[torch.Tensor, tuple, tuple], key: str) -> torch.Tensor:
    """Counts of a side window, which lie on the pixels of the peak."""
    if not path.is_file():
        raise ValueError(f"there is no file {path} for {key}; check the path")
    views, pixel, origin = _read_views(path)
    if views.shape != peak[0].shape or not np.allclose([*pixel, *origin], [*peak[1], *peak[2]], atol=0.1):
        raise ValueError(f"{key} {path} does not lie on the pixels of the photopeak image; give the windows of one acquisition")
    return views


def _two_views(counts: np.ndarray, path: Path) -> np.ndarray:
    """The array as ``(x, 2, z)``."""
    if counts.ndim > 3 and all(n == 1 for n in counts.shape[3:]):
        counts = counts.reshape(counts.shape[:3])
    if counts.ndim == 2 or (counts.ndim == 3 and counts.shape[1] == 1):
        raise ValueError(f"{path} holds one view (shape {counts.shape}): the posterior view is missing; give both views as (x, 2, z)")
    if counts.ndim != 3 or counts.shape[1] != 2:
        raise ValueError(f"{path} has shape {counts.shape}; planar images have shape (x, 2, z), anterior then posterior: reorder the axes")
    return counts


def _to_patient_axes(counts: np.ndarray, affine: np.ndarray, path: Path) -> tuple[np.ndarray, tuple[float, float], tuple[float, float]]:
    """Counts with x toward the right and z toward the head, pixel size and origin [mm]."""
    matrix = affine[np.ix_([0, 2], [0, 2])]
    steps = np.diag(matrix).copy()
    if not np.allclose(matrix, np.diag(steps), atol=1e-4 * np.abs(steps).max()) or not steps.all():
        raise ValueError(f"the affine of {path} is oblique in the x-z plane; planar images need an axis-aligned affine: write one")
    origin = affine[[0, 2], 3].copy()
    for k, axis in enumerate((0, 2)):
        if steps[k] < 0:
            counts = np.flip(counts, axis)
            origin[k] += steps[k] * (counts.shape[axis] - 1)
    pixel = np.abs(steps)
    return counts, (float(pixel[0]), float(pixel[1])), (float(origin[0]), float(origin[1]))


def _check_pixel(stated: tuple[float, float], pixel: tuple[float, float], path: Path) -> None:
    """Raise if the sidecar and the affine disagree on the pixel size."""
    if not np.allclose(stated, pixel, rtol=PIXEL_TOLERANCE):
        raise ValueError(
            f"pixel_mm is {stated} in the metadata of {path} but {tuple(round(p, 4) for p in pixel)} in its affine; both are "
            "millimetres along x and z: correct the wrong one"
        )
