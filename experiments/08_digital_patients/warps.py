"""The two real anatomies under six warps each, and how far organs and space change; prints the table of README.md.

PLANAR3D_DATA=data python experiments/08_digital_patients/warps.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from sheet import HERE, draw_plane, middle_plane, palette, real_patients

from planar3d.anatomy import draw_warp, warp_patient
from planar3d.anatomy.warp import volume_change
from planar3d.organs import organ_id

ORGANS_SHOWN = ("liver", "spleen", "kidney_left", "kidney_right")
SPACING_MM = 4.8
DRAWS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "figures" / "sheet_warps.png")
    args = parser.parse_args()
    torch.set_num_threads(1)
    figure = Figure(figsize=(14, 8), layout="constrained")
    axes = figure.subplots(4, 7)
    print("| patient | organ | volume after over before: median (5 to 95 %) | least and most change of a piece of space |")
    print("|---|---|---|---|")
    for row, patient in enumerate(real_patients(SPACING_MM)):
        shown = [patient, *(warp_patient(patient, draw_warp(torch.Generator().manual_seed(seed))) for seed in range(6))]
        for column, warped in enumerate(shown):
            plane = middle_plane(warped)
            draw_plane(axes[2 * row, column], warped, warped.ct_hu[0, :, plane].numpy(), cmap="gray", vmin=-300, vmax=400)
            draw_plane(axes[2 * row + 1, column], warped, palette()[warped.labels[0, :, plane].numpy()])
        ratios, extremes = [], []
        for seed in range(DRAWS):
            warp = draw_warp(torch.Generator().manual_seed(seed))
            warped = warp_patient(patient, warp)
            change = volume_change(warp, warped.grid)
            extremes.append((float(change.min()), float(change.max())))
            ratios.append([float((warped.labels == organ_id(o)).sum() / (patient.labels == organ_id(o)).sum()) for o in ORGANS_SHOWN])
        least, most = np.array(extremes).T
        for organ, column in zip(ORGANS_SHOWN, np.array(ratios).T, strict=True):
            low, median, high = np.percentile(column, [5, 50, 95])
            print(f"| {patient.name} | {organ} | {median:.2f} ({low:.2f} to {high:.2f}) | {least.min():.2f} to {most.max():.2f} |")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=80)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
