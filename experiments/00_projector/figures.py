"""The camera in pictures: blur against distance, scatter against depth, images, and what two opposed views cannot see.

python experiments/00_projector/figures.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from planar3d.anatomy.digital import digital_patient
from planar3d.organs import organ_id
from planar3d.physics import GammaCamera, ObjectScatter, camera_head
from planar3d.physics.null_space import split_visible
from planar3d.units import FWHM_PER_SIGMA

FILE = Path(__file__).parent / "figures" / "camera.png"
UPTAKE = {"body": 1e4, "liver": 4e4, "spleen": 6e4, "kidney_left": 3e5, "kidney_right": 3e5, "urinary_bladder": 4e5}


def show(ax: Any, image: Tensor, title: str, **style: Any) -> None:
    """An image with the head up; across, the patient's right, or the front, is on the left."""
    ax.imshow(image.flip(0).T.numpy(), origin="lower", **({"cmap": "gray_r"} | style))
    ax.set_title(title, fontsize=10)
    ax.set(xticks=[], yticks=[])


def draw_response(blur: Any, scatter: Any) -> None:
    """Width against distance and scatter against depth."""
    distance_mm = torch.linspace(0, 400, 41, dtype=torch.float64)
    for name, energy_kev in (("siemens-lehr", 140.5), ("ge-megp", 208.4), ("siemens-melp", 208.4), ("siemens-he", 364.5)):
        fwhm_mm = camera_head(name).response(energy_kev).sigma_mm(distance_mm) * FWHM_PER_SIGMA
        blur.plot(distance_mm.numpy(), fwhm_mm.numpy(), label=f"{name}, {energy_kev:.0f} keV")
    blur.set(xlabel="distance from the collimator [mm]", ylabel="FWHM [mm]", ylim=(0, None))
    depth_mm = torch.linspace(0, 250, 51)
    for isotope, energy_kev in (("Lu-177", 113.0), ("Tc-99m", 140.0), ("Lu-177", 208.0), ("I-131", 364.0)):
        ratio = ObjectScatter.in_window(isotope, energy_kev).ratio(depth_mm)
        scatter.semilogy(depth_mm.numpy(), ratio.numpy(), label=f"{isotope}, {energy_kev:.0f} keV")
    scatter.set(xlabel="depth in water [mm]", ylabel="scattered / unscattered", ylim=(0.01, 10))
    for ax in (blur, scatter):
        ax.legend(fontsize=8)


def main() -> None:
    """Draw and write the figure."""
    camera = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=180.0)
    patient = digital_patient(3, spacing_mm=6.0)
    labels = patient.labels[None]
    activity = torch.zeros(labels.shape)
    for organ, bq_per_ml in UPTAKE.items():
        activity[labels == organ_id(organ)] = bq_per_ml
    projector = camera.projector(patient.mu_map(camera.energy_kev)[None], patient.grid)
    exact = projector.unscattered()
    views, unscattered = projector(activity), exact(activity)
    visible, hidden = split_visible(exact, activity, iterations=60)

    figure = Figure(figsize=(13, 7.5), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.05])
    panels = top.subplots(1, 4, width_ratios=[1.6, 1.6, 1, 1])
    draw_response(*panels[:2])
    show(panels[2], unscattered[0, 1].sqrt(), "posterior, unscattered")
    show(panels[3], (views - unscattered)[0, 1].clamp(min=0).sqrt(), "posterior, scattered")
    kidney = int((labels[0, 0] == organ_id("kidney_left")).sum(dim=(1, 2)).argmax())
    panels = bottom.subplots(1, 6)
    limit, brightest = float(activity.max()), float(unscattered.max())
    for ax, part, name in zip(panels, (activity, visible, hidden), ("activity", "= what two views show", "+ what they hide"), strict=False):
        show(ax, part[0, 0, kidney], name, cmap="RdBu_r", vmin=-limit, vmax=limit)
    for ax, part, name in zip(panels[3:], (activity, visible, hidden), ("its image", "image of the shown", "of the hidden"), strict=True):
        show(ax, exact(part)[0, 1], name, vmin=0, vmax=brightest)
    figure.savefig(FILE, dpi=90)
    print(f"wrote {FILE.name}; hidden part: {float(hidden.norm() / activity.norm()):.0%} of the norm")


if __name__ == "__main__":
    main()
