"""Activity of organs whose edges cross voxels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from planar3d.dosimetry import TimeAxis
from planar3d.grid import Grid
from planar3d.organs import organ_id
from planar3d.phantom.deformation import Deformation
from planar3d.reconstruction.partial_volume import edge_recovered, transfer_matrix
from planar3d.reconstruction.posterior import OrganActivities, Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.reconstruct_series import reconstruct_series

if TYPE_CHECKING:
    from tests.reconstruction.conftest import Torso

GRID = Grid.centred((30, 24, 28), 8.0)
KIDNEY, LIVER, LUNG, BODY = (organ_id(name) for name in ("kidney_left", "liver", "lung_left", "body"))


def ellipsoid(centre: tuple[float, float, float], radius: tuple[float, float, float]) -> Tensor:
    """Where a voxel's centre lies inside."""
    axes = [(torch.arange(n) - 0.5 * (n - 1)) * s for n, s in zip(GRID.shape, GRID.spacing_mm, strict=True)]
    points = torch.meshgrid(*axes, indexing="ij")
    return sum(((a - c) / r) ** 2 for a, c, r in zip(points, centre, radius, strict=True)) < 1


@pytest.fixture
def labels() -> Tensor:
    """A kidney of 150 mL beside a liver, both in a body, ``(1, 1, x, y, z)``."""
    labels = torch.zeros(GRID.shape, dtype=torch.long)
    labels[ellipsoid((0, 0, 0), (110, 85, 1e9))] = BODY
    labels[ellipsoid((40, 10, 20), (45, 45, 45))] = LIVER
    labels[ellipsoid((-30, -20, 0), (26, 26, 53))] = KIDNEY
    return labels[None, None]


def filled(labels: Tensor) -> Tensor:
    """Uniform organs, the kidney the hottest [Bq/mL]."""
    return 1.0 * (labels == BODY) + 5.0 * (labels == LIVER) + 40.0 * (labels == KIDNEY)


def test_a_kidney_moved_by_parts_of_a_voxel_keeps_its_activity(labels: Tensor) -> None:
    lost, kept = [], []
    deformation = Deformation(translation_mm=16.0, rotation_deg=5.0, elastic_mm=0.0)
    for seed in range(24):
        record = type(r := deformation.draw(torch.Generator().manual_seed(seed))).stack([r])
        activity, _, moved = deformation.render(record, filled(labels), filled(labels), labels, GRID)
        summed = OrganActivities.of_map(activity, moved, GRID.voxel_volume_ml)
        whole = OrganActivities.of_map(filled(labels), labels, GRID.voxel_volume_ml).activity_bq
        lost.append(summed.activity_bq / whole - 1)
        kept.append(edge_recovered(summed, moved, 0.125).activity_bq / whole - 1)
    column = summed.ids.tolist().index(KIDNEY)
    assert float(torch.cat(lost)[:, column].mean()) < -0.1
    assert abs(float(torch.cat(kept)[:, column].mean())) < 0.03


def test_blurred_organs_come_back_exactly_and_sharp_ones_are_left_alone_at_zero(labels: Tensor) -> None:
    sharp = OrganActivities.of_map(filled(labels).double(), labels, GRID.voxel_volume_ml)
    # a map of one concentration in each organ, blurred, is what the matrix describes
    columns = transfer_matrix(labels, sharp.ids, 0.1)[0]
    concentration = torch.tensor([{BODY: 1.0, LIVER: 5.0, KIDNEY: 40.0}[i] for i in sharp.ids.tolist()], dtype=torch.float64)
    sums = OrganActivities(ids=sharp.ids, activity_bq=(columns @ concentration * GRID.voxel_volume_ml)[None])
    torch.testing.assert_close(edge_recovered(sums, labels, 0.1).activity_bq, sharp.activity_bq)
    torch.testing.assert_close(edge_recovered(sharp, labels, 0.0).activity_bq, sharp.activity_bq)


def test_a_cold_organ_keeps_its_sum_and_the_tissue_between_gives(labels: Tensor) -> None:
    labels = torch.where(labels == LIVER, LUNG, labels)  # beside the kidney, and ten times colder than the tissue
    activity = 1.0 * (labels == BODY) + 0.1 * (labels == LUNG) + 40.0 * (labels == KIDNEY)
    summed = OrganActivities.of_map(activity, labels, GRID.voxel_volume_ml)
    summed = replace(summed, standard_error_bq=0.1 * summed.activity_bq)
    body, lung, kidney = (summed.ids.tolist().index(i) for i in (BODY, LUNG, KIDNEY))
    recovered = edge_recovered(summed, labels, 0.0625)
    assert summed.standard_error_bq is not None
    assert recovered.standard_error_bq is not None
    change = recovered.activity_bq / summed.activity_bq - 1
    assert float(change[0, lung]) == 0.0
    assert float(recovered.standard_error_bq[0, lung]) == pytest.approx(float(summed.standard_error_bq[0, lung]))
    assert float(change[0, kidney]) > 0.05
    assert float(change[0, body]) < 0.0


def test_errors_go_along_and_an_organ_that_a_sample_lacks_stays_empty(labels: Tensor) -> None:
    both = torch.cat([labels, torch.where(labels == LIVER, BODY, labels)])
    ids = both.unique()[1:]
    activity = OrganActivities.of_map(filled(both), both, GRID.voxel_volume_ml).activity_bq
    generator = torch.Generator().manual_seed(0)
    draws = activity * (1 + 0.1 * torch.randn(4000, *activity.shape, generator=generator))
    stated = edge_recovered(OrganActivities.of_samples(draws, ids), both, 0.06)
    each = torch.stack([edge_recovered(OrganActivities(ids=ids, activity_bq=d), both, 0.06).activity_bq for d in draws[:400]])
    liver = ids.tolist().index(LIVER)
    assert stated.standard_error_bq is not None
    assert float(stated.activity_bq[1, liver]) == 0.0
    kept = activity > 0
    torch.testing.assert_close(each.std(dim=0)[kept], stated.standard_error_bq[kept], rtol=0.1, atol=0.0)
    only_errors = OrganActivities(ids=ids, activity_bq=activity, standard_error_bq=0.1 * activity)
    torch.testing.assert_close(edge_recovered(only_errors, both, 0.06).standard_error_bq, stated.standard_error_bq, rtol=0.1, atol=1.0)


def test_organs_over_time_are_recovered_too(torso: Torso) -> None:
    problems = [torso.problem(torso.views()) for _ in range(2)]
    times = TimeAxis(times_s=(3600.0, 90000.0))

    class Method:
        edge_spill = 0.1

        def __call__(self, problem: PlanarProblem) -> Posterior:
            return Posterior(mean=torso.activity)

    series = reconstruct_series(problems, times, method=Method(), name="stub", joint=False, half_life_s=5e5)
    summed = OrganActivities.of_map(torso.activity, torso.labels, torso.grid.voxel_volume_ml)
    expected = edge_recovered(summed, torso.labels, 0.1).activity_bq[0]
    torch.testing.assert_close(series.activity_bq[:, 0], expected.double(), rtol=1e-4, atol=1.0)
    assert not torch.allclose(expected, summed.activity_bq[0], rtol=0.05)


@pytest.mark.parametrize("spill", [-0.01, 0.25])
def test_a_spill_that_no_edge_leaves_is_refused(labels: Tensor, spill: float) -> None:
    with pytest.raises(ValueError, match=r"edge_spill must lie in \[0, 0\.25\)"):
        transfer_matrix(labels, labels.unique(), spill)
