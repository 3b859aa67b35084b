"""Properties of the mismatch between anatomies."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import grid_sample

from planar3d.grid import Grid
from planar3d.phantom import Deformation
from planar3d.phantom import deformation as module
from planar3d.phantom.deformation import DeformationRecord

GRID = Grid.centred((36, 18, 26), (4.0, 8.0, 6.0))


def rigid(translation_mm: tuple[float, float, float], rotation_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> DeformationRecord:
    """A record of one rigid motion."""
    return DeformationRecord(
        translation_mm=torch.tensor([translation_mm]), rotation_rad=torch.tensor([rotation_rad]), elastic_mm=torch.zeros(1, 3, 16, 12, 20)
    )


def blob(grid: Grid, centre_mm: tuple[float, float, float], sigma_mm: float = 8.0) -> torch.Tensor:
    """A Gaussian about a place given from the middle of the grid."""
    axes = [(torch.arange(n) - 0.5 * (n - 1)) * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
    squares = [(p - c).square() for p, c in zip(torch.meshgrid(*axes, indexing="ij"), centre_mm, strict=True)]
    return torch.exp(-sum(squares) / (2 * sigma_mm**2))[None, None]


def centroid_mm(volume: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Centre of mass from the middle of the grid."""
    axes = [(torch.arange(n) - 0.5 * (n - 1)) * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
    return torch.stack([(volume[0, 0] * p).sum() / volume.sum() for p in torch.meshgrid(*axes, indexing="ij")])


def moved(record: DeformationRecord, volume: torch.Tensor, grid: Grid = GRID) -> torch.Tensor:
    """The activity after the motion."""
    return Deformation().render(record, volume, volume, torch.ones_like(volume, dtype=torch.int64), grid)[0]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_voxel_translation_moves_everything_to_the_next_index(axis: int, generator: torch.Generator) -> None:
    volume = torch.rand(1, 1, *GRID.shape, generator=generator)
    labels = torch.randint(0, 50, volume.shape, generator=generator)
    translation = [0.0, 0.0, 0.0]
    translation[axis] = GRID.spacing_mm[axis]
    activity, mu_map, imaged = Deformation().render(rigid(tuple(translation)), volume, 2 * volume, labels, GRID)
    n = GRID.shape[axis]
    expected = volume.narrow(axis + 2, 0, n - 1)
    torch.testing.assert_close(activity.narrow(axis + 2, 1, n - 1), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mu_map.narrow(axis + 2, 1, n - 1), 2 * expected, rtol=1e-4, atol=2e-4)
    assert torch.equal(imaged.narrow(axis + 2, 1, n - 1), labels.narrow(axis + 2, 0, n - 1))


def test_a_planted_half_voxel_shift_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(*args: torch.Tensor, align_corners: bool, **kwargs: str) -> torch.Tensor:
        return grid_sample(*args, align_corners=not align_corners, **kwargs)

    place = (24.0, -32.0, 36.0)
    volume = blob(GRID, place)
    wanted = torch.tensor(place) + torch.tensor([4.0, 0.0, 0.0])
    record = rigid((4.0, 0.0, 0.0))
    assert (centroid_mm(moved(record, volume), GRID) - wanted).abs().max() < 0.3
    monkeypatch.setattr(module, "grid_sample", shifted)
    assert (centroid_mm(moved(record, volume), GRID) - wanted).abs().max() > 0.5


def test_rotation_is_right_handed_and_in_mm() -> None:
    volume = blob(GRID, (20.0, 0.0, 0.0))
    turned = centroid_mm(moved(rigid((0.0, 0.0, 0.0), (0.0, 0.0, math.pi / 2)), volume), GRID)
    torch.testing.assert_close(turned, torch.tensor([0.0, 20.0, 0.0]), rtol=0.0, atol=0.5)


def test_no_displacement_is_bit_exact_beside_a_displaced_sample(generator: torch.Generator) -> None:
    volume = torch.rand(2, 1, *GRID.shape, generator=generator)
    labels = torch.randint(0, 50, volume.shape, generator=generator)
    record = DeformationRecord.stack([Deformation().draw(generator) for _ in range(2)])
    keep = torch.tensor([0.0, 1.0])
    record = replace(
        record,
        translation_mm=record.translation_mm * keep[:, None],
        rotation_rad=record.rotation_rad * keep[:, None],
        elastic_mm=record.elastic_mm * keep[:, None, None, None, None],
    )
    activity, mu_map, imaged = Deformation().render(record, volume, volume, labels, GRID)
    assert torch.equal(activity[0], volume[0])
    assert torch.equal(mu_map[0], volume[0])
    assert torch.equal(imaged[0], labels[0])
    assert not torch.equal(activity[1], volume[1])


def test_draws_keep_to_their_limits(generator: torch.Generator) -> None:
    records = DeformationRecord.stack([Deformation(translation_mm=10.0, rotation_deg=3.0).draw(generator) for _ in range(200)])
    assert records.translation_mm.norm(dim=1).max() <= 10.0
    assert records.translation_mm.norm(dim=1).max() > 9.0
    assert records.rotation_rad.norm(dim=1).max() <= math.radians(3.0)


def test_elastic_displacement_has_the_rms_asked_for(generator: torch.Generator) -> None:
    deformation = Deformation(elastic_mm=4.0)
    records = DeformationRecord.stack([deformation.draw(generator) for _ in range(40)])
    displacement = deformation.field.render(records.elastic_mm, Grid.centred((10, 10, 10), 30.0))
    assert displacement.square().sum(dim=1).mean().sqrt().item() == pytest.approx(4.0, rel=0.1)


def test_activity_is_conserved_within_a_few_percent(generator: torch.Generator) -> None:
    grid = Grid.centred((32, 24, 40), 8.0)
    volume = (blob(grid, (10.0, -8.0, 20.0), 40.0) > 0.5).float().repeat(6, 1, 1, 1, 1)
    record = DeformationRecord.stack([Deformation().draw(generator) for _ in range(6)])
    activity, _, _ = Deformation().render(record, volume, volume, volume.long(), grid)
    ratio = activity.sum(dim=(1, 2, 3, 4)) / volume.sum(dim=(1, 2, 3, 4))
    assert ratio.mean().item() == pytest.approx(1.0, abs=0.04)
    assert (ratio - 1).abs().max() < 0.15


def test_labels_are_brought_back_to_where_they_came_from(generator: torch.Generator) -> None:
    grid = Grid.centred((40, 30, 44), 4.0)
    spots = [(30.0, 12.0, 40.0), (-40.0, -20.0, 0.0), (10.0, 20.0, -45.0)]
    given = sum((blob(grid, centre, 10.0) > 0.5).long() * k for k, centre in enumerate(spots, start=1)).repeat(8, 1, 1, 1, 1)
    deformation = Deformation()
    record = DeformationRecord.stack([deformation.draw(generator) for _ in range(8)])
    imaged = deformation.render(record, given.float(), given.float(), given, grid)[2]
    back = deformation.undone(record, imaged, grid)
    apart, left = [], []
    for sample in range(8):
        for k in range(1, 4):
            there, here, before = (centroid_mm((v[sample : sample + 1] == k).float(), grid) for v in (imaged, back, given))
            apart.append(float((there - before).norm()))
            left.append(float((here - before).norm()))
    assert max(left) < 3.0
    assert sum(left) < 0.25 * sum(apart)


def test_a_negative_strength_is_refused() -> None:
    with pytest.raises(ValueError, match="zero or more"):
        Deformation(elastic_mm=-1.0)
