"""Time and memory of the dose of a whole body of 4.8 mm voxels at four times: `python experiments/10_dose_kernels/speed.py [threads]`."""

from __future__ import annotations

import resource
import sys
import time

import torch

from planar3d.dosimetry.voxel_dose import KernelDose, local_dose
from planar3d.grid import Grid

SHAPE, TIMES = (128, 96, 256), 4
KIB_PER_MIB = 1024.0


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    grid = Grid.centred(SHAPE, 4.8)
    decays = torch.rand(TIMES, *SHAPE) * 1e9
    density = torch.ones(SHAPE)
    before = resident()
    for isotope in ("Lu-177", "I-131"):
        start = time.perf_counter()
        dose = KernelDose(grid=grid, isotope=isotope)
        made = time.perf_counter()
        dose(decays[:1], density)
        first = time.perf_counter()
        dose(decays, density)
        done = time.perf_counter()
        local_dose(decays, isotope=isotope, density_g_per_ml=density)
        local = time.perf_counter()
        print(
            f"{isotope}: kernel {tuple(dose.photon_kev.shape)} made in {made - start:.2f} s, first volume {first - made:.2f} s, four times "
            f"{done - first:.2f} s, local deposition {local - done:.2f} s, most memory {resident() - before:.0f} MiB above the input"
        )


def resident() -> float:
    """Most memory that was ever resident [MiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB


if __name__ == "__main__":
    main()
