"""A few validation cases that stay the same over a training, and what an estimate of them is worth.

Scalars: NMAE and SSIM (in the body) over all cases and per anatomy, median and 90th percentile of the organs' relative error, and the share
of 50 % and 90 % intervals that hold the truth. Intervals are those of organ activities where the posterior has samples or gives the organs
standard errors; where it has but a standard deviation per voxel they are those of voxels, as organs would need the covariance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.grid import Grid
from planar3d.metrics.calibration import interval_coverage, sample_coverage
from planar3d.metrics.image import nmae, ssim3d
from planar3d.metrics.quantification import organ_errors, region_activities
from planar3d.organs import GROUPS, LESIONS, organ_id, organ_name
from planar3d.reconstruction.posterior import Posterior
from planar3d.reconstruction.solved_problem import SolvedProblem

__all__ = ["CURVE_LEVELS", "OrganPoint", "PanelScores", "ValidationPanel"]

CURVE_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.95)
TOLD_LEVELS = (0.5, 0.9)
SMALLEST_ORGAN_ML = 5.0
_NOT_ORGANS = [organ_id(name) for name in (*GROUPS["soft_tissue"], *LESIONS)]


@dataclass(frozen=True, kw_only=True)
class OrganPoint:
    """One organ of one case.

    Attributes:
        case: Which case of the panel.
        organ: Its name.
        true_bq: True activity in the region imaged [Bq].
        estimated_bq: Estimated activity in the same region [Bq].
    """

    case: int
    organ: str
    true_bq: float
    estimated_bq: float


@dataclass(frozen=True, kw_only=True)
class PanelScores:
    """What the estimates of a panel are worth.

    Attributes:
        scalars: Figures by name.
        organs: Organs of at least 5 mL with activity, lesions and soft tissue left out.
        coverage: Share of intervals that hold the truth at `CURVE_LEVELS`, by what they are intervals of; empty if nothing is stated.
    """

    scalars: dict[str, float]
    organs: tuple[OrganPoint, ...]
    coverage: dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class ValidationPanel:
    """Fixed cases in batches.

    Attributes:
        batches: The cases.
        anatomy: Which anatomy of the data module each case has.
    """

    batches: tuple[SolvedProblem, ...]
    anatomy: tuple[int, ...]

    @classmethod
    def draw(cls, data: Any, *, cases: int, device: torch.device) -> ValidationPanel:
        """The first validation cases of a data module.

        Args:
            data: As `planar3d.data.PhantomDataModule`: ``synthesise``, ``keys`` and ``batch_size``.
            cases: How many.
            device: Where they are made.

        Raises:
            ValueError: The data module makes no cases by number.
        """
        if not (hasattr(data, "synthesise") and hasattr(data, "keys")):
            raise ValueError(f"a panel of cases needs a PhantomDataModule, got {type(data).__name__}; set callbacks.dashboard=null")
        index = torch.arange(cases)
        batches = tuple(data.synthesise(part.to(device), epoch=None) for part in index.split(data.batch_size))
        return cls(batches=batches, anatomy=tuple(data.keys(index, epoch=None).anatomy.tolist()))

    @property
    def grid(self) -> Grid:
        """Where the cases lie."""
        return self.batches[0].problem.grid

    def reconstructed(self, method: Callable[[SolvedProblem], Posterior]) -> tuple[Posterior, ...]:
        """Posterior of each batch."""
        return tuple(method(batch) for batch in self.batches)

    @torch.no_grad()
    def scores(self, posteriors: Sequence[Posterior]) -> PanelScores:
        """Score the posteriors of all batches."""
        parts = [_Part.of(batch, posterior) for batch, posterior in zip(self.batches, posteriors, strict=True)]
        maps = {"nmae": torch.cat([p.nmae for p in parts]), "ssim_body": torch.cat([p.ssim_body for p in parts])}
        scalars = {f"panel/{name}": float(values.mean()) for name, values in maps.items()}
        anatomy = torch.tensor(self.anatomy)
        for which in sorted(set(self.anatomy)):
            scalars |= {f"panel/{name}/anatomy_{which}": float(values[anatomy == which].mean()) for name, values in maps.items()}
        organs, first = [], 0
        for part in parts:
            organs += part.points(first)
            first += len(part.nmae)
        if organs:
            errors = torch.tensor([abs(p.estimated_bq / p.true_bq - 1) for p in organs])
            scalars |= {"panel/organ_error_median": float(errors.median()), "panel/organ_error_p90": float(errors.quantile(0.9))}
        coverage = _coverage(parts, CURVE_LEVELS)
        for name, shares in _coverage(parts, TOLD_LEVELS).items():
            scalars |= {f"panel/coverage_{round(100 * level)}_{name}": share for level, share in zip(TOLD_LEVELS, shares, strict=True)}
        return PanelScores(scalars=scalars, organs=tuple(organs), coverage=coverage)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Scores of one batch, on the CPU; ``n`` runs over its organs that count, ``m`` over the voxels of its bodies."""

    nmae: Float[Tensor, " b"]
    ssim_body: Float[Tensor, " b"]
    case: Tensor
    ids: Tensor
    true_bq: Float[Tensor, " n"]
    estimated_bq: Float[Tensor, " n"]
    samples_bq: Float[Tensor, "sample n"] | None = None
    stated_bq: Float[Tensor, "two n"] | None = None  # the method's own organ activity and its standard error
    voxels: Float[Tensor, "three m"] | None = None  # estimate, standard deviation, truth

    @classmethod
    def of(cls, batch: SolvedProblem, posterior: Posterior) -> _Part:
        """Score a batch."""
        truth, labels, grid = batch.truth.activity, batch.truth.imaged_labels, batch.problem.grid
        mean = posterior.mean.to(truth)
        errors = organ_errors(mean, truth, labels, grid)
        known = (errors.volume_ml >= SMALLEST_ORGAN_ML) & (errors.true_bq > 0)
        known &= ~torch.isin(errors.ids, torch.tensor(_NOT_ORGANS, device=errors.ids.device))
        case, column = known.nonzero(as_tuple=True)
        samples = stated = voxels = None
        if posterior.samples is not None:
            drawn = [region_activities(draw.to(truth), labels, errors.ids, grid)[case, column] for draw in posterior.samples]
            samples = torch.stack(drawn).cpu()
        elif posterior.organs is not None and posterior.organs.standard_error_bq is not None:
            place = {int(i): k for k, i in enumerate(posterior.organs.ids)}
            own = torch.tensor([place.get(int(i), -1) for i in errors.ids[column]], device=case.device)
            pair = torch.stack([posterior.organs.activity_bq, posterior.organs.standard_error_bq])
            stated = torch.where(own >= 0, pair[:, case, own], torch.nan).cpu()
        elif posterior.std is not None:
            body = labels > 0
            voxels = torch.stack([mean[body], posterior.std.to(truth)[body], truth[body]]).cpu()
        return cls(
            nmae=nmae(mean, truth).cpu(),
            ssim_body=ssim3d(mean, truth, labels > 0).cpu(),
            case=case.cpu(),
            ids=errors.ids[column].cpu(),
            true_bq=errors.true_bq[case, column].cpu(),
            estimated_bq=errors.estimated_bq[case, column].cpu(),
            samples_bq=samples,
            stated_bq=stated,
            voxels=voxels,
        )

    def points(self, first: int) -> list[OrganPoint]:
        """The organs; ``first`` is the number of the batch's first case."""
        columns = zip(self.case.tolist(), self.ids.tolist(), self.true_bq.tolist(), self.estimated_bq.tolist(), strict=True)
        return [OrganPoint(case=first + k, organ=organ_name(i), true_bq=t, estimated_bq=e) for k, i, t, e in columns]


def _coverage(parts: Sequence[_Part], levels: Sequence[float]) -> dict[str, list[float]]:
    """Share of intervals that hold the truth, over all batches together."""
    true_bq = torch.cat([p.true_bq for p in parts])
    samples, stated, voxels = ([getattr(p, name) for p in parts] for name in ("samples_bq", "stated_bq", "voxels"))
    if all(s is not None for s in samples) and len(true_bq):
        return {"organs": sample_coverage(torch.cat(samples, dim=1), true_bq, levels=levels).tolist()}
    if all(s is not None for s in stated) and len(true_bq):
        estimate, error = torch.cat(stated, dim=1)
        return {"organs": interval_coverage(estimate, error, true_bq, levels=levels).tolist()}
    if all(v is not None for v in voxels):
        return {"voxels": interval_coverage(*torch.cat(voxels, dim=1), levels=levels).tolist()}
    return {}
