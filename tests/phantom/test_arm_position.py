"""Properties of arms that the anatomy given lacks."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from planar3d.organs import organ_id
from planar3d.phantom import ArmPosition, Biodistribution, PhantomSynthesizer
from planar3d.phantom.arm_position import ArmRecord
from planar3d.phantom.gaussian import centred_axis

GAP_MM = 10.0


def record_of(*, present: bool = True, gap_mm: float = GAP_MM, samples: int = 1) -> ArmRecord:
    """Straight arms of one gap."""
    zero = torch.zeros(samples, 2)
    return ArmRecord(present=torch.full((samples,), present), gap_mm=zero + gap_mm, forward_mm=zero, girth=torch.ones(samples))


def filled(anatomy: SimpleNamespace) -> torch.Tensor:
    """Activity with another level in every organ."""
    return (anatomy.labels > 0) * (1.0 + anatomy.labels.float())


@pytest.fixture
def roomy(toy: Callable[..., SimpleNamespace]) -> SimpleNamespace:
    """An anatomy with air at its sides for an arm."""
    anatomy = toy(spacing_mm=(5.0, 5.0, 10.0))
    pad = (0, 0, 0, 0, 24, 24)
    grid = type(anatomy.grid).centred((anatomy.grid.shape[0] + 48, *anatomy.grid.shape[1:]), anatomy.grid.spacing_mm)
    labels, mu_map = (torch.nn.functional.pad(v, pad) for v in (anatomy.labels, anatomy.mu_map))
    return SimpleNamespace(labels=labels, mu_map=mu_map, grid=grid)


def test_arms_have_their_cross_section_and_lie_beside_the_trunk(roomy: SimpleNamespace) -> None:
    activity = filled(roomy)
    _, mu_map, _ = ArmPosition().render(record_of(), activity, roomy.mu_map, roomy.labels, roomy.grid)
    added = (mu_map - roomy.mu_map)[0, 0] / 0.0135
    plane = added[:, :, -12]  # 115 mm below the top, which is the shoulder of an anatomy without lungs
    radius_mm = 41.0 + (115.0 - 35.0) / (160.0 - 35.0) * (38.0 - 41.0) + 6.0
    area_mm2 = float(plane.sum()) * 25.0
    assert area_mm2 == pytest.approx(2.0 * torch.pi * radius_mm**2 * (1.0 + 0.3 * 0.3**2), rel=0.02)
    x = centred_axis(roomy.grid, 0, plane)
    right = plane.sum(dim=1) * (x > 0)
    assert float((right * x).sum() / right.sum()) == pytest.approx(140.0 + GAP_MM + radius_mm, abs=5.0)
    torch.testing.assert_close(added, added.flip(0), atol=1e-4, rtol=0.0)


def test_the_trunk_stays_as_it_is_and_arms_hold_what_soft_tissue_holds(roomy: SimpleNamespace) -> None:
    activity = filled(roomy)
    arms = ArmPosition().render(record_of(), activity, roomy.mu_map, roomy.labels, roomy.grid)
    inside = roomy.labels > 0
    for before, after in zip((activity, roomy.mu_map, roomy.labels), arms, strict=True):
        assert torch.equal(before[inside], after[inside])
    added = (arms[2] > 0) & ~inside
    assert added.any()
    assert set(arms[2][added].tolist()) == {organ_id("body"), organ_id("limb_bones")}
    assert float(arms[0][added].max()) == pytest.approx(float(activity[roomy.labels == organ_id("body")].mean()))


@pytest.mark.parametrize("reason", ["not drawn", "already down"])
def test_no_arms_are_no_change(roomy: SimpleNamespace, reason: str) -> None:
    labels = roomy.labels.clone()
    if reason == "already down":
        labels[:, :, 3:6, 20:24] = organ_id("limb_bones")
    arms = ArmPosition().render(record_of(present=reason != "not drawn"), filled(roomy), roomy.mu_map, labels, roomy.grid)
    for before, after in zip((filled(roomy), roomy.mu_map, labels), arms, strict=True):
        assert torch.equal(before, after)


def test_thighs_and_shoulders_are_no_arms(roomy: SimpleNamespace) -> None:
    """Bones of limbs below the top of the pelvis and above the foot of the lungs."""
    labels = roomy.labels.clone()
    labels[..., 30:50, 10:14, 4:10] = organ_id("pelvis")
    labels[..., 50:54, 10:14, :8] = organ_id("limb_bones")
    labels[..., 40:60, 10:14, 24:28] = organ_id("lung_left")
    labels[..., 60:70, 10:14, 26:29] = organ_id("limb_bones")
    _, mu_map, _ = ArmPosition().render(record_of(), filled(roomy), roomy.mu_map, labels, roomy.grid)
    assert float(mu_map.sum()) > 1.05 * float(roomy.mu_map.sum())


def test_nowhere_is_there_more_than_bone(roomy: SimpleNamespace) -> None:
    blurred = torch.nn.functional.avg_pool3d(roomy.mu_map, (3, 3, 1), stride=1, padding=(1, 1, 0))  # a rim that is half full
    _, mu_map, _ = ArmPosition().render(record_of(gap_mm=0.0), filled(roomy), blurred, roomy.labels, roomy.grid)
    bone = mu_map > 0.0135 * 1.0001
    assert float(mu_map.max()) <= 0.0135 * 1.3 * 1.0001
    assert 0.0 < float(bone.float().mean()) < 0.05


def test_a_synthesis_without_arms_draws_and_renders_as_before(biodistribution: Biodistribution, anatomy: SimpleNamespace) -> None:
    plain, never, always = (
        PhantomSynthesizer(biodistribution=biodistribution, arms=arms)
        for arms in (None, ArmPosition(probability=0.0), ArmPosition(probability=1.0, gap_mm=(0.0, 0.0)))
    )
    seeds = torch.arange(2)
    a, b, c = (s.render(s.draw(seeds), anatomy.labels, anatomy.mu_map, anatomy.grid) for s in (plain, never, always))
    assert torch.equal(a.activity, b.activity)
    assert torch.equal(a.mu_map, b.mu_map)
    assert float(c.mu_map.sum()) > float(a.mu_map.sum())
    torch.testing.assert_close(c.activity[a.imaged_labels > 0], a.activity[a.imaged_labels > 0])
    assert (c.activity[c.imaged_labels > 0] > 0).all()


def test_a_batch_holds_what_its_samples_are_alone(three_anatomies: SimpleNamespace) -> None:
    a, arms = three_anatomies, ArmPosition()
    record = ArmRecord.stack([arms.draw(torch.Generator().manual_seed(k)) for k in range(3)])
    assert len(record.present.unique()) == 2
    batch = arms.render(record, filled(a), a.mu_map, a.labels, a.grid)
    for k in range(3):
        one = slice(k, k + 1)
        alone = arms.render(record[one], filled(a)[one], a.mu_map[one], a.labels[one], a.grid)
        for whole, own in zip(batch, alone, strict=True):
            torch.testing.assert_close(whole[one], own)


def test_useless_options_are_told() -> None:
    with pytest.raises(ValueError, match="probability"):
        ArmPosition(probability=1.5)
    with pytest.raises(ValueError, match="gap_mm"):
        ArmPosition(gap_mm=(20.0, 10.0))
