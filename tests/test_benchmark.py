"""Benchmarks: cases are fixed, reserved and given no more than a method may know."""

import pytest
import torch

from planar3d.anatomy.digital import digital_patient
from planar3d.benchmark import FIRST_PHANTOM_SEED, Benchmark, FilePatient
from planar3d.organs import ABSENT_IN_POOR_SEGMENTATION, organ_id
from planar3d.phantom.biodistribution import Biodistribution
from planar3d.phantom.deformation import Deformation
from planar3d.phantom.synthesis import PhantomSynthesizer
from planar3d.physics import GammaCamera
from planar3d.reconstruction import Posterior, QPlanar
from planar3d.scoring import score
from planar3d.simulation import PlanarSimulator


def simulator(counts: float = 7e5) -> PlanarSimulator:
    synthesizer = PhantomSynthesizer(
        biodistribution=Biodistribution.from_name("psma617", time_s=86400.0, administered_bq=7.4e9),
        deformation=Deformation(translation_mm=5.0, rotation_deg=2.0, elastic_mm=0.0),
    )
    camera = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=100.0)
    return PlanarSimulator(camera=camera, synthesizer=synthesizer, anterior_counts=counts)


def benchmark(**changes: object) -> Benchmark:
    settings = {"name": "test", "simulator": simulator(), "digital_seeds": [900000], "spacing_mm": 16.0, "cases_per_anatomy": 4}
    return Benchmark(**{**settings, **changes})  # pyright: ignore[reportArgumentType]


def test_cases_are_the_same_every_time() -> None:
    first, second = next(iter(benchmark())), next(iter(benchmark()))
    assert torch.equal(first.truth.views, second.truth.views)
    assert torch.equal(first.truth.activity, second.truth.activity)


def test_cases_moved_to_a_device_are_the_same_and_explain_the_same_counts() -> None:
    cases = next(iter(benchmark()))
    (moved,) = benchmark().only(["digital_900000"], device="cpu")
    assert torch.equal(moved.truth.views, cases.truth.views)
    assert moved.poor_labels == cases.poor_labels
    activity = cases.truth.activity
    torch.testing.assert_close(moved.problem.expected_counts(activity), cases.problem.expected_counts(activity))


@pytest.mark.gpu
def test_a_method_is_worth_the_same_on_a_gpu() -> None:
    both = [next(benchmark().only(["digital_900000"], device=device)) for device in ("cpu", "cuda")]
    here, there = (score(c, "qplanar", QPlanar()(c.problem), 0.0)["cases"] for c in both)
    for one, other in zip(here, there, strict=True):
        assert other["nmae"] == pytest.approx(one["nmae"], rel=1e-3)
        assert other["total_bias"] == pytest.approx(one["total_bias"], abs=1e-3)


def test_an_anatomy_keeps_its_cases_when_another_is_missing() -> None:
    absent = FilePatient(name="absent", ct="/nowhere/ct.nii.gz", labels="/nowhere/labels.nii.gz")
    complete = benchmark(patients=[absent])
    assert complete.missing == ("absent",)
    assert len(complete) == 1
    assert torch.equal(next(iter(complete)).truth.views, next(iter(benchmark())).truth.views)


def test_the_anterior_view_has_the_counts_asked_for() -> None:
    cases = next(iter(benchmark()))
    torch.testing.assert_close(cases.truth.views[:, 0].sum(dim=(1, 2)), torch.full((4,), 7e5), rtol=0.01, atol=0.0)


def test_every_second_case_lacks_glands_vessels_and_bowel() -> None:
    cases = next(iter(benchmark()))
    absent = torch.tensor([organ_id(name) for name in ABSENT_IN_POOR_SEGMENTATION])
    has_them = torch.isin(cases.problem.labels, absent).flatten(1).any(dim=1).tolist()
    assert cases.poor_labels == (False, True, False, True)
    assert has_them == [True, False, True, False]


def test_a_method_is_given_the_anatomy_that_has_not_moved() -> None:
    cases = next(iter(benchmark()))
    still = digital_patient(900000, spacing_mm=16.0)
    assert torch.equal(cases.problem.labels[0], still.labels)
    moved = [not torch.equal(imaged, still.labels) for imaged in cases.truth.imaged_labels]
    assert any(moved)


def test_a_scaled_activity_is_what_the_counts_come_from() -> None:
    """Deviance of the counts against the camera's expectation of the truth is that of noise, up to the patient having moved."""
    cases = next(iter(benchmark(simulator=simulator(7e5))))
    expected = cases.problem.projector(cases.truth.activity).sum(dim=(1, 2, 3))
    torch.testing.assert_close(cases.truth.views.sum(dim=(1, 2, 3)), expected, rtol=0.06, atol=0.0)


def test_an_estimate_that_is_not_finite_is_refused_by_name() -> None:
    cases = next(iter(benchmark(cases_per_anatomy=1)))
    with pytest.raises(ValueError, match="broken gives activities that are not finite for digital_900000"):
        score(cases, "broken", Posterior(mean=cases.truth.activity * torch.nan), 0.0)


def test_seeds_that_training_may_draw_are_refused() -> None:
    with pytest.raises(ValueError, match=r"digital_seeds \[3\] are not reserved"):
        benchmark(digital_seeds=[3])
    assert 2**31 <= FIRST_PHANTOM_SEED < FIRST_PHANTOM_SEED + 100_000 < 2**32


def test_sample_k_does_not_depend_on_the_batch() -> None:
    patient, source = digital_patient(900001, spacing_mm=16.0), simulator()
    mu_map = patient.mu_map(source.camera.energy_kev)[None]

    def views(seeds: list[int]) -> torch.Tensor:
        n = len(seeds)
        labels = patient.labels.expand(n, 1, *patient.grid.shape)
        return source.simulate(
            labels=labels, given_labels=labels, mu_map=mu_map.expand_as(labels), grid=patient.grid, seeds=torch.tensor(seeds)
        ).views

    together, alone = views([11, 12, 13]), views([12])
    # a count may differ by one where rounding of the expectation differs between batch sizes
    assert float((together[1:2] - alone).abs().sum() / alone.sum()) < 1e-3
    assert not torch.equal(together[0], together[1])


def test_a_benchmark_of_whole_bodies_has_heads() -> None:
    whole, trunk = (next(iter(benchmark(field=field, cases_per_anatomy=1))) for field in ("whole_body", "torso"))
    parotid = organ_id("parotid_left")
    assert (whole.problem.labels == parotid).any()
    assert not (trunk.problem.labels == parotid).any()
    with pytest.raises(ValueError, match="field must be one of"):
        benchmark(field="legs")
