"""Recovery of the NEMA spheres against their volume, as OSEM goes on, with object scatter modelled, known, or left out.

    OMP_NUM_THREADS=1 python experiments/05_osem/recovery.py      # recovery.csv and figures/recovery.png

177Lu behind a Siemens MELP collimator, 60 views of 20 s close around the phantom, 100 kBq/mL and eight times that in the spheres. The views
are made on voxels of 2.4 mm, with scatter and Poisson noise, and reconstructed on voxels of 4.8 mm from pixels of 4.8 mm. Five draws of the
noise are one batch.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.materials import linear_attenuation
from planar3d.phantom.nema import NemaImage, NemaPhantom
from planar3d.physics import Detector, GammaCamera, Orbit, RotatingProjector, poisson
from planar3d.reconstruction import OSEM, TomographicProblem

HERE = Path(__file__).parent
EXTENT_MM = (345.6, 268.8, 230.4)
VIEWS, TIME_PER_VIEW_S, SUBSETS, DRAWS = 60, 20.0, 5, 5
UPDATES = (5, 10, 20, 50, 100)
PHANTOM = NemaPhantom(background_bq_per_ml=1e5, sphere_to_background=8.0)
MODELS = {"modelled": "scatter modelled", "known": "scatter known, as background", "left out": "scatter left out"}


def on_grid(spacing_mm: float) -> tuple[Grid, NemaImage]:
    """The phantom on voxels of a size."""
    grid = Grid.centred([round(e / spacing_mm) for e in EXTENT_MM], spacing_mm)
    energy_kev = camera(scatter=True).energy_kev
    return grid, PHANTOM.render(grid, mu_per_mm=linear_attenuation("water", energy_kev))


def camera(*, scatter: bool) -> GammaCamera:
    """The camera, its pixels 4.8 mm whatever the voxels."""
    matrix = (round(EXTENT_MM[0] / 4.8), round(EXTENT_MM[2] / 4.8))
    detector = Detector(matrix=matrix, pixel_mm=(4.8, 4.8))
    return GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=TIME_PER_VIEW_S, scatter=scatter, detector=detector)


def orbit() -> Orbit:
    """20 mm from the phantom, as its finer picture has it."""
    grid, image = on_grid(2.4)
    return Orbit.contour([k * 360.0 / VIEWS for k in range(VIEWS)], image.mu_map > 0, grid)


def projector(grid: Grid, image: NemaImage, *, scatter: bool) -> RotatingProjector:
    """The camera on its orbit."""
    return camera(scatter=scatter).rotating_projector(image.mu_map, grid, orbit(), support=image.mu_map > 0)


def problems(grid: Grid, image: NemaImage) -> dict[str, TomographicProblem]:
    """The same counts with each way to treat scatter."""
    fine_grid, fine = on_grid(2.4)
    expected = projector(fine_grid, fine, scatter=True)(fine.activity)
    scattered = (expected - projector(fine_grid, fine, scatter=False)(fine.activity)).clamp(min=0.0)
    counts = poisson(expected.expand(DRAWS, -1, -1, -1), torch.Generator().manual_seed(0))
    print(f"{counts[0].sum():.4g} counts, {scattered.sum() / expected.sum():.3f} of them scattered")
    mask = (image.mu_map > 0).expand(DRAWS, -1, -1, -1, -1)
    without = TomographicProblem(views=counts, projector=projector(grid, image, scatter=False), mask=mask)
    return {
        "modelled": replace(without, projector=projector(grid, image, scatter=True)),
        "known": replace(without, background=scattered.expand(DRAWS, -1, -1, -1)),
        "left out": without,
    }


def figures(image: NemaImage, x: Tensor) -> dict[str, Tensor]:
    """Recoveries and, in a shell of uniform background, level and noise, each ``(draw, ...)``."""
    plain = (image.activity[0, 0] == PHANTOM.background_bq_per_ml).double()
    # voxels of undiluted background, two voxels and more from anything else
    inner = -torch.nn.functional.max_pool3d(-plain[None, None], 5, stride=1, padding=2)[0, 0] > 0
    background = x[:, 0][:, inner] / PHANTOM.background_bq_per_ml
    return {"recovery": image.recovery(x), "background": background.mean(dim=1), "noise": background.std(dim=1) / background.mean(dim=1)}


def run() -> list[dict[str, Any]]:
    """A row per treatment of scatter, number of updates and sphere."""
    grid, image = on_grid(4.8)
    rows = []
    for name, problem in problems(grid, image).items():
        for k, x in enumerate(OSEM(iterations=max(UPDATES) // SUBSETS, subsets=SUBSETS).estimates(problem), start=1):
            if k * SUBSETS not in UPDATES:
                continue
            found = figures(image, x)
            for n, (diameter, volume) in enumerate(zip(PHANTOM.diameters_mm, PHANTOM.volumes_ml, strict=True)):
                recovery = found["recovery"][:, n]
                seen = PHANTOM.sphere_to_background * recovery / found["background"]
                contrast = (seen - 1.0) / (PHANTOM.sphere_to_background - 1.0)
                rows.append(
                    {"scatter": name, "updates": k * SUBSETS, "diameter_mm": diameter, "volume_ml": volume}
                    | {"recovery": float(recovery.mean()), "recovery_std": float(recovery.std()), "contrast": float(contrast.mean())}
                    | {key: float(found[key].mean()) for key in ("background", "noise")}
                )
            print(f"{name}, {k * SUBSETS} updates: {[round(r['recovery'], 3) for r in rows[-6:]]}, background {rows[-1]['background']:.3f}")
    truth = image.recovery(image.activity)[0]
    for n, (diameter, volume) in enumerate(zip(PHANTOM.diameters_mm, PHANTOM.volumes_ml, strict=True)):
        rows.append({"scatter": "truth on 4.8 mm voxels", "diameter_mm": diameter, "volume_ml": volume, "recovery": float(truth[n])})
    return rows


def draw(rows: list[dict[str, Any]]) -> None:
    """Recovery against volume, a panel per treatment of scatter."""
    figure, axes = plt.subplots(1, len(MODELS), figsize=(13.0, 4.2), layout="constrained", sharey=True)
    truth = [r for r in rows if r["scatter"].startswith("truth")]
    for axis, (name, title) in zip(axes, MODELS.items(), strict=True):
        axis.plot([r["volume_ml"] for r in truth], [r["recovery"] for r in truth], color="0.6", ls="--", label="truth on these voxels")
        for updates in UPDATES:
            own = [r for r in rows if r["scatter"] == name and r.get("updates") == updates]
            volume, mean, spread = ([r[key] for r in own] for key in ("volume_ml", "recovery", "recovery_std"))
            axis.errorbar(volume, mean, spread, marker="o", ms=4, capsize=2, label=f"{updates} updates")
        axis.axhline(1.0, color="0.8", lw=0.8, zorder=0)
        axis.set(xscale="log", xlabel="sphere volume [mL]", title=title, ylim=(0.0, 1.05))
        axis.set_xticks(PHANTOM.volumes_ml, [f"{v:.2g}" for v in PHANTOM.volumes_ml])
        axis.set_xticks([], minor=True)
    axes[0].set_ylabel("recovery: mean in the sphere / true")
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="outside right center")
    figure.savefig(HERE / "figures" / "recovery.png", dpi=110)


def main() -> None:
    """Run, write, draw."""
    rows = run()
    with (HERE / "recovery.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    draw(rows)


if __name__ == "__main__":
    main()
