"""Properties of breathing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from planar3d.organs import organ_id
from planar3d.phantom import Breathing
from planar3d.phantom.breathing import BreathingRecord


def record(amplitude_mm: float, ct_place: float = 0.0, b: int = 1) -> BreathingRecord:
    """One breath."""
    return BreathingRecord(amplitude_mm=torch.full((b,), amplitude_mm), ct_place=torch.full((b,), ct_place))


def centroid_z(volume: torch.Tensor, grid: object) -> float:
    """Mean z [mm] from the middle."""
    z = (torch.arange(grid.shape[2]) - 0.5 * (grid.shape[2] - 1)) * grid.spacing_mm[2]
    return float((volume[0, 0] * z).sum() / volume[0, 0].sum())


@pytest.mark.parametrize("amplitude_mm", [5.0, 15.0, 25.0])
def test_activity_is_conserved(anatomy: SimpleNamespace, generator: torch.Generator, amplitude_mm: float) -> None:
    activity = torch.rand(anatomy.labels.shape, generator=generator) * (anatomy.labels > 1)
    moved, _, _ = Breathing().render(record(amplitude_mm, 0.3), activity, anatomy.mu_map, anatomy.labels, anatomy.grid)
    columns = activity.sum(dim=-1)
    torch.testing.assert_close(moved.sum(dim=-1), columns, rtol=1e-4, atol=1e-4)
    assert (moved >= -1e-5).all()


def test_the_liver_moves_down_by_the_mean_of_a_cosine_to_the_fourth(anatomy: SimpleNamespace) -> None:
    liver = (anatomy.labels == organ_id("liver")).float()
    before = centroid_z(liver, anatomy.grid)
    moved, _, _ = Breathing(phases=4).render(record(20.0), liver, anatomy.mu_map, anatomy.labels, anatomy.grid)
    share = Breathing().share(anatomy.labels, torch.float32, anatomy.grid)
    expected = 20.0 * 0.375 * float((share * liver).sum() / liver.sum())  # the mean of cos^4 is 3/8
    assert before - centroid_z(moved, anatomy.grid) == pytest.approx(expected, rel=0.15)
    spread = moved[0, 0].amax(dim=(0, 1))
    assert float(spread.max()) > 0.7


def test_a_ct_in_inspiration_shows_it_lower_than_the_image(anatomy: SimpleNamespace) -> None:
    liver = (anatomy.labels == organ_id("liver")).float()
    moved, _, labels = Breathing().render(record(20.0, ct_place=1.0), liver, anatomy.mu_map, anatomy.labels, anatomy.grid)
    assert centroid_z(moved, anatomy.grid) > centroid_z(liver, anatomy.grid) + 4.0
    assert centroid_z((labels == organ_id("liver")).float(), anatomy.grid) > centroid_z(liver, anatomy.grid) + 2.0


def test_what_is_far_from_the_diaphragm_or_does_not_move_stays(anatomy: SimpleNamespace) -> None:
    share = Breathing().share(anatomy.labels, torch.float32, anatomy.grid)
    kidney, bladder, spine, liver = (
        float(share[anatomy.labels == organ_id(name)].mean()) for name in ("kidney_left", "urinary_bladder", "spine", "liver")
    )
    assert bladder < 0.05
    assert spine < 0.5 * kidney < kidney < liver < 1.0


def test_an_anatomy_without_liver_or_lungs_does_not_breathe(anatomy: SimpleNamespace) -> None:
    labels = torch.where(anatomy.labels == organ_id("liver"), organ_id("spleen"), anatomy.labels)
    activity = (labels > 1).float()
    moved, mu_map, imaged = Breathing().render(record(20.0), activity, anatomy.mu_map, labels, anatomy.grid)
    torch.testing.assert_close(moved, activity, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(mu_map, anatomy.mu_map)
    assert torch.equal(imaged, labels)


def test_a_batch_equals_its_elements(three_anatomies: SimpleNamespace, generator: torch.Generator) -> None:
    a = three_anatomies
    activity = torch.rand(a.labels.shape, generator=generator)
    records = BreathingRecord.stack([Breathing().draw(generator) for _ in range(3)])
    together = Breathing().render(records, activity, a.mu_map, a.labels, a.grid)
    for k in range(3):
        alone = Breathing().render(records[k : k + 1], activity[k : k + 1], a.mu_map[k : k + 1], a.labels[k : k + 1], a.grid)
        for both, one in zip(together, alone, strict=True):
            torch.testing.assert_close(both[k : k + 1], one)


def test_draws_keep_to_their_range() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = BreathingRecord.stack([Breathing().draw(generator) for _ in range(500)])
    assert float(drawn.amplitude_mm.median()) == pytest.approx(12.0, rel=0.1)
    assert float(drawn.amplitude_mm.min()) >= 3.0
    assert float(drawn.amplitude_mm.max()) <= 25.0
    assert float((drawn.ct_place < 0.3).float().mean()) == pytest.approx(0.5, abs=0.06)
    with pytest.raises(ValueError, match="amplitude_mm"):
        Breathing(amplitude_mm=-1.0)
