"""Monte Carlo of object scatter: what a parallel-hole camera in front of a water ellipse accepts from a source inside it.

Photons start at a point below the middle of the front, or uniformly, in an infinitely long cylinder of water with elliptic section
(axis z) and are followed through up to six Compton scatters. At every vertex the photon is detected by force: it adds

    w  p_KN(E, cos theta)  exp(-mu(E') depth)        [1/sr]

at the exit line through the vertex toward the detector (+y), with ``theta`` the angle to +y, ``E'`` the energy after that scatter and
``p_KN`` the Klein-Nishina cross-section per solid angle over its total. Unscattered photons add ``exp(-mu(E0) depth) / 4 pi``, so ratios
of the two are ratios of counts. The next vertex is sampled inside the body, from the truncated exponential; the weight takes the
probability of reaching it and the survival ``n_e sigma_KN(E) / mu(E)``. A window counts a photon with the probability that its
energy, blurred by a Gaussian of FWHM ``0.099 sqrt(140.5 keV E)``, falls inside.

``mu`` is the library's narrow-beam attenuation of water. What is not Compton scattering on free electrons therefore removes the photon:
photoelectric absorption, and coherent scattering too. The collimator is ideal: no blur, no penetration, no scatter. The crystal's photopeak
efficiency weighs each photon (9.5 mm of NaI); the column ``ratio_ideal`` does without.

    python experiments/03_object_scatter/monte_carlo.py          # writes results.csv
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from torch import Generator, Tensor

from planar3d.materials import ENERGY_RANGE_KEV, linear_attenuation
from planar3d.physics.crystal import Crystal
from planar3d.physics.energy_window import EnergyWindow, energy_windows
from planar3d.units import FWHM_PER_SIGMA, MM3_PER_ML

ELECTRON_KEV = 510.999
ELECTRON_RADIUS_MM = 2.8179403e-12
ELECTRONS_PER_MM3 = 6.02214076e23 * (0.1119 / 1.008 + 0.8881 * 8.0 / 15.999) / MM3_PER_ML
RESOLUTION = 0.099
RADII_MM = (2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, 80.0, 120.0, 160.0, 240.0)
HERE = Path(__file__).parent

# Entry: its lines as energy [keV]: photons per decay. The first is imaged, the others scatter down.
LUTETIUM_ABOVE = {249.67: 0.0020, 321.32: 0.00216}
ENTRIES: dict[str, dict[float, float]] = {
    "Lu-177/208": {208.37: 0.1038, **LUTETIUM_ABOVE},
    "Lu-177/113": {112.95: 0.062, 208.37: 0.1038, **LUTETIUM_ABOVE},
    "Tc-99m/140": {140.51: 0.891},
    "Tc-99m/140-20%": {140.51: 0.891},
    "I-131/364": {364.49: 0.817, 636.99: 0.0717, 722.91: 0.0177},
    "In-111/171": {171.28: 0.9065, 245.35: 0.9409},
    "In-111/245": {245.35: 0.9409},
    "I-123/159": {158.97: 0.833},
}
# semi-axes (x, y) [mm]: depths of the points [mm]; None is the uniform ellipse
SOURCES: dict[tuple[float, float], tuple[float | None, ...]] = {
    (150.0, 100.0): (10.0, 20.0, 35.0, 50.0, 75.0, 100.0, 125.0, 150.0, 175.0, None),
    (200.0, 150.0): (20.0, 50.0, 100.0, 150.0, 200.0, 250.0, 280.0, None),
}


@dataclass(frozen=True, kw_only=True)
class Detections:
    """Photons toward the detector, each ``(photon,)``: displacement of the exit line [mm], energy [keV], weight [1/sr], scatters."""

    dx_mm: Tensor
    dz_mm: Tensor
    energy_kev: Tensor
    weight: Tensor
    order: Tensor


@cache
def _log_table(quantity: str, step: float = 0.01) -> tuple[float, float, Tensor]:
    """Attenuation of water [1/mm] or efficiency of the crystal: logarithms at equal steps of the logarithm of the energy."""
    crystal = Crystal(thickness_mm=9.5, intrinsic_fwhm_mm=3.6, energy_resolution=RESOLUTION)
    function = {"attenuation": partial(linear_attenuation, "water"), "efficiency": crystal.photopeak_efficiency}[quantity]
    low, high = (math.log(e) for e in ENERGY_RANGE_KEV)
    return low, step, torch.tensor([math.log(function(math.exp(low + i * step))) for i in range(int((high - low) / step) + 1)])


def look_up(quantity: str, energy_kev: Tensor) -> Tensor:
    """Attenuation of water [1/mm] or efficiency of the crystal, interpolated in logarithms."""
    low, step, table = _log_table(quantity)
    table = table.to(energy_kev)
    position = ((energy_kev.log() - low) / step).clamp(0.0, len(table) - 1.001)
    index = position.long()
    return torch.lerp(table[index], table[index + 1], position - index).exp()


attenuation = partial(look_up, "attenuation")


def compton(energy_kev: Tensor) -> Tensor:
    """Klein-Nishina attenuation of water [1/mm]: electron density times total cross-section."""
    k = energy_kev.double() / ELECTRON_KEV
    log = (1.0 + 2.0 * k).log()
    bracket = (1.0 + k) / k**2 * (2.0 * (1.0 + k) / (1.0 + 2.0 * k) - log / k) + log / (2.0 * k) - (1.0 + 3.0 * k) / (1.0 + 2.0 * k) ** 2
    return (ELECTRONS_PER_MM3 * 2.0 * math.pi * ELECTRON_RADIUS_MM**2 * bracket).to(energy_kev.dtype)


def klein_nishina(energy_kev: Tensor, cosine: Tensor) -> tuple[Tensor, Tensor]:
    """Probability per solid angle [1/sr] of scattering by an angle, and the energy after it [keV]."""
    left = 1.0 / (1.0 + energy_kev / ELECTRON_KEV * (1.0 - cosine))
    section = 0.5 * ELECTRON_RADIUS_MM**2 * ELECTRONS_PER_MM3 * left**2 * (left + 1.0 / left - 1.0 + cosine**2)
    return section / compton(energy_kev), energy_kev * left


def sample_cosine(energy_kev: Tensor, generator: Generator) -> Tensor:
    """Cosines of Compton scattering angles by composition and rejection (Butcher and Messel 1960)."""
    k = energy_kev / ELECTRON_KEV
    least = 1.0 / (1.0 + 2.0 * k)
    logarithmic, flat = -least.log(), 0.5 * (1.0 - least**2)
    cosine, todo = torch.empty_like(k), torch.arange(len(k), device=k.device)
    while len(todo):
        u = torch.rand(3, len(todo), generator=generator, device=k.device)
        low = least[todo]
        first = u[0] * (logarithmic + flat)[todo] < logarithmic[todo]
        left = torch.where(first, low ** u[1], (low**2 + (1.0 - low**2) * u[1]).sqrt())
        drop = (1.0 - left) / (k[todo] * left)
        accepted = u[2] <= 1.0 - left * drop * (2.0 - drop) / (1.0 + left**2)
        cosine[todo[accepted]] = 1.0 - drop[accepted]
        todo = todo[~accepted]
    return cosine.clamp(-1.0, 1.0)


def turn(direction: Tensor, cosine: Tensor, azimuth: Tensor) -> Tensor:
    """Directions ``(3, photon)`` turned by an angle, at an azimuth around the old ones."""
    helper = torch.zeros_like(direction)
    helper.scatter_(0, direction.abs().argmin(0, keepdim=True), 1.0)
    first = torch.nn.functional.normalize(torch.linalg.cross(direction, helper, dim=0), dim=0)
    second = torch.linalg.cross(direction, first, dim=0)
    sine = (1.0 - cosine**2).clamp(min=0.0).sqrt()
    return torch.nn.functional.normalize(cosine * direction + sine * (azimuth.cos() * first + azimuth.sin() * second), dim=0)


def simulate(
    *, energy_kev: float, depth_mm: float | None, semi_axes_mm: tuple[float, float], photons: int, cutoff_kev: float, generator: Generator
) -> Detections:
    """Follow photons of one line; those below ``cutoff_kev`` are dropped. ``depth_mm=None`` is the uniform ellipse."""
    device = generator.device
    axes = torch.tensor(semi_axes_mm, device=device)[:, None]

    def front(at: Tensor) -> Tensor:
        return (axes[1] * (1.0 - (at[0] / axes[0]) ** 2).clamp(min=0.0).sqrt() - at[1]).clamp(min=0.0)

    u = torch.rand(4, photons, generator=generator, device=device)
    start = torch.zeros(3, photons, device=device)
    start[1] = semi_axes_mm[1] - (depth_mm or 0.0)
    if depth_mm is None:
        start[:2] = axes * u[0].sqrt() * torch.stack(((2.0 * math.pi * u[1]).cos(), (2.0 * math.pi * u[1]).sin()))
    polar, azimuth = 2.0 * (torch.arange(photons, device=device) + u[2]) / photons - 1.0, 2.0 * math.pi * u[3]  # stratified about +y
    sine = (1.0 - polar**2).clamp(min=0.0).sqrt()
    way = torch.stack((sine * azimuth.cos(), polar, sine * azimuth.sin()))
    at, energy, weight = start, torch.full_like(polar, energy_kev), torch.full_like(polar, 1.0 / photons)
    unscattered = weight * (-attenuation(energy) * front(start)).exp() / (4.0 * math.pi)
    found = [(torch.zeros_like(polar), torch.zeros_like(polar), energy, unscattered, torch.zeros_like(polar))]
    for order in range(1, 7):
        squared = ((way[:2] / axes) ** 2).sum(0).clamp(min=1e-9)
        mixed, inside = (way[:2] * at[:2] / axes**2).sum(0), 1.0 - ((at[:2] / axes) ** 2).sum(0).clamp(max=1.0)
        path = ((mixed**2 + squared * inside).sqrt() - mixed).clamp(min=0.0) / squared
        mu = attenuation(energy)
        reach = -torch.expm1(-mu * path)
        step = -torch.log1p(-reach * torch.rand(len(mu), generator=generator, device=device)) / mu
        at, weight = at + step * way, weight * reach * (compton(energy) / mu).clamp(max=1.0)
        density, seen_kev = klein_nishina(energy, way[1])
        seen = seen_kev >= cutoff_kev
        exits = weight * density * (-attenuation(seen_kev) * front(at)).exp()
        found.append(tuple(v[seen] for v in (at[0] - start[0], at[2] - start[2], seen_kev, exits, torch.full_like(exits, order))))
        cosine = sample_cosine(energy, generator)
        way = turn(way, cosine, 2.0 * math.pi * torch.rand(len(mu), generator=generator, device=device))
        energy = energy / (1.0 + energy / ELECTRON_KEV * (1.0 - cosine))
        kept = energy >= cutoff_kev
        at, way, energy, weight, start = at[:, kept], way[:, kept], energy[kept], weight[kept], start[:, kept]
    dx, dz, seen_kev, exits, orders = (torch.cat(v) for v in zip(*found, strict=True))
    return Detections(dx_mm=dx, dz_mm=dz, energy_kev=seen_kev, weight=exits, order=orders)


def windows_of(entry: str) -> dict[str, EnergyWindow]:
    """Windows of an entry: the library's, and where it has none beside the peak, those next to it with 3 % of the line to either side."""
    isotope, line_kev = entry.split("/")[0], next(iter(ENTRIES[entry]))
    known = energy_windows(isotope, line_kev)
    wide = EnergyWindow(low_kev=0.9 * 140.5, high_kev=1.1 * 140.5)
    peak, width = wide if entry.endswith("20%") else known.peak, 0.06 * line_kev
    lower = known.lower or EnergyWindow(low_kev=peak.low_kev - width, high_kev=peak.low_kev)
    upper = known.upper or EnergyWindow(low_kev=peak.high_kev, high_kev=peak.high_kev + width)
    return {"peak": peak, "lower": lower, "upper": upper}


def accepted(energy_kev: Tensor, window: EnergyWindow) -> Tensor:
    """Probability that the blurred energy falls within the window."""
    sigma = RESOLUTION * (140.5 * energy_kev.double()).sqrt() / FWHM_PER_SIGMA
    return torch.special.ndtr((window.high_kev - energy_kev) / sigma) - torch.special.ndtr((window.low_kev - energy_kev) / sigma)


def count(photon: Detections, window: EnergyWindow) -> Tensor:
    """What a window counts: unscattered, scattered, the same without efficiency, once scattered, x and z moments [mm^2], rings."""
    scattered = photon.order > 0
    ideal = photon.weight * accepted(photon.energy_kev, window)
    weight = ideal * look_up("efficiency", photon.energy_kev)
    w, dx, dz = weight[scattered], photon.dx_mm[scattered], photon.dz_mm[scattered]
    ring = torch.bucketize(torch.hypot(dx, dz), torch.tensor(RADII_MM, device=dx.device))
    sums = (
        weight[~scattered].sum(),
        w.sum(),
        ideal[scattered].sum(),
        w[photon.order[scattered] == 1].sum(),
        (w * dx**2).sum(),
        (w * dz**2).sum(),
    )
    return torch.cat((torch.stack(sums), torch.bincount(ring, weights=w, minlength=len(RADII_MM) + 1))).cpu()


def tabulate(
    *, semi_axes_mm: tuple[float, float], depth_mm: float | None, photons: int, batches: int, seed: int
) -> Iterator[dict[str, str]]:
    """Rows of results.csv for one source: every line in every window, against the imaged line's unscattered photons in its peak window."""
    counts: dict[tuple[str, float, str], list[Tensor]] = {}
    for line_kev in sorted({line for lines in ENTRIES.values() for line in lines}):
        used = [(name, windows_of(name)) for name, lines in ENTRIES.items() if line_kev in lines]
        setting = {"energy_kev": line_kev, "depth_mm": depth_mm, "semi_axes_mm": semi_axes_mm, "photons": photons}
        setting["cutoff_kev"] = 0.85 * min(windows["lower"].low_kev for _, windows in used)
        for batch in range(batches):
            photon = simulate(**setting, generator=torch.Generator().manual_seed(seed + batch))
            for name, windows in used:
                for which, window in windows.items():
                    counts.setdefault((name, line_kev, which), []).append(count(photon, window))
    for (name, line_kev, which), of_batch in counts.items():
        imaged_kev, lines = next(iter(ENTRIES[name])), ENTRIES[name]
        share = lines[line_kev] / lines[imaged_kev] / torch.stack(counts[name, imaged_kev, "peak"])[:, 0].mean()
        each = torch.stack(of_batch)
        total, rms_mm = each.mean(0), (each[:, 4:6] / each[:, 1:2]).mean(1).sqrt()
        figures = {"primary": share * total[0], "ratio": share * total[1], "ratio_error": share * each[:, 1].std() / batches**0.5}
        figures |= {"ratio_ideal": share * total[2] * look_up("efficiency", torch.tensor([imaged_kev])), "single": total[3] / total[1]}
        figures |= {"rms_x_mm": (total[4] / total[1]).sqrt(), "rms_z_mm": (total[5] / total[1]).sqrt()}
        figures |= {"rms_error_mm": rms_mm.std() / batches**0.5}
        figures |= {f"within_{r:g}_mm": f for r, f in zip(RADII_MM, total[6:].cumsum(0) / total[1], strict=False)}
        source = {"semi_x_mm": semi_axes_mm[0], "semi_y_mm": semi_axes_mm[1], "depth_mm": depth_mm or "uniform"}
        row = source | {"entry": name, "line_kev": line_kev, "window": which}
        yield {k: str(v) for k, v in row.items()} | {k: f"{float(v):.4g}" for k, v in figures.items()}


def main() -> None:
    """Write results.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photons", type=int, default=50_000, help="photons per batch, line and source")
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=HERE / "results.csv")
    args = parser.parse_args()
    rows: list[dict[str, str]] = []
    for axes, depths in SOURCES.items():
        for depth in depths:
            rows += tabulate(semi_axes_mm=axes, depth_mm=depth, photons=args.photons, batches=args.batches, seed=args.seed)
            print(f"ellipse {2 * axes[0]:g} x {2 * axes[1]:g} mm, depth {depth or 'uniform'}", flush=True)
    with args.output.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"wrote {args.output}")


if __name__ == "__main__":
    main()
