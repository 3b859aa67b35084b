"""The path of a head around the patient.

Convention: the angle of a view says where the head stands, seen from the middle of the patient: 0 degrees in front (+y), 90 on the
patient's right (+x), 180 behind, 270 on the left. Its normal is ``(sin t, cos t)`` in (x, y). The first axis u of an image is
``(cos t', -sin t')`` with ``t' = t mod 180``, so that opposed views share it and the views at 0 and 180 degrees are the anterior and
posterior of the planar convention, neither mirrored; the second axis is z. DICOM's angle, which starts behind the patient and goes
by the left, is this angle plus 180 degrees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from planar3d.grid import Grid
from planar3d.shapes import BodyMask

__all__ = ["Orbit"]

FULL_TURN_DEG = 360.0
HALF_TURN_DEG = 180.0


@dataclass(frozen=True, kw_only=True)
class Orbit:
    """Views around an axis parallel to z through the middle of the grid.

    Attributes:
        angles_deg: Where the head stands in each view [degree].
        radii_mm: From its collimator's face to the axis in each view [mm].
    """

    angles_deg: tuple[float, ...]
    radii_mm: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.angles_deg:
            raise ValueError("angles_deg is empty; an orbit needs at least one view")
        if len(self.angles_deg) != len(self.radii_mm):
            raise ValueError(f"radii_mm must hold one radius per view, got {len(self.radii_mm)} for {len(self.angles_deg)} angles")
        if not all(math.isfinite(a) for a in self.angles_deg):
            raise ValueError(f"angles_deg must be finite, got {self.angles_deg}")
        if not all(math.isfinite(r) and r > 0 for r in self.radii_mm):
            raise ValueError(f"radii_mm must be positive and finite, got {self.radii_mm}; give millimetres from the face to the axis")

    def __len__(self) -> int:
        return len(self.angles_deg)

    @classmethod
    def circular(cls, views: int, radius_mm: float, *, start_deg: float = 0.0, arc_deg: float = FULL_TURN_DEG) -> Orbit:
        """Equal steps over an arc at one radius.

        Args:
            views: Number of views.
            radius_mm: From the face to the axis [mm].
            start_deg: Angle of the first view [degree].
            arc_deg: Arc that the views share out, its end not included; negative to turn the other way [degree].
        """
        if views < 1:
            raise ValueError(f"views must be at least 1, got {views}")
        angles = tuple(start_deg + k * arc_deg / views for k in range(views))
        return cls(angles_deg=angles, radii_mm=(float(radius_mm),) * views)

    @classmethod
    def contour(cls, angles_deg: Sequence[float], body: BodyMask, grid: Grid, *, clearance_mm: float = 20.0) -> Orbit:
        """As close to a body as it lets a flat head come.

        Args:
            angles_deg: Where the head stands in each view [degree].
            body: The body, ``(1, 1, x, y, z)``.
            grid: Where it lies.
            clearance_mm: Left between the body and the face [mm].

        Raises:
            ValueError: The body is empty.
        """
        section = body[0, 0].any(dim=2).nonzero().to(torch.float64)
        if not len(section):
            raise ValueError("body is empty; give the mask that the head must stay clear of")
        middle = torch.tensor([0.5 * (n - 1) for n in grid.shape[:2]], dtype=torch.float64)
        step = torch.tensor(grid.spacing_mm[:2], dtype=torch.float64)
        across = (section - middle) * step
        angle = torch.deg2rad(torch.tensor(angles_deg, dtype=torch.float64))
        normal = torch.stack([angle.sin(), angle.cos()])
        # a voxel reaches beyond its centre by half its extent along the normal
        reach = (across @ normal).amax(dim=0) + 0.5 * (step[:, None] * normal.abs()).sum(dim=0)
        radii = (reach + clearance_mm).clamp(min=clearance_mm)
        return cls(angles_deg=tuple(float(a) for a in angles_deg), radii_mm=tuple(radii.tolist()))

    def pick(self, views: Sequence[int]) -> Orbit:
        """Some of the views, in the order given."""
        return Orbit(angles_deg=tuple(self.angles_deg[k] for k in views), radii_mm=tuple(self.radii_mm[k] for k in views))

    def axes(self) -> dict[float, tuple[int, ...]]:
        """Views that look along the same line: angle within half a turn [degree] to indices."""
        found: dict[float, list[int]] = {}
        for index, angle in enumerate(self.angles_deg):
            found.setdefault(round(angle % HALF_TURN_DEG, 9) % HALF_TURN_DEG, []).append(index)
        return {axis: tuple(views) for axis, views in found.items()}

    def sides(self) -> tuple[int, ...]:
        """For each view, 1 where the head stands on the positive side of its line and -1 opposite."""
        return tuple(1 if round(angle % FULL_TURN_DEG, 9) % FULL_TURN_DEG < HALF_TURN_DEG else -1 for angle in self.angles_deg)
