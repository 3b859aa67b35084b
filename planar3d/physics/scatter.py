"""Object scatter: photons that scatter in the patient and still fall into the energy window.

A source under ``d`` mm of water-equivalent tissue adds to its unscattered image ``p`` a scattered one of relative strength
``ratio_per_mm d`` and lateral standard deviation ``spread d``. Both are the leading terms of Klein-Nishina Monte Carlo in a
30 x 20 cm water ellipse with 9.9 % energy resolution at 140 keV and a 20 % window: at 208 keV the scatter-to-primary ratio is
0.22, 0.43 and 0.64 at 5, 10 and 15 cm and the lateral rms 1.3, 2.5 and 3.5 cm.

The width varies from voxel to voxel, so each voxel is shared between images of fixed widths (nodes) by linear interpolation in
depth: a sum over depth per node and one blur per node, cheaper than the unscattered part and exactly linear in activity.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from planar3d.units import MM_PER_CM

__all__ = ["ObjectScatter"]

# scatter-to-primary ratio per cm of water, from the same Monte Carlo: keV -> 1/cm
RATIO_PER_CM = {112.95: 0.125, 140.51: 0.061, 208.37: 0.043, 364.49: 0.0243}
SPREAD = 0.25


@dataclass(frozen=True, kw_only=True)
class ObjectScatter:
    """Depth-dependent scatter kernel.

    Attributes:
        ratio_per_mm: Scatter-to-primary ratio per mm of water in front of the source [1/mm].
        spread: Lateral standard deviation of the scattered image per mm of water in front [mm/mm].
        node_step_mm: Distance of the depth nodes [mm].
        nodes: Number of nodes; deeper sources have the width of the last.
    """

    ratio_per_mm: float
    spread: float = SPREAD
    node_step_mm: float = 50.0
    nodes: int = 6

    @classmethod
    def at_energy(cls, energy_kev: float) -> ObjectScatter:
        """Kernel for an imaging line.

        Raises:
            ValueError: No figures are known for the energy.
        """
        for known_kev, ratio_per_cm in RATIO_PER_CM.items():
            if abs(known_kev - energy_kev) < 1.0:
                return cls(ratio_per_mm=ratio_per_cm / MM_PER_CM)
        known = ", ".join(f"{e:g}" for e in RATIO_PER_CM)
        raise ValueError(
            f"scatter: no kernel for energy_kev={energy_kev:g}; known are {known} keV; give ObjectScatter(ratio_per_mm=...) instead"
        )

    def sigma_mm(self) -> Tensor:
        """Scatter widths of the nodes, ``(node,)`` [mm]."""
        return self.spread * self.node_step_mm * torch.arange(self.nodes, dtype=torch.float64)

    def node_weight(self, depth_mm: Tensor, node: int) -> Tensor:
        """Relative strength with which sources at a depth [mm] appear in the image of one node."""
        position = (depth_mm / self.node_step_mm).clamp(max=self.nodes - 1)
        return self.ratio_per_mm * depth_mm * (1.0 - (position - node).abs()).clamp(min=0.0)
