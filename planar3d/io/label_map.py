"""Label maps as NIfTI whose header names every id, so that they are read back without being told a scheme.

The header extension is the one of TotalSegmentator and Connectome Workbench: an XML ``LabelTable`` of ``<Label Key="id">name</Label>``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from planar3d.grid import Grid
from planar3d.io.whole_file import whole_file
from planar3d.organs import BACKGROUND, organ_name

__all__ = ["write_label_map"]


def write_label_map(path: str | Path, labels: Tensor, grid: Grid) -> None:
    """Write organ ids with their names.

    Args:
        path: Name that ends in ``.nii.gz`` or ``.nii``.
        labels: Organ ids of `planar3d.organs`, ``(1, x, y, z)`` or ``(1, 1, x, y, z)``.
        grid: Where they lie.
    """
    import nibabel
    from nibabel.nifti1 import Nifti1Extension

    array = labels.detach().cpu().reshape(grid.shape).numpy().astype(np.uint8)
    image = nibabel.Nifti1Image(array, grid.affine)
    image.header.set_xyzt_units("mm")
    image.header.extensions.append(Nifti1Extension("comment", _names([int(i) for i in np.unique(array)])))
    with whole_file(path) as partial:
        nibabel.save(image, partial)


def _names(ids: list[int]) -> bytes:
    """The XML that names the ids."""
    rows = "".join(
        f'<Label Key="{i}" Red="1" Green="1" Blue="1" Alpha="1"><![CDATA[{organ_name(i)}]]></Label>' for i in ids if i != BACKGROUND
    )
    return f'<CaretExtension><VolumeInformation Index="0"><LabelTable>{rows}</LabelTable></VolumeInformation></CaretExtension>'.encode()
