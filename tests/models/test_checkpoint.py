"""Weights on disk: what is written comes back, and what cannot be used is told in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from planar3d.models import load_checkpoint_into, load_weights, save_weights

CONFIG = {"model": {"net": {"width": 8}}, "seed": 3}


def network(width: int = 4, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 1))


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save_weights(tmp_path / "new" / "weights.safetensors", network(), CONFIG)


def test_weights_and_configuration_come_back(weights: Path) -> None:
    tensors, config = load_weights(weights)
    assert config == CONFIG == json.loads(weights.with_suffix(".json").read_text())
    assert set(tensors) == set(network().state_dict())
    other = network(seed=1)
    load_checkpoint_into(other, weights)
    assert same(other, network())


def test_nothing_but_weights_and_configuration_is_left_on_disk(weights: Path) -> None:
    assert sorted(p.name for p in weights.parent.iterdir()) == ["weights.json", "weights.safetensors"]


def test_a_configuration_that_is_no_json_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        save_weights(tmp_path / "weights.safetensors", network(), {"net": network()})
    assert not list(tmp_path.iterdir())


def test_half_precision_halves_the_file_and_fills_a_network_of_full_precision(weights: Path, tmp_path: Path) -> None:
    half = save_weights(tmp_path / "half.safetensors", network(), CONFIG, dtype=torch.bfloat16)
    assert {t.dtype for t in load_weights(half)[0].values()} == {torch.bfloat16}
    other = network(seed=1)
    load_checkpoint_into(other, half)
    for a, b in zip(other.parameters(), network().parameters(), strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3)


def test_a_training_checkpoint_gives_its_network(tmp_path: Path) -> None:
    state: dict[str, Tensor] = {f"net.{name}": value for name, value in network().state_dict().items()}
    torch.save({"state_dict": state | {"loss.weight": torch.ones(1)}, "epoch": 1}, tmp_path / "last.ckpt")
    other = network(seed=1)
    load_checkpoint_into(other, tmp_path / "last.ckpt")
    assert same(other, network())


@pytest.mark.parametrize("other", [network(width=5), nn.Linear(3, 4), nn.Sequential(*network(), nn.Linear(1, 1))])
def test_another_architecture_is_told_and_leaves_the_network_alone(other: nn.Module, weights: Path) -> None:
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(ValueError, match="is of another architecture"):
        load_checkpoint_into(other, weights)
    assert all(torch.equal(before[name], value) for name, value in other.state_dict().items())


@pytest.mark.parametrize("name", ["text.safetensors", "text.ckpt", "plain.safetensors", "pickle.ckpt", "empty.ckpt", "absent.ckpt"])
def test_what_is_no_checkpoint_is_told(name: str, tmp_path: Path) -> None:
    for suffix in ("safetensors", "ckpt"):
        (tmp_path / f"text.{suffix}").write_text("no weights here")
    save_file({"w": torch.ones(2)}, tmp_path / "plain.safetensors")
    torch.save({"state_dict": network()}, tmp_path / "pickle.ckpt")
    torch.save({"other": 1}, tmp_path / "empty.ckpt")
    with pytest.raises(ValueError, match=f"checkpoint .*{name}"):
        load_checkpoint_into(network(), tmp_path / name)


def test_another_ending_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        save_weights(tmp_path / "weights.pt", network(), CONFIG)
