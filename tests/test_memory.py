"""Memory that a command keeps."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone knows it")

FAULTS = """
import resource, torch
from planar3d.memory import keep_freed_memory
kept = {keep} and keep_freed_memory()
for _ in range(16):  # aligned blocks are never reused for blocks of their own size: several must merge first
    torch.ones(1 << 24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    torch.ones(1 << 24)
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep: bool, **environment: str) -> tuple[bool, int]:
    """Whether memory is kept, and pages that the kernel hands out for four volumes of 64 MiB after the first sixteen."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", FAULTS.format(keep=keep)]
    kept, pages = subprocess.run(command, env=bare | environment, capture_output=True, text=True, check=True).stdout.split()
    return kept == "1", int(pages)


def test_freed_memory_serves_the_next_volume() -> None:
    (kept, few), (not_kept, many) = faults(True), faults(False)
    assert kept
    assert not not_kept
    assert few < 0.02 * many


def test_what_the_environment_tells_stands() -> None:
    assert not faults(True, MALLOC_ARENA_MAX="2")[0]
