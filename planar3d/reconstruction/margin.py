"""Activity beyond the ends of what is reconstructed, whose photons reach its outermost rows.

A whole-body image shows more of the patient than the CT of one bed, and a whole-body CT more than one static image. Through the collimator
and by scatter, what lies some centimetres beyond the part that both show counts in its outermost rows, and a reconstruction that knows of
this part alone puts it into them. So the problem goes on by a margin (`planar3d.measurement.pose`): beyond the CT the anatomy is that of
its last slice, beyond the image no counts are known, and what was found there is given up afterwards. `without_margin` keeps the rest of an
estimate. With ``x = x_in + x_out`` the counts of ``x_out`` become known background of the problem that is left,
``y ~ Poisson(A x_in + (b + A x_out))``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from planar3d.organ_sums import organ_sums
from planar3d.reconstruction.posterior import OrganActivities, Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.qplanar_em import QPlanarEM
from planar3d.shapes import LabelMap, Volume

__all__ = ["between_margins", "with_spill_known", "without_margin"]


def between_margins(method: Callable[[PlanarProblem], Posterior], problem: PlanarProblem) -> tuple[Posterior, PlanarProblem]:
    """An estimate by a method that may look into the margin, and its problem, both without it.

    Args:
        method: Reconstructs; one whose ``uses_margin`` is false never sees it.
        problem: With a margin of rows, before a known camera, or without one.
    """
    if any(problem.margin_rows) and not getattr(method, "uses_margin", True):
        problem = _problem_within(problem, torch.zeros_like(problem.mu_map), _rows_within(problem))
    return without_margin(method(problem), problem)


def without_margin(posterior: Posterior, problem: PlanarProblem) -> tuple[Posterior, PlanarProblem]:
    """An estimate and its problem without their margin; as they are where there is none.

    Args:
        posterior: The estimate of the problem.
        problem: With a margin of rows, before a known camera.

    Returns:
        The estimate between the margins, organs as far as they lie there; and the problem there, to whose known counts those from the
        margins belong.
    """
    if not any(problem.margin_rows):
        return posterior, problem
    rows = _rows_within(problem)
    views = posterior.expected_views
    cut = Posterior(
        mean=posterior.mean[..., rows],
        std=None if posterior.std is None else posterior.std[..., rows],
        samples=None if posterior.samples is None else posterior.samples[..., rows],
        organs=None if posterior.organs is None else _organs_within(posterior.organs, posterior.mean, problem.organ_labels, rows),
        expected_views=None if views is None else views[..., rows],
    )  # an offset turns about the middle of the grid with its margins and says nothing here
    return cut, _problem_within(problem, posterior.mean, rows)


def with_spill_known(problem: PlanarProblem, *, method: QPlanarEM | None = None) -> PlanarProblem:
    """A problem without its margin, in which the counts from there are known as far as a classical method finds them.

    For what has to work without a margin: networks keep the ends better with the margin itself and `without_margin`.

    Args:
        problem: With a margin of rows, before a known camera.
        method: Finds the activity in the margin.
    """
    if not any(problem.margin_rows):
        return problem
    estimate = (method or QPlanarEM())(problem).mean
    return _problem_within(problem, estimate, _rows_within(problem))


def _rows_within(problem: PlanarProblem) -> slice:
    """Rows along z between the margins."""
    below, above = problem.margin_rows
    return slice(below, problem.grid.shape[2] - above)


def _problem_within(problem: PlanarProblem, estimate: Volume, rows: slice) -> PlanarProblem:
    """The problem in some rows, the counts from an estimate's activity in the others known."""
    assert problem.camera is not None
    outside = estimate.clone()
    outside[..., rows] = 0.0
    known = problem.known_counts + problem.projector(outside)
    inner = PlanarProblem.from_camera(
        problem.camera,
        views=problem.views[..., rows].contiguous(),
        mu_map=problem.mu_map[..., rows].contiguous(),
        labels=problem.labels[..., rows].contiguous(),
        grid=problem.grid.rows(rows.start, rows.stop),
        background=known[..., rows].clamp(min=0.0),
        live_fraction=None if problem.live_fraction is None else problem.live_fraction[:, rows].contiguous(),
    )
    return replace(inner, fitted_views=problem.fitted_views)


def _organs_within(organs: OrganActivities, mean: Volume, labels: LabelMap, rows: slice) -> OrganActivities:
    """Organs by the share of their activity in a map that lies in some rows; of what is empty in it, by the share of their voxels.

    An organ that lies wholly in the margin is left out.
    """
    within = labels[..., rows]
    kept = torch.isin(organs.ids, within.unique().to(organs.ids))
    ids = organs.ids[kept].long()

    def share(volume: Volume) -> Tensor:
        whole, inside = organ_sums(volume, labels)[:, ids], organ_sums(volume[..., rows], within)[:, ids]
        return torch.where(whole > 0, inside / whole, torch.nan)

    inside = share(mean)
    inside = torch.where(inside.isnan(), share(torch.ones_like(mean)), inside).nan_to_num(0.0)
    error, covariance = organs.standard_error_bq, organs.covariance_bq2
    both = inside[:, :, None] * inside[:, None]
    return replace(
        organs,
        ids=organs.ids[kept],
        activity_bq=organs.activity_bq[:, kept] * inside.to(organs.activity_bq),
        standard_error_bq=None if error is None else error[:, kept] * inside.to(error),
        covariance_bq2=None if covariance is None else covariance[:, kept][:, :, kept] * both.to(covariance),
    )
