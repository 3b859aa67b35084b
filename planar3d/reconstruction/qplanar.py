"""QPlanar: maximum-likelihood activities of organs through the camera (He and Frey 2006).

``y ~ Poisson(P a + b)`` with ``P[:, k]`` the expected counts of 1 Bq in organ k (`planar3d.reconstruction.voi`), ``a >= 0`` the activity of
each organ and b known; what lies in no mask is an organ too, ``body``. Overlap and background are thus part of the model, not subtracted.
The map is constant within an organ. Standard errors come from the Fisher information, times the root of the dispersion
(`planar3d.reconstruction.dispersion`): they are the spread by counting noise when the model is right, and grow with what it leaves
unexplained when it is not; the variance of one count comes on top. A wrong mask that the images do not betray is in no standard error,
nor is the noise of an estimated b.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.reconstruction.dispersion import dispersion
from planar3d.reconstruction.poisson_regression import fisher_covariance, fit_amplitudes, one_count
from planar3d.reconstruction.posterior import OrganActivities, Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.registration import OffsetPrior, register
from planar3d.reconstruction.voi import organ_masks, project_each, unit_maps

__all__ = ["QPlanar"]


class QPlanar:
    """Poisson maximum likelihood of organ activities.

    Args:
        iterations: Newton steps after the first EM steps; more than needed costs little.
        estimate_offset: Whether to estimate the rigid offset from the CT as well (`planar3d.reconstruction.registration`); the map is
            then returned in the position imaged.
        offset_iterations: Gauss-Newton steps of the offset.
        offset_prior: What offsets are expected; None for the default.
        count_misfit: Whether standard errors grow with misfit; if not, they are those by counting noise alone. With
            ``estimate_offset`` they always grow.
    """

    name = "qplanar"

    def __init__(
        self,
        *,
        iterations: int = 25,
        estimate_offset: bool = False,
        offset_iterations: int = 6,
        offset_prior: OffsetPrior | None = None,
        count_misfit: bool = True,
    ) -> None:
        for name, value in (("iterations", iterations), ("offset_iterations", offset_iterations)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.iterations = iterations
        self.estimate_offset = estimate_offset
        self.offset_iterations = offset_iterations
        self.offset_prior = offset_prior or OffsetPrior()
        self.count_misfit = count_misfit

    def __call__(self, problem: PlanarProblem) -> Posterior:
        """Reconstruct a batch."""
        if self.estimate_offset:
            found = register(problem, prior=self.offset_prior, iterations=self.offset_iterations, newton_steps=self.iterations)
            posterior = _posterior(problem, found.unit_maps, found.images, found.activity_bq, found.covariance_bq2)
            return replace(posterior, offset=found.offset)
        unit = unit_maps(organ_masks(problem.organ_labels)[1].to(problem.views), problem.grid.voxel_volume_ml)
        images = project_each(problem.projector, unit)
        P = (images * problem.seen[:, None]).flatten(2)
        y, known = problem.views * problem.seen, problem.known_counts * problem.seen
        activity = fit_amplitudes(P, y.flatten(1), background=known.flatten(1), iterations=self.iterations)
        expected = torch.einsum("bk,bkn->bn", activity, P).view_as(y) + known
        covariance = fisher_covariance(P, expected.flatten(1))
        if self.count_misfit:
            covariance = covariance * dispersion(y, expected, problem.grid)[:, None, None]
        return _posterior(problem, unit, images, activity, covariance)


def _posterior(
    problem: PlanarProblem,
    unit: Float[Tensor, "b k x y z"],
    images: Float[Tensor, "b k view x z"],
    activity: Float[Tensor, "b k"],
    covariance: Float[Tensor, "b k k"],
) -> Posterior:
    """Maps of organ activities and their standard errors, none of them below that of one count."""
    least = one_count((images * problem.seen[:, None]).flatten(2)).to(covariance)
    covariance = covariance + torch.diag_embed(least.square())
    error = covariance.diagonal(dim1=1, dim2=2).clamp(min=0.0).sqrt()
    return Posterior(
        mean=torch.einsum("bk,bkxyz->bxyz", activity, unit).unsqueeze(1),
        std=torch.einsum("bk,bkxyz->bxyz", error, unit).unsqueeze(1),
        organs=OrganActivities(
            ids=organ_masks(problem.organ_labels)[0], activity_bq=activity, standard_error_bq=error, covariance_bq2=covariance
        ),
        expected_views=torch.einsum("bk,bkvxz->bvxz", activity, images) + problem.known_counts,
    )
