"""What a planar image needs beside its counts, as it stands in a JSON sidecar or comes from a user.

Keys: ``camera``, ``isotope`` and either ``dwell_time_s`` or, of a moving scan, ``scan_speed_mm_per_s`` are needed; ``pixel_mm`` [x, z],
``acquired_at`` (ISO 8601), ``distance_mm`` [anterior, posterior], ``view_order`` and those figures of `PlanarImage` that it names in the
same way may be there. ``lower_window`` and ``upper_window`` name the files of the side windows, in a sidecar relative to it. A sidecar
never holds who the patient is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from planar3d.io.planar_image import PlanarImage

__all__ = ["KEYS", "REQUIRED", "SIDE_WINDOWS", "VIEWS", "merged", "metadata_of", "parse_metadata", "read_sidecar", "require"]

VIEWS = ("anterior", "posterior")
REQUIRED = ("camera", "isotope")
TIMING = ("dwell_time_s", "scan_speed_mm_per_s")
SIDE_WINDOWS = ("lower_window", "upper_window")


def parse_metadata(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Values in their types; what is None is left out.

    Args:
        values: Key to value as JSON or a command line gives them.
        source: Where they come from, for messages.

    Raises:
        ValueError: A key is not known or a value cannot be read.
    """
    unknown = sorted(set(values) - set(KEYS))
    if unknown:
        raise ValueError(f"{source} has the unknown key {unknown[0]!r}; known are {', '.join(KEYS)}: rename or remove it")
    parsed = {}
    for key, value in values.items():
        if value is None:
            continue
        try:
            parsed[key] = _PARSERS[key](value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{key} in {source} must be {_ALLOWED[key]}, got {value!r}; correct it") from error
    return parsed


def merged(stated: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of a file with what stands above them; a dwell time or a scan speed given takes the place of both.

    Args:
        stated: What the file says.
        overrides: What stands above it.
    """
    timed = any(key in overrides for key in TIMING)
    return {key: value for key, value in stated.items() if not (timed and key in TIMING)} | dict(overrides)


def read_sidecar(path: Path) -> dict[str, Any]:
    """Metadata of a JSON file; nothing where there is no file.

    Raises:
        ValueError: The file is no JSON object, or holds an unknown key or a value that cannot be read.
    """
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"sidecar {path} is no valid JSON ({error}); correct it") from error
    if not isinstance(values, dict):
        raise ValueError(f'sidecar {path} must hold a JSON object, got {type(values).__name__}; write {{"camera": ..., "isotope": ...}}')
    return parse_metadata(values, f"sidecar {path}")


def require(metadata: Mapping[str, Any], source: str) -> None:
    """Raise if a needed key is missing.

    Raises:
        ValueError: Camera, isotope or both dwell time and scan speed are missing.
    """
    missing = [key for key in REQUIRED if key not in metadata]
    if not any(key in metadata for key in TIMING):
        missing.append(TIMING[0])
    if missing:
        instead = f" (of a moving scan {TIMING[1]} serves instead of {TIMING[0]})" if TIMING[0] in missing else ""
        raise ValueError(
            f"{' and '.join(missing)} missing in {source}; add {'it' if len(missing) == 1 else 'them'} there or pass "
            f"{missing[0]}=...{instead}"
        )


def metadata_of(image: PlanarImage) -> dict[str, Any]:
    """What a sidecar of this image holds, ready for JSON."""
    values = {
        "camera": image.camera,
        "isotope": image.isotope,
        "dwell_time_s": image.dwell_time_s,
        "scan_speed_mm_per_s": image.scan_speed_mm_per_s,
        "head_length_mm": image.head_length_mm,
        "pixel_mm": list(image.pixel_mm),
        "acquired_at": image.acquired_at.isoformat() if image.acquired_at else None,
        "distance_mm": list(image.distance_mm) if image.distance_mm else None,
        "sensitivity_cps_per_mbq": image.sensitivity_cps_per_mbq,
        "energy_kev": image.energy_kev,
        "dead_time_s": image.dead_time_s,
        "background_cps": list(image.background_cps) if image.background_cps else None,
        "scatter_correction": None if image.scatter_correction == "model" else image.scatter_correction,
        "windows_kev": [list(window) for window in image.windows_kev] if image.windows_kev else None,
        "view_order": list(VIEWS),
    }
    return {key: value for key, value in values.items() if value is not None}


def _name(value: Any) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("no name")
    return value.strip()


def _number(value: Any) -> float:
    """A number; a bool is none."""
    if isinstance(value, bool):
        raise TypeError("a truth value is no number")
    return float(value)


def _pair(value: Any) -> tuple[float, float]:
    """Two numbers; one serves for both."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        first, second = value
        return _number(first), _number(second)
    return _number(value), _number(value)


def _windows(value: Any) -> tuple[tuple[float, float], ...]:
    """Two or three pairs of numbers."""
    if len(value) not in (2, 3):
        raise ValueError("not two or three windows")
    return tuple((_number(low), _number(high)) for low, high in value)


def _time(value: Any) -> datetime:
    """A date and time."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _order(value: Any) -> tuple[str, str]:
    """Which view comes first in the file."""
    first, second = (str(v).lower() for v in value)
    if {first, second} != set(VIEWS):
        raise ValueError("not the two views")
    return first, second


_PARSERS = {
    "camera": _name, "isotope": _name, "dwell_time_s": _number, "scan_speed_mm_per_s": _number, "head_length_mm": _number,
    "pixel_mm": _pair, "origin_mm": _pair, "acquired_at": _time, "distance_mm": _pair, "sensitivity_cps_per_mbq": _number,
    "energy_kev": _number, "dead_time_s": _number, "background_cps": _pair, "scatter_correction": _name, "windows_kev": _windows,
    "lower_window": _name, "upper_window": _name, "view_order": _order,
}  # fmt: skip
KEYS = tuple(_PARSERS)
_ALLOWED = {
    "camera": "a name such as 'siemens-melp'", "isotope": "a name such as 'Lu-177'", "dwell_time_s": "a number of seconds",
    "scan_speed_mm_per_s": "a number of mm/s", "head_length_mm": "a number of mm", "pixel_mm": "one or two numbers (x, z) in mm",
    "origin_mm": "two numbers (x, z) in mm", "acquired_at": "a time such as '2025-03-14T10:30:00'",
    "distance_mm": "one or two numbers (anterior, posterior) in mm", "sensitivity_cps_per_mbq": "a number of cps/MBq",
    "energy_kev": "a number of keV", "dead_time_s": "a number of seconds such as 2e-6",
    "background_cps": "one or two numbers (anterior, posterior) of cps", "scatter_correction": "model, tew, dew or none",
    "windows_kev": "[low, high] of the lower, the peak and perhaps the upper window in keV",
    "lower_window": "the name of a file", "upper_window": "the name of a file", "view_order": "['anterior', 'posterior'] or the reverse",
}  # fmt: skip
