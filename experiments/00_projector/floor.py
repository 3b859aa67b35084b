"""Forward and adjoint of two views against the floor that memory traffic sets, for a batch of different patients.

    python experiments/00_projector/floor.py [cpu | cuda] [float32 | bfloat16] [batch]

No projector can read less than the activity and the transmission toward both views forward, the transmission back, nor write less than one
volume: six volumes in all. The floor is that many bytes at the speed at which this device copies a large array.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch

from planar3d.grid import Grid
from planar3d.physics import GammaCamera

SHAPE = (128, 96, 160)
SPACING_MM = 4.8
VOLUMES_MOVED = 6
COPIED_BYTES = 1 << 29
REPEATS = 9


def seconds(function: Callable[[], object], device: str) -> float:
    """Median time of a call after two warm-ups."""
    times = []
    for _ in range(REPEATS + 2):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times[2:])[REPEATS // 2]


def copy_speed(device: str) -> float:
    """Bytes read and written per second by a copy of a large array."""
    source = torch.zeros(COPIED_BYTES // 4, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED_BYTES / seconds(lambda: target.copy_(source), device)


def main() -> None:
    """Print one line per kind of camera."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    dtype = getattr(torch, sys.argv[2]) if len(sys.argv) > 2 else torch.float32
    batch = int(sys.argv[3]) if len(sys.argv) > 3 else 16
    grid = Grid.centred(SHAPE, SPACING_MM)
    bytes_per_s = copy_speed(device)
    generator = torch.Generator().manual_seed(0)
    activity = torch.rand(batch, 1, *SHAPE, generator=generator).to(device)
    mu_map = 0.0135 * (activity > 0.2)
    moved = VOLUMES_MOVED * activity.numel() * torch.finfo(dtype).bits // 8
    floor = moved / bytes_per_s
    print(f"{device}, {dtype}, batch {batch}, {SHAPE}: copies at {bytes_per_s / 1e9:.0f} GB/s, floor {1e3 * floor:.2f} ms")
    for scatter in (False, True):
        camera = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=100.0, distance_mm=(300.0, 300.0), scatter=scatter)
        exact = camera.projector(mu_map, grid)
        expected = exact(activity)
        projector = camera.projector(mu_map, grid).to(dtype)
        x = activity.to(dtype)
        y = projector(x)
        gap = float((y.float() - expected).norm() / expected.norm())
        del exact, expected
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        forward, adjoint = seconds(lambda x=x, p=projector: p(x), device), seconds(lambda y=y, p=projector: p.adjoint(y), device)
        memory = f", peak memory {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB" if device == "cuda" else ""
        times = (
            f"forward {1e3 * forward:.2f} ms, adjoint {1e3 * adjoint:.2f} ms, together {(forward + adjoint) / floor:.1f} times the floor"
        )
        print(f"scatter {scatter}: {times}; relative L2 to float32 {gap:.1e}{memory}")


if __name__ == "__main__":
    main()
