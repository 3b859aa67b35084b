"""Digital patients treated with 177Lu-PSMA-617 and imaged planar at 4, 24, 72 and 168 h: organ activities by each method, one at a time
and over time.

    python experiments/12_dosimetry/planar.py --seeds 2000 2010
    python experiments/12_dosimetry/planar.py --seeds 2000 2010 --methods unet --checkpoint unet_population_8mm

Appends to ``results_activities.csv`` (activity of each organ at each time) and ``results_curves.csv`` (integrals of curves of all organs
together), patient by patient; what is there is not done again. 8 mm, hip joints to vertex, 7.4 GBq, 180 s a view at 208 keV behind a
medium-energy collimator: the counts are those of the activity. Methods are given mu-map and labels, those without the lesions unless
``--outlined``, as before the patient moved.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from cohort import HALF_LIFE_S, HOURS, Cohort
from torch import Tensor

from planar3d.anatomy.digital import digital_patient
from planar3d.dosimetry import TimeAxis
from planar3d.grid import Grid
from planar3d.metrics.quantification import region_activities
from planar3d.organs import LESIONS, organ_id, organ_name
from planar3d.phantom.deformation import DeformationRecord
from planar3d.physics import GammaCamera, poisson
from planar3d.reconstruction import ConjugateView, JointQPlanar, OrganActivities, PlanarProblem, Posterior, QPlanar, QPlanarEM, couple
from planar3d.reconstruction.dispersion import dispersion
from planar3d.reconstruction.partial_volume import read_organs
from planar3d.reconstruction.poisson_regression import fisher_covariance, fit_amplitudes
from planar3d.reconstruction.qplanar import _posterior
from planar3d.reconstruction.voi import organ_masks, project_each, unit_maps
from planar3d.shapes import LabelMap, Volume
from planar3d.trained import open_unet
from planar3d.units import SECONDS_PER_HOUR

HERE = Path(__file__).parent
METHODS = ("conjugate_view", "qplanar", "qplanar_em", "unet")
LOG_SD = 0.1  # by which activities may miss their curve
EDGE_SPILL = 0.0625  # as in conf/method/unet.yaml
FIELD = Grid.centred((60, 42, 112), 8.0, (0.0, 0.0, 152.0))
KEPT = ("kidney_left", "kidney_right", "liver", "spleen", "spine", "ribs", "pelvis", "parotid_left", "parotid_right", "submandibular_left",
        "submandibular_right", "lacrimal_left", "lacrimal_right", *LESIONS)  # fmt: skip
AXIS = TimeAxis.from_hours(HOURS)


@dataclass(frozen=True, kw_only=True)
class Treated:
    """A patient and the images of all times.

    Attributes:
        problems: What methods are given at each time.
        moved_labels: Organ ids where the patient lay, lesions included, at each time.
        ids: Organs given, then lesions that are not among them, ``(k,)``.
        n_given: How many of them were given.
        volume_ml: Of each, ``(k,)`` [mL].
        activity_bq: True activity of each at each time, ``(t, k)`` [Bq].
        decays: True decays in each from injection to infinity, ``(k,)`` [Bq s].
    """

    problems: tuple[PlanarProblem, ...]
    moved_labels: tuple[LabelMap, ...]
    ids: Tensor
    n_given: int
    volume_ml: Tensor
    activity_bq: Tensor
    decays: Tensor


class RememberedQPlanar(QPlanar):
    """QPlanar of one patient, whose organs are projected once and whose times are reconstructed once."""

    def __init__(self, problem: PlanarProblem) -> None:
        super().__init__()
        self.unit = unit_maps(organ_masks(problem.organ_labels)[1].to(problem.views), problem.grid.voxel_volume_ml)
        self.images = project_each(problem.projector, self.unit)
        self.found: dict[int, Posterior] = {}

    def __call__(self, problem: PlanarProblem) -> Posterior:
        """Reconstruct as `QPlanar` does, or say what was found before."""
        if id(problem) not in self.found:
            P = (self.images * problem.seen[:, None]).flatten(2)
            y = problem.views * problem.seen
            activity = fit_amplitudes(P, y.flatten(1), iterations=self.iterations)
            expected = torch.einsum("bk,bkn->bn", activity, P).view_as(y)
            covariance = fisher_covariance(P, expected.flatten(1)) * dispersion(y, expected, problem.grid)[:, None, None]
            self.found[id(problem)] = _posterior(problem, self.unit, self.images, activity, covariance)
        return self.found[id(problem)]


def main() -> None:
    """All seeds that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(2000, 2012), help="first, and one after the last")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS[:3])
    parser.add_argument("--checkpoint", default="unet_population_8mm")
    parser.add_argument("--outlined", action="store_true", help="give lesions as labels too; methods are then called ..._outlined")
    parser.add_argument("--log-sd", type=float, default=LOG_SD, help="other than the default, methods are called ..._sd0.3 and the like")
    parser.add_argument("--spacing-mm", type=float, default=8.0)
    args = parser.parse_args()
    if "unet" in args.methods and args.spacing_mm != 8.0:
        parser.error("the network was trained at 8 mm; leave out unet or --spacing-mm")
    torch.set_num_threads(1)
    cohort = Cohort.of_config()
    camera = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=180.0)
    unet = open_unet(checkpoint=args.checkpoint, edge_spill=EDGE_SPILL) if "unet" in args.methods else None
    for seed in range(*args.seeds):
        suffix = ("_outlined" if args.outlined else "") + ("" if args.log_sd == LOG_SD else f"_sd{args.log_sd:g}")
        methods = [m for m in args.methods if (str(seed), m + suffix) not in done()]
        if not methods:
            continue
        start = time.process_time()
        treated = treat(cohort, camera, seed, args.spacing_mm, outlined=args.outlined)
        activities, curves = [], []
        qplanar = RememberedQPlanar(treated.problems[0])
        for name in methods:
            method = {
                "conjugate_view": ConjugateView(),
                "qplanar": qplanar,
                "qplanar_em": QPlanarEM(qplanar=qplanar),
                "unet": unet,
            }[name]
            assert method is not None
            found = [read(method, p) for p in treated.problems]
            activities += activity_rows(seed, name + suffix, treated, found, qplanar)
            if name != "conjugate_view":  # knows of no covariance between organs, so that curves of all are those of each
                curves += curve_rows(seed, name + suffix, treated, found, qplanar, cohort, args.log_sd)
        append("results_curves.csv", curves)
        append("results_activities.csv", activities)
        print(f"{seed}: {', '.join(methods)}, {time.process_time() - start:.1f} s of processor time", flush=True)


def read(method: Callable[[PlanarProblem], Posterior], problem: PlanarProblem) -> Posterior:
    """What a method finds, with organ activities as an organ table would show them."""
    posterior, spill = method(problem), getattr(method, "edge_spill", 0.0)
    return replace(posterior, organs=read_organs(posterior, problem, spill)) if spill else posterior


def treat(cohort: Cohort, camera: GammaCamera, seed: int, spacing_mm: float, *, outlined: bool) -> Treated:
    """Simulate one patient."""
    patient = digital_patient(seed, spacing_mm, FIELD)
    grid, labels, mu_map = patient.grid, patient.labels[None], patient.mu_map(camera.energy_kev)[None]
    record = cohort.draw([seed])
    whole = cohort.synthesizer.render(cohort.integrated(record), labels, mu_map, grid)
    given = whole.imaged_labels if outlined else labels
    organs = given.unique()[1:]
    lesions = torch.tensor(
        [i for i in map(organ_id, LESIONS) if not outlined and bool((whole.imaged_labels == i).any())], dtype=labels.dtype
    )

    def sums(volume: Volume) -> Tensor:
        return torch.cat(
            [region_activities(volume, given, organs, grid)[0], region_activities(volume, whole.imaged_labels, lesions, grid)[0]]
        )

    problems, moved, activity = [], [], []
    for i, hours in enumerate(HOURS):
        phantom = cohort.synthesizer.render(cohort.at(record, hours), labels, mu_map, grid)
        activity.append(sums(phantom.activity))
        lying = DeformationRecord.stack([cohort.deformation.draw(torch.Generator().manual_seed(10 * seed + i))])
        x, mu, ids = cohort.deformation.render(lying, phantom.activity, mu_map, phantom.imaged_labels, grid)
        views = poisson(camera.projector(mu, grid)(x), torch.Generator().manual_seed(100_000_000 + 10 * seed + i))
        moved.append(ids)
        if i == 0:
            problems.append(PlanarProblem.from_camera(camera, views=views, mu_map=mu_map, labels=given, grid=grid))
        else:
            problems.append(replace(problems[0], views=views))
    return Treated(
        problems=tuple(problems),
        moved_labels=tuple(moved),
        ids=torch.cat([organs, lesions]),
        n_given=len(organs),
        volume_ml=sums(torch.ones_like(whole.activity)),
        activity_bq=torch.stack(activity),
        decays=sums(whole.activity),
    )


def in_given(posterior: Posterior, treated: Treated) -> Tensor:
    """Activity in the organs given, ``(k,)`` [Bq]."""
    if posterior.organs is not None:
        return posterior.organs.activity_bq[0]
    first = treated.problems[0]
    return region_activities(posterior.mean, first.labels, treated.ids[: treated.n_given], first.grid)[0]


def activity_rows(seed: int, name: str, treated: Treated, found: Sequence[Posterior], qplanar: QPlanar) -> list[dict]:
    """A row for each organ by the labels given, and for each organ and lesion by where it lay: mean concentration times volume."""
    grid, k = treated.problems[0].grid, treated.n_given
    given = torch.stack([in_given(f, treated) for f in found])
    lay = torch.stack([mean_in(f.mean, ids, treated.ids, grid) for f, ids in zip(found, treated.moved_labels, strict=True)])
    lay = lay * treated.volume_ml
    errors = torch.stack([errors_of(qplanar, p) for p in treated.problems])
    rows = []
    for region, values in (("given", given), ("lay", lay)):
        for j in range(values.shape[1]):
            if organ_name(int(treated.ids[j])) not in KEPT:
                continue
            row = {"seed": seed, "method": name, "region": region, "organ": organ_name(int(treated.ids[j])),
                   "volume_ml": treated.volume_ml[j], "decays": treated.decays[j]}  # fmt: skip
            for i, hours in enumerate(HOURS):
                row |= {f"true_{hours:g}": treated.activity_bq[i, j], f"bq_{hours:g}": values[i, j],
                        f"error_{hours:g}": errors[i, j] if j < k else torch.nan}  # fmt: skip
            rows.append(row)
    return rows


def mean_in(volume: Volume, labels: LabelMap, ids: Tensor, grid: Grid) -> Tensor:
    """Mean of a map in each label, NaN where there is none, ``(k,)``."""
    total, size = (region_activities(v, labels, ids, grid)[0] for v in (volume, torch.ones_like(volume)))
    return torch.where(size > 0, total / size, torch.nan)


def organs_of(qplanar: QPlanar, problem: PlanarProblem) -> OrganActivities:
    """What QPlanar finds."""
    organs = qplanar(problem).organs
    assert organs is not None
    return organs


def errors_of(qplanar: QPlanar, problem: PlanarProblem) -> Tensor:
    """Standard errors by QPlanar, ``(k,)`` [Bq]."""
    errors = organs_of(qplanar, problem).standard_error_bq
    assert errors is not None
    return errors[0]


def curve_rows(
    seed: int, name: str, treated: Treated, found: Sequence[Posterior], qplanar: QPlanar, cohort: Cohort, log_sd: float
) -> list[dict]:
    """Integrals of curves fitted to all organs together: jointly for QPlanar, coupled for the others."""
    options = {"half_life_s": HALF_LIFE_S, "prior": cohort.priors(), "deviation_log_sd": cohort.deviations(log_sd)}
    if name.startswith("qplanar") and not name.startswith("qplanar_em"):
        kinetics = JointQPlanar(qplanar=qplanar, **options)(treated.problems, AXIS).kinetics
    else:
        organs = [with_errors(f, treated, p, qplanar) for f, p in zip(found, treated.problems, strict=True)]
        kinetics = couple(organs, AXIS, **options).kinetics
    return [
        {"seed": seed, "method": name, "organ": organ_name(identifier), "decays": treated.decays[j],
         "found": kinetics.time_integrated_bq_s[0, j], "error": kinetics.time_integrated_error_bq_s[0, j],
         "half_life_h": kinetics.half_life_s[0, j] / SECONDS_PER_HOUR}
        for j, identifier in enumerate(treated.ids[: treated.n_given].tolist()) if organ_name(identifier) in KEPT
    ]  # fmt: skip


def with_errors(posterior: Posterior, treated: Treated, problem: PlanarProblem, qplanar: QPlanar) -> OrganActivities:
    """Activities of a time with the covariance of QPlanar, as the other methods state none."""
    return replace(organs_of(qplanar, problem), activity_bq=in_given(posterior, treated)[None])


def done() -> set[tuple[str, str]]:
    """Seeds and methods that the file has."""
    path = HERE / "results_activities.csv"
    if not path.exists():
        return set()
    with path.open(newline="", encoding="utf-8") as stream:
        return {(row["seed"], row["method"]) for row in csv.DictReader(stream)}


def append(name: str, rows: list[dict]) -> None:
    """Add rows to a file, which gets a head if it is new."""
    if not rows:
        return
    path = HERE / name
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        if new:
            writer.writeheader()
        writer.writerows([{k: f"{float(v):.5g}" if isinstance(v, Tensor) else v for k, v in row.items()} for row in rows])


if __name__ == "__main__":
    main()
