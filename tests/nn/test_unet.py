"""The correction network: any grid size, the baseline at the start, every parameter learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from planar3d.nn import CorrectionUNet
from planar3d.nn.unet import _fold, _unfold


def small(**options: int) -> CorrectionUNet:
    torch.manual_seed(0)
    return CorrectionUNet(in_channels=3, width=8, blocks_down=(1, 1), **options)


def awake(net: CorrectionUNet) -> CorrectionUNet:
    """The network with a last layer that is not zero."""
    for parameter in net.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return net


@pytest.mark.parametrize("fold", [1, 2])
@pytest.mark.parametrize("shape", [(8, 8, 8), (7, 9, 10), (5, 4, 13)])
def test_any_grid_size_gives_one_residual_per_voxel(fold: int, shape: tuple[int, int, int]) -> None:
    assert small(fold=fold)(torch.randn(2, 3, *shape)).shape == (2, 1, *shape)


def test_an_untrained_network_answers_zero() -> None:
    assert not small()(torch.randn(1, 3, 8, 8, 8)).any()


def test_every_parameter_gets_a_finite_gradient() -> None:
    net = awake(small())
    net(torch.randn(2, 3, 8, 10, 8)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_a_batch_gives_what_its_samples_give() -> None:
    net, channels = awake(small()).eval(), torch.randn(3, 3, 9, 8, 7)
    apart = torch.cat([net(c) for c in channels.split(1)])
    torch.testing.assert_close(net(channels), apart, rtol=1e-4, atol=1e-5)


class FirstChannel(nn.Module):
    """Hands on the first of the folded channels."""

    def forward(self, folded: Tensor) -> Tensor:
        return folded[:, :8]


@pytest.mark.parametrize("shape", [(8, 8, 8), (7, 9, 10), (5, 4, 13)])
def test_padding_and_folding_leave_every_voxel_in_its_place(shape: tuple[int, int, int]) -> None:
    net, channels = small(), torch.randn(2, 3, *shape)
    net.body = FirstChannel()
    assert torch.equal(net(channels), channels[:, :1])


def test_fold_and_unfold_are_inverse() -> None:
    volume = torch.randn(2, 3, 8, 4, 6)
    assert torch.equal(_unfold(_fold(volume, 2), 2), volume)


def test_weights_go_through_a_state_dict() -> None:
    net, other, channels = awake(small()).eval(), small().eval(), torch.randn(1, 3, 8, 8, 8)
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(channels), other(channels))


def test_wrong_number_of_channels_is_told() -> None:
    with pytest.raises(ValueError, match="3 channels, got 4"):
        small()(torch.randn(1, 4, 8, 8, 8))


def test_wrong_width_is_told() -> None:
    with pytest.raises(ValueError, match="width must be a multiple of groups"):
        CorrectionUNet(in_channels=3, width=12, groups=8)
