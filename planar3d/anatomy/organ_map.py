"""The organs of a patient as a file has them: a NIfTI label map, a DICOM SEG file or a DICOM RT structure set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from planar3d.anatomy.ct_file import space_of
from planar3d.anatomy.labels import LabelScheme, read_labels, translate
from planar3d.anatomy.outline import OutlineFile, paint
from planar3d.anatomy.outline_scheme import organs_of_outlines, scheme_of_names
from planar3d.anatomy.reading import axis_aligned, read_volume
from planar3d.anatomy.segmentation_file import SEG_CLASSES, SegmentationFile
from planar3d.anatomy.space import Space
from planar3d.anatomy.structure_set import RTSTRUCT_CLASS, StructureSet
from planar3d.dicom_files import is_dicom, read_headers
from planar3d.grid import Grid, require_same_grid
from planar3d.organs import BACKGROUND

__all__ = ["OrganMap", "read_organ_map"]


@dataclass(frozen=True, kw_only=True)
class OrganMap:
    """Organs on the grid of a CT.

    Attributes:
        organs: Ids of `planar3d.organs`, 0 where nothing is labelled ``(1, x, y, z)``.
        excluded: What is labelled as no part of the patient, such as a couch ``(1, x, y, z)``.
    """

    organs: Integer[Tensor, "1 x y z"]
    excluded: Bool[Tensor, "1 x y z"]


def read_organ_map(
    path: str | Path,
    *,
    ct: str | Path,
    ct_hu: Float[Tensor, "1 x y z"],
    ct_grid: Grid,
    label_scheme: str | Path | Mapping[int, str] | Mapping[str, str | None] = "auto",
) -> OrganMap:
    """Read organs and bring them to the grid of the CT.

    Of structures that overlap, as they may in DICOM, the smaller lies on top; what is ``body`` lies under all.

    Args:
        path: Label map in NIfTI on the voxels of the CT; or a DICOM SEG file or RT structure set drawn on it, or a folder that holds one.
        ct: The CT's file or folder.
        ct_hu: Its CT numbers, which judge between schemes [HU].
        ct_grid: Their grid.
        label_scheme: What the ids of a label map mean, as `planar3d.anatomy.labels.read_labels` takes it; or what the names of structures
            mean, as `planar3d.anatomy.outline_scheme.scheme_of_names` takes it.

    Raises:
        ValueError: The file cannot be read, is not drawn on this CT, or holds what is no organ by any known name.
    """
    if is_dicom(path):
        raw, scheme, space = _read_outlines(Path(path), space_of(ct), label_scheme)
        raw, grid = axis_aligned(raw, space.affine, outside=0.0, is_label=True)
        raw = raw.long()
        require_same_grid("ct", ct_grid, "labels", grid)
        organs = translate(raw, scheme)
    else:
        raw, grid, header_names = read_volume(path, name="labels", is_label=True)
        require_same_grid("ct", ct_grid, "labels", grid)
        organs = read_labels(raw, label_scheme=label_scheme, header_names=header_names, ct_hu=ct_hu)
    return OrganMap(organs=organs, excluded=(raw != 0) & (organs == BACKGROUND))


def _read_outlines(
    path: Path, space: Space, label_scheme: str | Path | Mapping[int, str] | Mapping[str, str | None]
) -> tuple[Tensor, LabelScheme, Space]:
    """Label map of a DICOM file along the axes of the CT ``(1, u, v, w)``, and the organ of each of its ids."""
    source = f"labels {path}"
    file = _open_outlines(path, source)
    organs = organs_of_outlines(file.names, file.other_names, scheme_of_names(label_scheme), source=source)
    wanted = {index for index, organ in enumerate(organs) if organ is not None}
    outlines = file.outlines(wanted, space)
    if not any(outline.voxels for outline in outlines.values()):
        raise ValueError(f"{source} holds no structure on the ct that is an organ; give the structures that were drawn on it")
    beneath = {index for index in wanted if organs[index] == "body"}
    labels = torch.from_numpy(paint(outlines, space.shape, beneath=beneath))[None]
    return labels, LabelScheme(name="names", organs={i + 1: organ for i, organ in enumerate(organs) if organ is not None}), space


def _open_outlines(path: Path, source: str) -> OutlineFile:
    """The one file of structures at a path."""
    headers = read_headers(path, ("SOPClassUID", "Modality"))
    files = [(file, header.get("SOPClassUID")) for file, header in headers if header.get("SOPClassUID") in (*SEG_CLASSES, RTSTRUCT_CLASS)]
    if not files:
        kinds = ", ".join(sorted({str(header.get("Modality") or "unknown")[:16] for _, header in headers})) or "none"
        raise ValueError(f"{source} holds no DICOM SEG or RTSTRUCT (modality {kinds}); give such a file, or a label map in NIfTI")
    if len(files) > 1:
        raise ValueError(f"{source} holds {len(files)} files of structures; give one of them")
    file, kind = files[0]
    return StructureSet.open(file) if kind == RTSTRUCT_CLASS else SegmentationFile.open(file)
