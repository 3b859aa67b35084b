"""Photons through a parallel-hole collimator of lead: what passes the holes, what penetrates septa, what scatters in them.

A point source emits isotropically at a distance from the face; its place over the hexagonal pattern is uniform, so that the result is
the mean response. Along a straight ray that crosses a length ``l`` of lead the photon survives with ``exp(-mu(E) l)``; ``l`` is summed
over equal steps with a common random offset. A photon that interacts is kept as a Compton scatter (Klein-Nishina, free electrons) with
weight ``mu_incoherent / mu`` and goes on, up to `ORDERS` scatters; at every vertex the chance of leaving through the back without another
interaction is counted in full. Coherent scattering is taken as forward; the X-rays of lead lie below all windows.

Directions and scattering angles are drawn where they matter, with weights. What leaves meets the crystal of `crystal_response`. All lines
of an isotope count in the window of each: scattered down in lead, or with part of their energy in the crystal.

    python experiments/04_collimator/ray_trace.py          # writes results.csv, the figure and planar3d/physics/collimator_tails.json
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from dataclasses import dataclass, field, fields

import torch
from crystal_response import ELECTRON_KEV, CrystalResponse, at, attenuation
from torch import Tensor

from planar3d.physics.camera_head import CameraHead, camera_head, camera_names
from planar3d.physics.collimator import Collimator
from planar3d.physics.energy_window import energy_windows

LEAD_DENSITY = 11.35
ORDERS = 3
STEPS = 192
BATCH = 10_000
CELLS = 384
GAP_MM = 5.0  # from the back of the collimator to the mean interaction in the crystal
WIDEST = math.cos(math.radians(78.0))
DISTANCES_MM = (50.0, 100.0, 200.0, 300.0)
RADII_MM = torch.cat([torch.arange(0.0, 60.0, 0.5), torch.logspace(math.log10(60.0), math.log10(800.0), 61)])

# photons per decay by energy [keV]: ICRP Publication 107, lines close together merged; Lu-177 as in planar3d.radionuclide
LINES: dict[str, dict[float, float]] = {
    "Lu-177": {112.95: 0.062, 208.37: 0.1038, 249.67: 0.0021, 321.32: 0.0022},
    "Tc-99m": {140.51: 0.8906},
    "I-123": {158.97: 0.833, 346.4: 0.0013, 440.0: 0.0043, 528.0: 0.0209, 624.6: 0.0011, 740.0: 0.0015},
    "In-111": {171.28: 0.9065, 245.35: 0.9409},
    "I-131": {284.3: 0.0614, 325.8: 0.0027, 364.49: 0.817, 503.0: 0.0036, 637.2: 0.0739, 722.9: 0.0177},
}
Windows = dict[tuple[str, float], tuple[float, float]]
OTHER = "_of_other_lines"
IMAGED = (
    ("Lu-177", 208.37),
    ("Lu-177", 112.95),
    ("Tc-99m", 140.51),
    ("I-123", 158.97),
    ("In-111", 171.28),
    ("In-111", 245.35),
    ("I-131", 364.49),
)


@dataclass
class Tally:
    """Counts in rings about the source, ``(distance, ring)``, by what happened and to which line."""

    rings: defaultdict[str, Tensor] = field(default_factory=lambda: defaultdict(lambda: torch.zeros(len(DISTANCES_MM), len(RADII_MM) - 1)))

    def add(self, kind: str, weight: Tensor, tangent: Tensor, offset: Tensor) -> None:
        """Photons with the tangent of their first direction and the way gone sideways behind the face, ``(photon, 2)``."""
        for row, distance in enumerate(DISTANCES_MM):
            radius = (distance * tangent + offset).norm(dim=1)
            ring = torch.searchsorted(RADII_MM, radius.contiguous(), right=True) - 1
            inside = ring < len(RADII_MM) - 1
            self.rings[kind][row].index_add_(0, ring[inside], weight[inside])

    def merge(self, other: Tally, factor: float, suffix: str = "") -> None:
        """Add the counts of one line."""
        for kind, rings in other.rings.items():
            self.rings[kind + suffix] += factor * rings

    def total(self) -> Tensor:
        """Counts in rings, whatever happened."""
        return torch.stack(list(self.rings.values())).sum(dim=0)


class Pattern:
    """The hexagonal pattern of holes, looked up in one rectangular cell of it."""

    def __init__(self, collimator: Collimator) -> None:
        pitch = collimator.hole_mm + collimator.septum_mm
        self.size = torch.tensor([pitch, pitch * math.sqrt(3.0)])
        x, y = torch.meshgrid(*((torch.arange(CELLS) + 0.5) / CELLS * extent for extent in self.size), indexing="ij")
        normal = torch.tensor([[1.0, 0.0], [0.5, math.sqrt(0.75)], [-0.5, math.sqrt(0.75)]])
        hole = torch.zeros_like(x, dtype=torch.bool)
        for i in (0, 1):
            for j in (0, 1):
                hole |= self._in_hexagon(x - i * pitch, y - j * self.size[1], normal, collimator.hole_mm)
        hole |= self._in_hexagon(x - 0.5 * pitch, y - 0.5 * self.size[1], normal, collimator.hole_mm)
        self.lead = (~hole).float().flatten()

    @staticmethod
    def _in_hexagon(x: Tensor, y: Tensor, normal: Tensor, across_mm: float) -> Tensor:
        return torch.stack([(x * n[0] + y * n[1]).abs() for n in normal]).amax(dim=0) < 0.5 * across_mm

    def lead_mm(self, start: Tensor, direction: Tensor, length_mm: Tensor, offset: Tensor) -> Tensor:
        """Lead along rays, cumulated over `STEPS` equal steps, ``(photon, step)`` [mm]."""
        way = length_mm[:, None] * ((torch.arange(STEPS) + offset[:, None]) / STEPS)
        place = torch.zeros_like(way, dtype=torch.long)
        for axis in (0, 1):
            cell = (start[:, axis, None] + way * direction[:, axis, None]) / self.size[axis]
            place = place * CELLS + ((cell - cell.floor()) * CELLS).long().clamp(max=CELLS - 1)
        return self.lead[place].cumsum(dim=1) * (length_mm / STEPS)[:, None]


@dataclass
class Photons:
    """Photons inside the collimator; the first axis of every field counts them.

    Attributes:
        direction: Unit vector, z into the collimator.
        weight: Photons per emitted photon that each stands for.
        tangent: Tangent of the direction of emission.
        entry: Place on the face [mm].
        position: Place beside the axis [mm].
        depth: Depth behind the face [mm].
        energy: Energy [keV].
    """

    direction: Tensor
    weight: Tensor
    tangent: Tensor
    entry: Tensor
    position: Tensor
    depth: Tensor
    energy: Tensor

    def __getitem__(self, kept: Tensor) -> Photons:
        return Photons(*(getattr(self, f.name)[kept] for f in fields(self)))


class Tracer:
    """Traces photons of one line through a collimator into the windows of a camera.

    Args:
        head: The camera.
        crystal: What its crystal does.
        windows: Edges of the windows [keV], by isotope and imaged line.
        seed: Seed of the photons.
    """

    def __init__(self, head: CameraHead, crystal: CrystalResponse, windows: Windows, *, seed: int = 0) -> None:
        self.collimator, self.resolution = head.collimator, head.crystal.energy_resolution
        self.crystal, self.windows = crystal, windows
        self.pattern, self.photo_incoherent = Pattern(head.collimator), attenuation("Pb", LEAD_DENSITY)
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, energy_kev: float, *, photons: int) -> dict[tuple[str, float], Tally]:
        """Counts per emitted photon in each window."""
        tallies = {key: Tally() for key in self.windows}
        for start in range(0, photons, BATCH):
            batch = self._emitted(min(BATCH, photons - start), energy_kev, photons)
            for order in range(ORDERS + 1):
                way_out = (self.collimator.length_mm - batch.depth) / batch.direction[:, 2]
                lead = self.pattern.lead_mm(batch.position, batch.direction, way_out, self._random(len(way_out)))
                mu_photo, mu_incoherent = (at(part, batch.energy) for part in self.photo_incoherent)
                mu = mu_photo + mu_incoherent
                out = torch.exp(-mu * lead[:, -1])
                self._count(tallies, batch, order, lead[:, -1], out, way_out)
                kept = out < 1.0 - 1e-6
                if order == ORDERS or not kept.any():
                    break
                batch = self._collided(*(p[kept] for p in (batch, lead, mu, mu_incoherent / mu, out, way_out)))
        return tallies

    def _count(self, tallies: dict, batch: Photons, order: int, lead_mm: Tensor, out: Tensor, way_out: Tensor) -> None:
        """What leaves through the back without another interaction."""
        cosine = batch.direction[:, 2]
        offset = batch.position + batch.direction[:, :2] * (way_out + GAP_MM / cosine)[:, None] - batch.entry
        through = lead_mm == 0.0
        kinds = {"scatter": torch.ones_like(through)} if order else {"geometric": through, "penetration": ~through}
        for key, tally in tallies.items():
            counted = batch.weight * out * self.crystal.chance(batch.energy, cosine, self.windows[key], self.resolution)
            for kind, kept in kinds.items():
                tally.add(kind, counted[kept], batch.tangent[kept], offset[kept])

    def _collided(self, batch: Photons, lead: Tensor, mu: Tensor, scattered: Tensor, out: Tensor, way_out: Tensor) -> Photons:
        """The photons that interact on their way out, moved to that place and scattered there; those that turn back are given up."""
        size = len(out)
        target = -torch.log1p(-self._random(size) * (1.0 - out)) / mu
        step = (lead < target[:, None]).sum(dim=1).clamp(max=STEPS - 1)
        run = way_out * (step + self._random(size)) / STEPS
        cosine, factor = _scattered(batch.energy, self.generator)
        moved = Photons(
            direction=_turned(batch.direction, cosine, 2.0 * math.pi * self._random(size)),
            weight=batch.weight * (1.0 - out) * scattered * factor,
            tangent=batch.tangent,
            entry=batch.entry,
            position=batch.position + batch.direction[:, :2] * run[:, None],
            depth=batch.depth + batch.direction[:, 2] * run,
            energy=batch.energy / (1.0 + batch.energy / ELECTRON_KEV * (1.0 - cosine)),
        )
        return moved[(moved.direction[:, 2] > 0.05) & (moved.depth < self.collimator.length_mm) & (moved.energy > 60.0)]

    def _emitted(self, size: int, energy_kev: float, photons: int) -> Photons:
        """Photons on the face: directions drawn from three nested cones, so that holes, near septa and far ones are all met."""
        spread = 1.25 * 1.155 * self.collimator.hole_mm / self.collimator.length_mm
        edge, share = [WIDEST, math.cos(math.radians(25.0)), 1.0 / math.hypot(1.0, spread)], [0.35, 0.3, 0.35]
        low = torch.tensor(edge)[torch.multinomial(torch.tensor(share), size, replacement=True, generator=self.generator)]
        cosine = low + (1.0 - low) * self._random(size)
        density = torch.stack([(cosine >= e) * (s / (1.0 - e)) for e, s in zip(edge, share, strict=True)]).sum(dim=0)
        azimuth, sine = 2.0 * math.pi * self._random(size), (1.0 - cosine * cosine).clamp(min=0.0).sqrt()
        direction = torch.stack([sine * torch.cos(azimuth), sine * torch.sin(azimuth), cosine], dim=1)
        entry = torch.rand(size, 2, generator=self.generator) * self.pattern.size
        return Photons(
            direction=direction,
            weight=0.5 / density / photons,
            tangent=direction[:, :2] / direction[:, 2:],
            entry=entry,
            position=entry,
            depth=torch.zeros(size),
            energy=torch.full((size,), energy_kev),
        )

    def _random(self, size: int) -> Tensor:
        return torch.rand(size, generator=self.generator)


def _scattered(energy_kev: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cosines, half of them below 40 degrees, where photons stay in the window, and the weights that make them Klein-Nishina."""
    forward = math.cos(math.radians(40.0))
    low = torch.where(torch.rand(energy_kev.shape, generator=generator) < 0.5, forward, -1.0)
    cosine = low + (1.0 - low) * torch.rand(energy_kev.shape, generator=generator)
    density = 0.25 + (cosine >= forward) * (0.5 / (1.0 - forward))
    k = energy_kev / ELECTRON_KEV
    p = 1.0 / (1.0 + k * (1.0 - cosine))
    differential = p * p * (p + 1.0 / p - 1.0 + cosine * cosine)
    log = torch.log1p(2.0 * k)
    total = (1.0 + k) / k**2 * (2.0 * (1.0 + k) / (1.0 + 2.0 * k) - log / k) + 0.5 * log / k - (1.0 + 3.0 * k) / (1.0 + 2.0 * k) ** 2
    return cosine, differential / (2.0 * total * density)


def _turned(direction: Tensor, cosine: Tensor, azimuth: Tensor) -> Tensor:
    """Directions turned by an angle about themselves."""
    helper = torch.where(direction[:, 2:].abs() < 0.9, torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0]))
    first = torch.nn.functional.normalize(torch.linalg.cross(helper, direction), dim=1)
    second = torch.linalg.cross(direction, first)
    sine = (1.0 - cosine * cosine).clamp(min=0.0).sqrt()[:, None]
    return cosine[:, None] * direction + sine * (torch.cos(azimuth)[:, None] * first + torch.sin(azimuth)[:, None] * second)


def head_tallies(head: CameraHead, crystal: CrystalResponse, *, photons: int) -> dict[tuple[str, float], Tally]:
    """Counts per decay in the window of every imaged line of every isotope."""
    found = {}
    for isotope, lines in LINES.items():
        windows = {}
        for name, line_kev in IMAGED:
            if name == isotope:
                peak = energy_windows(isotope, line_kev).peak
                windows[name, line_kev] = (peak.low_kev, peak.high_kev)
        sums = {key: Tally() for key in windows}
        for energy, per_decay in lines.items():
            for key, tally in Tracer(head, crystal, windows)(energy, photons=photons).items():
                sums[key].merge(tally, per_decay, "" if energy == key[1] else OTHER)
        found |= sums
    return found


def main() -> None:
    """Trace, fit, write."""
    from fit_tails import write

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photons", type=int, default=200_000, help="photons followed for each line and head")
    parser.add_argument("--heads", nargs="*", default=list(camera_names()))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    crystal = CrystalResponse()
    tallies = {}
    for name in arguments.heads:
        tallies[name] = head_tallies(camera_head(name), crystal, photons=arguments.photons)
        print(name, flush=True)
    write(tallies)


if __name__ == "__main__":
    main()
