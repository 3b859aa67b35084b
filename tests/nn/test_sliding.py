"""A network over windows: what it gives on the whole volume where it can, and no seams."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from planar3d.nn.sliding import SlidingWindow

VOLUME = (40, 17, 53)  # larger, smaller and much larger than the window
WINDOW = (24, 24, 24)


class CountsCalls(nn.Module):
    """A network that notes the sizes it was given."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, channels: torch.Tensor, *arguments: torch.Tensor) -> torch.Tensor:
        self.sizes.append(tuple(channels.shape[2:]))
        return self.net(channels, *arguments)


def convolutions(*, layers: int = 2, channels: int = 2) -> nn.Module:
    """A network with biases that looks ``layers`` voxels far."""
    torch.manual_seed(0)
    sizes = [channels, *[4] * (layers - 1), 3]
    stack = [m for a, b in itertools.pairwise(sizes) for m in (nn.Conv3d(a, b, 3, padding=1), nn.Tanh())]
    return nn.Sequential(*stack).double()


@pytest.fixture
def channels(generator: torch.Generator) -> torch.Tensor:
    return torch.randn(2, 2, *VOLUME, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("overlap", "margin"), [(0.5, None), (0.5, 2), (0.25, 2)])
def test_a_network_that_looks_no_further_than_the_margin_gives_what_it_gives_on_the_whole(
    channels: torch.Tensor, overlap: float, margin: int | None
) -> None:
    net = convolutions(layers=2)
    with torch.no_grad():
        torch.testing.assert_close(SlidingWindow(net, WINDOW, overlap=overlap, margin=margin)(channels), net(channels))


def test_one_that_looks_further_does_not(channels: torch.Tensor) -> None:
    """The rim is what makes them equal: without it the ends of windows show."""
    net = convolutions(layers=2)
    with torch.no_grad():
        difference = (SlidingWindow(net, WINDOW, margin=0)(channels) - net(channels)).abs().max()
    assert difference > 1e-4


def test_no_window_is_larger_than_asked_for_and_none_is_missing(channels: torch.Tensor) -> None:
    net = CountsCalls(nn.Identity())
    torch.testing.assert_close(SlidingWindow(net, WINDOW)(channels), channels)
    assert len(net.sizes) > 1
    assert {sizes for sizes in net.sizes} == {(24, 17, 24)}


@pytest.mark.parametrize("size", [(24, 24, 24), (10, 24, 7)])
def test_a_volume_that_fits_one_window_is_passed_straight_on(size: tuple[int, int, int], generator: torch.Generator) -> None:
    net = CountsCalls(convolutions(layers=3))
    volume = torch.randn(1, 2, *size, generator=generator, dtype=torch.float64)
    assert torch.equal(SlidingWindow(net, WINDOW)(volume), net.net(volume))
    assert net.sizes == [size]


def test_a_volume_moved_by_a_step_gives_an_answer_moved_by_a_step(generator: torch.Generator) -> None:
    """Even of a network that looks further than the margin: the windows see the same."""
    sliding = SlidingWindow(convolutions(layers=5), (16, 16, 16))
    volume = torch.zeros(1, 2, 16, 16, 64, dtype=torch.float64)
    volume[..., 20:30] = torch.randn(1, 2, 16, 16, 10, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        here, moved = sliding(volume), sliding(volume.roll(8, dims=4))
    torch.testing.assert_close(moved[..., 16:48], here[..., 8:40])
    assert (moved - here).abs().max() > 0.1


def test_smooth_answers_have_no_seams() -> None:
    """A network that knows where the end of its window is: second differences at the windows' ends are not larger than between."""

    class Dome(nn.Module):
        def forward(self, channels: torch.Tensor) -> torch.Tensor:
            ends = torch.linspace(-1, 1, channels.shape[4], dtype=channels.dtype)
            return channels + 0.2 * ends**2

    volume = torch.sin(torch.linspace(0, 6, 96, dtype=torch.float64)).expand(1, 1, 8, 8, 96).contiguous()
    line = SlidingWindow(Dome(), (8, 8, 24), margin=0)(volume)[0, 0, 4, 4]
    bend = (line[2:] - 2 * line[1:-1] + line[:-2]).abs()
    ends = sorted(
        {first + side for first in range(12, 73, 12) for side in (-1, 0)} | {end + side for end in range(24, 85, 12) for side in (-1, 0)}
    )
    at_ends = bend[torch.tensor(ends) - 1].max()
    between = bend[torch.tensor([k for k in range(13, 83) if k not in ends]) - 1].max()
    assert at_ends < between


def test_windows_begin_at_multiples_of_the_alignment() -> None:
    """A network that strides by four gives the same as on the whole only if its windows begin where it strides."""
    net = nn.Sequential(nn.AvgPool3d(4), nn.Upsample(scale_factor=4))
    volume = torch.rand(1, 1, 12, 12, 56, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(SlidingWindow(net, (12, 12, 20), overlap=0.3, margin=0, align=4)(volume), net(volume))
    assert SlidingWindow(net, (12, 12, 20), overlap=0.3, margin=0, align=4)(volume[..., :53].contiguous()).shape == (1, 1, 12, 12, 53)


def test_every_window_gets_the_other_arguments_and_gradients_flow(channels: torch.Tensor) -> None:
    class Scaled(nn.Module):
        def forward(self, channels: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
            return channels * level.view(-1, 1, 1, 1, 1)

    level = torch.tensor([2.0, 3.0], dtype=torch.float64, requires_grad=True)
    answer = SlidingWindow(Scaled(), WINDOW)(channels, level)
    torch.testing.assert_close(answer[1], 3.0 * channels[1])
    answer.sum().backward()
    torch.testing.assert_close(level.grad, channels.flatten(1).sum(dim=1))


def test_a_batch_gives_what_its_samples_give(channels: torch.Tensor) -> None:
    sliding = SlidingWindow(convolutions(layers=4), WINDOW)
    with torch.no_grad():
        torch.testing.assert_close(sliding(channels)[1:], sliding(channels[1:]))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"window": (8, 8)}, "window"),
        ({"window": (8, 0, 8)}, "window"),
        ({"overlap": 1.0}, "overlap"),
        ({"overlap": 0.0}, "overlap"),
        ({"margin": 6}, "margin"),
        ({"align": 13}, "align"),
    ],
)
def test_wrong_options_are_told(options: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=f"{word} must"):
        SlidingWindow(nn.Identity(), **({"window": WINDOW} | options))  # pyright: ignore[reportArgumentType]
