"""Headers of DICOM files, without their pixels and without anything that tells who the patient is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["is_dicom", "quietly", "read_headers"]

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
    from pydicom.errors import InvalidDicomError

    found = []
    with quietly():
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            try:
                found.append((file, dcmread(file, stop_before_pixels=True, specific_tags=list(keywords))))
            except (InvalidDicomError, EOFError, OSError, ValueError, NotImplementedError):
                continue
    return found


@contextmanager
def quietly() -> Iterator[None]:
    """Reading without the remarks of DICOM packages, which quote values of the header."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
