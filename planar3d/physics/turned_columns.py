"""The sum over depth for views at an angle: columns of a turned volume, made a few rows at a time.

As `planar3d.physics.columns`, but activity is turned by `planar3d.physics.rotation` before it is attenuated, and transmission comes from
the turned mu-map whenever it is needed: a few rows along u are turned, attenuated and mixed while they are in the cache, and no turned
volume is kept for any view. Views that look along the same line share the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.physics.attenuation import transmission_of_rows
from planar3d.physics.columns import Mixed, multiply_each, rows_at_once
from planar3d.physics.rotation import NeighbourTable, Rotation

__all__ = ["TurnedColumns"]


class TurnedColumns:
    """Columns of voxels before the views along one line.

    Args:
        rotation: Turns the grid so that the views look along depth.
        mu_table: Linear attenuation by rows along z, ``(x y, p z)`` [1/mm].
        patients: Number p of patients in ``mu_table``.
        step_mm: Edge of a turned cell [mm].
        sides: For each view, 1 where its head stands at the upper end of depth and -1 at the lower.
    """

    def __init__(self, rotation: Rotation, mu_table: Tensor, *, patients: int, step_mm: float, sides: Sequence[int]) -> None:
        self.rotation = rotation
        self.mu_table = mu_table
        self.patients = patients
        self.step_mm = step_mm
        self.sides = tuple(sides)
        self.across = rotation.u.stop - rotation.u.start
        self.ahead = rotation.depth.stop - rotation.depth.start

    @cached_property
    def _starts(self) -> dict[int, list[int]]:
        """First entry of each row along u, for the tables that are read by rows; as numbers, so that nothing waits for the device."""
        tables = (self.rotation.share, self.rotation.interpolate)
        return {id(t): t.start[:: self.ahead].tolist() for t in tables}

    @cached_property
    def _collected(self) -> list[int]:
        """First entry of each row of the grid."""
        return self.rotation.collect.start.tolist()

    def mix(self, table: Float[Tensor, "xy bz"], weights: Float[Tensor, "view j depth"], volumes: int) -> Mixed:
        """``C T x`` of activity by rows along z."""
        v, j, _ = weights.shape
        nz = table.shape[1] // volumes
        out = table.new_empty(v, self.across, j, volumes, nz)
        for part, seen in self._attenuation(self.rows(table)):
            activity = self.turned(self.rotation.share, table, part).unflatten(2, (self.patients, -1, nz))
            for view in range(v):
                multiply_each(weights[view], (activity * seen[view]).flatten(2), out[view, part].flatten(2))
        return out

    def unmix(self, m: Mixed, weights: Float[Tensor, "view j depth"], buffer: Tensor, total: Float[Tensor, "xy bz"]) -> None:
        """The transpose, by rows along z, added to what is there.

        Args:
            m: Mixed columns.
            weights: As in `mix`.
            buffer: Room for the turned cells, at least ``(u depth, b z)``; what it holds is lost.
            total: What to add to.
        """
        nz = m.shape[4]
        turned = buffer[: self.across * self.ahead].view(self.across, self.ahead, self.patients, -1, nz)
        for part, seen in self._attenuation(self.rows(total)):
            cells = turned[part]
            for view in range(len(weights)):
                spread = torch.empty_like(cells)
                multiply_each(weights[view].T, m[view, part].flatten(2), spread.flatten(2))
                if view == 0:
                    torch.mul(spread, seen[view], out=cells)
                else:
                    cells.addcmul_(spread, seen[view])
        collect, cells = self.rotation.collect, turned.view(-1, total.shape[1])
        at_once = rows_at_once(total.shape[1], total.device)
        for first in range(0, len(total), at_once):
            last = min(first + at_once, len(total))
            total[first:last] += collect.apply(cells, first, last, (self._collected[first], self._collected[last]))

    def turned_mu(self) -> Float[Tensor, "p u depth z"]:
        """The mu-map as the views see it."""
        whole = self.turned(self.rotation.interpolate, self.mu_table, slice(0, self.across))
        return whole.unflatten(2, (self.patients, -1)).permute(2, 0, 1, 3)

    def rows(self, table: Tensor) -> int:
        """How many rows along u to take at a time."""
        return rows_at_once(self.ahead * table.shape[1], table.device)

    def turned(self, neighbours: NeighbourTable, table: Tensor, part: slice) -> Tensor:
        """A few turned rows, ``(u, depth, content)``."""
        starts = self._starts[id(neighbours)]
        bounds = (starts[part.start], starts[part.stop])
        first, last = part.start * self.ahead, part.stop * self.ahead
        return neighbours.apply(table, first, last, bounds).unflatten(0, (-1, self.ahead))

    def _attenuation(self, rows: int):  # noqa: ANN202
        """For a few rows at a time, which they are and the transmission toward each view, ``(u, depth, p, 1, z)``."""
        for start in range(0, self.across, rows):
            part = slice(start, min(start + rows, self.across))
            mu = self.turned(self.rotation.interpolate, self.mu_table, part).unflatten(2, (self.patients, 1, -1))
            yield part, transmission_of_rows(mu, self.step_mm, self.sides)
