"""The loss: zero for the truth, the NMAE by its first term, blind to the count scale, and organ totals apart from places."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from planar3d.nn import ActivityLoss


@pytest.fixture
def case(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Estimate, truth and labels."""
    estimate, truth = torch.rand(2, 2, 1, 4, 5, 6, generator=generator)
    return estimate, truth, torch.randint(0, 4, truth.shape, generator=generator)


def test_the_truth_costs_nothing(case: tuple[Tensor, Tensor, Tensor]) -> None:
    _, truth, labels = case
    assert ActivityLoss(voxel=1.0, root=1.0, organ=1.0, organ_root=1.0)(truth, truth, labels) == 0


def test_the_voxel_term_is_the_mean_nmae(case: tuple[Tensor, Tensor, Tensor]) -> None:
    estimate, truth, labels = case
    expected = torch.stack([(e - t).abs().sum() / t.sum() for e, t in zip(estimate, truth, strict=True)]).mean()
    torch.testing.assert_close(ActivityLoss()(estimate, truth, labels), expected)


@pytest.mark.parametrize("term", ["voxel", "root", "organ", "organ_root"])
def test_the_count_scale_does_not_matter(term: str, case: tuple[Tensor, Tensor, Tensor]) -> None:
    estimate, truth, labels = case
    loss = ActivityLoss(**{"voxel": 0.0, term: 1.0})
    torch.testing.assert_close(loss(1e4 * estimate, 1e4 * truth, labels), loss(estimate, truth, labels))


def test_the_organ_term_does_not_see_activity_that_stays_in_its_organ(case: tuple[Tensor, Tensor, Tensor]) -> None:
    _, truth, labels = case
    organ = ActivityLoss(voxel=0.0, organ=1.0)
    within = torch.ones_like(labels)
    shuffled = truth.flatten(1).flip(1).view_as(truth)
    assert organ(shuffled, truth, within) < 1e-6
    halved = torch.where(labels == 2, 0.5 * truth, truth)
    expected = (0.5 * (truth * (labels == 2)).flatten(1).sum(1) / truth.flatten(1).sum(1)).mean()
    torch.testing.assert_close(organ(halved, truth, labels), expected)


def test_the_organ_root_term_gives_small_organs_more_say(case: tuple[Tensor, Tensor, Tensor]) -> None:
    _, truth, _ = case
    labels = torch.ones_like(truth, dtype=torch.long)
    labels[..., 0, 0, 0] = 2  # one voxel
    lost = torch.where(labels == 2, 0.0, truth)
    small, all_ = (truth[0, labels[0] == k].sum() for k in (2, 1))
    root = ActivityLoss(voxel=0.0, organ_root=1.0)(lost[:1], truth[:1], labels[:1])
    torch.testing.assert_close(root, small.sqrt() / (small.sqrt() + all_.sqrt()), rtol=0.05, atol=0.0)  # but for the floor under the root
    assert root > 3 * ActivityLoss(voxel=0.0, organ=1.0)(lost[:1], truth[:1], labels[:1])


def test_gradients_are_finite_where_activity_is_zero(case: tuple[Tensor, Tensor, Tensor]) -> None:
    _, truth, labels = case
    estimate = torch.zeros_like(truth, requires_grad=True)
    ActivityLoss(voxel=1.0, root=1.0, organ=1.0, organ_root=1.0)(estimate, truth * (labels > 1), labels).backward()
    assert estimate.grad is not None
    assert torch.isfinite(estimate.grad).all()


@pytest.mark.parametrize("weights", [{"voxel": 0.0}, {"root": -1.0}])
def test_useless_weights_are_told(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="weights must be non-negative"):
        ActivityLoss(**weights)
