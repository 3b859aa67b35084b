"""Organs have the volume drawn for them, whatever is in front of them."""

from __future__ import annotations

import pytest
import torch

from planar3d.anatomy import TORSO, draw_habitus, render_patient
from planar3d.anatomy.levels import solve_levels
from planar3d.anatomy.parts import parts_of
from planar3d.grid import Grid
from planar3d.organs import GROUPS, ORGANS, organ_id

LARGE = ("liver", "spleen", "kidney_left", "kidney_right", "stomach", "pancreas", "colon", "small_bowel")
HEAD = Grid.centred((66, 72, 98), 3.0, (0.0, 8.0, 385.0))
GLANDS = ("thyroid", *GROUPS["salivary_glands"], *GROUPS["lacrimal_glands"])


@pytest.mark.parametrize("seed", [3, 4, 6])
def test_organs_of_the_trunk_have_the_volume_drawn(seed: int) -> None:
    habitus = draw_habitus(torch.Generator().manual_seed(seed))
    patient = render_patient(habitus, TORSO)
    volume_ml = torch.bincount(patient.labels.flatten(), minlength=len(ORGANS)) * patient.grid.voxel_volume_ml
    for organ in LARGE:
        assert float(volume_ml[organ_id(organ)]) == pytest.approx(habitus.volumes_ml[organ], rel=0.06), organ


@pytest.mark.parametrize("seed", [3, 4])
def test_glands_have_the_volume_drawn(seed: int) -> None:
    habitus = draw_habitus(torch.Generator().manual_seed(seed))
    patient = render_patient(habitus, HEAD)
    volume_ml = torch.bincount(patient.labels.flatten(), minlength=len(ORGANS)) * patient.grid.voxel_volume_ml
    for organ in GLANDS:
        assert float(volume_ml[organ_id(organ)]) == pytest.approx(habitus.volumes_ml[organ], rel=0.15), organ


def test_the_head_does_not_change_the_trunk() -> None:
    habitus = draw_habitus(torch.Generator().manual_seed(4))
    parts = list(parts_of(habitus))
    without = [p for p in parts if not p.is_of_head]
    whole = {p.organ: level for p, level in zip(parts, solve_levels(habitus, parts), strict=True) if p.is_sized}
    trunk = {p.organ: level for p, level in zip(without, solve_levels(habitus, without), strict=True) if p.is_sized}
    assert {organ: whole[organ] for organ in trunk} == trunk
