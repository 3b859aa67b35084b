"""What a method is worth on the cases of a benchmark: a row per case, per organ and per lesion.

Organ activities are those in the position imaged, lesions counted to the organ they lie in where they were not told of: a method's
organs hold them. Where there are samples, every organ and lesion comes with their standard deviation and with the number of samples below
the truth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from planar3d.benchmark import BenchmarkCases
from planar3d.grid import Grid
from planar3d.metrics import crps, interval_coverage, lesion_recovery, nmae, organ_errors, poisson_deviance, sample_ranks, ssim3d
from planar3d.metrics.calibration import LEVELS
from planar3d.metrics.matched_resolution import compare_blurred
from planar3d.metrics.quantification import OrganErrors, region_activities
from planar3d.organs import GROUPS, LESIONS, organ_id, organ_name
from planar3d.reconstruction.posterior import Posterior

__all__ = ["score"]

Row = dict[str, Any]

SMALLEST_ORGAN_ML = 5.0
RANK_SEED = 0
_NOT_ORGANS = {organ_id(name) for name in (*GROUPS["soft_tissue"], *LESIONS)}


def score(cases: BenchmarkCases, method: str, posterior: Posterior, seconds: float) -> dict[str, list[Row]]:
    """Rows of one method on the cases of one anatomy.

    Args:
        cases: What the method was given, and the truth.
        method: Its name.
        posterior: Its estimate.
        seconds: What it took per case [s].

    Raises:
        ValueError: The estimate is not finite.
    """
    truth, labels, x = cases.truth.activity, cases.truth.imaged_labels, posterior.mean
    if not torch.isfinite(x).all():
        raise ValueError(f"{method} gives activities that are not finite for {cases.anatomy}; change its options or leave it out")
    organs = organ_errors(x, truth, labels, cases.grid)
    lesions = lesion_recovery(x, truth, labels, cases.grid)
    views = cases.problem.expected_counts(x).clamp(min=torch.finfo(x.dtype).eps)
    whole = {
        "nmae": nmae(x, truth),
        "ssim": ssim3d(x, truth),
        "ssim_body": ssim3d(x, truth, labels > 0),
        "deviance": poisson_deviance(cases.truth.views, views),
        "total_bias": x.flatten(1).sum(dim=1) / truth.flatten(1).sum(dim=1) - 1,
    }
    whole["total_error"] = whole["total_bias"].abs()
    hosts = organ_errors(x, truth, _hosts(labels, cases.problem.labels), cases.grid)
    spect = None if cases.reference is None else compare_blurred(x, cases.reference, labels > 0, cases.grid)
    rows: dict[str, list[Row]] = {"cases": [], "organs": [], "lesions": [], "spect": []}
    columns = (lesions.ids, lesions.volume_ml, lesions.true_bq, lesions.recovery)
    for k in range(len(x)):
        case: Row = {"anatomy": cases.anatomy, "real": cases.real, "case": k, "poor_labels": cases.poor_labels[k], "method": method}
        own = lesions.sample == k
        recovered, held = lesions.recovery[own], lesions.true_bq[own]
        found = {
            "lesion_recovery": float(recovered.mean()) if len(recovered) else None,  # every lesion alike
            "lesion_activity_recovery": float((recovered * held).sum() / held.sum()) if len(recovered) else None,
            "lesions": len(recovered),
        }
        rows["cases"].append(
            case
            | {name: float(values[k]) for name, values in whole.items()}
            | _organ_summary(organs, k)
            | found
            | _coverage(posterior, hosts, k)
            | {"seconds": seconds}
        )
        drawn = _samples_in(posterior.samples, truth, labels, organs.ids, cases.grid, k)
        rows["organs"] += [case | row for row in _organ_rows(organs, drawn, k)]
        rows["spect"] += [case | row for row in (spect.rows(k) if spect is not None else ())]
        rows["lesions"] += [
            case | {"lesion": organ_name(i), "volume_ml": v, "true_bq": a, "recovery": r} | drawn.get(i, {})
            for i, v, a, r in zip(*(column[own].tolist() for column in columns), strict=True)
        ]
    return rows


def _samples_in(samples: Tensor | None, truth: Tensor, labels: Tensor, ids: Tensor, grid: Grid, k: int) -> dict[int, Row]:
    """What the samples of a case say of the activity of each organ or lesion; nothing without samples."""
    if samples is None:
        return {}
    n = len(samples)
    own = region_activities(samples[:, k], labels[k : k + 1].expand(n, -1, -1, -1, -1), ids, grid)
    true = region_activities(truth[k : k + 1], labels[k : k + 1], ids, grid)[0]
    spread, score = own.std(dim=0), crps(own, true)
    ranks = sample_ranks(own, true, torch.Generator().manual_seed(RANK_SEED + k))
    return {
        int(i): {"sd_bq": float(spread[c]), "crps_bq": float(score[c]), "rank": int(ranks[c]), "samples": n}
        for c, i in enumerate(ids.tolist())
    }


def _organ_summary(organs: OrganErrors, k: int) -> Row:
    """Mean absolute relative error over organs of some errors, and of the organs that dosimetry asks for first."""
    columns = zip(organs.ids.tolist(), organs.volume_ml[k].tolist(), organs.relative_error[k].tolist(), strict=True)
    errors = {
        i: abs(error) for i, volume, error in columns if i not in _NOT_ORGANS and volume >= SMALLEST_ORGAN_ML and not math.isnan(error)
    }
    return {
        "organ_error": _mean(list(errors.values())),
        "error_liver": errors.get(organ_id("liver")),
        "error_spleen": errors.get(organ_id("spleen")),
        "error_kidneys": _mean([errors[i] for i in map(organ_id, GROUPS["kidneys"]) if i in errors]),
    }


def _organ_rows(organs: OrganErrors, drawn: dict[int, Row], k: int) -> Iterator[Row]:
    """A row per organ that the case has."""
    for column, identifier in enumerate(organs.ids.tolist()):
        if organs.volume_ml[k, column] > 0:
            yield {
                "organ": organ_name(identifier),
                "volume_ml": float(organs.volume_ml[k, column]),
                "true_bq": float(organs.true_bq[k, column]),
                "estimated_bq": float(organs.estimated_bq[k, column]),
                "relative_error": float(organs.relative_error[k, column]),
            } | drawn.get(identifier, {})


def _coverage(posterior: Posterior, organs: OrganErrors, k: int) -> Row:
    """Share of the organs whose interval holds the true activity."""
    names = [f"coverage_{round(100 * level)}" for level in LEVELS]
    stated = posterior.organs
    if stated is None or stated.standard_error_bq is None:
        return dict.fromkeys(names)
    place = {int(i): n for n, i in enumerate(stated.ids)}
    shared = [(n, int(i)) for n, i in enumerate(organs.ids) if int(i) in place and int(i) not in _NOT_ORGANS]
    both = [(n, place[i]) for n, i in shared if organs.volume_ml[k, n] >= SMALLEST_ORGAN_ML and stated.activity_bq[k, place[i]] > 0]
    if not both:
        return dict.fromkeys(names)
    true, own = (list(column) for column in zip(*both, strict=True))
    shares = interval_coverage(stated.activity_bq[k, own], stated.standard_error_bq[k, own], organs.true_bq[k, true])
    return {name: float(share) for name, share in zip(names, shares, strict=True)}


def _hosts(imaged: Tensor, given: Tensor) -> Tensor:
    """Imaged labels with the lesions drawn as part of the organ they lie in: a method is not told of them, so its organs hold them."""
    lesions = torch.tensor([organ_id(name) for name in LESIONS], device=imaged.device)
    return torch.where(torch.isin(imaged, lesions) & ~torch.isin(given, lesions), given, imaged)


def _mean(values: Sequence[float]) -> float | None:
    """Mean; None of nothing."""
    return sum(values) / len(values) if values else None
