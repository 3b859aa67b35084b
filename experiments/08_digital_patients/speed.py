"""Seconds per digital patient and per warped patient, on one core or on a GPU; prints the table of README.md.

OMP_NUM_THREADS=1 python experiments/08_digital_patients/speed.py
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from planar3d.anatomy import TORSO, WHOLE_BODY, digital_patient, draw_warp, warp_patient

CASES = {
    "torso, 8 mm": (8.0, TORSO), "torso, 4.8 mm": (4.8, TORSO), "whole body, 8 mm": (8.0, WHOLE_BODY),
    "whole body, 4.8 mm": (4.8, WHOLE_BODY),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=6)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| what | voxels | seconds, processor time of the process | seconds, clock |")
    print("|---|---|---|---|")
    for name, (spacing_mm, field) in CASES.items():
        grid = field.resampled(spacing_mm)
        _print(name, grid.shape, lambda seed, s=spacing_mm, f=field: digital_patient(seed, s, f, device=args.device), args)
    for spacing_mm in (8.0, 4.8):
        patient = digital_patient(3, spacing_mm, device=args.device)
        make = lambda seed, p=patient: warp_patient(p, draw_warp(torch.Generator().manual_seed(seed)))  # noqa: E731
        _print(f"warp of a torso, {spacing_mm:g} mm", patient.grid.shape, make, args)


def _print(name: str, shape: tuple[int, int, int], make: Callable[[int], object], args: argparse.Namespace) -> None:
    """Median time over some patients."""
    make(0)
    processor, clock = [], []
    for seed in range(1, args.patients + 1):
        start = time.process_time(), time.perf_counter()
        make(seed)
        if args.device != "cpu":
            torch.cuda.synchronize()
        processor.append(time.process_time() - start[0])
        clock.append(time.perf_counter() - start[1])
    print(f"| {name} | {' x '.join(map(str, shape))} | {statistics.median(processor):.2f} | {statistics.median(clock):.2f} |", flush=True)


if __name__ == "__main__":
    main()
