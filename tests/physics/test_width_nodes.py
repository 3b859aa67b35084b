"""Mixtures of two Gaussians."""

import pytest
import torch

from planar3d.physics.width_nodes import node_weights, variance_nodes


def test_mixtures_keep_integral_and_variance_and_are_never_negative() -> None:
    nodes = variance_nodes(2.0, 90.0, 1.3)
    variance = torch.linspace(2.0, 90.0, 57, dtype=torch.float64)
    weights = node_weights(variance, nodes)
    assert (weights >= 0).all()
    assert ((weights > 1e-12).sum(dim=0) <= 2).all()
    torch.testing.assert_close(weights.sum(dim=0), torch.ones_like(variance))
    torch.testing.assert_close(nodes @ weights, variance)


def test_nodes_grow_by_no_more_than_asked() -> None:
    nodes = variance_nodes(3.0, 100.0, 1.5)
    assert float(nodes[0]) == pytest.approx(3.0)
    assert float(nodes[-1]) == pytest.approx(100.0)
    assert (nodes[1:] / nodes[:-1] <= 1.5 + 1e-9).all()


def test_excess_kurtosis_is_bounded_by_the_growth() -> None:
    """Fourth moment of a mixture of variances against that of the Gaussian: 3 E[s^2] / s^2 - 3."""
    growth = 1.15
    nodes = variance_nodes(1.0, 50.0, growth)
    variance = torch.logspace(0, 1.69, 500, dtype=torch.float64)
    excess = 3.0 * (nodes.square() @ node_weights(variance, nodes)) / variance.square() - 3.0
    assert float(excess.max()) <= 0.75 * (growth - 1.0) ** 2 / growth * 1.001
    assert float(excess.max()) > 0.5 * (growth - 1.0) ** 2 / growth


def test_one_width_is_one_node() -> None:
    nodes = variance_nodes(4.0, 4.0, 1.2)
    assert nodes.tolist() == [4.0]
    assert node_weights(torch.tensor([1.0, 4.0, 9.0]), nodes).tolist() == [[1.0, 1.0, 1.0]]


@pytest.mark.parametrize(("lowest", "highest", "growth"), [(0.0, 1.0, 1.2), (2.0, 1.0, 1.2), (1.0, 2.0, 1.0)])
def test_impossible_nodes_are_named(lowest: float, highest: float, growth: float) -> None:
    with pytest.raises(ValueError, match="nodes need 0 < lowest <= highest and growth > 1"):
        variance_nodes(lowest, highest, growth)
