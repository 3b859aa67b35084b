"""Solids as functions: negative inside, positive outside, about the distance to the surface in mm near it.

A solid is evaluated at `Points`, the places of a grid's voxels in the reference frame of a digital patient. The union of solids is
their minimum, the intersection their maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial import KDTree
from torch import Tensor

__all__ = [
    "Field", "Number", "Points", "Profile", "Section", "Tube", "ball", "ellipsoid", "mirrored", "smooth_union", "spline", "union",
]  # fmt: skip

Field = Float[Tensor, "x y z"]
Number = float | int
FAR_MM = 1e3
TUBE_STEP_MM = 3.0
PAIRS_AT_ONCE = 1 << 26


@dataclass(frozen=True, kw_only=True)
class Points:
    """Places at which solids are evaluated, each coordinate ``(x, y, z)`` [mm].

    Attributes:
        x: Toward the patient's right.
        y: Anterior.
        z: Superior.
    """

    x: Field
    y: Field
    z: Field


def ellipsoid(
    at: Points, centre: Sequence[Number], half_axes: Sequence[Number], *, turn_deg: Sequence[Number] = (0.0, 0.0, 0.0), power: float = 2.0
) -> Field:
    """Superellipsoid ``sum |u_i / a_i|^power < 1``.

    Args:
        at: Where to evaluate.
        centre: Its middle [mm].
        half_axes: Half axes along its own x, y, z [mm].
        turn_deg: Right-handed turns about x, then y, then z.
        power: 2 is an ellipsoid; more is boxier.
    """
    axes = _rotation(turn_deg).T / np.asarray(half_axes)[:, None]
    d = (at.x - centre[0], at.y - centre[1], at.z - centre[2])
    u = [(float(row[0]) * d[0] + float(row[1]) * d[1] + float(row[2]) * d[2]).abs() for row in axes]
    slope = torch.sqrt(sum(((c / float(a)) ** 2 for c, a in zip(u, half_axes, strict=True)), start=torch.zeros_like(at.x)))
    if power == 2.0:
        r = torch.sqrt(u[0] * u[0] + u[1] * u[1] + u[2] * u[2])
    else:
        r = (u[0] ** power + u[1] ** power + u[2] ** power) ** (1.0 / power)
    return _distance(r, slope, float(min(half_axes)))


def ball(at: Points, centre: Sequence[Number], radius_mm: Number) -> Field:
    """Ball."""
    return torch.sqrt((at.x - centre[0]) ** 2 + (at.y - centre[1]) ** 2 + (at.z - centre[2]) ** 2) - radius_mm


def union(*fields: Field) -> Field:
    """Where any of the solids is."""
    result = fields[0]
    for field in fields[1:]:
        result = torch.minimum(result, field)
    return result


def smooth_union(a: Field, b: Field, blend_mm: float) -> Field:
    """Where any of two solids is, with the crease between them filled over ``blend_mm``."""
    share = (0.5 + 0.5 * (b - a) / blend_mm).clamp(0.0, 1.0)
    return torch.lerp(b, a, share) - blend_mm * share * (1.0 - share)


def mirrored(at: Points) -> Points:
    """Places folded onto the right half, for solids that come in pairs."""
    return Points(x=at.x.abs(), y=at.y, z=at.z)


class Profile:
    """A smooth function of height, monotone between its knots.

    Args:
        knots: Height z [mm] to value.
    """

    def __init__(self, knots: dict[int, Number]) -> None:
        z, value = (np.array(v) for v in zip(*sorted(knots.items()), strict=True))
        self._curve = PchipInterpolator(z, value)
        self._low, self._high = float(z[0]), float(z[-1])
        steps = np.arange(self._low, self._high + 1.0)
        self._table = torch.from_numpy(self._curve(np.minimum(steps, self._high))).float()

    def __call__(self, z: Field) -> Field:
        """Values at heights, constant beyond the knots."""
        index = (z - self._low).round().long().clamp(0, len(self._table) - 1)
        return self._table.to(index.device)[index]

    def at(self, z: Number) -> float:
        """Value at one height."""
        return float(self._curve(min(max(z, self._low), self._high)))


@dataclass(frozen=True, kw_only=True)
class Section:
    """A column whose axial cross-section is a superellipse that changes with height.

    Attributes:
        half_width: Half axis along x by height [mm].
        half_depth: Half axis along y by height [mm].
        middle_y: Its centre along y by height [mm].
        power: 2 is an ellipse; more is boxier.
    """

    half_width: Profile
    half_depth: Profile
    middle_y: Profile
    power: float = 2.4

    def __call__(self, at: Points) -> Field:
        """Distance in the axial plane [mm]."""
        a, b = self.half_width(at.z), self.half_depth(at.z)
        u, v = at.x.abs() / a, (at.y - self.middle_y(at.z)).abs() / b
        r = (u**self.power + v**self.power) ** (1.0 / self.power)
        return _distance(r, torch.sqrt((u / a) ** 2 + (v / b) ** 2), 20.0)

    def rim(self, angle_deg: Number, z: Number, outward_mm: Number = 0.0) -> tuple[Number, Number, Number]:
        """Point on the outline, at an angle from the patient's right (0) over anterior (90)."""
        a, b = self.half_width.at(z) + outward_mm, self.half_depth.at(z) + outward_mm
        c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
        r = (abs(c) ** self.power + abs(s) ** self.power) ** (-1.0 / self.power)
        return float(a * c * r), float(self.middle_y.at(z) + b * s * r), z


@dataclass(frozen=True, kw_only=True)
class Tube:
    """A round tube of varying radius along a curve, or several such tubes as one solid.

    Attributes:
        path: Points of the curves, dense ``(n, 3)`` [mm].
        radius: Radius at each point ``(n,)`` [mm].
    """

    path: np.ndarray
    radius: np.ndarray

    @classmethod
    def along(cls, knots: Sequence[Sequence[Number]] | np.ndarray, radius_mm: Number | Sequence[Number]) -> Tube:
        """Tube along a smooth curve through knots; radius one number or one per knot [mm]."""
        path, position = spline(np.asarray(knots, dtype=float))
        radii = np.broadcast_to(np.asarray(radius_mm, dtype=float), (len(knots),))
        return cls(path=path, radius=np.interp(position, np.arange(len(knots)), radii))

    @classmethod
    def joined(cls, tubes: Sequence[Tube]) -> Tube:
        """Union of tubes."""
        return cls(path=np.concatenate([t.path for t in tubes]), radius=np.concatenate([t.radius for t in tubes]))

    def __call__(self, at: Points, *, reach_mm: float = 20.0) -> Field:
        """Distance to the wall [mm]; no nearer than ``reach_mm`` beyond it is told apart."""
        xyz = (at.x, at.y, at.z)
        margin = reach_mm + float(self.radius.max())
        low, high = self.path.min(axis=0) - margin, self.path.max(axis=0) + margin
        near = torch.ones_like(at.x, dtype=torch.bool)
        for c, lo, hi in zip(xyz, low, high, strict=True):
            near &= (c > float(lo)) & (c < float(hi))
        result = torch.full_like(at.x, FAR_MM)
        points = torch.stack([c[near] for c in xyz], dim=-1)
        if len(points):
            result[near] = self._depth(points, margin)
        return result

    def _depth(self, points: Float[Tensor, "n 3"], margin: float) -> Float[Tensor, " n"]:
        """Distance to the wall, on a CPU by a tree of the curve's points, on an accelerator by all pairs [mm]."""
        return self.depth_by_tree(points, margin) if points.device.type == "cpu" else self.depth_by_pairs(points, margin)

    def depth_by_tree(self, points: Float[Tensor, "n 3"], margin: float) -> Float[Tensor, " n"]:
        """Distance to the wall, `FAR_MM` where the curve is farther than a margin [mm]."""
        distance, index = KDTree(self.path).query(points.numpy(), distance_upper_bound=margin)
        radius = np.append(self.radius, 0.0)[index]
        return torch.from_numpy(np.minimum(distance - radius, FAR_MM)).to(points)

    def depth_by_pairs(self, points: Float[Tensor, "n 3"], margin: float) -> Float[Tensor, " n"]:
        """The same, on any device."""
        path, radius = torch.from_numpy(self.path).to(points), torch.from_numpy(self.radius).to(points)
        depths = []
        for some in points.split(max(1, PAIRS_AT_ONCE // len(path))):
            distance, index = torch.cdist(some, path, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
            depths.append(torch.where(distance < margin, distance - radius[index], FAR_MM))
        return torch.cat(depths)


def spline(knots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dense points of a smooth curve through knots ``(n, 3)``, and where each lies between them (0 to n - 1)."""
    lengths = np.linalg.norm(np.diff(knots, axis=0), axis=1)
    position = np.linspace(0, len(knots) - 1, max(2, int(lengths.sum() / TUBE_STEP_MM) + 1))
    chord = np.concatenate([[0.0], np.cumsum(np.sqrt(lengths))])  # centripetal: no loops between uneven knots
    return CubicSpline(chord, knots)(np.interp(position, np.arange(len(knots)), chord)), position


def _distance(r: Field, slope: Field, most_mm: float) -> Field:
    """First-order distance ``(r - 1) / |grad r|`` of a radius-like function of degree one; ``slope`` is ``r |grad r|``."""
    return (r - 1.0) * torch.where(r > 1e-3, r / slope.clamp(min=1e-9), most_mm)


def _rotation(turn_deg: Sequence[Number]) -> np.ndarray:
    """Rotation about x, then y, then z, ``(3, 3)``."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
