"""The same patients as a SPECT: what a planar estimate is compared with where the truth is not known, as in a clinic.

``y ~ Poisson(A a)`` for the activity ``a`` of a planar simulation in the anatomy as it lay when imaged; ``A`` is a head that turns about it
for a given time per view. OSEM (`planar3d.reconstruction.osem`) makes the reference from ``y`` and that same anatomy's mu-map, as a
SPECT/CT has it. Every sample counts with a generator of its own, so sample k is the same at any batch size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from planar3d.batch import Batch
from planar3d.grid import Grid
from planar3d.organs import BACKGROUND
from planar3d.physics import GammaCamera, Orbit, poisson
from planar3d.reconstruction.osem import OSEM, TomographicProblem
from planar3d.reconstruction.posterior import Posterior
from planar3d.shapes import BodyMask, Volume

__all__ = ["SpectReference"]

NOISE_STREAM = 0x59EC7  # keeps these counts apart from the planar ones and from the phantom of the same seed


class SpectReference:
    """Images patients as a SPECT and reconstructs them.

    Args:
        camera: One head; its ``dwell_time_s`` is the time per view, and its distances are not used.
        osem: The reconstruction.
        views: Number of views over a full turn.
        radius_mm: From the face of the head to the axis; None keeps it as close to the anatomy given as a flat head can come [mm].
        clearance_mm: Left between that anatomy and the face where ``radius_mm`` is None [mm].
    """

    def __init__(
        self, *, camera: GammaCamera, osem: OSEM, views: int = 60, radius_mm: float | None = None, clearance_mm: float = 20.0
    ) -> None:
        if views < 1:
            raise ValueError(f"views must be at least 1, got {views}")
        if radius_mm is not None and not radius_mm > 0:
            raise ValueError(f"radius_mm must be positive, got {radius_mm}; give millimetres from the face to the axis, or none")
        if not clearance_mm >= 0:
            raise ValueError(f"clearance_mm must be non-negative, got {clearance_mm}")
        self.camera = camera
        self.osem = osem
        self.views = views
        self.radius_mm = radius_mm
        self.clearance_mm = clearance_mm

    def __call__(self, truth: Batch, imaged_mu_map: Volume, grid: Grid, seeds: Tensor) -> Posterior:
        """The reference maps of simulated patients.

        Args:
            truth: The patients; of the anatomy given, the body that the head keeps clear of, all samples in one.
            imaged_mu_map: Linear attenuation in the position imaged, ``(b, 1, x, y, z)`` [1/mm].
            grid: Where the volumes lie.
            seeds: One integer per sample, ``(b,)``.
        """
        return self.osem(self.problem(truth, imaged_mu_map, grid, seeds))

    def problem(self, truth: Batch, imaged_mu_map: Volume, grid: Grid, seeds: Tensor) -> TomographicProblem:
        """The noisy views and what is known of the patient; arguments as of a call."""
        if len(seeds) != len(truth):
            raise ValueError(f"seeds must hold one seed per sample, {len(truth)}, got {len(seeds)}")
        mask = (imaged_mu_map > 0) | (truth.imaged_labels != BACKGROUND)
        orbit = self.orbit((truth.mu_map > 0).any(dim=0, keepdim=True), grid)
        projector = self.camera.rotating_projector(imaged_mu_map, grid, orbit, support=mask)
        expected = projector(truth.activity)
        counts = [
            poisson(e, torch.Generator(device=e.device).manual_seed(int(s) ^ NOISE_STREAM))
            for e, s in zip(expected, seeds.tolist(), strict=True)
        ]
        return TomographicProblem(views=torch.stack(counts), projector=projector, mask=mask)

    def orbit(self, body: BodyMask, grid: Grid) -> Orbit:
        """The path of the head around a body, ``(1, 1, x, y, z)``."""
        circle = Orbit.circular(self.views, 1.0 if self.radius_mm is None else self.radius_mm)
        return circle if self.radius_mm is not None else Orbit.contour(circle.angles_deg, body, grid, clearance_mm=self.clearance_mm)
