"""Weights put together from those of several runs, written in bfloat16.

    python experiments/20_longer_training/assemble.py mean OUT.safetensors FIRST.safetensors OTHER ...
    python experiments/20_longer_training/assemble.py beside OUT.safetensors DENOISER.safetensors ESTIMATOR.safetensors

``mean`` averages networks that went the same way for most of their training (model soups, Wortsman et al. 2022, arXiv:2203.05482);
``beside`` puts an estimator in the place of the one that a denoiser was trained beside. The configuration kept is that of the first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from hydra.utils import instantiate
from torch import nn

from planar3d.models.checkpoint import load_checkpoint_into, load_config, save_weights
from planar3d.nn.posterior_net import PosteriorNet


def main() -> None:
    """Read, put together, write."""
    how, out, first, *others = sys.argv[1:]
    net = opened(first, first)
    if how == "mean":
        take_mean(net, [opened(first, path) for path in others])
    elif how == "beside" and isinstance(net, PosteriorNet):
        load_checkpoint_into(net.estimator, others[0])
    else:
        raise SystemExit(f"the first word must be mean, or beside where the first weights are a denoiser's, got {how}")
    save_weights(out, net, load_config(first), dtype=torch.bfloat16)


def opened(like: str, path: str) -> nn.Module:
    """The network of a weights file or checkpoint, of the make that the configuration of ``like`` tells."""
    net = instantiate(load_config(like)["model"]["net"], _convert_="all").float()
    load_checkpoint_into(net, path)
    return net


def take_mean(net: nn.Module, others: Sequence[nn.Module]) -> None:
    """Average the tensors of networks into those of the first."""
    states = [n.state_dict() for n in (net, *others)]
    net.load_state_dict({name: torch.stack([s[name].float() for s in states]).mean(dim=0) for name in states[0]})


if __name__ == "__main__":
    main()
