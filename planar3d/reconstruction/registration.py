"""Where the patient lay when imaged: the rigid offset from the CT, estimated along with the organ activities.

Joint Poisson maximum likelihood of ``y ~ Poisson(P(q) a + b)`` over activities ``a >= 0`` and six offset parameters q, masks and
attenuation moving together, with a Gaussian prior on q: depth in particular is nearly invisible to two opposed views. So that the prior
counts although the model is never quite right, the likelihood is tempered by the misfit (`planar3d.reconstruction.dispersion`). Each
Gauss-Newton step takes the derivative of the views with respect to q through the camera, solves for a and q jointly by their Fisher
information, keeps the step length of highest likelihood, and then fits a anew.

Where the masks explain the activity the offset comes out to a fraction of a voxel. Where they do not (lesions or hot bowel in no mask),
the offset is bent to make up for it and can do more harm than good, so it is for the user to ask for.

The derivative is a central difference over half a voxel: a trilinearly moved mask has a kink wherever voxels fall onto voxels, above all at
q = 0, where every fit starts, and the one-sided derivative there is off by half a voxel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.grid import Grid
from planar3d.physics import PlanarProjector
from planar3d.reconstruction.dispersion import dispersion
from planar3d.reconstruction.poisson_regression import fisher_covariance, fit_amplitudes
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.rigid_offset import RigidOffset
from planar3d.reconstruction.voi import organ_masks, project_each, unit_maps
from planar3d.shapes import ViewPair

__all__ = ["OffsetPrior", "Registration", "move_problem", "register"]

_EDGE_MM = 20.0
_LENGTHS = (1.0, 0.5, 0.25, 0.1, 0.02)


@dataclass(frozen=True, kw_only=True)
class OffsetPrior:
    """Standard deviations of a Gaussian prior about no offset.

    Attributes:
        translation_mm: Of the translations across the views, along x and z [mm].
        depth_mm: Of the translation along y [mm]; small, because an estimate of it is mostly noise and the bed holds it.
        rotation_deg: Of each rotation [degree].
    """

    translation_mm: float = 4.0
    depth_mm: float = 1.5
    rotation_deg: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Registration:
    """An anatomy brought to where it was imaged, and its fit.

    Attributes:
        offset: The offset with its standard errors.
        unit_maps: Unit map of each organ there, ``(b, k, x, y, z)`` [1/mL].
        images: Their expected counts, ``(b, k, view, x, z)`` [counts/Bq].
        activity_bq: ``(b, k)`` [Bq].
        covariance_bq2: Of the activities, the offset being uncertain too, ``(b, k, k)`` [Bq^2].
    """

    offset: RigidOffset
    unit_maps: Float[Tensor, "b k x y z"]
    images: Float[Tensor, "b k view x z"]
    activity_bq: Float[Tensor, "b k"]
    covariance_bq2: Float[Tensor, "b k k"]


def register(problem: PlanarProblem, *, prior: OffsetPrior, iterations: int, newton_steps: int) -> Registration:
    """Estimate offset and organ activities together.

    Args:
        problem: What is given. Without `PlanarProblem.camera` the activity moves and the attenuation stays.
        prior: What offsets are expected.
        iterations: Gauss-Newton steps.
        newton_steps: Newton steps of each fit of activities.
    """
    fit = _Fit(problem, prior, newton_steps)
    q = problem.views.new_zeros(len(problem.views), 6)
    for _ in range(iterations):
        q = fit.step(q)
    return fit.result(q)


def move_problem(problem: PlanarProblem, offset: RigidOffset) -> PlanarProblem:
    """The same views with the anatomy where it was imaged; without `PlanarProblem.camera` the attenuation stays where it was."""
    labels = offset.move_labels(problem.labels, problem.grid)
    if problem.camera is None:
        return replace(problem, labels=labels)
    mu_map = offset.move(problem.mu_map, problem.grid)
    return replace(problem, labels=labels, mu_map=mu_map, projector=problem.projector_before(mu_map))


class _Fit:
    """Likelihood of activities and offset of one problem."""

    def __init__(self, problem: PlanarProblem, prior: OffsetPrior, newton_steps: int) -> None:
        self.problem, self.newton_steps = problem, newton_steps
        self.unit = unit_maps(organ_masks(problem.organ_labels)[1].to(problem.views), problem.grid.voxel_volume_ml)
        self.pixels = problem.seen * _away_from_ends(problem.grid, problem.views)
        self.y = (problem.views * self.pixels).flatten(1)
        self.known = (problem.known_counts * self.pixels).flatten(1)
        self.prior_sd = self.y.new_tensor([prior.translation_mm, prior.depth_mm, prior.translation_mm, *[prior.rotation_deg] * 3])
        self.difference = self.y.new_tensor(_difference_steps(problem.grid))

    def step(self, q: Tensor) -> Tensor:
        """A Gauss-Newton step of the offset ``(b, 6)``, as long as serves the likelihood best."""
        P = self.organ_images(q)[1]
        P = (P * self.pixels[:, None]).flatten(2)
        a = fit_amplitudes(P, self.y, background=self.known, iterations=self.newton_steps)
        expected, J = self.floored(torch.einsum("bk,bkn->bn", a, P) + self.known), self.jacobian(q, a)
        phi = self.dispersion(expected)
        gradient = torch.einsum("bjn,bn->bj", J, self.y / expected - 1.0) / phi - q / self.prior_sd**2
        free = torch.cat([P * (a > 0)[:, :, None], J], dim=1)
        covariance = fisher_covariance(free, expected * phi, prior_precision=self.prior_precision(a))
        move = torch.einsum("bij,bj->bi", covariance[:, :, -6:], gradient)
        lengths = q.new_tensor([*_LENGTHS, 0.0])
        trial_q = q[:, None] + lengths[None, :, None] * move[:, None, -6:]
        trial_a = (a[:, None] + lengths[None, :, None] * move[:, None, :-6]).clamp(min=0.0)
        best = self.log_posterior(trial_q, trial_a, phi).argmax(dim=1)
        return trial_q[torch.arange(len(q), device=q.device), best]

    def result(self, q: Tensor) -> Registration:
        """Activities and standard errors at an offset; all pixels count again, the ends of the field too."""
        unit, images = self.organ_images(q)
        seen = self.problem.seen
        P = (images * seen[:, None]).flatten(2)
        y, known = ((counts * seen).flatten(1) for counts in (self.problem.views, self.problem.known_counts))
        a = fit_amplitudes(P, y, background=known, iterations=self.newton_steps)
        both = torch.cat([(images * self.pixels[:, None]).flatten(2), self.jacobian(q, a)], dim=1)
        expected = self.floored(torch.einsum("bk,bkn->bn", a, both[:, :-6]) + self.known)
        covariance = fisher_covariance(both, expected * self.dispersion(expected), prior_precision=self.prior_precision(a))
        error = covariance.diagonal(dim1=1, dim2=2)[:, -6:].sqrt()
        offset = RigidOffset(
            translation_mm=q[:, :3], rotation_deg=q[:, 3:], translation_error_mm=error[:, :3], rotation_error_deg=error[:, 3:]
        )
        return Registration(offset=offset, unit_maps=unit, images=images, activity_bq=a, covariance_bq2=covariance[:, :-6, :-6])

    def organ_images(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """Unit maps of the organs moved by ``(b, 6)``, and their images."""
        offset = RigidOffset(translation_mm=q[:, :3], rotation_deg=q[:, 3:])
        unit = offset.move(self.unit, self.problem.grid)
        return unit, project_each(self.projector(offset, 1), unit)

    def jacobian(self, q: Tensor, a: Tensor) -> Tensor:
        """Derivative of the expected counts with respect to the offset, ``(b, 6, pixel)``."""
        shifts = torch.diag(self.difference)
        views = self.views(q[:, None] + torch.cat([shifts, -shifts]), a[:, None].expand(-1, 12, -1))
        return (views[:, :6] - views[:, 6:]) / (2.0 * self.difference[:, None])

    def log_posterior(self, q: Tensor, a: Tensor, phi: Tensor) -> Tensor:
        """Of trials ``(b, trial, 6)`` and ``(b, trial, k)`` at dispersion ``(b, 1)``: ``(b, trial)``, up to a constant."""
        expected = self.floored(self.views(q, a) + self.known[:, None]).double()
        likelihood = (torch.xlogy(self.y[:, None].double(), expected) - expected).sum(dim=2)
        return likelihood / phi - 0.5 * (q / self.prior_sd).square().sum(dim=2)

    def dispersion(self, expected: Tensor) -> Tensor:
        """By how much expected counts ``(b, pixel)`` miss those measured, ``(b, 1)``."""
        views, fitted = (v.view_as(self.problem.views) for v in (self.y, expected))
        return dispersion(views, fitted * self.pixels, self.problem.grid)[:, None]

    def views(self, q: Tensor, a: Tensor) -> Tensor:
        """Expected counts without background in the pixels fitted, of activities ``(b, trial, k)`` at offsets ``(b, trial, 6)``,
        ``(b, trial, pixel)``."""
        trials = q.shape[1]
        offset = RigidOffset(translation_mm=q[..., :3].flatten(0, 1), rotation_deg=q[..., 3:].flatten(0, 1))
        x = torch.einsum("btk,bkxyz->btxyz", a, self.unit).flatten(0, 1).unsqueeze(1)
        views: ViewPair = self.projector(offset, trials)(offset.move(x, self.problem.grid))
        return (views.unflatten(0, (-1, trials)) * self.pixels[:, None]).flatten(2)

    def projector(self, offset: RigidOffset, trials: int) -> PlanarProjector:
        """The camera before the anatomy at ``trials`` offsets per sample."""
        if self.problem.camera is None:
            return self.problem.projector
        mu_map = self.problem.mu_map.repeat_interleave(trials, dim=0)
        return self.problem.projector_before(offset.move(mu_map, self.problem.grid))

    def prior_precision(self, a: Tensor) -> Tensor:
        """None for activities, that of the prior for the offset, ``(k + 6,)``."""
        return torch.cat([a.new_zeros(a.shape[1]), self.prior_sd**-2])

    def floored(self, expected: Tensor) -> Tensor:
        """Expected counts kept off zero in the pixels fitted."""
        floor = 1e-6 * self.y.mean(dim=1) + torch.finfo(expected.dtype).tiny
        return expected.clamp(min=floor.view(-1, *[1] * (expected.dim() - 1)))


def _difference_steps(grid: Grid) -> list[float]:
    """Half a voxel along each axis, and the angles that move a point at a quarter of the grid's extent by as much."""
    half = [0.5 * s for s in grid.spacing_mm]
    turn = math.degrees(0.5 * max(grid.spacing_mm) / (0.25 * max(grid.extent_mm)))
    return [*half, turn, turn, turn]


def _away_from_ends(grid: Grid, like: Tensor) -> Tensor:
    """One but for the rows within reach of what lies above or below the field of view, ``(z,)``."""
    rows = min(math.ceil(_EDGE_MM / grid.spacing_mm[2]), grid.shape[2] // 4)
    weight = like.new_ones(grid.shape[2])
    weight[:rows] = 0.0
    weight[grid.shape[2] - rows :] = 0.0
    return weight
