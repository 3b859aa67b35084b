"""Organ activities of many acquisitions of one patient: by QPlanar, or summed from the maps of any method.

All acquisitions have the anatomy given in common, so the images of its organs are projected once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.organ_sums import organ_sums
from planar3d.reconstruction.poisson_regression import fit_amplitudes
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.voi import organ_masks, organ_volumes_ml, project_organs
from planar3d.shapes import Volume

__all__ = ["OrganEstimate"]


class OrganEstimate:
    """Estimator of organ activities.

    Args:
        patient: Any problem of the patient, one sample.
        method: Problem to activity map, ``(b, 1, x, y, z)`` [Bq/mL], summed over the organs given; None for QPlanar.
        iterations: Newton steps of QPlanar.

    Attributes:
        ids: Organ ids, ``(k,)``.
        volumes_ml: Volume of each, ``(k,)`` [mL].
    """

    def __init__(self, patient: PlanarProblem, *, method: Callable[[PlanarProblem], Volume] | None = None, iterations: int = 25) -> None:
        if len(patient.views) != 1:
            raise ValueError(f"patient must hold one sample, got {len(patient.views)}; give one patient at a time")
        self.ids, masks = organ_masks(patient.organ_labels)
        self.volumes_ml = organ_volumes_ml(masks, patient.grid.voxel_volume_ml)[0]
        self.method = method
        self.iterations = iterations
        self._images = None if method is not None else (project_organs(patient) * patient.seen[:, None]).flatten(2)
        self._seen = patient.seen

    @torch.no_grad()
    def __call__(self, problem: PlanarProblem) -> Float[Tensor, "b k"]:
        """Activity of every organ, ``(b, k)`` [Bq].

        Args:
            problem: Acquisitions of the patient, ``b`` of them.
        """
        if self._images is None:
            assert self.method is not None
            return organ_sums(self.method(problem), problem.organ_labels)[:, self.ids.long()] * problem.grid.voxel_volume_ml
        seen, images = self._seen.to(problem.views), self._images.to(problem.views)
        y, known = (problem.views * seen).flatten(1), (problem.known_counts * seen).flatten(1)
        return fit_amplitudes(images.expand(len(y), -1, -1), y, background=known, iterations=self.iterations)
