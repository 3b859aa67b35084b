"""Phantoms with camera per second at 56 x 40 x 64 voxels of 8 mm: ``rate_N_threads.csv``.

``python experiments/07_biodistributions/rate.py [threads|cuda]``; on a GPU 88 x 64 x 96 voxels, batches of 16 and 64, ``rate_cuda.csv``.
Medians over batches of wall time per sample, of the whole (`PlanarSimulator.simulate`), of drawing and rendering, and of camera and
counts; beside them a forward and backward pass of the default network on the same grid, and the peak of memory.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from planar3d.anatomy.digital import digital_patient
from planar3d.anatomy.patient import Patient
from planar3d.config import CONFIG_DIR
from planar3d.data.anatomy_bank import AnatomyBank
from planar3d.grid import Grid
from planar3d.io import write_csv
from planar3d.simulation import PlanarSimulator

HERE = Path(__file__).parent
DEVICE = "cuda" if "cuda" in sys.argv[1:] else "cpu"
GRID = Grid.centred((88, 64, 96) if DEVICE == "cuda" else (56, 40, 64), 8.0)
BATCH_SIZES = (16, 64) if DEVICE == "cuda" else (4, 8)
BATCHES = 12
ENERGY_KEV = 208.0


def main() -> None:
    """Time every kind of phantom."""
    threads = int(sys.argv[1]) if len(sys.argv) > 1 and DEVICE == "cpu" else 2
    torch.set_num_threads(threads)
    labels, mu_map = anatomies()
    rows = []
    for name in ("psma", "psma_population", "dotatate_population", "iodine", "bone_agent"):
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            cfg = compose("simulate", [f"phantom={name}", "output_dir=out"])
        camera, synthesizer = (instantiate(part, _convert_="all") for part in (cfg.camera, cfg.phantom))
        simulator = PlanarSimulator(camera=camera, synthesizer=synthesizer)
        for batch in BATCH_SIZES:
            chosen = torch.arange(batch) % len(labels)
            anatomy = {"labels": labels[chosen], "mu_map": mu_map[chosen], "grid": GRID}

            def seeds(turn: int, batch: int = batch) -> torch.Tensor:
                return torch.arange(batch) + batch * turn

            def whole(turn: int, simulator: PlanarSimulator = simulator, anatomy: dict = anatomy, seeds: Callable = seeds) -> None:
                simulator.simulate(given_labels=anatomy["labels"], seeds=seeds(turn), **anatomy)

            phantom = synthesizer.render(synthesizer.draw(seeds(0)), **anatomy)

            def synthesis(turn: int, anatomy: dict = anatomy, seeds: Callable = seeds, synthesizer: object = synthesizer) -> None:
                synthesizer.render(synthesizer.draw(seeds(turn)), **anatomy)

            def imaging(turn: int, phantom: object = phantom, simulator: PlanarSimulator = simulator, seeds: Callable = seeds) -> None:
                expected = simulator.camera.projector(phantom.mu_map, GRID)(phantom.activity)
                simulator._expose(phantom.activity, expected, seeds(turn))

            ms = {what: 1e3 * median_s(run) / batch for what, run in (("whole", whole), ("synthesis", synthesis), ("camera", imaging))}
            rows.append({"phantom": name, "threads": threads, "batch": batch, "per_second": round(1e3 / ms["whole"], 1),
                         "whole_ms": round(ms["whole"], 1), "synthesis_ms": round(ms["synthesis"], 1),
                         "camera_and_counts_ms": round(ms["camera"], 1)})  # fmt: skip
            print(rows[-1], flush=True)
    print(f"resident memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB, imports included")
    if DEVICE == "cuda":
        print(f"memory of the GPU at most {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB")
    print(f"network, forward and backward: {1e3 * network_s():.0f} ms per sample")
    write_csv(HERE / (f"rate_{threads}_threads.csv" if DEVICE == "cpu" else "rate_cuda.csv"), rows)


def network_s(batch: int = 4) -> float:
    """Wall time per sample of a forward and backward pass of the default network."""
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        net = instantiate(compose("train", ["output_dir=out"]).net, _convert_="all").to(DEVICE)
    inputs = torch.randn(batch, net.in_channels, *GRID.shape, device=DEVICE)
    start = now()
    net(inputs).square().mean().backward()
    return (now() - start) / batch


def anatomies() -> tuple[torch.Tensor, torch.Tensor]:
    """Labels and mu-maps of four digital patients in the middle of the grid."""
    patients: list[Patient] = [digital_patient(seed, spacing_mm=8.0) for seed in (1, 2, 3, 4)]
    bank = AnatomyBank.from_patients(patients, energies_kev=[ENERGY_KEV])
    return fitted(bank.labels).long().to(DEVICE), fitted(bank.mu_maps[ENERGY_KEV]).to(DEVICE)


def fitted(volume: torch.Tensor) -> torch.Tensor:
    """A volume cut or padded with zeros to the grid about its middle."""
    for axis, wanted in enumerate(GRID.shape, start=2):
        size = volume.shape[axis]
        if size > wanted:
            volume = volume.narrow(axis, (size - wanted) // 2, wanted)
    pads = [p for n, m in zip(reversed(GRID.shape), reversed(volume.shape[2:]), strict=True) for p in ((n - m) // 2, n - m - (n - m) // 2)]
    return torch.nn.functional.pad(volume, pads)


def median_s(run: Callable[[int], None]) -> float:
    """Median wall time of a batch after one to warm up."""
    run(0)
    times = []
    for turn in range(1, BATCHES + 1):
        start = now()
        run(turn)
        times.append(now() - start)
    return statistics.median(times)


def now() -> float:
    """Wall time once the device has done what it was asked for [s]."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
