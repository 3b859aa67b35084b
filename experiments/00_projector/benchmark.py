"""Camera against PyTomography 3.4.0 in one run: agreement, time and memory, same mu-map, same response, no scatter.

    pip install -c constraints.txt -e .[bench]
    OMP_NUM_THREADS=1 python experiments/00_projector/benchmark.py [cpu | cuda]

Each library projects in a process of its own, so that its peak memory is its own: the most that is resident after the phantom was made,
less what was resident before. The two differ where they mean to: planar3d averages attenuation and response over a voxel and integrates
over a pixel, PyTomography takes them at the centres and cuts its kernels at three standard deviations. The gap shrinks with the voxel.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.physics import GammaCamera, Orbit
from planar3d.units import BQ_PER_MBQ, MM_PER_CM

MU_WATER = 0.0135
DISTANCE_MM = 250.0
CASES = [
    (64, 2, "planar3d"),
    (64, 60, "planar3d"),
    (64, 60, "in the body"),
    (128, 2, "planar3d"),
    (128, 60, "planar3d"),
    (128, 60, "in the body"),
]
"""Grid, views, and ours before the whole grid or before the voxels of the body alone, as a reconstruction with a mask needs it."""
REPEATS = {2: 7, 60: 2}


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
    mu_map = MU_WATER * (body - 0.7 * lung).clamp(min=0) * (body > 1e-3)
    return activity[None, None] * (body > 1e-3), mu_map[None, None], grid


def camera() -> GammaCamera:
    """Siemens MELP at 208 keV, one count per Bq in air."""
    return GammaCamera.from_name(
        "siemens-melp",
        isotope="Lu-177",
        dwell_time_s=1.0,
        distance_mm=(DISTANCE_MM, DISTANCE_MM),
        sensitivity_cps_per_mbq=BQ_PER_MBQ,
        scatter=False,
    )


Pair = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]


def ours(mu_map: Tensor, grid: Grid, views: int, support: Tensor | None = None) -> Pair:
    """Forward and adjoint; the two views by the path without rotation."""
    if views == 2:
        projector = camera().projector(mu_map, grid)
    else:
        projector = camera().rotating_projector(mu_map, grid, Orbit.circular(views, DISTANCE_MM), support=support)
    return projector, projector.adjoint


def ours_in_the_body(mu_map: Tensor, grid: Grid, views: int) -> Pair:
    """The same for activity in the body alone."""
    return ours(mu_map, grid, views, support=mu_map > 0)


def theirs(mu_map: Tensor, grid: Grid, views: int) -> Pair:
    """The same of PyTomography, in the geometry of planar3d."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytomography.metadata.SPECT import SPECTObjectMeta, SPECTProjMeta, SPECTPSFMeta
        from pytomography.projectors.SPECT import SPECTSystemMatrix
        from pytomography.transforms.SPECT import SPECTAttenuationTransform, SPECTPSFTransform
    response, size, spacing_cm = camera().response, grid.shape[0], grid.spacing_mm[0] / MM_PER_CM

    def sigma_cm(r_cm: Tensor, slope: float, offset_cm: float, intrinsic_cm: float) -> Tensor:
        return ((slope * r_cm + offset_cm) ** 2 + intrinsic_cm**2) ** 0.5

    # at angle a its detector stands where ours stands at a + 180, and its image runs along -u of ours where ours is below 180
    angles = torch.arange(views) * 360.0 / views
    mirrored = angles >= 180.0
    order = torch.arange(views).roll(views // 2)
    parameters = (response.slope, response.offset_mm / MM_PER_CM, response.intrinsic_mm / MM_PER_CM)
    matrix = SPECTSystemMatrix(
        obj2obj_transforms=[
            SPECTAttenuationTransform(attenuation_map=mu_map[0, 0] * MM_PER_CM),
            SPECTPSFTransform(SPECTPSFMeta(sigma_fit_params=parameters, sigma_fit=sigma_cm)),
        ],
        proj2proj_transforms=[],
        object_meta=SPECTObjectMeta([spacing_cm] * 3, [size] * 3),
        proj_meta=SPECTProjMeta((size, size), [spacing_cm] * 2, angles, [DISTANCE_MM / MM_PER_CM] * views),
    )

    def forward(x: Tensor) -> Tensor:
        images = matrix.forward(x[0, 0]) * grid.voxel_volume_ml
        return torch.where(mirrored[:, None, None].to(images.device), images.flip(1), images)[order][None]

    def adjoint(y: Tensor) -> Tensor:
        return matrix.backward(y[0])

    return forward, adjoint


LIBRARIES = {"planar3d": ours, "in the body": ours_in_the_body, "pytomography": theirs}


def seconds(function: Callable[[], object], repeats: int, device: str) -> float:
    """Median wall time of a call after one warm-up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[repeats // 2]


def resident_mib(kind: str) -> float:
    """Memory of this process by the kernel's account: ``VmRSS`` now, or ``VmHWM`` at most since the account was last cleared."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024


def clear_peak() -> None:
    """Start the kernel's account of the peak anew: a process inherits that of its parent."""
    Path("/proc/self/clear_refs").write_text("5")


def measure(library: str, size: int, views: int, device: str, file: str) -> None:
    """Time one library; keep its views in a file, print the rest as JSON."""
    activity, mu_map, grid = torso(size)
    activity, mu_map = activity.to(device), mu_map.to(device)
    clear_peak()
    before = resident_mib("VmRSS")
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    forward, adjoint = LIBRARIES[library](mu_map, grid, views)
    setup = time.perf_counter() - start
    y = forward(activity)
    repeats = REPEATS[views]
    row = {
        "setup_s": setup,
        "forward_s": seconds(lambda: forward(activity), repeats, device),
        "adjoint_s": seconds(lambda: adjoint(y), repeats, device),
        "memory_mib": torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else resident_mib("VmHWM") - before,
    }
    torch.save(y.cpu(), file)
    print(json.dumps(row))


@cache
def measured(library: str, size: int, views: int, device: str) -> tuple[dict[str, float], Tensor]:
    """Times and memory of one library in a process of its own, and its views."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "views.pt")
        command = [sys.executable, "-W", "ignore", __file__, "measure", library, str(size), str(views), device, file]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout.splitlines()[-1]), torch.load(file)


def compare(size: int, views: int, library: str, device: str) -> str:
    """One row of the table."""
    (a, our_views), (b, their_views) = measured(library, size, views, device), measured("pytomography", size, views, device)
    gap = float((our_views - their_views).norm() / their_views.norm())
    place = "" if library == "planar3d" else f", {library}"
    cells = [f"{size}^3, {views} views{place}", f"{100 * gap:.2f} %"]
    for name in ("forward_s", "adjoint_s"):
        cells += [f"{1e3 * a[name]:.1f} ms", f"{1e3 * b[name]:.0f} ms", f"{b[name] / a[name]:.1f}"]
    cells += [f"{a['memory_mib']:.0f} MiB", f"{b['memory_mib']:.0f} MiB", f"{a['memory_mib'] / b['memory_mib']:.2f}"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print one row per case."""
    if sys.argv[1:2] == ["measure"]:
        library, size, views, device, file = sys.argv[2:]
        return measure(library, int(size), int(views), device, file)
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    print(f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads; time and memory of planar3d, PyTomography, their ratio")
    print("| case | relative L2 | forward | | times faster | adjoint | | times faster | memory | | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for size, views, library in CASES:
        print(compare(size, views, library, device), flush=True)
    return None


if __name__ == "__main__":
    main()
