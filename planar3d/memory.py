"""Freed memory that is kept for the next volume.

glibc takes large arrays from the kernel and gives them back as soon as they are freed, and the kernel clears every page that it hands out
again. A reconstruction frees and takes volumes of tens of megabytes all the time, so that on a CPU clearing pages costs as much as
computing. A process that keeps what it has freed has its pages cleared once.
"""

from __future__ import annotations

import ctypes
import os
import platform

__all__ = ["keep_freed_memory"]

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of malloc.h
KEPT_BYTES = 1 << 30  # beyond which free memory goes back to the kernel
STEP_BYTES = 1 << 28  # by which the process grows


def keep_freed_memory() -> bool:
    """Have this process keep the memory that it frees, up to `KEPT_BYTES`, instead of giving it back at once.

    Returns:
        Whether that could be had: glibc alone knows it, and where the environment tells it something (``MALLOC_...``), that stands.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(M_MMAP_MAX, 0), mallopt(M_TRIM_THRESHOLD, KEPT_BYTES), mallopt(M_TOP_PAD, STEP_BYTES)])
