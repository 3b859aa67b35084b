"""Output files appear whole or not at all: written beside their place, then renamed.

A name that is taken is replaced; after an error neither a half-written file nor its temporary neighbour is left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["whole_file"]


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A temporary name to write to, renamed to ``path`` when the block ends without an error.

    Args:
        path: Where the file shall stand; its folder is made where it is missing.

    Raises:
        ValueError: The folder cannot be made or written to.
    """
    path = Path(path)
    partial = path.with_name(f".{os.getpid()}.partial.{path.name}")  # a prefix: the suffix tells writers the format
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"output folder {path.parent} cannot be written to ({reason}); choose a folder that can be") from error
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
