"""Which code made a result: the version of the package, and in a checkout the state of the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import planar3d

__all__ = ["code_version"]

CHECKOUT = Path(planar3d.__file__).parents[1]


def code_version() -> dict[str, str]:
    """Version of the package as ``planar3d`` and, where it runs from a checkout with git at hand, its commit as ``git``."""
    version = {"planar3d": planar3d.__version__}
    if not (CHECKOUT / ".git").exists():
        return version
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--tags"], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return version
    return version | {"git": done.stdout.strip()}
