"""CT numbers and labels of digital patients beside the two real CTs; prints the tables of README.md.

PLANAR3D_DATA=data OMP_NUM_THREADS=1 python experiments/08_digital_patients/histograms.py
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from sheet import real_patients

from planar3d.anatomy import Patient, digital_patient
from planar3d.organs import ORGANS, organ_id

SPACING_MM = 4.8
EDGES_HU = (-2000, -850, -500, -200, -130, -60, -20, 20, 80, 150, 250, 400, 700, 4000)
FEWEST_VOXELS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=12)
    args = parser.parse_args()
    torch.set_num_threads(1)
    groups = {"digital": [digital_patient(seed, SPACING_MM) for seed in range(1, args.patients + 1)]}
    groups |= {p.name: [p] for p in real_patients(SPACING_MM)}
    print("| organ | " + " | ".join(f"{name}: median (5 to 95 %) [HU]" for name in groups) + " |")
    print("|---" * (len(groups) + 1) + "|")
    for organ in ORGANS[1:]:
        cells = [_cell(patients, organ) for patients in groups.values()]
        if any(cells[1:]):
            print(f"| {organ} | " + " | ".join(cell or "-" for cell in cells) + " |")
    print("\n| share of the body | " + " | ".join(groups) + " |")
    print("|---" * (len(groups) + 1) + "|")
    shares = [_shares(patients) for patients in groups.values()]
    for low, high, *row in zip(EDGES_HU[:-1], EDGES_HU[1:], *shares, strict=True):
        print(f"| {low} to {high} HU | " + " | ".join(f"{100.0 * share:.1f} %" for share in row) + " |")
    for organ in ("liver", "spleen", "kidney_left", "kidney_right", "spine", "pelvis"):
        print(f"| {organ} | " + " | ".join(f"{100.0 * _label_share(patients, organ):.2f} %" for patients in groups.values()) + " |")


def _cell(patients: list[Patient], organ: str) -> str:
    """Median and range of an organ's CT numbers; nothing where it is hardly there."""
    hu = torch.cat([p.ct_hu[p.labels == organ_id(organ)] for p in patients]).numpy()
    if len(hu) < FEWEST_VOXELS:
        return ""
    low, median, high = np.percentile(hu, [5, 50, 95])
    return f"{median:.0f} ({low:.0f} to {high:.0f})"


def _shares(patients: list[Patient]) -> np.ndarray:
    """Share of the body's voxels in each range of CT numbers."""
    counts, _ = np.histogram(torch.cat([p.ct_hu[p.body] for p in patients]).numpy(), bins=EDGES_HU)
    return counts / counts.sum()


def _label_share(patients: list[Patient], organ: str) -> float:
    """Share of the body's voxels with a label."""
    return float(torch.cat([(p.labels[p.body] == organ_id(organ)).float() for p in patients]).mean())


if __name__ == "__main__":
    main()
