"""From `planar.py`'s files to doses: curves fitted organ by organ, or as fitted together, in decays per mL; for `summary.py`.

An organ's dose is its decays per mL times one factor, so relative errors of both are the same.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from cohort import HALF_LIFE_S, HOURS
from torch import Tensor

from planar3d.dosimetry import EffectiveHalfLifePrior, TimeAxis, TimeIntegratedActivity, fit_kinetics
from planar3d.organs import LESIONS

HERE = Path(__file__).parent
REPORTED = range(2100, 2124)  # others choose what is to be chosen
GROUPS: dict[str, tuple[str, ...]] = {
    "kidneys": ("kidney_left", "kidney_right"),
    "parotids": ("parotid_left", "parotid_right"),
    "submandibular": ("submandibular_left", "submandibular_right"),
    "lacrimal": ("lacrimal_left", "lacrimal_right"),
    "liver": ("liver",),
    "spleen": ("spleen",),
    "marrow": ("marrow",),
    "lesions": LESIONS,
}
MARROW = {"spine": 0.323, "ribs": 0.228, "pelvis": 0.274}  # shares of active marrow, ICRP 70, as planar3d.dosimetry.marrow
METHODS = (
    "conjugate_view", "qplanar", "qplanar_em", "unet",
    "conjugate_view_outlined", "qplanar_outlined", "qplanar_em_outlined", "unet_outlined",
)  # fmt: skip
SMALLEST_LESION_ML = 2.0
STATED_ERROR = 0.3  # relative, of activities whose method states none
OUTLINED = "_outlined"
MODEL_LOG_SD = 0.1  # as planar.py allows activities to miss their curve


@dataclass(frozen=True, kw_only=True)
class Found:
    """Doses of a way to them, a row for each organ of each patient; in units of decays per mL.

    Attributes:
        seed: ``(n,)``.
        group: ``n`` of them.
        truth: ``(n,)``.
        value: ``(n,)``.
        error: Standard error, ``(n,)``.
    """

    seed: Tensor
    group: list[str]
    truth: Tensor
    value: Tensor
    error: Tensor

    def of(self, group: str, *, reported: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Truth, value and error of a group of the patients reported, or of those that chose."""
        pick = (
            torch.tensor([g == group for g in self.group], dtype=torch.bool)
            & (torch.isin(self.seed, torch.tensor(list(REPORTED))) == reported)
            & self.value.isfinite()
        )
        return self.truth[pick], self.value[pick], self.error[pick]

    def relative(self, group: str) -> Tensor:
        """Relative errors of a group, in the patients reported."""
        truth, value, _ = self.of(group)
        return value / truth - 1.0

    def only(self, seeds: Sequence[int]) -> Found:
        """The same of some patients."""
        pick = torch.isin(self.seed, torch.tensor(seeds))
        groups = [g for g, ok in zip(self.group, pick.tolist(), strict=True) if ok]
        return Found(seed=self.seed[pick], group=groups, truth=self.truth[pick], value=self.value[pick], error=self.error[pick])


def read(name: str) -> list[dict[str, str]]:
    """Rows of a file."""
    with (HERE / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def rows_of(activities: Sequence[dict[str, str]], method: str, region: str) -> list[dict[str, str]]:
    """Rows of a method, lesions of 2 mL and more, where they lay."""
    return [
        r for r in activities
        if r["method"] == method
        and r["region"] == ("lay" if r["organ"] in LESIONS and not method.endswith(OUTLINED) else region)
        and not (r["organ"] in LESIONS and float(r["volume_ml"]) < SMALLEST_LESION_ML)
    ]  # fmt: skip


def column(rows: Iterable[dict[str, str]], name: str) -> Tensor:
    """A column as numbers."""
    return torch.tensor([float(r[name]) for r in rows], dtype=torch.float64)


def fitted(
    activities: Sequence[dict[str, str]],
    method: str,
    priors: dict[str, EffectiveHalfLifePrior],
    *,
    region: str = "given",
    hours: Sequence[float] = HOURS,
    model: str = "mono_exponential",
    prefix: str = "bq",
) -> Found:
    """Curves fitted organ by organ to the activities of each time."""
    rows = rows_of(activities, method, region)
    a = torch.stack([column(rows, f"{prefix}_{h:g}") for h in hours], dim=1)
    known = a.isfinite().all(dim=1)
    rows = [r for r, ok in zip(rows, known.tolist(), strict=True) if ok]
    a = a[known].clamp(min=0.0)
    stated = torch.stack([column(rows, f"error_{h:g}") for h in hours], dim=1)
    if method.startswith("conjugate_view") or prefix == "true":
        stated = torch.full_like(stated, torch.nan)
    each = [priors[r["organ"]] for r in rows]
    error = torch.where(stated.isfinite(), stated, STATED_ERROR * torch.maximum(a, expected_level(a, hours, each)))
    if prefix == "true":
        error = 0.01 * a
    found: TimeIntegratedActivity = fit_kinetics(
        a, times=TimeAxis.from_hours(hours), half_life_s=HALF_LIFE_S, standard_error_bq=error, model=model,
        prior=None if model == "haenscheid" else each, model_log_sd=MODEL_LOG_SD if len(hours) > 1 else 0.0, refuse_rising=False,
    )  # fmt: skip
    return with_marrow(rows, column(rows, "volume_ml"), column(rows, "decays"), found.value_bq_s, found.standard_error_bq_s)


def expected_level(a: Tensor, hours: Sequence[float], priors: Sequence[EffectiveHalfLifePrior]) -> Tensor:
    """What an activity would be if all times spoke of one curve of the usual half-life, ``(n, t)`` [Bq]."""
    t = a.new_tensor(hours)
    half_life = a.new_tensor([p.median_h for p in priors])[:, None]
    at_zero = (a * torch.exp2(t / half_life)).median(dim=1, keepdim=True).values
    return torch.maximum(at_zero * torch.exp2(-t / half_life), 1e-3 * a.amax(dim=1, keepdim=True)).clamp(min=1.0)


def together(curves: Sequence[dict[str, str]], activities: Sequence[dict[str, str]], method: str) -> Found:
    """Curves of all organs of a patient at once."""
    volumes = {(r["seed"], r["organ"]): float(r["volume_ml"]) for r in activities if r["region"] == "given"}
    rows = [r for r in curves if r["method"] == method]
    rows = [r for r in rows if r["organ"] not in LESIONS or volumes[r["seed"], r["organ"]] >= SMALLEST_LESION_ML]
    volume = torch.tensor([volumes[r["seed"], r["organ"]] for r in rows], dtype=torch.float64)
    return with_marrow(rows, volume, column(rows, "decays"), column(rows, "found"), column(rows, "error"))


def with_marrow(rows: Sequence[dict[str, str]], volume: Tensor, decays: Tensor, value: Tensor, error: Tensor) -> Found:
    """Decays per mL of organs, and of the marrow as the mean of its bones."""
    group_of = {organ: g for g, organs in GROUPS.items() for organ in organs}
    seed = torch.tensor([int(r["seed"]) for r in rows])
    parts = {"truth": decays / volume, "value": value / volume, "error": error / volume}
    keep = torch.tensor([r["organ"] in group_of for r in rows])
    columns = {k: [v[keep]] for k, v in parts.items()}
    seeds, groups = [seed[keep]], [group_of[r["organ"]] for r in rows if r["organ"] in group_of]
    weight = torch.tensor([MARROW.get(r["organ"], 0.0) for r in rows], dtype=torch.float64)
    for one in seed.unique().tolist():
        w = weight * (seed == one)
        if float(w.sum()) == 0.0:
            continue
        w = w / w.sum()
        seeds.append(torch.tensor([one]))
        groups.append("marrow")
        columns["truth"].append((w * parts["truth"]).sum()[None])
        columns["value"].append(torch.nan_to_num(w * parts["value"]).sum()[None])
        columns["error"].append(torch.nan_to_num(w * parts["error"]).square().sum().sqrt()[None])
    return Found(seed=torch.cat(seeds), group=groups, **{k: torch.cat(v) for k, v in columns.items()})
