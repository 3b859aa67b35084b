"""Kernels against the voxel S values of Lanconelli et al. (Phys Med Biol 2012;57:517), soft tissue of 1.04 g/mL. Writes results.csv."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch

from planar3d.dosimetry.constants import GRAMS_PER_KG, JOULES_PER_KEV
from planar3d.dosimetry.emissions import Emissions
from planar3d.dosimetry.kernel import VoxelKernel, unfolded, voxel_kernel
from planar3d.io import write_csv
from planar3d.units import BQ_PER_MBQ, MM3_PER_ML

HERE = Path(__file__).parent
DATA = Path(os.environ.get("PLANAR3D_DATA", HERE.parents[2] / "shared" / "data")) / "voxel_s_values"
CASES = (("Lu-177", "177Lu", 3.0), ("Lu-177", "177Lu", 4.42), ("Lu-177", "177Lu", 4.8), ("Lu-177", "177Lu", 6.0),
         ("I-131", "131I", 4.8), ("Y-90", "90Y", 4.8))  # fmt: skip
OFFSETS = ((0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 1), (0, 0, 2), (0, 2, 2), (0, 0, 3), (3, 3, 3), (0, 0, 5), (5, 5, 5))
DENSITY = 1.04
MGY_PER_GY = 1e3


def main() -> None:
    rows = []
    print("| radionuclide | mm | " + " | ".join("".join(map(str, o)) for o in OFFSETS) + " | energy within 5 voxels, keV (theirs) |")
    print("|" + "---|" * (len(OFFSETS) + 3))
    for isotope, prefix, spacing_mm in (*CASES, *((betas_alone(), "177Lu", size) for size in (3.0, 4.8))):
        name = isotope if isinstance(isotope, str) else isotope.name
        published = read(DATA / f"{prefix}{spacing_mm:g}mmsoft.txt")
        kernel = voxel_kernel(isotope, spacing_mm, reach=(5, 5, 5), density_g_per_ml=DENSITY)
        cells = []
        for offset in OFFSETS:
            ours, theirs = milligray(kernel, offset), published[offset]
            rows.append(
                {
                    "isotope": name,
                    "spacing_mm": spacing_mm,
                    "offset": "".join(map(str, offset)),
                    "planar3d_mgy_per_mbq_s": f"{ours:.4g}",
                    "published_mgy_per_mbq_s": f"{theirs:.4g}",
                    "ratio": f"{ours / theirs:.4f}",
                }
            )
            cells.append(f"{100.0 * (ours / theirs - 1.0):+.1f} %")
        table = torch.tensor([published[offset] for offset in sorted(published)], dtype=torch.float64).reshape(6, 6, 6)
        ours_kev, theirs_kev = energy(total(kernel), spacing_mm), energy(table, spacing_mm)
        print(f"| {name} | {spacing_mm:g} | " + " | ".join(cells) + f" | {ours_kev:.1f} ({theirs_kev:.1f}) |")
    for name in ("Lu-177", "I-131", "Y-90"):
        emissions = Emissions.of(name)
        betas = sum(b.mean_kev * b.yield_per_decay for b in emissions.betas)
        others = emissions.electron_kev - betas
        print(f"{name}: beta {betas:.1f} keV, other electrons {others:.1f} keV, photons {emissions.photon_kev:.1f} keV")
    write_csv(HERE / "results.csv", rows)
    print(f"wrote {HERE / 'results.csv'}")


def betas_alone() -> Emissions:
    """Lu-177 without conversion and Auger electrons, and with the gamma yields of ICRP 107, 11 and 6.4 %."""
    lutetium = Emissions.of("Lu-177")
    yields = {208: 0.11, 113: 0.064}
    photons = tuple(replace(p, yield_per_decay=yields.get(round(p.energy_kev), p.yield_per_decay)) for p in lutetium.photons)
    return replace(lutetium, name="Lu-177, betas alone", electrons=(), photons=photons)


def total(kernel: VoxelKernel) -> torch.Tensor:
    """S values of both parts at offsets 0 to 5 [mGy/(MBq s)]."""
    grid = torch.zeros(6, 6, 6, dtype=torch.float64)
    for part in (kernel.electron_kev, kernel.photon_kev):
        n = [min(6, k) for k in part.shape]
        grid[: n[0], : n[1], : n[2]] += part[: n[0], : n[1], : n[2]]
    mass_kg = kernel.spacing_mm[0] ** 3 / MM3_PER_ML * DENSITY / GRAMS_PER_KG
    return grid * JOULES_PER_KEV / mass_kg * MGY_PER_GY * BQ_PER_MBQ


def milligray(kernel: VoxelKernel, offset: tuple[int, int, int]) -> float:
    """S value at an offset [mGy/(MBq s)]."""
    return float(total(kernel)[offset])


def energy(octant: torch.Tensor, spacing_mm: float) -> float:
    """Energy per decay in the 11 x 11 x 11 voxels about the source [keV]."""
    mass_kg = spacing_mm**3 / MM3_PER_ML * DENSITY / GRAMS_PER_KG
    return float(unfolded(octant).sum()) / MGY_PER_GY / BQ_PER_MBQ * mass_kg / JOULES_PER_KEV


def read(path: Path) -> dict[tuple[int, int, int], float]:
    """Table of a file by offset [mGy/(MBq s)]."""
    cells = [line.split() for line in path.read_text(encoding="latin-1").splitlines()[2:]]
    return {(int(c[0]), int(c[1]), int(c[2])): float(c[3]) for c in cells if len(c) == 4}


if __name__ == "__main__":
    main()
