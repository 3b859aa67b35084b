"""Bias of scatter estimates from side windows, by the library's own camera; prints the tables of README.md."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import torch
from torch import Tensor

from planar3d.acquisition import SCATTER_FWHM_MM
from planar3d.anatomy.digital import digital_patient
from planar3d.grid import Grid
from planar3d.materials import linear_attenuation
from planar3d.organs import organ_id
from planar3d.physics import GammaCamera
from planar3d.physics.energy_window import energy_windows
from planar3d.physics.side_windows import JASZCZAK_K, SideWindowScatter
from planar3d.reconstruction import PlanarProblem, QPlanar

LINES = (
    ("siemens-melp", "Lu-177", 208.37), ("siemens-melp", "Lu-177", 112.95), ("siemens-lehr", "Tc-99m", 140.51),
    ("siemens-he", "I-131", 364.49), ("siemens-melp", "I-123", 158.97),
)  # fmt: skip
UPTAKE = {
    "liver": 6.0, "spleen": 8.0, "kidney_left": 25.0, "kidney_right": 25.0, "urinary_bladder": 15.0, "lung_left": 0.6, "lung_right": 0.6
}  # fmt: skip
REGION_MM = 25.0


def main() -> None:
    """Print the phantom table, then the table of organ activities."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=4, help="number of digital patients")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| line | weights (lower, upper) | source | scatter/primary | estimate/true | primary, whole view | primary, 50 mm square |")
    print("|---|---|---|---|---|---|---|")
    for name, isotope, energy_kev in LINES:
        for row in phantom_rows(name, isotope, energy_kev):
            print("| " + " | ".join(row) + " |", flush=True)
    print("\n| line | scatter | " + " | ".join([*UPTAKE, "body", "total"]) + " |")
    print("|---" * (len(UPTAKE) + 4) + "|")
    for name, isotope, energy_kev in LINES:
        for row in organ_rows(name, isotope, energy_kev, arguments.patients):
            print("| " + " | ".join(row) + " |", flush=True)


def estimates(isotope: str, energy_kev: float) -> dict[str, SideWindowScatter]:
    """Textbook and calibrated weights."""
    windows = energy_windows(isotope, energy_kev)
    dual = SideWindowScatter.calibrated(isotope, energy_kev, upper=False)
    if windows.upper is None:
        return {f"dual, k = {JASZCZAK_K}": SideWindowScatter.dual(), "dual, calibrated": dual}
    return {
        "triple, trapezoid": SideWindowScatter.from_windows(windows),
        "triple, calibrated": SideWindowScatter.calibrated(isotope, energy_kev),
        "triple, calibrated, smoothed": SideWindowScatter.calibrated(isotope, energy_kev, smoothing_fwhm_mm=SCATTER_FWHM_MM),
        "dual, calibrated": dual,
    }


def scatter_of(estimate: SideWindowScatter, views: dict[str, Tensor], pixel_mm: tuple[float, float]) -> Tensor:
    """Estimated scatter in the peak."""
    return estimate.estimate(views["lower"], views["upper"] if estimate.upper_weight > 0 else None, pixel_mm=pixel_mm)


def phantom_rows(name: str, isotope: str, energy_kev: float) -> Iterator[list[str]]:
    """Uniform ellipse of water, 300 x 200 mm, and points in it below its front, in the anterior view."""
    grid = Grid.centred((80, 50, 60), 5.0)
    x, y, z = grid_axes(grid)
    body = (x / 150.0) ** 2 + (y / 100.0) ** 2 < 1.0
    mu_map = (body * float(linear_attenuation("water", energy_kev)))[None, None]
    sources = {"uniform": body.float()}
    for depth_mm in (50, 100, 150):
        point = (x.abs() < 5.0) & ((y - (100.0 - depth_mm)).abs() < 5.0) & (z.abs() < 5.0)
        sources[f"{depth_mm} mm"] = point.float()
    near = (x[:, 0].abs() < REGION_MM) & (z[:, 0].abs() < REGION_MM)
    projectors = {w: camera(name, isotope, energy_kev, w).projector(mu_map, grid) for w in ("peak", "lower", "upper")}
    primary_of = camera(name, isotope, energy_kev, "peak", scatter=False).projector(mu_map, grid)
    for source, activity in sources.items():
        views = {w: p(activity[None, None])[0, 0] for w, p in projectors.items()}
        primary = primary_of(activity[None, None])[0, 0]
        true = views["peak"] - primary
        for kind, estimate in estimates(isotope, energy_kev).items():
            found = scatter_of(estimate, {w: v[None, None] for w, v in views.items()}, (5.0, 5.0))[0, 0]
            rest = views["peak"] - found
            whole, region = (float((rest * m).sum() / (primary * m).sum() - 1.0) for m in (torch.ones_like(near), near))
            yield [
                f"{isotope} {energy_kev:.0f} keV", f"{kind} ({estimate.lower_weight:.3f}, {estimate.upper_weight:.3f})", source,
                f"{float(true.sum() / primary.sum()):.3f}", f"{float(found.sum() / true.sum()):.3f}", f"{100 * whole:+.1f} %",
                "" if source == "uniform" else f"{100 * region:+.1f} %",
            ]  # fmt: skip


def organ_rows(name: str, isotope: str, energy_kev: float, patients: int) -> Iterator[list[str]]:
    """Errors of QPlanar's organ activities of digital patients without noise, with scatter as model, as estimates, and ignored."""
    errors: dict[str, list[Tensor]] = {}
    wanted = [organ_id(organ) for organ in [*UPTAKE, "body"]]
    for seed in range(patients):
        patient = digital_patient(seed, 8.0)
        labels, mu_map, grid = patient.labels[None], patient.mu_map(energy_kev)[None], patient.grid
        activity = (labels > 0).float()
        for organ, level in UPTAKE.items():
            activity[labels == organ_id(organ)] = level
        views = {w: camera(name, isotope, energy_kev, w)(activity, mu_map, grid) for w in ("peak", "lower", "upper")}
        scale = 1e6 / views["peak"][:, 0].sum()
        bare = camera(name, isotope, energy_kev, "peak", scatter=False)
        given = {"model": (camera(name, isotope, energy_kev, "peak"), None), "ignored": (bare, None)}
        pixel_mm = (grid.spacing_mm[0], grid.spacing_mm[2])
        given |= {kind: (bare, scale * scatter_of(e, views, pixel_mm)) for kind, e in estimates(isotope, energy_kev).items()}
        for kind, (device, known) in given.items():
            problem = PlanarProblem.from_camera(
                device, views=scale * views["peak"], mu_map=mu_map, labels=labels, grid=grid, background=known
            )
            organs = QPlanar()(problem).organs
            assert organs is not None  # QPlanar estimates organs
            truth = torch.stack([activity[labels == i].sum() for i in organs.ids]) * scale * grid.voxel_volume_ml
            relative = organs.activity_bq[0] / truth - 1.0
            total = organs.activity_bq.sum() / truth.sum() - 1.0
            picked = [relative[organs.ids == i] for i in wanted]
            errors.setdefault(kind, []).append(torch.stack([p[0] if len(p) else torch.tensor(torch.nan) for p in picked] + [total]))
    for kind, found in errors.items():
        yield [f"{isotope} {energy_kev:.0f} keV", kind, *(f"{100 * v:+.1f} %" for v in torch.stack(found).nanmean(dim=0).tolist())]


def camera(name: str, isotope: str, energy_kev: float, window: str, *, scatter: bool = True) -> GammaCamera:
    """The camera in one energy window."""
    return GammaCamera.from_name(name, isotope=isotope, dwell_time_s=200.0, energy_kev=energy_kev, window=window, scatter=scatter)


def grid_axes(grid: Grid) -> list[Tensor]:
    """Coordinates of the voxels [mm]."""
    axes = [(torch.arange(n) - 0.5 * (n - 1)) * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
    return list(torch.meshgrid(*axes, indexing="ij"))


if __name__ == "__main__":
    main()
