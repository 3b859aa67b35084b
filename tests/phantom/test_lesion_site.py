"""Properties of the places of lesions."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from planar3d.organs import organ_id
from planar3d.phantom.lesion_site import SITES, LesionSites


@pytest.fixture
def whole() -> SimpleNamespace:
    """Trunk and neck: lungs, trachea to the top, a pelvis, a spine."""
    from planar3d.grid import Grid

    grid = Grid.centred((32, 24, 70), 10.0)
    x, y, z = torch.meshgrid(*[(torch.arange(n) - 0.5 * (n - 1)) * 10.0 for n in grid.shape], indexing="ij")
    labels = torch.zeros(grid.shape, dtype=torch.int64)
    labels[(x / 140) ** 2 + (y / 100) ** 2 < 1] = organ_id("body")
    labels[(x.abs() < 20) & (y < -40) & (y > -80)] = organ_id("spine")
    labels[(x.abs() < 15) & (y > 0) & (y < 20) & (z > 200)] = organ_id("trachea")
    labels[((x.abs() - 70) / 40) ** 2 + (y / 60) ** 2 + ((z - 150) / 100) ** 2 < 1] = organ_id("lung_left")
    labels[(((x.abs() - 80) / 30) ** 2 + (y / 40) ** 2 + ((z + 270) / 60) ** 2 < 1)] = organ_id("pelvis")
    return SimpleNamespace(labels=labels[None, None], grid=grid, x=x, z=z)


def mean_place(weight: torch.Tensor, place: torch.Tensor) -> float:
    """Mean of a coordinate under a weight."""
    return float((weight * place).sum() / weight.sum())


def test_nodes_lie_by_their_names(whole: SimpleNamespace) -> None:
    sites = LesionSites({"node": 0.2, "pelvic_node": 0.3, "neck_node": 0.3, "remnant": 0.2})
    weights = dict(zip(sites.names, sites.weights(whole.labels, torch.float32, whole.grid)[0], strict=True))
    soft = torch.isin(whole.labels[0, 0], torch.tensor([organ_id(organ) for organ in SITES["node"]]))
    for name in ("node", "pelvic_node", "neck_node", "remnant"):
        assert weights[name].sum() > 0
        assert (weights[name] >= 0).all()
        assert (weights[name][~soft] == 0).all()
    assert mean_place(weights["pelvic_node"], whole.z) < -200
    assert mean_place(weights["neck_node"], whole.z) > 230
    assert mean_place(weights["remnant"], whole.z) > 250
    assert mean_place(weights["remnant"], whole.x.abs()) < 40
    assert abs(mean_place(weights["node"], whole.z)) < 60


def test_nodes_that_an_anatomy_lacks_lie_along_the_spine(anatomy: SimpleNamespace) -> None:
    """The toy has vessels and a spine, but neither pelvis nor neck."""
    sites = LesionSites({"node": 0.5, "neck_node": 0.5})
    node, neck = sites.weights(anatomy.labels, torch.float32, anatomy.grid)[0, :2]
    torch.testing.assert_close(node, neck)


def test_only_sites_in_use_are_weighed(anatomy: SimpleNamespace) -> None:
    sites = LesionSites({"bone": 1.0})
    assert sites.names == ("bone", "elsewhere")
    assert sites.weights(anatomy.labels, torch.float32, anatomy.grid).shape[1] == 2
