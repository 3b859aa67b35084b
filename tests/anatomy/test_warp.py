"""Warped patients are the patient in another shape: nothing folds, organs keep their kind and about their size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from planar3d.anatomy import Patient, Warp, digital_patient, draw_warp, warp_patient
from planar3d.anatomy.ct import AIR_HU
from planar3d.anatomy.warp import volume_change
from planar3d.grid import Grid
from planar3d.organs import GROUPS, organ_id


def _warp(seed: int, **options: float) -> Warp:
    return draw_warp(torch.Generator().manual_seed(seed), **options)


def _count(patient: Patient, organ: str) -> float:
    return float((patient.labels == organ_id(organ)).sum())


@pytest.mark.parametrize("seed", range(6))
def test_nothing_folds(digital: Patient, seed: int) -> None:
    change = volume_change(_warp(seed), digital.grid)
    assert float(change.min()) > 0.2
    assert float(change.max()) < 5.0


@pytest.mark.parametrize("seed", range(3))
def test_organs_change_as_the_determinant_says(digital: Patient, seed: int) -> None:
    warp = _warp(seed)
    warped = warp_patient(digital, warp)
    change = volume_change(warp, warped.grid)
    for organ in ("liver", "lung_right", "heart", "muscle"):
        mask = warped.labels[0] == organ_id(organ)
        undone = float((1.0 / change[mask]).sum())
        if organ != "muscle" and not (mask[..., -1].any() or mask[..., 0].any()):
            assert undone == pytest.approx(_count(digital, organ), rel=0.05), organ
        assert 0.5 < float(mask.sum()) / _count(digital, organ) < 2.0


def test_labels_stay_labels_and_ct_stays_ct(digital: Patient) -> None:
    warped = warp_patient(digital, _warp(1))
    assert warped.labels.dtype == digital.labels.dtype
    assert set(warped.labels.unique().tolist()) <= set(digital.labels.unique().tolist())
    assert float(warped.ct_hu.min()) >= float(digital.ct_hu.min()) - 0.01
    assert float(warped.ct_hu.max()) <= float(digital.ct_hu.max()) + 0.01
    for organ in ("liver", "lung_left", *GROUPS["skeleton"][:1]):
        before, after = (float(p.ct_hu[p.labels == organ_id(organ)].median()) for p in (digital, warped))
        assert after == pytest.approx(before, abs=60.0), organ


def test_no_warp_is_no_change(digital: Patient) -> None:
    warp = replace(_warp(0, velocity_mm=0.0), scale=(1.0, 1.0, 1.0))
    warped = warp_patient(digital, warp)
    assert torch.equal(warped.labels, digital.labels)
    torch.testing.assert_close(warped.ct_hu, digital.ct_hu, atol=0.05, rtol=0.0)


def test_enlarging_along_one_axis_is_that(digital: Patient) -> None:
    warp = replace(_warp(0, velocity_mm=0.0), scale=(1.25, 1.0, 1.0))
    warped = warp_patient(digital, warp)
    assert _count(warped, "liver") == pytest.approx(1.25 * _count(digital, "liver"), rel=0.03)
    widths = [torch.nonzero((p.labels[0] == organ_id("liver")).any(dim=2).any(dim=1)).numel() for p in (digital, warped)]
    assert widths[1] == pytest.approx(1.25 * widths[0], abs=1.5)


def test_right_stays_right(digital: Patient) -> None:
    for seed in range(3):
        warped = warp_patient(digital, _warp(seed))
        x = torch.arange(warped.grid.shape[0], dtype=torch.float32)
        liver, spleen = ((warped.labels[0] == organ_id(o)).sum(dim=(1, 2)) for o in ("liver", "spleen"))
        assert float((x * liver).sum() / liver.sum()) > float((x * spleen).sum() / spleen.sum()) + 5.0


def test_a_warp_is_the_same_on_a_finer_grid() -> None:
    coarse, fine = digital_patient(3, 12.0), digital_patient(3, 6.0)
    for organ in ("liver", "heart"):
        ratio = [_count(warp_patient(p, _warp(2)), organ) / _count(p, organ) for p in (coarse, fine)]
        assert ratio[0] == pytest.approx(ratio[1], rel=0.05)


def test_the_generator_alone_decides(digital: Patient) -> None:
    a, b, c = (warp_patient(digital, _warp(seed)) for seed in (4, 4, 5))
    assert torch.equal(a.labels, b.labels)
    assert a.grid != c.grid or not torch.equal(a.labels, c.labels)


def test_a_folding_warp_is_refused() -> None:
    grid = Grid.centred((12, 12, 12), 8.0)
    patient = Patient(grid=grid, ct_hu=torch.full((1, 12, 12, 12), AIR_HU), labels=torch.zeros(1, 12, 12, 12, dtype=torch.int64))
    with pytest.raises(ValueError, match="folds space"):
        warp_patient(patient, _warp(0, velocity_mm=400.0, correlation_mm=15.0))
    with pytest.raises(ValueError, match="correlation_mm positive"):
        _warp(0, correlation_mm=0.0)
