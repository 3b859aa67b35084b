"""Activity per organ as a table: CSV for a spreadsheet, JSON with the units spelt out.

Activity of organ k is ``sum_voxels x V`` over its mask unless the method estimates it itself; concentration is activity / volume. The row
``total`` is the whole activity map, in the field of view, labelled or not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.grid import Grid
from planar3d.io.csv_rows import write_csv
from planar3d.io.whole_file import whole_file
from planar3d.organs import BACKGROUND, organ_name
from planar3d.shapes import LabelMap, Volume
from planar3d.units import BQ_PER_KBQ, BQ_PER_MBQ

__all__ = ["TOTAL", "UNITS", "OrganRow", "organ_table", "write_organ_table"]

TOTAL = "total"
UNITS = {
    "volume_ml": "mL",
    "activity_mbq": "MBq",
    "standard_error_mbq": "MBq",
    "concentration_kbq_per_ml": "kBq/mL",
    "fraction_of_total": "1",
}


@dataclass(frozen=True, kw_only=True)
class OrganRow:
    """One organ.

    Attributes:
        organ: Its name, or ``"total"``.
        volume_ml: Volume of its mask within the field of view [mL].
        activity_mbq: Activity in it [MBq].
        standard_error_mbq: Standard error of that; None where the method gives none [MBq].
        concentration_kbq_per_ml: Mean concentration [kBq/mL].
        fraction_of_total: Share of the activity in the field of view.
    """

    organ: str
    volume_ml: float
    activity_mbq: float
    standard_error_mbq: float | None
    concentration_kbq_per_ml: float
    fraction_of_total: float


def organ_table(
    activity: Volume,
    labels: LabelMap,
    grid: Grid,
    *,
    organ_activity_bq: Mapping[int, float] | None = None,
    standard_error_bq: Mapping[int, float] | None = None,
    samples: Float[Tensor, "sample 1 1 x y z"] | None = None,
) -> tuple[OrganRow, ...]:
    """Rows for the organs of a label map, most active first, and the total last.

    Args:
        activity: Estimate of one patient, ``(1, 1, x, y, z)`` [Bq/mL].
        labels: Organ ids on the same grid, ``(1, 1, x, y, z)``.
        grid: Grid of both.
        organ_activity_bq: Organ id to activity where the method estimates it itself [Bq].
        standard_error_bq: Organ id to standard error [Bq].
        samples: Posterior samples, from whose spread come the standard errors not given, ``(sample, 1, 1, x, y, z)`` [Bq/mL].

    Raises:
        ValueError: Activity, labels and grid differ in shape.
    """
    for name, volume in (("activity", activity), ("labels", labels)):
        if tuple(volume.shape) != (1, 1, *grid.shape):
            raise ValueError(f"{name} must have shape {(1, 1, *grid.shape)}, got {tuple(volume.shape)}; resample it onto the grid")
    own, errors = organ_activity_bq or {}, dict(standard_error_bq or {})
    total = float(activity.double().sum()) * grid.voxel_volume_ml
    rows = []
    for k in [int(i) for i in labels.unique() if int(i) != BACKGROUND]:
        mask = labels == k
        value = own.get(k, float(activity[mask].double().sum()) * grid.voxel_volume_ml)
        error = errors.get(k, _spread(samples, mask, grid))
        rows.append(_row(organ_name(k), float(mask.sum()) * grid.voxel_volume_ml, value, error, total))
    rows.sort(key=lambda row: -row.activity_mbq)
    body = labels != BACKGROUND
    everywhere = torch.ones_like(body)
    rows.append(_row(TOTAL, float(body.sum()) * grid.voxel_volume_ml, total, _spread(samples, everywhere, grid), total))
    return tuple(rows)


def write_organ_table(
    path: str | Path, rows: Sequence[OrganRow], *, method: str, isotope: str | None = None, reference_time: str | None = None
) -> tuple[Path, Path]:
    """Write the table as CSV and JSON, each of which appears whole or not at all.

    Args:
        path: Where, without ending: ``out/organs`` gives ``out/organs.csv`` and ``out/organs.json``.
        rows: As `organ_table` returns them.
        method: What estimated the activity, as in ``"qplanar_em"``.
        isotope: Radionuclide.
        reference_time: When the activities hold, as in ``"start of the acquisition"`` or an ISO 8601 time.

    Returns:
        The two files.
    """
    stem = Path(path)
    table, document = stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.json")
    write_csv(table, [{"method": method} | asdict(row) for row in rows])
    head = {"method": method, "isotope": isotope, "reference_time": reference_time, "units": UNITS}
    content = {key: value for key, value in head.items() if value is not None} | {"organs": [asdict(row) for row in rows]}
    with whole_file(document) as partial:
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return table, document


def _row(organ: str, volume_ml: float, activity_bq: float, error_bq: float | None, total_bq: float) -> OrganRow:
    """A row from its sums."""
    return OrganRow(
        organ=organ,
        volume_ml=volume_ml,
        activity_mbq=activity_bq / BQ_PER_MBQ,
        standard_error_mbq=None if error_bq is None else error_bq / BQ_PER_MBQ,
        concentration_kbq_per_ml=activity_bq / volume_ml / BQ_PER_KBQ if volume_ml > 0 else 0.0,
        fraction_of_total=activity_bq / total_bq if total_bq > 0 else 0.0,
    )


def _spread(samples: Tensor | None, mask: Tensor, grid: Grid) -> float | None:
    """Standard deviation over samples of the activity in a mask [Bq]; None with fewer than two samples."""
    if samples is None or samples.shape[0] < 2:
        return None
    return float((samples * mask).flatten(1).double().sum(dim=1).std()) * grid.voxel_volume_ml
