"""The score of samples: proper for voxels and organs, blind to the count scale, and a way back through the sampling."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from planar3d.models import SampleScore


@pytest.fixture
def labels() -> Tensor:
    """Two organs and background."""
    labels = torch.zeros(1, 1, 4, 5, 6, dtype=torch.long)
    labels[..., 1, :, :], labels[..., 2:, :, :] = 1, 2
    return labels


def drawn(n: int, spread: float, generator: torch.Generator) -> Tensor:
    """Volumes whose voxels and organs vary about one, ``(n, 1, 1, 4, 5, 6)``."""
    own, shared = torch.randn(n, 1, 1, 4, 5, 6, generator=generator), torch.randn(n, 1, 1, 1, 1, 1, generator=generator)
    return (1.0 + spread * (0.1 * own + 0.1 * shared)).clamp(min=0)


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0)])
def test_samples_as_wide_as_the_truth_score_best(weights: tuple[float, float], labels: Tensor, generator: torch.Generator) -> None:
    score = SampleScore(voxel=weights[0], organ=weights[1])
    truths, trials = drawn(200, 1.0, generator), {}
    for spread in (0.3, 1.0, 2.5):
        samples = drawn(200 * 8, spread, generator).unflatten(0, (200, 8))
        trials[spread] = sum(float(score(s, t[None, 0], labels)) for s, t in zip(samples, truths, strict=True))
    assert trials[1.0] < min(trials[0.3], trials[2.5])


def test_the_count_scale_does_not_matter(labels: Tensor, generator: torch.Generator) -> None:
    samples, truth = drawn(3, 1.0, generator), drawn(1, 1.0, generator)[0]
    score = SampleScore()
    torch.testing.assert_close(score(1e4 * samples, 1e4 * truth, labels), score(samples, truth, labels))


def test_patients_count_as_much_as_their_weight(labels: Tensor, generator: torch.Generator) -> None:
    one, other = drawn(3, 1.0, generator), drawn(3, 2.0, generator)
    truth, both = torch.ones(2, 1, 4, 5, 6), torch.cat([one, other], dim=1)
    score, places = SampleScore(), labels.expand(2, -1, -1, -1, -1)
    weighted = score(both, truth, places, torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(weighted, score(other, truth[:1], labels))


def test_gradients_are_finite_where_activity_is_zero(labels: Tensor) -> None:
    samples = torch.zeros(2, 1, 1, 4, 5, 6, requires_grad=True)
    SampleScore()(samples, (labels == 1).float(), labels).backward()
    assert samples.grad is not None
    assert torch.isfinite(samples.grad).all()


@pytest.mark.parametrize("options", [{"voxel": 0.0, "organ": 0.0}, {"organ": -1.0}, {"samples": 1}, {"differentiable": 0}])
def test_useless_options_are_told(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        SampleScore(**options)  # pyright: ignore[reportArgumentType]
