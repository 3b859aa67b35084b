"""Gaussians of any width as mixtures of two from a short list of fixed widths, the nodes.

``G(s) ~ (1 - f) G(s_j) + f G(s_{j+1})``,  ``f = (s - s_j) / (s_{j+1} - s_j)``,  s the variance.

Linear interpolation in the variance keeps integral and variance exactly and never turns negative, so a non-negative activity keeps
non-negative expected counts. What it changes is the fourth moment, by less than ``(3/4) (r - 1)^2 / r`` of excess kurtosis for nodes
whose variances grow by a factor r. A blur whose width differs from plane to plane, or from voxel to voxel, then costs one weighted sum per
node and one blur per node, instead of one blur per plane.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["node_weights", "variance_nodes"]


def variance_nodes(lowest: float, highest: float, growth: float) -> Tensor:
    """Node variances from the lowest to the highest in equal ratios, ``(node,)`` float64 [mm^2].

    Args:
        lowest: Smallest variance to be had [mm^2].
        highest: Largest variance to be had [mm^2].
        growth: Largest ratio of neighbouring nodes.
    """
    if not 0.0 < lowest <= highest or not growth > 1.0:
        raise ValueError(f"nodes need 0 < lowest <= highest and growth > 1, got {lowest}, {highest} and {growth}")
    steps = math.ceil(math.log(highest / lowest) / math.log(growth) - 1e-9)
    return (
        torch.logspace(math.log10(lowest), math.log10(highest), steps + 1, dtype=torch.float64)
        if steps
        else torch.tensor([lowest], dtype=torch.float64)
    )


def node_weights(variance: Tensor, nodes: Tensor) -> Tensor:
    """Share of each node in a Gaussian of a variance.

    Args:
        variance: Any shape ``(...)``; beyond the outermost nodes it counts as theirs [mm^2].
        nodes: Ascending variances, ``(node,)`` [mm^2].

    Returns:
        ``(node, ...)``; over nodes the shares sum to one, and times the nodes to the variance.
    """
    nodes = nodes.to(variance)
    if len(nodes) == 1:
        return torch.ones_like(variance)[None]
    shape = (-1, *[1] * variance.ndim)
    inside = variance.clamp(nodes[0], nodes[-1])
    lower = ((inside - nodes[:-1].view(shape)) / nodes.diff().view(shape)).clamp(0.0, 1.0)
    one, nothing = torch.ones_like(lower[:1]), torch.zeros_like(lower[:1])
    return torch.cat([one, lower]) - torch.cat([lower, nothing])
