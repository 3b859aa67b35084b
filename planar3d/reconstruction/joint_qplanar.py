"""QPlanar over several times at once: organ activities that lie on one curve each, by the counts of all times together.

``y_i ~ Poisson(P_i a(t_i) + b_i)`` at each time, with ``a_k(t_i)`` on the curve of organ k (`planar3d.reconstruction.shared_kinetics`).
Time by time, organs that lie before each other trade activity, one high at one time and zero at the next; on curves the times that see an
organ well hold it at those that do not, and what one organ takes from another in one image has no place in the next. It gains where organs
overlap and counts are few; organs that stand alone come out as they do from the fit of a curve to QPlanar's activities. Each image's
log-likelihood is divided by its dispersion (`planar3d.reconstruction.dispersion`), as in QPlanar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from planar3d.dosimetry import EffectiveHalfLifePrior, TimeAxis
from planar3d.reconstruction.dispersion import dispersion
from planar3d.reconstruction.kinetic_activities import KineticActivities
from planar3d.reconstruction.organ_curves import OrganCurves
from planar3d.reconstruction.posterior import OrganActivities, Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.qplanar import QPlanar
from planar3d.reconstruction.shared_kinetics import LikelihoodTerms
from planar3d.reconstruction.voi import organ_masks, project_each, unit_maps

__all__ = ["JointPosterior", "JointQPlanar"]


@dataclass(frozen=True, kw_only=True, eq=False)
class JointPosterior:
    """Reconstructions of several times.

    Attributes:
        ids: Organ ids, ``(k,)``.
        kinetics: Activities at each time, their integrals and errors.
        posteriors: Of each time.
        separate: QPlanar of each time alone, from which the fit started.
    """

    ids: Integer[Tensor, " k"]
    kinetics: KineticActivities
    posteriors: tuple[Posterior, ...]
    separate: tuple[Posterior, ...]


class JointQPlanar:
    """Maximum a posteriori of organ activities on curves.

    Args:
        half_life_s: Physical half-life [s].
        prior: Of the effective half-life of all organs, or by organ name; organs not named have none, and a name of ``default`` speaks for
            them. None for none at all.
        deviation_log_sd: By how much activities may miss their curve, as a standard deviation of their logarithm, for all organs or by name
            with a ``default``; large for organs that follow no exponential, such as the bladder. Too small where curves are wrong (uptake
            after the first image, a fast phase), and what one organ's curve misses is laid on its neighbours, in no standard error.
        qplanar: What gives the start; None for a plain `QPlanar`. If it estimates offsets, each time has its own.
    """

    name = "joint_qplanar"

    def __init__(
        self,
        *,
        half_life_s: float,
        prior: EffectiveHalfLifePrior | Mapping[str, EffectiveHalfLifePrior] | None = None,
        deviation_log_sd: float | Mapping[str, float] = 0.1,
        qplanar: QPlanar | None = None,
    ) -> None:
        self.curves = OrganCurves(half_life_s=half_life_s, prior=prior, deviation_log_sd=deviation_log_sd)
        self.qplanar = qplanar or QPlanar()

    def __call__(self, problems: Sequence[PlanarProblem], times: TimeAxis) -> JointPosterior:
        """Reconstruct a batch imaged at several times.

        Args:
            problems: One for each time, in their order, of one grid and one anatomy. Those that share their projector and labels share
                work.
            times: When.

        Raises:
            ValueError: Numbers of problems and times differ, or grids or anatomies do.
        """
        _require_alike(problems, times)
        separate = tuple(self.qplanar(p) for p in problems)
        ids = organ_masks(problems[0].organ_labels)[0]
        units, images = _organ_images(problems, separate)
        likelihood = _Counts(problems, images, separate, misfit=self.qplanar.count_misfit)
        organs = [p.organs for p in separate if p.organs is not None]
        activity = torch.stack([o.activity_bq for o in organs], dim=1).double()
        error = torch.stack([o.standard_error_bq for o in organs if o.standard_error_bq is not None], dim=1).double()
        kinetics = self.curves.fit(likelihood, ids=ids, activity_bq=activity, standard_error_bq=error, times=times)
        posteriors = tuple(
            _posterior(first, kinetics, i, units[i], images[i], problem)
            for i, (first, problem) in enumerate(zip(separate, problems, strict=True))
        )
        return JointPosterior(ids=ids, kinetics=kinetics, posteriors=posteriors, separate=separate)


class _Counts:
    """Poisson log-likelihood of the counts of all times, tempered by the dispersion of each image."""

    def __init__(self, problems: Sequence[PlanarProblem], images: Sequence[Tensor], separate: Sequence[Posterior], *, misfit: bool) -> None:
        seen = [p.seen for p in problems]
        self.P = [(image * s[:, None]).flatten(2).double() for image, s in zip(images, seen, strict=True)]
        self.y = [(p.views * s).flatten(1).double() for p, s in zip(problems, seen, strict=True)]
        self.known = [(p.known_counts * s).flatten(1).double() for p, s in zip(problems, seen, strict=True)]
        self.weight = [torch.ones_like(y[:, 0]) for y in self.y]
        if misfit:
            self.weight = [
                dispersion(p.views * s, first.expected_views * s, p.grid).double().reciprocal()
                for p, s, first in zip(problems, seen, separate, strict=True)
                if first.expected_views is not None
            ]

    def __call__(self, activity: Float[Tensor, "b t k"]) -> LikelihoodTerms:
        """The terms at activities ``(b, t, k)`` [Bq]."""
        value, gradient, information = activity.new_zeros(len(activity)), [], []
        for i, (P, y, known, weight) in enumerate(zip(self.P, self.y, self.known, self.weight, strict=True)):
            expected = torch.einsum("bk,bkn->bn", activity[:, i], P) + known
            expected = expected.clamp(min=1e-9 * y.mean(dim=1, keepdim=True) + 1e-30)
            value = value + weight * (torch.xlogy(y, expected) - expected).sum(dim=1)
            gradient.append(weight[:, None] * torch.einsum("bkn,bn->bk", P, y / expected - 1.0))
            information.append(weight[:, None, None] * ((P / expected[:, None]) @ P.mT))
        return LikelihoodTerms(value=value, gradient=torch.stack(gradient, dim=1), information=torch.stack(information, dim=1))


def _organ_images(problems: Sequence[PlanarProblem], separate: Sequence[Posterior]) -> tuple[list[Tensor], list[Tensor]]:
    """Unit maps of the organs ``(b, k, x, y, z)`` [1/mL] and their images ``(b, k, view, x, z)`` at each time, where the patient lay."""
    units: list[Tensor] = []
    images: list[Tensor] = []
    for i, (problem, first) in enumerate(zip(problems, separate, strict=True)):
        before = problems[i - 1]
        if i > 0 and first.offset is None and problem.projector is before.projector and problem.labels is before.labels:
            units.append(units[-1])
            images.append(images[-1])
            continue
        unit = unit_maps(organ_masks(problem.organ_labels)[1].to(problem.views), problem.grid.voxel_volume_ml)
        projector = problem.projector
        if first.offset is not None:
            unit = first.offset.move(unit, problem.grid)
            projector = problem.projector_before(first.offset.move(problem.mu_map, problem.grid))
        units.append(unit)
        images.append(project_each(projector, unit))
    return units, images


def _posterior(first: Posterior, kinetics: KineticActivities, i: int, unit: Tensor, images: Tensor, problem: PlanarProblem) -> Posterior:
    """The reconstruction of one time."""
    activity, error = (v[:, i].to(unit) for v in (kinetics.activity_bq, kinetics.standard_error_bq))
    organs = OrganActivities(
        ids=organ_masks(problem.organ_labels)[0],
        activity_bq=activity,
        standard_error_bq=error,
        covariance_bq2=kinetics.covariance_bq2[:, i].to(unit),
    )
    return replace(
        first,
        mean=torch.einsum("bk,bkxyz->bxyz", activity, unit).unsqueeze(1),
        std=torch.einsum("bk,bkxyz->bxyz", error, unit).unsqueeze(1),
        organs=organs,
        expected_views=torch.einsum("bk,bkvxz->bvxz", activity, images) + problem.known_counts,
    )


def _require_alike(problems: Sequence[PlanarProblem], times: TimeAxis) -> None:
    """Raise unless all problems are one patient's, one for each time."""
    if len(problems) != len(times.times_s):
        raise ValueError(f"problems holds {len(problems)} times and the time axis {len(times.times_s)}; give one problem for each time")
    if len(problems) < 2:
        raise ValueError("problems holds one time; a joint reconstruction needs two at least, take QPlanar")
    first = problems[0]
    for i, problem in enumerate(problems[1:], start=2):
        if problem.grid != first.grid:
            raise ValueError(f"problems have different grids: that of time {i} is not that of time 1; resample the images onto one grid")
        if problem.labels is not first.labels and not torch.equal(problem.labels, first.labels):
            raise ValueError(
                f"problems have different anatomies: labels of time {i} are not those of time 1; give one anatomy for all times"
            )
