"""Values of a study file, checked one by one: each error names the key, what came and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from planar3d.organs import GROUPS, organ_id

__all__ = ["choice", "flag", "names_of_organs", "number", "share", "table", "text"]


def table(value: Any, where: str, known: Sequence[str] | None, *, required: Sequence[str] = ()) -> dict[Any, Any]:
    """A table of keys, all of them known and the required ones there.

    Args:
        value: What came.
        where: Which part of the file.
        known: Keys allowed; None for any.
        required: Keys that must be there.

    Raises:
        ValueError: It is no table, or a key is not known or missing.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a table of keys and values, got {type(value).__name__}; see the example in the documentation")
    for key in value:
        if known is not None and key not in known:
            raise ValueError(f"{where} has the unknown key {key!r}; known are {', '.join(known)}: rename or remove it")
    for key in required:
        if value.get(key) is None:
            raise ValueError(f"{where} lacks {key}; add it to the study file")
    return value


def text(value: Any, where: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where} must be a text, got {value!r}; correct it")
    return value.strip()


def number(value: Any, where: str, allowed: str) -> float:
    """A finite number; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{where} must be a number of {allowed}, got {value!r}; correct it")
    return float(value)


def share(value: Any, where: str) -> float:
    """A relative standard uncertainty."""
    found = number(value, where, "parts of one, as 0.05 for 5 %")
    if not 0.0 <= found < 1.0:
        raise ValueError(f"{where} must lie between 0 and 1, got {found:g}; write 5 % as 0.05")
    return found


def flag(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{where} must be true or false, got {value!r}; correct it")
    return value


def choice(value: Any, where: str, allowed: Sequence[str]) -> str:
    """One of several words."""
    if value not in allowed:
        raise ValueError(f"{where} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def names_of_organs(name: Any, where: str) -> tuple[str, ...]:
    """The organs of a name: an organ, or a group such as ``kidneys``.

    Raises:
        ValueError: Neither has this name.
    """
    if name in GROUPS:
        return GROUPS[name]
    try:
        organ_id(name)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}; groups are {', '.join(GROUPS)}") from None
    return (name,)
