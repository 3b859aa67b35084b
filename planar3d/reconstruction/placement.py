"""Where a planar image lies relative to the CT, found from its counts.

The anatomy is projected once. Every offset d on a lattice gives a window of counts y, explained by organ activities above a floor of
uptake that all of the body has, ``m = f b + P a``, and scored by the deviance that organs explain and a blur of the image B y does not,

    S(d) = D(y, B y) - D(y, P a + f b).

Both deviances are summed, not averaged, over the pixels of the window and taken for counts whose standard deviation is
``sqrt(m + (alpha m)^2)``: Poisson noise, and a model that is wrong by the share alpha in every pixel. With Poisson noise alone the
hottest spots decide, and hot salivary glands make fair kidneys; the floor forbids a body that lies half in the air; and the blur, which
is as good over the legs and beside the patient as organs are, keeps windows with little in them from winning.

In simulated whole-body images of digital patients (lesions, hot glands, a bent anatomy) the median error of what is accepted is 4 mm, and
about one in 25 is off by more than a pixel along an axis: look at the sheet. Where no place is clearly best the position is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from planar3d.grid import Grid
from planar3d.physics import PlanarProjector
from planar3d.reconstruction.voi import organ_masks, project_each
from planar3d.shapes import LabelMap, ViewPair

__all__ = ["Placement", "place"]

MODEL_ERROR = 0.7
"""alpha: by which share organs of even uptake are wrong in a pixel."""

FLOOR = 0.6
"""Least uptake of the body, against the median over the patient in the image."""

BLUR_MM = 29.0
FARTHEST_ASIDE_MM = 80.0
ELSEWHERE_MM = 40.0
FEWEST_COVERED = 0.5
SURE = 0.13
"""Margin, as deviance per pixel, from which on a placement counts as sure."""

_EM_STEPS = 12
_WINDOWS_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where an image lies.

    Attributes:
        offset_mm: To be added to the position of the image along x and z to bring it to the coordinates of the CT [mm].
        margin: By how much deviance per pixel of the window the place is better than any other more than 40 mm away.
        gain: By how much deviance per pixel of the window organs are better than a blur of the image.
    """

    offset_mm: tuple[float, float]
    margin: float
    gain: float


@dataclass(frozen=True, kw_only=True)
class _Windows:
    """Counts that the CT may cover, of each candidate.

    Attributes:
        offset_mm: Of each candidate along x and z, ``(c, 2)`` [mm].
        start: First pixel of each along x and z, ``(c, 2)``.
        layers: Counts, their blur, and which pixels the image has, cut into windows ``(3, view, i, k, x, z)``.
        level: Median counts of a pixel of the patient.
    """

    offset_mm: Float[Tensor, "c 2"]
    start: Tensor
    layers: Float[Tensor, "3 view i k x z"]
    level: float

    def cut(self, part: slice) -> list[Float[Tensor, "c n"]]:
        """Counts, blur and which pixels are imaged, of some candidates."""
        i, k = self.start[part].unbind(1)
        return list(self.layers[:, :, i, k].transpose(1, 2).flatten(2))


def place(
    projector: PlanarProjector,
    labels: LabelMap,
    grid: Grid,
    counts_on: Callable[[Grid], ViewPair],
    extent_mm: tuple[tuple[float, float], tuple[float, float]],
) -> Placement:
    """The offset at which the organs explain the image best, to half a pixel of the grid.

    Args:
        projector: The camera before the anatomy.
        labels: Organ ids, at least ``body`` wherever the body is, ``(1, 1, x, y, z)``.
        grid: Where they lie; as tight about the body as can be, in pixels of about 10 mm.
        counts_on: Brings the image, in its own coordinates, to the x, z pixels of any grid, zero where it has none.
        extent_mm: Outer edges of the image in its own coordinates: (lowest, highest) along x, then along z [mm].

    Raises:
        ValueError: No place is clearly better than all others.
    """
    images = project_each(projector, organ_masks(labels)[1].to(projector.transmission))[0]
    coarse = _windows(images, grid, counts_on, extent_mm, (0.0, 0.0))
    score = _scores(images, coarse)
    if not bool(score.isfinite().any()):
        raise _unsure()
    best = coarse.offset_mm[score.argmax()]
    others = score[(coarse.offset_mm - best).norm(dim=1) > ELSEWHERE_MM]
    margin = float(score.max() - others.max()) / images[0].numel() if len(others) else 0.0
    found, top = best, float(score.max())
    if not (margin >= SURE and top >= 0.0):
        raise _unsure()
    for phase in ((0.5, 0.0), (0.0, 0.5), (0.5, 0.5)):
        fine = _windows(images, grid, counts_on, extent_mm, phase, near=best)
        score = _scores(images, fine)
        if len(score) and float(score.max()) > top:
            found, top = fine.offset_mm[score.argmax()], float(score.max())
    return Placement(offset_mm=(float(found[0]), float(found[1])), margin=margin, gain=top / images[0].numel())


def _unsure() -> ValueError:
    return ValueError(
        "acquisition.origin_mm is required: the planar image does not say where it lies relative to the CT, and its counts fit the organs "
        "in the CT at no place clearly best; give the centre of its pixel at the patient's left and feet as acquisition.origin_mm=[x,z] in "
        "the CT's coordinates (mm, right and head positive)"
    )


def _windows(
    images: Float[Tensor, "k view x z"],
    grid: Grid,
    counts_on: Callable[[Grid], ViewPair],
    extent_mm: tuple[tuple[float, float], tuple[float, float]],
    phase: tuple[float, float],
    near: Float[Tensor, " 2"] | None = None,
) -> _Windows:
    """All windows on a lattice moved by a share of a pixel, or those within a pixel and a half of an offset."""
    step, size = (grid.spacing_mm[0], grid.spacing_mm[2]), images.shape[2:]
    count = [math.ceil((high - low) / s) + 2 * (n // 2) for (low, high), s, n in zip(extent_mm, step, size, strict=True)]
    first = [low + (0.5 - n // 2 + p) * s for (low, _), s, n, p in zip(extent_mm, step, size, phase, strict=True)]
    wide = Grid(shape=(count[0], 1, count[1]), spacing_mm=grid.spacing_mm, origin_mm=(first[0], 0.0, first[1]))
    counts = counts_on(wide)[0].to(images)
    axes = [torch.arange(n).to(images) * s + o for n, s, o in zip(count, step, first, strict=True)]
    inside = [(a - 0.49 * s >= low) & (a + 0.49 * s <= high) for a, s, (low, high) in zip(axes, step, extent_mm, strict=True)]
    imaged = (inside[0][:, None] & inside[1]).to(images).expand_as(counts)
    layers = torch.stack([counts, _blurred(counts, imaged, [BLUR_MM / s for s in step]), imaged])
    layers = layers.unfold(2, size[0], 1).unfold(3, size[1], 1)
    start = torch.cartesian_prod(*(torch.arange(n, device=images.device) for n in layers.shape[2:4]))
    corner = torch.stack([a[start[:, i]] for i, a in enumerate(axes)], dim=1)
    offset = corner.new_tensor([grid.origin_mm[0], grid.origin_mm[2]]) - corner
    if near is None:
        profile = images.sum(dim=(0, 1, 3))
        middle = (profile * torch.arange(size[0]).to(profile)).sum() / profile.sum() * step[0]
        aside = corner[:, 0] + middle - (counts.sum(dim=(0, 2)) * axes[0]).sum() / counts.sum().clamp(min=1e-9)
        kept = aside.abs() <= FARTHEST_ASIDE_MM
    else:
        kept = ((offset - near).abs() <= 1.5 * corner.new_tensor(step)).all(dim=1)
    return _Windows(offset_mm=offset[kept], start=start[kept], layers=layers, level=_level(counts, imaged))


def _level(counts: Float[Tensor, "view x z"], imaged: Float[Tensor, "view x z"]) -> float:
    """Median counts of a pixel of the patient, who is where there is at least a quarter of the mean."""
    smooth = _blurred(counts, imaged, [1.0, 1.0])[imaged > 0]
    return float(smooth[smooth >= 0.25 * smooth.mean()].median())


def _blurred(counts: Float[Tensor, "view x z"], imaged: Float[Tensor, "view x z"], sd_pixels: list[float]) -> Float[Tensor, "view x z"]:
    """Gaussian blur that knows where the image ends."""
    planes = torch.stack([counts * imaged, imaged]).flatten(0, 1).unsqueeze(1)
    for dim, sd in enumerate(sd_pixels):
        reach = math.ceil(3 * sd)
        kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1).to(counts) / sd) ** 2)
        shape, padding = ((-1, 1), (reach, 0)) if dim == 0 else ((1, -1), (0, reach))
        planes = F.conv2d(planes, (kernel / kernel.sum()).view(1, 1, *shape), padding=padding)
    above, below = planes.squeeze(1).unflatten(0, (2, -1))
    return above / below.clamp(min=1e-3)


def _scores(images: Float[Tensor, "k view x z"], windows: _Windows) -> Float[Tensor, " c"]:
    """S of each candidate; minus infinity where the image has too little of the body."""
    body = images.sum(dim=0).flatten()
    floor = FLOOR * windows.level * body / body[body >= 0.01 * body.max()].median()
    # scatter, arms and what else lies beside the body are even
    patterns = torch.cat([images.flatten(1), torch.ones_like(body)[None]])
    patterns = patterns / patterns.sum(dim=1, keepdim=True)
    scores = []
    for begin in range(0, len(windows.start), _WINDOWS_AT_ONCE):
        y, blurred, imaged = windows.cut(slice(begin, begin + _WINDOWS_AT_ONCE))
        gain = _deviance(y, blurred, imaged) - _deviance(y, _fit(patterns, floor, y, imaged), imaged)
        covered = imaged @ body / body.sum()
        scores.append(gain.masked_fill(covered < FEWEST_COVERED, -torch.inf))
    return torch.cat(scores) if scores else body.new_zeros(0)


def _fit(patterns: Float[Tensor, "k n"], floor: Float[Tensor, " n"], y: Float[Tensor, "c n"], imaged: Float[Tensor, "c n"]) -> Tensor:
    """Expected counts of the organs above the floor, ``(c, n)``, by multiplicative steps that weight pixels as `_deviance` does."""
    amplitude = (y * imaged).sum(dim=1, keepdim=True).expand(-1, len(patterns)) / len(patterns)
    for _ in range(_EM_STEPS):
        expected = (floor + amplitude @ patterns).clamp(min=1e-6)
        weight = imaged / (1.0 + MODEL_ERROR**2 * expected)
        amplitude = amplitude * ((weight * y / expected) @ patterns.T) / (weight @ patterns.T).clamp(min=1e-9)
    return floor + amplitude @ patterns


def _deviance(y: Float[Tensor, "c n"], expected: Float[Tensor, "c n"], imaged: Float[Tensor, "c n"]) -> Float[Tensor, " c"]:
    """Deviance of the negative binomial distribution with variance ``m + (alpha m)^2`` over the pixels imaged."""
    m, a = expected.clamp(min=1e-4), MODEL_ERROR**2
    terms = torch.xlogy(y, y / m) - (y + 1.0 / a) * (torch.log1p(a * y) - torch.log1p(a * m))
    return 2.0 * (terms * imaged).sum(dim=1)
