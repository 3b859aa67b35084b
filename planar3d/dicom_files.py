"""DICOM files as they lie in folders: which of them can be read, and of their headers the elements asked for and nothing else."""

from __future__ import annotations

import sqlite3
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["damage", "is_dicom", "quietly", "read_headers"]

_PREAMBLE = 128


def is_dicom(path: str | Path) -> bool:
    """Whether a path is a folder, which no other format of anatomy is, or a file that begins as DICOM does."""
    path = Path(path)
    if path.is_dir():
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"


def read_headers(path: Path, keywords: Sequence[str]) -> list[tuple[Path, Dataset]]:
    """Some elements of a file, or of every DICOM file in a folder and the folders below it; other files are passed over.

    Args:
        path: A file or a folder.
        keywords: Names of the elements; no other is read.

    Returns:
        Files and their headers, in the order of their names.
    """
    from pydicom import dcmread

    found = []
    with quietly():
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            try:
                header = dcmread(file, stop_before_pixels=True, specific_tags=list(keywords))
                header.decode()  # values are converted when they are asked for: what is damaged shows here and not later
            except damage():
                continue
            found.append((file, header))
    return found


def damage() -> tuple[type[Exception], ...]:
    """What DICOM packages raise for a file that is no DICOM, damaged, cut short, or that holds less or other than it should."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (
        AttributeError, BytesLengthException, EOFError, InvalidDicomError, LookupError, NotImplementedError, OSError, RuntimeError,
        TypeError, ValueError, sqlite3.Error, struct.error,
    )  # fmt: skip


@contextmanager
def quietly() -> Iterator[None]:
    """Without the remarks of DICOM packages, which quote values of the header; a value that breaks a rule is taken as it is."""
    from pydicom import config

    with warnings.catch_warnings(action="ignore"), config.disable_value_validation():
        yield
