"""A moved volume lies where it was moved to: right sign, right axis, right handedness, millimetres."""

from __future__ import annotations

import pytest
import torch

from planar3d.grid import Grid
from planar3d.reconstruction import RigidOffset

GRID = Grid.centred((21, 17, 25), (4.0, 6.0, 5.0))


def _centroid_mm(volume: torch.Tensor) -> torch.Tensor:
    axes = [(torch.arange(n) - 0.5 * (n - 1)) * s for n, s in zip(GRID.shape, GRID.spacing_mm, strict=True)]
    position = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    weight = volume[0, 0, ..., None] / volume.sum()
    return (position * weight).sum(dim=(0, 1, 2))


def _blob(index: tuple[int, int, int]) -> torch.Tensor:
    volume = torch.zeros(1, 1, *GRID.shape)
    volume[(0, 0, *index)] = 1.0
    return volume


def _offset(translation: tuple[float, ...] = (0.0, 0.0, 0.0), rotation: tuple[float, ...] = (0.0, 0.0, 0.0)) -> RigidOffset:
    return RigidOffset(translation_mm=torch.tensor([translation]), rotation_deg=torch.tensor([rotation]))


def test_no_offset_changes_nothing() -> None:
    volume = torch.rand(1, 2, *GRID.shape)
    assert torch.allclose(_offset().move(volume, GRID), volume, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_translation_moves_toward_higher_index(axis: int) -> None:
    start = (10, 8, 12)
    translation = tuple(3.0 if a == axis else 0.0 for a in range(3))
    moved = _offset(translation).move(_blob(start), GRID)
    expected = _centroid_mm(_blob(start)) + torch.tensor(translation)
    assert torch.allclose(_centroid_mm(moved), expected, atol=1e-3)


@pytest.mark.parametrize(("axis", "start", "to"), [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_rotation_is_right_handed_about_the_middle(axis: int, start: int, to: int) -> None:
    index = [10, 8, 12]
    index[start] += 4
    rotation = tuple(10.0 if a == axis else 0.0 for a in range(3))
    volume = torch.nn.functional.avg_pool3d(_blob((index[0], index[1], index[2])), 3, stride=1, padding=1)
    before, after = _centroid_mm(volume), _centroid_mm(_offset(rotation=rotation).move(volume, GRID))
    angle = torch.deg2rad(torch.tensor(10.0))
    expected = torch.zeros(3)
    expected[start], expected[to] = before[start] * angle.cos(), before[start] * angle.sin()
    assert torch.allclose(after, expected, atol=0.5)


def test_labels_move_with_the_volume() -> None:
    labels = torch.zeros(1, 1, *GRID.shape, dtype=torch.uint8)
    labels[0, 0, 10, 8, 12] = 54
    moved = _offset((4.0, 0.0, -5.0)).move_labels(labels, GRID)
    assert moved.dtype == labels.dtype
    assert moved.nonzero().tolist() == [[0, 0, 11, 8, 11]]
    assert moved.max() == 54


def test_gradient_reaches_translation_and_rotation() -> None:
    translation, rotation = torch.full((1, 3), 0.3, requires_grad=True), torch.full((1, 3), 0.2, requires_grad=True)
    weight = torch.rand(1, 1, *GRID.shape)
    (RigidOffset(translation_mm=translation, rotation_deg=rotation).move(torch.rand(1, 1, *GRID.shape), GRID) * weight).sum().backward()
    for gradient in (translation.grad, rotation.grad):
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).all()
