"""Monte Carlo of object scatter in a patient: photons of an activity map followed through voxels of different density.

As in `experiments/03_object_scatter/monte_carlo.py`, whose cross-sections, windows and crystal these are, but in any anatomy: tissue is
water whose density goes with the mu-map, the way to the next interaction is found by delta tracking (Woodcock 1965), and at each
interaction the photon is detected by force in both heads. What it adds, relative to unscattered photons of the line imaged,

    w  4 pi p_KN(E, cos theta)  exp(-int mu(E') dy)  accepted(E') / accepted(E0),

is collected in the voxel where it scattered last. The image of these volumes without attenuation is the image of the scatter: the camera's
own blur is that of the distance from which the photons come.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch
from torch import Generator, Tensor

from planar3d.grid import Grid
from planar3d.phantom.synthesis import Phantom
from planar3d.physics import GammaCamera

sys.path.insert(0, str(Path(__file__).parents[1] / "03_object_scatter"))
from monte_carlo import (
    ELECTRON_KEV,
    ENTRIES,
    accepted,
    attenuation,
    compton,
    klein_nishina,
    look_up,
    sample_cosine,
    turn,
    windows_of,
)

ORDERS = 6
CHUNK = 250_000
CUTOFF = 0.85  # of the lower edge of the window; below that no photon counts


def scatter_images(phantom: Phantom, camera: GammaCamera, grid: Grid, *, entry: str, photons: int, generator: Generator) -> Tensor:
    """Expected scatter in both views of a phantom, ``(1, view, x, z)``.

    Args:
        phantom: One patient.
        camera: Before it; its scatter is not used.
        grid: Where the phantom lies.
        entry: As in `scatter_sources`, and
        photons: likewise, and
        generator: likewise.
    """
    sources = scatter_sources(phantom.activity[0, 0], phantom.mu_map[0, 0], grid, entry=entry, photons=photons, generator=generator)
    through_air = camera.projector(torch.zeros_like(phantom.mu_map), grid)
    return torch.stack([through_air(sources[None, view : view + 1])[:, view] for view in (0, 1)], dim=1)


def scatter_sources(activity: Tensor, mu_map: Tensor, grid: Grid, *, entry: str, photons: int, generator: Generator) -> Tensor:
    """Volumes whose unattenuated images are the scatter in both views, ``(view, x, y, z)`` [Bq/mL].

    Args:
        activity: ``(x, y, z)`` [Bq/mL].
        mu_map: Attenuation at the line imaged, ``(x, y, z)`` [1/mm].
        grid: Where both lie.
        entry: Isotope and line imaged, as in ``"Lu-177/208"``.
        photons: Photons followed, of all lines alike.
        generator: Where they are drawn from.
    """
    lines = ENTRIES[entry]
    imaged_kev = next(iter(lines))
    window = windows_of(entry)["peak"]

    def counted(energy_kev: Tensor) -> Tensor:
        return accepted(energy_kev, window) * look_up("efficiency", energy_kev)

    unscattered = counted(torch.tensor([imaged_kev]))
    density = mu_map / attenuation(torch.tensor([imaged_kev]))
    total, found = float(activity.sum()), torch.zeros(2, activity.numel(), dtype=torch.float64)
    for line_kev, yielded in lines.items():
        followed = photons // len(lines)
        for first in range(0, followed, CHUNK):
            n = min(CHUNK, followed - first)
            for view, voxel, energy, weight in _scattered(activity, density, grid, line_kev, n, CUTOFF * window.low_kev, generator):
                share = total * yielded / lines[imaged_kev] / followed
                found[view].index_add_(0, voxel, (share * weight * counted(energy) / unscattered).double())
    return found.view(2, *activity.shape).float()


def _scattered(activity: Tensor, density: Tensor, grid: Grid, line_kev: float, n: int, cutoff_kev: float, generator: Generator):  # noqa: ANN202
    """View, voxels, energies [keV] and weights of what photons of a line add, interaction after interaction."""
    shape, spacing = torch.tensor(grid.shape), torch.tensor(grid.spacing_mm)
    to_front, to_back = _water_along_y(density, grid)
    start = torch.multinomial(activity.flatten().double(), n, replacement=True, generator=generator)
    corner = torch.stack(torch.unravel_index(start, grid.shape))
    at = corner + torch.rand(3, n, generator=generator)  # in voxels; voxel i reaches from i to i + 1
    polar, azimuth = 2.0 * torch.rand(n, generator=generator) - 1.0, 2.0 * math.pi * torch.rand(n, generator=generator)
    sine = (1.0 - polar**2).sqrt()
    way = torch.stack((sine * azimuth.cos(), polar, sine * azimuth.sin()))
    energy, weight = torch.full((n,), line_kev), torch.ones(n)
    for _ in range(ORDERS):
        met = _next_interaction(at, way, attenuation(energy), density, shape, spacing, generator)
        at, way, energy, weight = at[:, met], way[:, met], energy[met], weight[met]
        weight = weight * (compton(energy) / attenuation(energy)).clamp(max=1.0)
        index = at.long()
        voxel = (index[0] * grid.shape[1] + index[1]) * grid.shape[2] + index[2]
        within = at[1] - index[1]
        here = density.flatten()[voxel] * spacing[1]
        for view, (sign, beyond, part) in enumerate(((1.0, to_front, 1.0 - within), (-1.0, to_back, within))):
            probability, seen_kev = klein_nishina(energy, sign * way[1])
            water_mm = beyond.flatten()[voxel] + part * here
            seen = seen_kev >= cutoff_kev
            added = weight * 4.0 * math.pi * probability * (-attenuation(seen_kev) * water_mm).exp()
            yield view, voxel[seen], seen_kev[seen], added[seen]
        cosine = sample_cosine(energy, generator)
        way = turn(way, cosine, 2.0 * math.pi * torch.rand(len(cosine), generator=generator))
        energy = energy / (1.0 + energy / ELECTRON_KEV * (1.0 - cosine))
        kept = energy >= cutoff_kev
        at, way, energy, weight = at[:, kept], way[:, kept], energy[kept], weight[kept]


def _water_along_y(density: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Water [mm] between each voxel, without it, and the front and the back."""
    along = density * grid.spacing_mm[1]
    behind = along.cumsum(dim=1) - along
    return along.flip(1).cumsum(dim=1).flip(1) - along, behind


def _next_interaction(at: Tensor, way: Tensor, mu: Tensor, density: Tensor, shape: Tensor, spacing: Tensor, generator: Generator) -> Tensor:
    """Move photons to their next interaction, in place; the numbers of those that have one."""
    densest = float(density.max())
    flying, met = torch.arange(len(mu)), [torch.arange(0)]
    while len(flying):
        step = -torch.log1p(-torch.rand(len(flying), generator=generator)) / (mu[flying] * densest)
        at[:, flying] += step * way[:, flying] / spacing[:, None]
        index = at[:, flying].floor().long()
        inside = ((index >= 0) & (index < shape[:, None])).all(dim=0)
        flying, index = flying[inside], index[:, inside]
        real = torch.rand(len(flying), generator=generator) * densest < density[index[0], index[1], index[2]]
        met.append(flying[real])
        flying = flying[~real]
    return torch.cat(met).sort().values
