"""OSEM against PyTomography 3.4.0 in one run: agreement, time and memory, same noisy views, mu-map, response, start and order of subsets.

    pip install -c constraints.txt -e .[bench]
    OMP_NUM_THREADS=1 python experiments/05_osem/benchmark.py

The NEMA phantom with its cold, thin insert before a turning Siemens MELP head, 60 views, 64^3 voxels of 4.8 mm, no scatter, Poisson noise.
The views are those that planar3d expects, or, in the second half of the table, those that PyTomography does. Each library reconstructs in
a process of its own. Seconds are those from views to image, projector and sensitivities included; memory is the most that is resident
meanwhile, less what was before, with the library imported.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from planar3d.grid import Grid
from planar3d.materials import linear_attenuation
from planar3d.metrics import nmae
from planar3d.phantom.nema import NemaPhantom
from planar3d.physics import GammaCamera, Orbit, RotatingProjector, poisson
from planar3d.reconstruction import OSEM, TomographicProblem
from planar3d.units import BQ_PER_MBQ, MM_PER_CM

HERE = Path(__file__).parent
VIEWS, RADIUS_MM, TIME_PER_VIEW_S = 60, 250.0, 20.0
GRID = Grid.centred((64, 64, 64), 4.8)
CAMERA = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=TIME_PER_VIEW_S, scatter=False)
PHANTOM = NemaPhantom(background_bq_per_ml=1e5, sphere_to_background=8.0)
IMAGE = PHANTOM.render(GRID, mu_per_mm=linear_attenuation("water", CAMERA.energy_kev))
MASK = IMAGE.mu_map > 0
CASES = ((20, 1), (4, 6), (4, 10))
LIBRARIES = ("planar3d", "pytomography")


def projector() -> RotatingProjector:
    """The camera before the phantom."""
    return CAMERA.rotating_projector(IMAGE.mu_map, GRID, Orbit.circular(VIEWS, RADIUS_MM), support=MASK)


class Theirs:
    """PyTomography's projector in the geometry of planar3d.

    At angle a its detector stands where ours stands at a + 180, and its image runs along -u of ours where ours is below 180.
    """

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pytomography.metadata.SPECT import SPECTObjectMeta, SPECTProjMeta, SPECTPSFMeta
            from pytomography.projectors.SPECT import SPECTSystemMatrix
            from pytomography.transforms.SPECT import SPECTAttenuationTransform, SPECTPSFTransform
        response, spacing_cm = CAMERA.response, GRID.spacing_mm[0] / MM_PER_CM

        def sigma_cm(r_cm: Tensor, slope: float, offset_cm: float, intrinsic_cm: float) -> Tensor:
            return ((slope * r_cm + offset_cm) ** 2 + intrinsic_cm**2) ** 0.5

        angles = torch.arange(VIEWS) * 360.0 / VIEWS
        self.mirrored = angles >= 180.0
        self.order = torch.arange(VIEWS).roll(VIEWS // 2)
        parameters = (response.slope, response.offset_mm / MM_PER_CM, response.intrinsic_mm / MM_PER_CM)
        self.matrix = SPECTSystemMatrix(
            obj2obj_transforms=[
                SPECTAttenuationTransform(attenuation_map=IMAGE.mu_map[0, 0] * MM_PER_CM),
                SPECTPSFTransform(SPECTPSFMeta(sigma_fit_params=parameters, sigma_fit=sigma_cm)),
            ],
            proj2proj_transforms=[],
            object_meta=SPECTObjectMeta([spacing_cm] * 3, list(GRID.shape)),
            proj_meta=SPECTProjMeta((GRID.shape[0], GRID.shape[2]), [spacing_cm] * 2, angles, [RADIUS_MM / MM_PER_CM] * VIEWS),
        )
        self.counts = CAMERA.sensitivity_cps_per_mbq / BQ_PER_MBQ * TIME_PER_VIEW_S * GRID.voxel_volume_ml

    def forward(self, x: Tensor) -> Tensor:
        """Views as planar3d has them, ``(1, view, u, w)``."""
        images = self.matrix.forward(x[0, 0]) * self.counts
        return torch.where(self.mirrored[:, None, None], images.flip(1), images)[self.order][None]

    def osem(self, views: Tensor, start: Tensor, iterations: int, subsets: list[tuple[int, ...]]) -> Tensor:
        """Their OSEM from the same start, subsets in the same order."""
        from pytomography.algorithms import OSEM as TheirOSEM
        from pytomography.likelihoods import PoissonLogLikelihood

        counts = torch.empty_like(views[0])
        counts[self.order] = views[0]
        counts = torch.where(self.mirrored[:, None, None], counts.flip(1), counts)
        parts = [self.order[list(part)].numpy() for part in subsets]
        self.matrix.set_n_subsets = lambda count: setattr(self.matrix, "subset_indices_array", parts)
        algorithm = TheirOSEM(PoissonLogLikelihood(self.matrix, counts), object_initial=start[0, 0] * self.counts)
        return algorithm(n_iters=iterations, n_subsets=len(subsets))[None, None] / self.counts


def resident_mib(name: str) -> float:
    """What this process holds (VmRSS), or the most that it has held since `forget_peak` (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def forget_peak() -> None:
    """Let the peak start from what is resident now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def measure(library: str, iterations: int, subsets: int, folder: Path, views_of: str) -> None:
    """Reconstruct with one library; keep its image in a file, print the rest as JSON."""
    views, start = torch.load(folder / f"views_{views_of}"), torch.load(folder / "start")
    order = [v for _, v in projector().subsets(subsets)] if library == "pytomography" else []
    if library == "pytomography":
        Theirs()  # its imports are not counted
    forget_peak()
    before, began = resident_mib("VmRSS"), time.perf_counter()
    if library == "planar3d":
        problem = TomographicProblem(views=views, projector=projector(), mask=MASK)
        x = OSEM(iterations=iterations, subsets=subsets)(problem, start=start).mean
    else:
        x = Theirs().osem(views, start, iterations, order)
    print(json.dumps({"seconds": time.perf_counter() - began, "memory_mib": resident_mib("VmHWM") - before}))
    torch.save(x, folder / library)


def compare(iterations: int, subsets: int, folder: Path, views_of: str) -> dict[str, Any]:
    """One row of the table."""
    row: dict[str, Any] = {"views_of": views_of, "iterations": iterations, "subsets": subsets}
    for library in LIBRARIES:
        command = [sys.executable, "-W", "ignore", __file__, "measure", library, str(iterations), str(subsets), str(folder), views_of]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        row |= {f"{name}_{library}": value for name, value in json.loads(done.stdout.splitlines()[-1]).items()}
    ours, theirs = (torch.load(folder / library) for library in LIBRARIES)
    row |= {"nmae": float(nmae(ours, theirs)), "total_ratio": float(ours.sum() / theirs.sum())}
    row |= {f"nmae_truth_{library}": float(nmae(x, IMAGE.activity)) for library, x in zip(LIBRARIES, (ours, theirs), strict=True)}
    return row


def main() -> None:
    """Write and print one row per case."""
    if sys.argv[1:2] == ["measure"]:
        library, iterations, subsets, folder, views_of = sys.argv[2:]
        return measure(library, int(iterations), int(subsets), Path(folder), views_of)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder, camera = Path(name), projector()
        for library, forward in zip(LIBRARIES, (camera, Theirs().forward), strict=True):
            counts = poisson(forward(IMAGE.activity).clamp(min=0.0), torch.Generator().manual_seed(0))
            torch.save(counts, folder / f"views_{library}")
            print(f"views of {library}: {counts.sum():.4g} counts")
            if library == "planar3d":
                torch.save(TomographicProblem(views=counts, projector=camera, mask=MASK).uniform_start(), folder / "start")
        for views_of in LIBRARIES:
            for iterations, subsets in CASES:
                rows.append(compare(iterations, subsets, folder, views_of))
                print(json.dumps(rows[-1]), flush=True)
    with (HERE / "agreement.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    return None


if __name__ == "__main__":
    main()
