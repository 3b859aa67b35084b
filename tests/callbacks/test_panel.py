"""The panel is the same at every validation, and its figures are those of the estimates."""

from __future__ import annotations

import pytest
import torch

from planar3d.callbacks.panel import CURVE_LEVELS, ValidationPanel
from planar3d.data import PhantomDataModule
from planar3d.reconstruction.posterior import OrganActivities, Posterior
from planar3d.reconstruction.solved_problem import SolvedProblem

from .conftest import ScaledTruth


@pytest.fixture
def panel(data: PhantomDataModule) -> ValidationPanel:
    data.setup("validate")
    return ValidationPanel.draw(data, cases=5, device=torch.device("cpu"))


def test_cases_are_those_of_the_validation_and_go_through_the_anatomies(panel: ValidationPanel, data: PhantomDataModule) -> None:
    assert [len(batch) for batch in panel.batches] == [2, 2, 1]
    assert panel.anatomy == (0, 1, 0, 1, 0)
    again = data.synthesise(torch.arange(2), epoch=None)
    assert torch.equal(panel.batches[0].truth.views, again.truth.views)


def test_scores_of_a_scaled_truth_are_known(panel: ValidationPanel) -> None:
    scores = panel.scores(panel.reconstructed(ScaledTruth(0.9, spread=0.2).reconstruct))
    names = ("panel/nmae", "panel/nmae/anatomy_0", "panel/nmae/anatomy_1", "panel/organ_error_median", "panel/organ_error_p90")
    assert [scores.scalars[name] for name in names] == pytest.approx([0.1] * 5, rel=1e-4)
    assert scores.scalars["panel/ssim_body"] < 1.0
    assert {point.organ for point in scores.organs} == {"liver", "kidney_left"}
    assert {point.case for point in scores.organs} == set(range(5))
    assert all(point.estimated_bq == pytest.approx(0.9 * point.true_bq, rel=1e-4) for point in scores.organs)


def test_each_anatomy_has_the_figures_of_its_own_cases(panel: ValidationPanel) -> None:
    def worse_in_the_second(batch: SolvedProblem) -> Posterior:
        factor = torch.tensor([1.1, 1.3])[: len(batch)].view(-1, 1, 1, 1, 1)
        return Posterior(mean=batch.truth.activity * factor)

    scalars = panel.scores(panel.reconstructed(worse_in_the_second)).scalars
    assert scalars["panel/nmae/anatomy_0"] == pytest.approx(0.1, rel=1e-4)
    assert scalars["panel/nmae/anatomy_1"] == pytest.approx(0.3, rel=1e-4)
    assert scalars["panel/nmae"] == pytest.approx((3 * 0.1 + 2 * 0.3) / 5, rel=1e-4)


def test_coverage_of_samples_is_all_or_none_where_all_organs_err_alike(panel: ValidationPanel) -> None:
    """Samples are 0.8 to 1.2 times an estimate of 0.9: the truth is at the 0.78 quantile, inside of levels above 0.56."""
    scores = panel.scores(panel.reconstructed(ScaledTruth(0.9, spread=0.2).reconstruct))
    assert scores.coverage == {"organs": pytest.approx([float(level > 0.56) for level in CURVE_LEVELS])}
    assert (scores.scalars["panel/coverage_50_organs"], scores.scalars["panel/coverage_90_organs"]) == (0.0, 1.0)


def test_coverage_of_standard_errors_is_of_organs_and_of_deviations_of_voxels(panel: ValidationPanel) -> None:
    """An error of one standard deviation lies inside intervals above 68 %."""

    def of_organs(batch: SolvedProblem) -> Posterior:
        scores = panel.scores(panel.reconstructed(lambda b: Posterior(mean=b.truth.activity)))
        first = 0 if batch is panel.batches[0] else 2 if batch is panel.batches[1] else 4
        own = [p.true_bq for k in range(len(batch)) for p in scores.organs if p.case == first + k]
        true = torch.tensor(own).view(len(batch), 2)
        ids = batch.truth.imaged_labels.unique()[-2:]
        stated = OrganActivities(ids=ids, activity_bq=0.9 * true, standard_error_bq=0.1 * true)
        return Posterior(mean=batch.truth.activity, organs=stated)

    expected = pytest.approx([float(level > 0.6827) for level in CURVE_LEVELS])
    by_organ = panel.scores(panel.reconstructed(of_organs)).coverage
    assert by_organ == {"organs": expected}
    scale = 1.0 + torch.finfo(torch.float32).eps * 100
    by_voxel = panel.scores(
        panel.reconstructed(lambda b: Posterior(mean=0.9 * b.truth.activity, std=0.1 * scale * b.truth.activity))
    ).coverage
    assert by_voxel == {"voxels": expected}


def test_an_estimate_without_uncertainty_has_no_coverage(panel: ValidationPanel) -> None:
    scores = panel.scores(panel.reconstructed(lambda b: Posterior(mean=b.truth.activity)))
    assert scores.coverage == {}
    assert not any("coverage" in name for name in scores.scalars)
    assert scores.scalars["panel/nmae"] == 0.0


def test_other_data_modules_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a PhantomDataModule, got object"):
        ValidationPanel.draw(object(), cases=1, device=torch.device("cpu"))
