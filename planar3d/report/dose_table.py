"""Absorbed dose per organ as a table: CSV for a spreadsheet, JSON with the units spelt out, and the budget of its uncertainty.

Every row names how its figures were found: activity, kinetics and dose. What is not known is left empty, never zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from planar3d.dosimetry.budget import UncertaintyBudget
from planar3d.io.csv_rows import write_csv
from planar3d.io.whole_file import whole_file

__all__ = ["DOSE_UNITS", "DoseRow", "read_mean_doses_gy", "write_dose_table", "write_uncertainty_budget"]

DOSE_UNITS = {
    "volume_ml": "mL",
    "mass_g": "g",
    "time_points": "1",
    "decays_mbq_h": "MBq h",
    "decays_standard_error_mbq_h": "MBq h",
    "effective_half_life_h": "h",
    "extrapolated_fraction": "1",
    "mean_dose_gy": "Gy",
    "mean_dose_gy_per_gbq": "Gy/GBq",
    "interval_low_gy": "Gy",
    "interval_high_gy": "Gy",
    "d2_gy": "Gy",
    "d50_gy": "Gy",
    "d98_gy": "Gy",
    "bed_gy": "Gy",
    "cumulative_dose_gy": "Gy",
    "uncertainty_percent": "%",
}


@dataclass(frozen=True, kw_only=True)
class DoseRow:
    """One organ; None for what is not known.

    Attributes:
        organ: Its name.
        volume_ml: Volume [mL].
        mass_g: Mass [g].
        time_points: Number of images.
        decays_mbq_h: Time-integrated activity [MBq h].
        decays_standard_error_mbq_h: Its standard error by counts and fit [MBq h].
        effective_half_life_h: Of the slowest phase [h].
        curve: Model of the curve.
        extrapolated_fraction: Share of the decays after the last image.
        mean_dose_gy: Mean absorbed dose [Gy].
        mean_dose_gy_per_gbq: The same per activity administered [Gy/GBq].
        interval_low_gy: Lower end of its interval [Gy].
        interval_high_gy: Upper end [Gy].
        d2_gy: Least dose of the hottest 2 % [Gy].
        d50_gy: Median dose [Gy].
        d98_gy: Least dose of 98 % [Gy].
        bed_gy: Biologically effective dose [Gy].
        cumulative_dose_gy: With the cycles before [Gy].
        uncertainty_percent: Relative standard uncertainty of the mean dose, 1000 standing for more [percent].
        largest_cause: What has the largest share of its variance.
        activity_method: How activity was found.
        kinetics_method: How it was integrated.
        dose_method: How dose was found.
        bed_method: With which radiobiology.
    """

    organ: str
    volume_ml: float | None
    mass_g: float | None
    time_points: int
    decays_mbq_h: float | None
    decays_standard_error_mbq_h: float | None
    effective_half_life_h: float | None
    curve: str | None
    extrapolated_fraction: float | None
    mean_dose_gy: float
    mean_dose_gy_per_gbq: float
    interval_low_gy: float | None = None
    interval_high_gy: float | None = None
    d2_gy: float | None = None
    d50_gy: float | None = None
    d98_gy: float | None = None
    bed_gy: float | None = None
    cumulative_dose_gy: float | None = None
    uncertainty_percent: float | None = None
    largest_cause: str | None = None
    activity_method: str
    kinetics_method: str
    dose_method: str
    bed_method: str | None = None


def write_dose_table(path: str | Path, rows: Sequence[DoseRow], *, head: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write the table as CSV and JSON, each of which appears whole or not at all.

    Args:
        path: Where, without ending: ``out/organs`` gives ``out/organs.csv`` and ``out/organs.json``.
        rows: The organs.
        head: What holds for all of them: isotope, activity administered, times, level of the intervals.

    Returns:
        The two files.
    """
    stem = Path(path)
    sheet, document = stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.json")
    write_csv(sheet, [asdict(row) for row in rows])
    content = {**head, "units": DOSE_UNITS, "organs": [asdict(row) for row in rows]}
    with whole_file(document) as partial:
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return sheet, document


def write_uncertainty_budget(path: str | Path, budget: UncertaintyBudget) -> Path:
    """Write for each organ the relative standard uncertainty of its dose and that of every cause [percent], as CSV.

    Args:
        path: Name that ends in ``.csv``.
        budget: Of the organs.
    """
    write_csv(path, budget.rows())
    return Path(path)


def read_mean_doses_gy(path: Path) -> dict[str, float]:
    """Mean dose of each organ in a table that `write_dose_table` wrote as JSON [Gy].

    Raises:
        ValueError: The file is missing or no such table.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path} for an earlier cycle; check the path")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["organs"]
        return {str(row["organ"]): float(row["mean_dose_gy"]) for row in rows}
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is no organ table of a dose; give the organs.json of an earlier cycle, or a table of organ: Gy"
        ) from error
