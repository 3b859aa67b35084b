"""Time and memory of a posterior of 16 samples of a digital patient at 4.8 mm, its torso or its whole body.

``python experiments/13_posterior/speed.py [cpu|cuda] [torso|whole_body]``
"""

from __future__ import annotations

import resource
import sys
import time

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from planar3d.anatomy.digital import digital_patient
from planar3d.anatomy.field import field_named
from planar3d.config import CONFIG_DIR
from planar3d.reconstruction.problem import PlanarProblem

SPACING_MM = 4.8
SEED = 900_000


def main() -> None:
    """Image, reconstruct, tell."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    field = sys.argv[2] if len(sys.argv) > 2 else "torso"
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        given = ["planar=none", "patient.ct=none", "patient.labels=none"]
        cfg = compose("reconstruct", [*given, "method=diffusion"])
        camera = instantiate(compose("simulate", ["output_dir=out"]).camera, _convert_="all")
    method = instantiate(cfg.method, _convert_="all")
    patient = digital_patient(SEED, SPACING_MM, field_named(field), device=device)
    labels, mu_map = patient.labels[None].to(device), patient.mu_map(camera.energy_kev)[None].to(device)
    views = camera.projector(mu_map, patient.grid)((labels > 0).float() * 1e3).round()
    problem = PlanarProblem.from_camera(camera, views=views, mu_map=mu_map, labels=labels, grid=patient.grid)
    method.net.to(device)
    for turn in ("first", "second"):
        started = time.perf_counter()
        posterior = method(problem)
        if device == "cuda":
            torch.cuda.synchronize()
        print(f"{turn}: {len(posterior.samples)} samples of {tuple(patient.grid.shape)} in {time.perf_counter() - started:.1f} s")
    peak = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.1f} GiB, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
