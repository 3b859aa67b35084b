"""Organ masks share out the body, and their images add up to the image of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from planar3d.reconstruction.voi import organ_masks, project_organs, unit_maps

if TYPE_CHECKING:
    from tests.reconstruction.conftest import Torso


def test_masks_share_out_the_body(torso: Torso) -> None:
    ids, masks = organ_masks(torso.labels)
    assert ids.tolist() == sorted(set(torso.labels.unique().tolist()) - {0})
    assert torch.equal(masks.sum(dim=1, keepdim=True), (torso.labels > 0).float())


def test_unit_maps_hold_one_becquerel(torso: Torso) -> None:
    labels = torso.labels.repeat(2, 1, 1, 1, 1)
    labels[1][labels[1] == labels.max()] = 1
    _, masks = organ_masks(labels)
    total = unit_maps(masks, torso.grid.voxel_volume_ml).sum(dim=(2, 3, 4)) * torso.grid.voxel_volume_ml
    assert torch.allclose(total[0], torch.ones_like(total[0]))
    assert (total[1] == 0).sum() == 1


def test_images_of_organs_add_up(torso: Torso) -> None:
    problem = torso.problem(torso.views().repeat(2, 1, 1, 1))
    images = project_organs(problem)
    total = torch.einsum("k,bkvxz->bvxz", torso.organ_activity(), images)
    assert torch.allclose(total, problem.views, rtol=1e-4, atol=1e-3)
