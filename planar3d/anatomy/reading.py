"""Reading volumes of any orientation to the library's RAS+ axis-aligned grids, and moving them between grids.

A file whose axes are flipped or permuted is reordered without interpolation. One whose axes are oblique to the patient's is
resampled to an axis-aligned grid of the same spacing that holds all of it.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from planar3d.anatomy.ct import AIR_HU
from planar3d.grid import Grid

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image
    from torchio import Image

__all__ = ["axis_aligned", "open_nifti", "read_volume", "resample"]

_LABEL_PATTERN = re.compile(r'<Label\s[^>]*?Key="(\d+)"[^>]*>\s*(?:<!\[CDATA\[)?([^\]<]+)')


def read_volume(path: str | Path, *, name: str, is_label: bool = False, outside: float = AIR_HU) -> tuple[Tensor, Grid, dict[int, str]]:
    """Read a NIfTI file.

    Args:
        path: The file.
        name: What the file is, for messages.
        is_label: Whether it holds label ids (nearest neighbour, integers) and not CT numbers.
        outside: Value of what is no label beyond an oblique volume: that of air in a CT.

    Returns:
        The volume ``(1, x, y, z)``, its grid, and the label names that the header holds (id to name; often none).

    Raises:
        ValueError: The file is missing, no NIfTI, not three-dimensional, sheared, or a label map with fractions.
    """
    file, data = _load(Path(path), name)
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    if data.ndim != 3:
        raise ValueError(f"{name} {path} has {data.ndim} dimensions; a volume has three, give one volume only")
    affine = np.asarray(file.affine, dtype=np.float64)
    _require_right_angles(affine, data.shape, f"{name} {path}")
    names = _header_names(file) if is_label else {}
    volume = torch.from_numpy(np.ascontiguousarray(data, dtype=np.float64))[None]
    if is_label:
        if not torch.equal(volume, volume.round()):
            raise ValueError(f"{name} {path} holds values that are not whole numbers; give a label map with one id per voxel")
        volume = volume.to(torch.int32)
    else:
        volume = volume.to(torch.float32)
    volume, grid = axis_aligned(volume, affine, outside=0.0 if is_label else outside, is_label=is_label)
    return (volume.long() if is_label else volume), grid, names


def resample(volume: Tensor, grid: Grid, target: Grid, *, outside: float) -> Tensor:
    """Move a volume to another grid.

    Floating-point volumes are low-passed where the target is coarser and interpolated linearly; integers take the nearest voxel.

    Args:
        volume: ``(1, x, y, z)``.
        grid: Its grid.
        target: The grid wanted.
        outside: Value beyond the volume.
    """
    import torchio as tio

    is_label = not volume.is_floating_point()
    # TorchIO fills with 0 beyond the image: shift so that 0 means `outside`.
    shifted = (volume - outside).cpu()
    image = tio.LabelMap(tensor=shifted.int(), affine=grid.affine) if is_label else tio.ScalarImage(tensor=shifted, affine=grid.affine)
    moved = tio.Resample((target.shape, target.affine), antialias=not is_label)(image)
    return (moved.data.to(volume) + outside).to(volume.dtype)


def open_nifti(path: Path, name: str) -> Nifti1Image:
    """Open a NIfTI file; its voxels are not read.

    Args:
        path: The file.
        name: What it is, for messages.

    Raises:
        ValueError: It is missing or no NIfTI.
    """
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.nifti1 import Nifti1Image
    from nibabel.spatialimages import HeaderDataError

    if not path.is_file():
        raise ValueError(f"{name} {path} is not a file; give the path of a NIfTI file (.nii or .nii.gz)")
    try:
        image = nib.load(path)
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"{name} {path} cannot be read as NIfTI; give a .nii or .nii.gz file") from error
    if not isinstance(image, Nifti1Image):
        raise ValueError(f"{name} {path} is {type(image).__name__}, not NIfTI; convert it to .nii.gz first")
    return image


def axis_aligned(volume: Tensor, affine: np.ndarray, *, outside: float, is_label: bool) -> tuple[Tensor, Grid]:
    """Bring a volume to RAS+, resampling it only if its axes are oblique.

    Args:
        volume: ``(1, u, v, w)`` along the axes of its file.
        affine: Index to RAS+ patient coordinates, ``(4, 4)`` [mm].
        outside: Value beyond an oblique volume.
        is_label: Whether it holds ids, which take the nearest voxel.

    Returns:
        The volume ``(1, x, y, z)`` and its grid.
    """
    import torchio as tio

    image: Image = (tio.LabelMap if is_label else tio.ScalarImage)(tensor=volume, affine=affine)
    image = tio.ToCanonical()(image)
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
    tilt_mm = np.abs(image.affine[:3, :3] - np.diag(spacing)) * np.array(image.spatial_shape)
    if tilt_mm.max() < 0.1 * spacing.min():  # a voxel is nowhere displaced by more than a tenth of itself
        clean = np.diag([*spacing, 1.0])
        clean[:3, 3] = image.affine[:3, 3]
        return image.data, Grid.from_affine(image.spatial_shape, clean)
    grid = _enclosing_grid(image.affine, image.spatial_shape, spacing)
    image.set_data(image.data - outside)
    moved = tio.Resample((grid.shape, grid.affine))(image)
    return moved.data + outside, grid


def _load(path: Path, name: str) -> tuple[Nifti1Image, np.ndarray]:
    """Read a NIfTI file or say in one sentence why not."""
    from nibabel.filebasedimages import ImageFileError

    image = open_nifti(path, name)
    try:
        return image, np.asarray(image.dataobj)
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"{name} {path} cannot be read as NIfTI; give a .nii or .nii.gz file") from error


def _require_right_angles(affine: np.ndarray, shape: tuple[int, ...], source: str) -> None:
    """Raise if axes of voxels are not at right angles, as of a CT with a tilted gantry: resampling knows turns, not shear."""
    step = np.linalg.norm(affine[:3, :3], axis=0)
    axes = affine[:3, :3] / np.where(step > 0, step, 1.0)
    slide_mm = np.abs(axes.T @ axes - np.eye(3)) * step * np.array(shape)
    if slide_mm.max() > 0.1 * step.min():
        raise ValueError(
            f"{source} has axes that are not at right angles, by up to {slide_mm.max():.1f} mm over the volume, as with a tilted gantry; "
            f"resample it to straight axes first"
        )


def _header_names(file: Nifti1Image) -> dict[int, str]:
    """Label names in the header extension (CaretExtension XML), as TotalSegmentator writes them."""
    contents = (extension.get_content() for extension in file.header.extensions)  # pyright: ignore[reportAttributeAccessIssue]
    texts = (c.decode("utf-8", errors="replace") if isinstance(c, bytes) else str(c) for c in contents)
    return {int(key): label.strip() for text in texts for key, label in _LABEL_PATTERN.findall(text)}


def _enclosing_grid(affine: np.ndarray, shape: tuple[int, int, int], spacing: np.ndarray) -> Grid:
    """Axis-aligned grid that holds all voxel centres of a tilted one."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij")).reshape(3, -1)
    points = affine[:3, :3] @ corners + affine[:3, 3:]
    low, high = points.min(axis=1), points.max(axis=1)
    counts = np.ceil((high - low) / spacing - 1e-6).astype(int) + 1
    return Grid.centred([int(n) for n in counts], [float(s) for s in spacing], [float(c) for c in (low + high) / 2])
