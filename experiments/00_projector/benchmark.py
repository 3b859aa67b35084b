"""Camera against PyTomography 3.4.0: agreement and time at 0 and 180 degrees, same mu-map, same response, no scatter.

    pip install -e .[bench] && python experiments/00_projector/benchmark.py [cpu | cuda]

The two differ where they mean to: planar3d averages attenuation and response over a voxel and integrates over a pixel, PyTomography
takes them at the centres and cuts its kernels at three standard deviations. The gap shrinks with the voxel.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.physics import GammaCamera
from planar3d.units import BQ_PER_MBQ, MM_PER_CM

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pytomography.metadata.SPECT import SPECTObjectMeta, SPECTProjMeta, SPECTPSFMeta
    from pytomography.projectors.SPECT import SPECTSystemMatrix
    from pytomography.transforms.SPECT import SPECTAttenuationTransform, SPECTPSFTransform

MU_WATER = 0.0135
DISTANCE_MM = 250.0


def torso(size: int) -> tuple[Tensor, Tensor, Grid]:
    """Smooth-edged elliptic torso with two hot spheres, a liver-like ellipsoid and a lung: activity, mu-map, grid of 307 mm."""
    grid = Grid.centred((size, size, size), 307.2 / size)
    axes = [torch.linspace(o, o + (n - 1) * s, n) for o, n, s in zip(grid.origin_mm, grid.shape, grid.spacing_mm, strict=True)]
    x, y, z = torch.meshgrid(*axes, indexing="ij")

    def blob(cx: float, cy: float, cz: float, rx: float, ry: float, rz: float) -> Tensor:
        radius = torch.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2)
        return torch.sigmoid((1.0 - radius) * min(rx, ry, rz) / 3.0)

    body = blob(0, 0, 0, 140, 95, 5000)
    lung = blob(-60, 10, 90, 45, 60, 60)
    activity = body + 6 * blob(60, 20, 30, 55, 45, 50) + 25 * blob(55, -50, -50, 22, 20, 40) + 40 * blob(-40, 40, -80, 10, 10, 10)
    return activity[None, None], (MU_WATER * (body - 0.7 * lung)).clamp(min=0)[None, None], grid


def pytomography_projector(mu_map: Tensor, grid: Grid, camera: GammaCamera) -> Callable[[Tensor], Tensor]:
    """Its projector for the anterior (+y) and posterior view, as ``activity (x, y, z) -> (2, x, z)``."""
    response, size, spacing_cm = camera.response, grid.shape[0], grid.spacing_mm[0] / MM_PER_CM

    def sigma_cm(r_cm: Tensor, slope: float, offset_cm: float, intrinsic_cm: float) -> Tensor:
        return ((slope * r_cm + offset_cm) ** 2 + intrinsic_cm**2) ** 0.5

    parameters = (response.slope, response.offset_mm / MM_PER_CM, response.intrinsic_mm / MM_PER_CM)
    matrix = SPECTSystemMatrix(
        obj2obj_transforms=[
            SPECTAttenuationTransform(attenuation_map=mu_map[0, 0] * MM_PER_CM),
            SPECTPSFTransform(SPECTPSFMeta(sigma_fit_params=parameters, sigma_fit=sigma_cm)),
        ],
        proj2proj_transforms=[],
        object_meta=SPECTObjectMeta([spacing_cm] * 3, [size] * 3),
        proj_meta=SPECTProjMeta((size, size), [spacing_cm] * 2, torch.tensor([0.0, 180.0]), [DISTANCE_MM / MM_PER_CM] * 2),
    )

    # at 0 degrees its detector stands at -y of its object and its image runs along +x; at 180 degrees, at +y and along -x
    def project(activity: Tensor) -> Tensor:
        views = matrix.forward(activity)
        return torch.stack([views[1].flip(0), views[0]])

    return project


def seconds(function: Callable[[], object], repeats: int = 7) -> float:
    """Median wall time of a call after one warm-up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[repeats // 2]


def compare(size: int, camera: GammaCamera, device: str) -> str:
    """One row: agreement and times on a grid of ``size``^3."""
    activity, mu_map, grid = torso(size)
    activity, mu_map = activity.to(device), mu_map.to(device)
    projector = camera.projector(mu_map, grid)
    project = pytomography_projector(mu_map, grid, camera)
    views = projector(activity)
    reference = project(activity[0, 0]) * grid.voxel_volume_ml
    gap = float((views[0] - reference).norm() / reference.norm())
    forward, adjoint = seconds(lambda: projector(activity)), seconds(lambda: projector.adjoint(views))
    other = seconds(lambda: project(activity[0, 0]))
    return (
        f"{size}^3: relative L2 {gap:.4f}; forward {forward * 1e3:.1f} ms against {other * 1e3:.1f} ms, ratio {other / forward:.1f}; "
        f"adjoint {adjoint * 1e3:.1f} ms"
    )


def main() -> None:
    """Print one row per grid size."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    camera = GammaCamera.from_name(
        "siemens-melp",
        isotope="Lu-177",
        dwell_time_s=1.0,
        distance_mm=(DISTANCE_MM, DISTANCE_MM),
        sensitivity_cps_per_mbq=BQ_PER_MBQ,
        scatter=False,
    )
    print(f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads")
    for size in (64, 128):
        print(compare(size, camera, device))


if __name__ == "__main__":
    main()
