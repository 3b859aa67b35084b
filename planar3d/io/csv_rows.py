"""Rows as a CSV file that appears whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from planar3d.io.whole_file import whole_file

__all__ = ["write_csv"]


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, numbers to six digits; what a row lacks, or knows to be None, stays empty.

    Args:
        path: The file; its folder is made where it is missing.
        rows: At least one; columns stand in the order in which their names first come.

    Raises:
        ValueError: The folder cannot be made or written to.
    """
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows({key: f"{v:.6g}" if isinstance(v, float) else v for key, v in row.items()} for row in rows)
