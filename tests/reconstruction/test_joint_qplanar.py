"""Organ activities on curves: exact without noise, better than time by time where organs overlap or counts are few, honest about errors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from planar3d.dosimetry import EffectiveHalfLifePrior, TimeAxis, fit_kinetics
from planar3d.grid import Grid
from planar3d.organs import organ_id
from planar3d.physics import poisson
from planar3d.reconstruction import JointPosterior, JointQPlanar, PlanarProblem, QPlanar, RigidOffset
from planar3d.reconstruction.voi import project_organs
from planar3d.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from tests.reconstruction.conftest import Torso

LN2 = 0.6931471805599453
PHYSICAL_S = 159.5 * SECONDS_PER_HOUR
HALF_LIVES_H = {
    "body": 14.0,
    "liver": 23.0,
    "spleen": 20.0,
    "kidney_left": 36.0,
    "kidney_right": 36.0,
    "urinary_bladder": 24.0,
    "colon": 20.0,
}
PRIOR = {name: EffectiveHalfLifePrior(median_h=half_life, log_sd=0.4) for name, half_life in HALF_LIVES_H.items()}
FOUR = TimeAxis.from_hours([4.0, 24.0, 72.0, 168.0])
DRAWS = 40


@dataclass(frozen=True, kw_only=True)
class Series:
    """Images of patients at several times, and the truth."""

    problems: list[PlanarProblem]
    activity_bq: Tensor
    integral_bq_s: Tensor


def series(
    torso: Torso, axis: TimeAxis, *, level: float, draws: int, generator: torch.Generator | None, spread: float = 0.0, fast: float = 0.0
) -> Series:
    """Patients whose organs wash out, some of it fast; without a generator there is no noise."""
    half_lives = SECONDS_PER_HOUR * torch.tensor(list(_half_lives(torso.labels).values()), dtype=torch.float64).expand(draws, -1)
    if spread > 0:
        normal = torch.randn(half_lives.shape, generator=generator, dtype=torch.float64)
        half_lives = (half_lives * torch.exp(spread * normal)).clamp(max=PHYSICAL_S)
    at_injection = 2.0 * level * torso.organ_activity().double()
    times = axis.tensor(half_lives)[:, None, None]
    activity = at_injection * (torch.exp2(-times / half_lives) + fast * torch.exp2(-times / (4.0 * SECONDS_PER_HOUR)))
    images = project_organs(torso.problem(torso.views()))[0].double()
    expected = torch.einsum("tbk,kvxz->tbvxz", activity, images).float()
    base = torso.problem(torso.views().expand(draws, -1, -1, -1))
    problems = [replace(base, views=poisson(m, generator) if generator else m) for m in expected]
    return Series(problems=problems, activity_bq=activity.transpose(0, 1), integral_bq_s=at_injection * half_lives / LN2)


def _half_lives(labels: Tensor) -> dict[str, float]:
    """Those of the organs of an anatomy, in the order of their ids."""
    present = set(labels.unique().tolist())
    return dict(sorted(((n, h) for n, h in HALF_LIVES_H.items() if organ_id(n) in present), key=lambda item: organ_id(item[0])))


@pytest.fixture(scope="module")
def overlapping(torso: Torso) -> Torso:
    """A torso with hot bowel before a kidney and touching it."""
    axes = [(torch.arange(n) - 0.5 * (n - 1)) * s for n, s in zip(torso.grid.shape, torso.grid.spacing_mm, strict=True)]
    x, y, z = torch.meshgrid(*axes, indexing="ij")
    bowel = ((x + 55) / 25) ** 2 + ((y + 10) / 12) ** 2 + ((z + 5) / 45) ** 2 < 1
    bowel = bowel & (torso.labels[0, 0] == organ_id("body"))
    activity = torch.where(bowel, torso.activity.max(), torso.activity)
    return replace(torso, labels=torch.where(bowel, organ_id("colon"), torso.labels), activity=activity)


def joint(found: Series, axis: TimeAxis, **options: object) -> JointPosterior:
    """The reconstruction of a series."""
    return JointQPlanar(half_life_s=PHYSICAL_S, **({"prior": PRIOR, "deviation_log_sd": 0.02} | options))(found.problems, axis)


def time_by_time(found: JointPosterior, axis: TimeAxis, **options: object) -> Tensor:
    """Integrals of curves fitted to QPlanar's activities, organ by organ, ``(b, k)``."""
    organs = [p.organs for p in found.separate if p.organs is not None]
    activity = torch.stack([o.activity_bq for o in organs], dim=2).double()
    error = torch.stack([o.standard_error_bq for o in organs if o.standard_error_bq is not None], dim=2).double()
    fit = fit_kinetics(
        activity.flatten(0, 1),
        times=axis,
        half_life_s=PHYSICAL_S,
        standard_error_bq=error.flatten(0, 1),
        refuse_rising=False,
        **options,
    )
    return fit.value_bq_s.view(activity.shape[:2])


def test_noiseless_curves_come_back(torso: Torso) -> None:
    given = series(torso, FOUR, level=1.0, draws=1, generator=None)
    found = joint(given, FOUR, prior=None).kinetics
    torch.testing.assert_close(found.activity_bq, given.activity_bq, rtol=1e-3, atol=1e-6 * float(given.activity_bq.max()))
    torch.testing.assert_close(found.time_integrated_bq_s, given.integral_bq_s, rtol=1e-3, atol=0.0)
    half_lives_h = torch.tensor([list(_half_lives(torso.labels).values())], dtype=torch.float64)
    torch.testing.assert_close(found.half_life_s / SECONDS_PER_HOUR, half_lives_h, rtol=1e-3, atol=0.0)


def test_better_than_time_by_time_where_organs_overlap(overlapping: Torso, generator: torch.Generator) -> None:
    given = series(overlapping, FOUR, level=0.2, draws=DRAWS, generator=generator, spread=0.3)
    found = joint(given, FOUR)
    kidney = found.ids.tolist().index(organ_id("kidney_left"))
    names = _half_lives(overlapping.labels)
    alone = time_by_time(found, FOUR, model="mono_exponential", prior=[PRIOR[n] for n in names] * DRAWS)
    wrong, wrong_alone = ((v / given.integral_bq_s - 1.0).square().mean(dim=0).sqrt() for v in (found.kinetics.time_integrated_bq_s, alone))
    # the same curves and priors, but organ by organ
    assert wrong[kidney] < 0.95 * wrong_alone[kidney]
    assert wrong.mean() < wrong_alone.mean()
    trapezoid = time_by_time(found, FOUR, model="trapezoid")
    assert wrong.mean() < 0.5 * float((trapezoid / given.integral_bq_s - 1.0).square().mean(dim=0).sqrt().mean())


def test_better_than_time_by_time_with_two_times_and_few_counts(torso: Torso, generator: torch.Generator) -> None:
    axis = TimeAxis.from_hours([24.0, 72.0])
    given = series(torso, axis, level=0.002, draws=DRAWS, generator=generator, spread=0.3)
    found = joint(given, axis)
    alone = time_by_time(found, axis, model="mono_exponential")
    wrong, wrong_alone = ((v / given.integral_bq_s - 1.0).abs().mean() for v in (found.kinetics.time_integrated_bq_s, alone))
    assert wrong < 0.8 * wrong_alone


def test_intervals_of_the_integral_cover(torso: Torso, generator: torch.Generator) -> None:
    given = series(torso, FOUR, level=0.02, draws=DRAWS, generator=generator, spread=0.3)
    found = joint(given, FOUR, deviation_log_sd=0.0).kinetics
    covered = ((found.time_integrated_bq_s - given.integral_bq_s).abs() < 1.6449 * found.time_integrated_error_bq_s).double().mean()
    assert float(covered) == pytest.approx(0.9, abs=0.06)


def test_large_deviations_leave_each_time_to_itself(torso: Torso, generator: torch.Generator) -> None:
    given = series(torso, FOUR, level=0.2, draws=2, generator=generator, fast=3.0)
    errors = []
    for tau in (0.02, 3.0):
        found = joint(given, FOUR, deviation_log_sd=tau, prior=None)
        apart = torch.stack([p.organs.activity_bq for p in found.separate if p.organs is not None], dim=1).double()
        errors.append(((found.kinetics.activity_bq - apart).abs() / apart.clamp(min=1.0))[:, :2].mean())
    assert errors[1] < 0.02
    assert errors[0] > 5.0 * errors[1]


def test_deviations_keep_intervals_honest_where_curves_are_wrong(torso: Torso, generator: torch.Generator) -> None:
    # a fast phase adds a third of the slow one's activity at injection
    fast = 0.33
    given = series(torso, FOUR, level=0.1, draws=10, generator=generator, spread=0.3, fast=fast)
    truth = given.integral_bq_s + fast * 2.0 * 0.1 * torso.organ_activity().double() * 4.0 * SECONDS_PER_HOUR / LN2
    covered = []
    for tau in (0.0, 0.1):
        found = joint(given, FOUR, deviation_log_sd=tau).kinetics
        covered.append(float(((found.time_integrated_bq_s - truth).abs() < 1.6449 * found.time_integrated_error_bq_s).double().mean()))
    assert covered[0] < 0.86 < 0.9 < covered[1]


def test_an_organ_may_be_free_while_others_are_not(torso: Torso, generator: torch.Generator) -> None:
    given = series(torso, FOUR, level=0.2, draws=2, generator=generator)
    # the bladder was voided before the second image
    bladder = sorted(torso.labels.unique().tolist()[1:]).index(organ_id("urinary_bladder"))
    image = project_organs(torso.problem(torso.views()))[0, bladder] * given.activity_bq[0, 1, bladder].float()
    views = (given.problems[1].views - image).clamp(min=0.0).round()
    given.problems[1] = replace(given.problems[1], views=views)
    found = joint(given, FOUR, deviation_log_sd={"default": 0.02, "urinary_bladder": 3.0}).kinetics
    assert (found.activity_bq[:, 1, bladder] < 0.05 * given.activity_bq[:, 1, bladder]).all()
    others = [i for i in range(found.activity_bq.shape[2]) if i != bladder]
    torch.testing.assert_close(found.time_integrated_bq_s[:, others], given.integral_bq_s[:, others], rtol=0.1, atol=0.0)


def test_maps_hold_the_activities_and_a_batch_is_its_elements(torso: Torso, generator: torch.Generator) -> None:
    given = series(torso, FOUR, level=0.05, draws=3, generator=generator)
    batch = joint(given, FOUR)
    for i, posterior in enumerate(batch.posteriors):
        total = posterior.mean.sum(dim=(1, 2, 3, 4)) * torso.grid.voxel_volume_ml
        torch.testing.assert_close(total.double(), batch.kinetics.activity_bq[:, i].sum(dim=1), rtol=1e-4, atol=0.0)
    one = [torso.problem(p.views[2:3]) for p in given.problems]
    alone = JointQPlanar(half_life_s=PHYSICAL_S, prior=PRIOR, deviation_log_sd=0.02)(one, FOUR).kinetics
    torch.testing.assert_close(alone.time_integrated_bq_s[0], batch.kinetics.time_integrated_bq_s[2], rtol=1e-3, atol=0.0)


def test_each_time_may_have_its_own_offset(torso: Torso) -> None:
    axis = TimeAxis.from_hours([24.0, 72.0])
    half_lives = SECONDS_PER_HOUR * torch.tensor(list(_half_lives(torso.labels).values()), dtype=torch.float64)
    truth = torso.organ_activity().double()
    problems = []
    for hour, z_mm in zip(axis.hours, (6.0, -6.0), strict=True):
        kept = torch.exp2(-hour * SECONDS_PER_HOUR / half_lives)
        activity = sum(torso.activity * (torso.labels == i) * float(f) for i, f in zip(torso.labels.unique()[1:], kept, strict=True))
        moved = RigidOffset(translation_mm=torch.tensor([[0.0, 0.0, z_mm]]), rotation_deg=torch.zeros(1, 3))
        imaged = torso.camera(moved.move(activity, torso.grid), moved.move(torso.mu_map, torso.grid), torso.grid)
        problems.append(torso.problem(imaged))
    given = Series(problems=problems, activity_bq=truth, integral_bq_s=truth * half_lives / LN2)
    found = joint(given, axis, qplanar=QPlanar(estimate_offset=True))
    shifts = [float(p.offset.translation_mm[0, 2]) for p in found.posteriors if p.offset is not None]
    assert shifts == pytest.approx([6.0, -6.0], abs=0.7)
    plain = joint(given, axis)
    wrong, wrong_plain = ((f.kinetics.time_integrated_bq_s[0] / given.integral_bq_s - 1.0).abs().mean() for f in (found, plain))
    assert wrong < 0.5 * wrong_plain


def test_what_does_not_belong_together_is_refused(torso: Torso) -> None:
    problem = torso.problem(torso.views())
    method = JointQPlanar(half_life_s=PHYSICAL_S)
    two = TimeAxis.from_hours([24.0, 72.0])
    with pytest.raises(ValueError, match="1 times and the time axis 2"):
        method([problem], two)
    with pytest.raises(ValueError, match="two at least"):
        method([problem], TimeAxis.from_hours([24.0]))
    with pytest.raises(ValueError, match="different anatomies"):
        method([problem, replace(problem, labels=problem.labels.flip(2))], two)
    other = replace(torso.grid, origin_mm=tuple(o + 1.0 for o in torso.grid.origin_mm))
    assert isinstance(other, Grid)
    with pytest.raises(ValueError, match="different grids"):
        method([problem, replace(problem, grid=other)], two)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"prior": {"kidney": EffectiveHalfLifePrior(median_h=30.0, log_sd=0.3)}}, "organ 'kidney' is not known"),
        ({"prior": EffectiveHalfLifePrior(median_h=300.0, log_sd=0.3)}, "shorter than the physical"),
        ({"deviation_log_sd": {"liver": 0.1}}, "no 'default'"),
        ({"deviation_log_sd": -0.1}, "zero or more"),
    ],
)
def test_bad_expectations_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        JointQPlanar(half_life_s=PHYSICAL_S, **options)
