"""Volumes out: results brought into the space of another image and written as NIfTI. What reads them is `planar3d.anatomy.reading`.

Resampling keeps concentration [Bq/mL]: a value is interpolated linearly between voxel centres, held constant in the outer half voxel,
zero outside the grid, and averaged over the target voxel where that is larger than the grid's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.grid import Grid
from planar3d.io.whole_file import whole_file
from planar3d.shapes import Volume

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

__all__ = ["load_nifti", "resample_to", "single_volume", "write_volume"]

SAMPLES_PER_SLAB = 4_000_000
FACE_TOLERANCE = 1e-4  # voxels; float32 positions


def load_nifti(path: Path) -> SpatialImage:
    """Open a NIfTI file.

    Raises:
        ValueError: There is no such file, or it is no NIfTI.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import SpatialImage

    if not path.is_file():
        raise ValueError(f"there is no file {path}; check the path")
    try:
        image = nibabel.load(path)
        if not isinstance(image, SpatialImage):
            raise ValueError("no image of voxels")
        image.dataobj[(0,) * len(image.shape)]  # a header alone does not show a damaged file
    except (ImageFileError, OSError, EOFError, ValueError, IndexError) as error:
        raise ValueError(f"{path} is no readable NIfTI file; give a .nii or .nii.gz image") from error
    return image


def write_volume(path: str | Path, volume: Tensor, grid: Grid | np.ndarray, *, unit: str = "Bq/mL") -> None:
    """Write one volume as NIfTI in mm; the file appears whole or not at all and holds nothing of the patient but the image.

    Args:
        path: Name that ends in ``.nii.gz`` or ``.nii``.
        volume: ``(1, 1, x, y, z)`` or ``(x, y, z)``.
        grid: Where the volume lies: a grid, or any affine, ``(4, 4)`` [mm].
        unit: Unit of the values, noted in the header.

    Raises:
        ValueError: Volume and grid have different shapes, the name has another ending or the folder cannot be written to.
    """
    import nibabel

    values = single_volume(volume, grid)
    if not str(path).lower().endswith((".nii.gz", ".nii")):
        raise ValueError(f"path must end in .nii.gz or .nii, got {Path(path).name!r}; rename it")
    array = values.float().numpy() if values.is_floating_point() else values.to(torch.int16).numpy()
    image = nibabel.Nifti1Image(array, grid.affine if isinstance(grid, Grid) else grid)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = unit.encode("ascii", "replace")[:79]
    with whole_file(path) as partial:
        nibabel.save(image, partial)


def single_volume(volume: Tensor, grid: Grid | np.ndarray) -> Tensor:
    """One volume without batch and channel, on the CPU.

    Args:
        volume: ``(1, 1, x, y, z)`` or ``(x, y, z)``.
        grid: Where it lies; of an affine there is nothing to check.

    Raises:
        ValueError: Volume and grid have different shapes.
    """
    values = volume.detach().cpu()
    values = values[0, 0] if values.ndim == 5 and values.shape[:2] == (1, 1) else values
    if values.ndim != 3:
        raise ValueError(f"volume must have shape (1, 1, x, y, z) or (x, y, z), got {tuple(volume.shape)}; give one volume at a time")
    if isinstance(grid, Grid) and tuple(values.shape) != grid.shape:
        raise ValueError(f"volume has shape {tuple(values.shape)} and its grid {grid.shape}; give the grid that the volume lies on")
    return values


def resample_to(volume: Volume, grid: Grid, target_shape: Sequence[int], target_affine: np.ndarray) -> Float[Tensor, "b 1 u v w"]:
    """Bring a concentration into another image's space, of any orientation and spacing.

    Args:
        volume: Concentration on ``grid``, ``(b, 1, x, y, z)`` [Bq/mL].
        grid: Where it lies.
        target_shape: Voxels of the target along its own axes.
        target_affine: Index of the target to patient coordinates, ``(4, 4)`` [mm].

    Returns:
        ``(b, 1, *target_shape)`` [Bq/mL].

    Raises:
        ValueError: Volume and grid differ in shape, or the target lies wholly outside the grid.
    """
    if tuple(volume.shape[2:]) != grid.shape:
        raise ValueError(f"volume has shape {tuple(volume.shape[2:])} and its grid {grid.shape}; give the grid that the volume lies on")
    to_index = np.linalg.inv(grid.affine) @ np.asarray(target_affine, dtype=np.float64)
    repeats = [max(1, math.ceil(np.abs(to_index[:3, k]).max() - 1e-3)) for k in range(3)]
    rows = max(1, SAMPLES_PER_SLAB // (math.prod(repeats) * int(target_shape[1]) * int(target_shape[2])))
    slabs, inside = [], False
    for start in range(0, int(target_shape[0]), rows):  # slabs bound the memory: a CT has 1e8 voxels
        index = _target_index(range(start, min(start + rows, int(target_shape[0]))), target_shape, repeats, to_index, volume)
        slab, hit = _sample(volume, index)
        inside = inside or hit
        slabs.append(torch.nn.functional.avg_pool3d(slab, repeats) if max(repeats) > 1 else slab)
    if not inside:
        raise ValueError("the target image does not overlap the volume's grid; check that both are in the coordinates of one patient [mm]")
    return torch.cat(slabs, dim=2)


def _target_index(rows: range, shape: Sequence[int], repeats: list[int], to_index: np.ndarray, like: Tensor) -> Tensor:
    """Positions of the (sub)voxels of a slab of the target in voxels of the grid, ``(x, y, z, 3)``."""
    spans = ((rows.start, len(rows)), (0, int(shape[1])), (0, int(shape[2])))
    axes = [
        start - 0.5 + (torch.arange(count * r, dtype=torch.float64) + 0.5) / r for (start, count), r in zip(spans, repeats, strict=True)
    ]
    matrix = torch.from_numpy(to_index)
    parts = [axis.reshape([-1 if i == k else 1 for i in range(3)] + [1]) * matrix[:3, k] for k, axis in enumerate(axes)]
    return (parts[0] + parts[1] + parts[2] + matrix[:3, 3]).to(like)


def _sample(volume: Tensor, index: Tensor) -> tuple[Tensor, bool]:
    """Linear interpolation at positions in voxels, zero beyond the outer faces; and whether any position lay within."""
    size = index.new_tensor(volume.shape[2:])
    inside = ((index > -0.5 - FACE_TOLERANCE) & (index < size - 0.5 + FACE_TOLERANCE)).all(dim=-1)
    # grid_sample counts from -1 to 1 between the outer faces and takes the last axis first
    normalised = ((index + 0.5) / size * 2 - 1).flip(-1)[None].expand(volume.shape[0], -1, -1, -1, -1)
    values = torch.nn.functional.grid_sample(volume, normalised, mode="bilinear", padding_mode="border", align_corners=False)
    return values * inside, bool(inside.any())
