"""Whether two views lie as they are said to: which is anterior, and which way round each is.

The same counts are fitted in every arrangement, by organ activities (QPlanar) and by a few EM steps from a uniform body, and the misfit
``sum |y - A x - b| / sum y`` is taken. Organs lie unevenly, so QPlanar fits a mirrored or swapped pair worse; one mirrored view contradicts
the other, which no activity in the body can mend. Where another arrangement fits clearly better, the images are suspect; where the patient
is too symmetric to tell, nothing is said.

On 120 digital and real anatomies with lesions, moved by up to 10 mm, a right pair never had more than 1.05 times the misfit of another
arrangement. With the factor set here one mirrored view was found always, swapped views in 98 %, both views mirrored in 75 %.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.reconstruction.mlem import mlem_iterate, uniform_start
from planar3d.reconstruction.poisson_regression import fit_amplitudes
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.voi import project_organs
from planar3d.shapes import ViewPair

__all__ = ["ARRANGEMENTS", "better_arrangement"]

ARRANGEMENTS: dict[str, Callable[[Tensor], Tensor]] = {
    "as given": lambda views: views,
    "mirrored left to right": lambda views: views.flip(2),
    "mirrored left to right in the anterior view": lambda views: torch.stack([views[:, 0].flip(1), views[:, 1]], dim=1),
    "mirrored left to right in the posterior view": lambda views: torch.stack([views[:, 0], views[:, 1].flip(1)], dim=1),
    "swapped": lambda views: views.flip(1),
    "swapped and mirrored left to right": lambda views: views.flip(1, 2),
    "upside down": lambda views: views.flip(3),
    "turned by 180 degrees": lambda views: views.flip(2, 3),
}
"""Ways in which an export goes wrong; each undoes itself. They take counts ``(b, view, x, z)``."""

CLEARLY = 1.1
"""By which factor the misfit must be lower for an arrangement to be clearly better."""

EM_STEPS = 8


def better_arrangement(problem: PlanarProblem, arrange: Callable[[Callable[[Tensor], Tensor]], PlanarProblem]) -> str | None:
    """The name in `ARRANGEMENTS` of how the views seem to lie, if clearly not as given.

    Args:
        problem: One patient and the views as given.
        arrange: Takes one of `ARRANGEMENTS`, applies it to the images as they were read, which may reach beyond the grid of the problem,
            and gives the same problem with these views and the background that goes with them.
    """
    organs = project_organs(problem)
    arranged = [arrange(function) for function in ARRANGEMENTS.values()]
    misfits = torch.stack([torch.stack([_organ_misfit(p, organs), _em_misfit(p)]) for p in arranged])
    ratio = misfits[0] / misfits
    best = int(ratio.prod(dim=1).argmax())
    # one fit may speak for another arrangement and the other against it
    return list(ARRANGEMENTS)[best] if best and ratio.max() > CLEARLY else None


def _organ_misfit(problem: PlanarProblem, organs: Float[Tensor, "1 k view x z"]) -> Tensor:
    """Misfit of the best organ activities."""
    P = organs * problem.seen[:, None]
    y, known = problem.views * problem.seen, problem.known_counts * problem.seen
    activity = fit_amplitudes(P.flatten(2), y.flatten(1), background=known.flatten(1))
    return _misfit(problem, torch.einsum("bk,bkvxz->bvxz", activity, P) + known)


def _em_misfit(problem: PlanarProblem) -> Tensor:
    """Misfit of a map that may be any in the body."""
    return _misfit(problem, problem.expected_counts(mlem_iterate(problem, uniform_start(problem), EM_STEPS)))


def _misfit(problem: PlanarProblem, expected: ViewPair) -> Tensor:
    """``sum |y - m| / sum y`` over the pixels that see the body."""
    y, m = problem.views * problem.seen, expected * problem.seen
    return (y - m).abs().sum() / y.sum()
