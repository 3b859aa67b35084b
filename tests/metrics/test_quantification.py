"""Organ errors and lesion recovery in closed form."""

from __future__ import annotations

import pytest
import torch

from planar3d.grid import Grid
from planar3d.metrics import lesion_recovery, organ_errors
from planar3d.organs import organ_id

GRID = Grid.centred((6, 5, 4), 10.0)
LIVER, LESION_1, LESION_3 = (organ_id(n) for n in ("liver", "lesion_1", "lesion_3"))


def _labels() -> torch.Tensor:
    labels = torch.ones(2, 1, *GRID.shape, dtype=torch.long)
    labels[:, :, 0] = 0
    labels[:, :, 1, 1:3, :] = LIVER
    labels[0, 0, 3, 3, 0:2] = LESION_1
    labels[1, 0, 4, 4, 3] = LESION_3
    return labels


def test_relative_error_of_each_organ() -> None:
    labels = _labels()
    truth = 100.0 * (labels > 0).float()
    estimate = torch.where(labels == LIVER, 150.0, torch.where(labels == 1, 80.0, 0.0))
    errors = organ_errors(estimate, truth, labels, GRID)
    column = {int(i): k for k, i in enumerate(errors.ids)}
    assert errors.relative_error[:, column[LIVER]].tolist() == pytest.approx([0.5, 0.5])
    assert errors.relative_error[:, column[1]].tolist() == pytest.approx([-0.2, -0.2])
    assert errors.true_bq[0, column[LIVER]].item() == pytest.approx(100.0 * 8 * GRID.voxel_volume_ml)
    assert errors.volume_ml[0, column[LIVER]].item() == pytest.approx(8.0)


def test_organ_without_truth_has_no_relative_error() -> None:
    labels = _labels()
    errors = organ_errors(torch.ones(labels.shape), (labels == 1).float(), labels, GRID)
    column = {int(i): k for k, i in enumerate(errors.ids)}
    assert errors.relative_error[:, column[LIVER]].isnan().all()
    assert errors.volume_ml[:, column[LESION_1]].tolist() == pytest.approx([2.0, 0.0])


def test_recovery_of_each_lesion_with_its_volume() -> None:
    labels = _labels()
    truth = 10.0 * (labels > 0).float()
    estimate = torch.where(labels == LESION_1, 5.0, 10.0)
    found = lesion_recovery(estimate, truth, labels, GRID)
    assert found.sample.tolist() == [0, 1]
    assert found.ids.tolist() == [LESION_1, LESION_3]
    assert found.volume_ml.tolist() == pytest.approx([2.0, 1.0])
    assert found.true_bq.tolist() == pytest.approx([20.0 * GRID.voxel_volume_ml, 10.0 * GRID.voxel_volume_ml])
    assert found.recovery.tolist() == pytest.approx([0.5, 1.0])


def test_no_lesion_gives_no_entry() -> None:
    labels = _labels().clamp(max=1)
    assert len(lesion_recovery(torch.ones(labels.shape), torch.ones(labels.shape), labels, GRID).recovery) == 0
