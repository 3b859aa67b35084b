"""Tables as CSV files."""

from __future__ import annotations

from pathlib import Path

import pytest

from planar3d.io import write_csv


def test_columns_stand_as_they_first_come_and_what_a_row_lacks_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.csv"
    write_csv(path, [{"organ": "liver", "mbq": 123.456789, "n": 1_000_000}, {"organ": "spleen", "sd": None}, {"mbq": 1e-12}])
    assert path.read_text(encoding="utf-8").splitlines() == ["organ,mbq,n,sd", "liver,123.457,1000000,", "spleen,,,", ",1e-12,,"]


def test_a_table_that_cannot_be_written_leaves_the_one_that_was_there(tmp_path: Path) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    path = tmp_path / "rows.csv"
    write_csv(path, [{"a": 1}])
    with pytest.raises(RuntimeError, match="no text"):
        write_csv(path, [{"a": 2}, {"a": Unprintable()}])
    assert path.read_text(encoding="utf-8").splitlines() == ["a", "1"]
    assert [item.name for item in tmp_path.iterdir()] == ["rows.csv"]
