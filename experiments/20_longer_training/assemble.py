"""Weights put together from those of several runs, written in bfloat16.

    python experiments/20_longer_training/assemble.py mean OUT.safetensors FIRST.safetensors OTHER ...
    python experiments/20_longer_training/assemble.py beside OUT.safetensors DENOISER.safetensors ESTIMATOR.safetensors
    python experiments/20_longer_training/assemble.py apart OUT.safetensors POSTERIOR.safetensors UNET
    python experiments/20_longer_training/assemble.py widen OUT.safetensors UNET.safetensors TIMES

``mean`` averages networks that went the same way for most of their training (model soups, Wortsman et al. 2022, arXiv:2203.05482);
``beside`` puts an estimator in the place of the one that a denoiser was trained beside; ``apart`` keeps the denoiser alone, and the name
of the U-Net whose weights are its estimator; ``widen`` makes a U-Net so many times as wide that answers as it did, as a start
(Net2WiderNet, Chen et al. 2016, arXiv:1511.05641). The configuration kept is that of the first.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from planar3d.models.checkpoint import load_checkpoint_into, load_config, save_weights
from planar3d.nn.posterior_net import PosteriorNet
from planar3d.nn.unet import CorrectionUNet


def main() -> None:
    """Read, put together, write."""
    how, out, first, *others = sys.argv[1:]
    config, net = load_config(first), opened(first, first)
    if how == "mean":
        take_mean(net, [opened(first, path) for path in others])
    elif how == "beside" and isinstance(net, PosteriorNet):
        net.estimator = opened(others[0], others[0])
        config.pop("estimator_checkpoint", None)
        width = load_config(others[0])["model"]["net"]["width"]
        for described in (config["net"], config["model"]["net"]):
            described["estimator"]["width"] = width
    elif how == "apart" and isinstance(net, PosteriorNet):
        config["estimator_checkpoint"] = others[0]
        net = nn.ModuleDict({"denoiser": net.denoiser})
    elif how == "widen" and isinstance(net, CorrectionUNet):
        for described in (config["net"], config["model"]["net"]):
            described["width"] *= int(others[0])
        narrow, net = net.state_dict(), instantiate(config["model"]["net"], _convert_="all")
        net.load_state_dict(widened(narrow, net.state_dict(), int(others[0])))
    else:
        raise SystemExit(f"the first word must be mean, beside or apart for a posterior's weights, or widen for a U-Net's, got {how}")
    save_weights(out, net, config, dtype=torch.bfloat16)


def opened(like: str, path: str) -> nn.Module:
    """The network of a weights file or checkpoint, of the make that the configuration of ``like`` tells."""
    net = instantiate(load_config(like)["model"]["net"], _convert_="all").float()
    load_checkpoint_into(net, path)
    return net


def take_mean(net: nn.Module, others: Sequence[nn.Module]) -> None:
    """Average the tensors of networks into those of the first."""
    states = [n.state_dict() for n in (net, *others)]
    net.load_state_dict({name: torch.stack([s[name].float() for s in states]).mean(dim=0) for name in states[0]})


def widened(narrow: Mapping[str, Tensor], wide: Mapping[str, Tensor], times: int) -> dict[str, Tensor]:
    """Weights with every inner channel ``times`` as often.

    What a channel had of the next layer is shared among its copies at random, so that they part in training. Copies follow each other, so
    that each group of the normalisation holds what it did.
    """
    generator, made = torch.Generator().manual_seed(0), {}
    for name, value in narrow.items():
        target = wide[name].shape
        if len(target) > 1 and target[1] == times * value.shape[1]:
            share = torch.rand(*value.shape[:2], times, generator=generator) + 0.5
            share = (share / share.sum(dim=2, keepdim=True)).flatten(1)
            value = value.repeat_interleave(times, dim=1) * share.view(*share.shape, *[1] * (value.ndim - 2))
        made[name] = value.repeat_interleave(times, dim=0) if target[0] == times * value.shape[0] else value
    return made


if __name__ == "__main__":
    main()
