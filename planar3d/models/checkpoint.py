"""Weights on disk: safetensors with the resolved configuration in the file, never a pickle.

A weights file holds the tensors of one network and, as metadata, the JSON of the configuration that made it; the same JSON lies beside
it for people. Files appear whole or not at all. Training checkpoints (``.ckpt``) are read with ``weights_only=True``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from planar3d.nn.posterior_net import PosteriorNet

__all__ = ["load_checkpoint_into", "load_config", "load_weights", "save_weights", "shipped_weights", "weights_dtype"]

FORMAT = "planar3d-weights-1"
SHIPPED = Path(__file__).parents[1] / "weights"
NET_PREFIX = "net."  # of the network's tensors in a Lightning checkpoint
ESTIMATOR_PREFIX = "estimator."  # of the estimator's tensors among those of a `PosteriorNet`


def save_weights(path: str | Path, net: nn.Module, config: Mapping[str, Any], *, dtype: torch.dtype | None = None) -> Path:
    """Write the weights of a network and the configuration beside them.

    Args:
        path: File to write, ``*.safetensors``; the configuration goes to ``*.json`` beside it.
        net: The network.
        config: Resolved configuration, plain values only.
        dtype: Floating dtype on disk, as ``torch.bfloat16`` for half the size; None keeps that of the network.

    Returns:
        The file written.
    """
    from safetensors.torch import save

    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"path must end in .safetensors, got {path.name}")
    text = json.dumps(config, indent=2)
    tensors = {name: _stored(value, dtype) for name, value in net.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside, description = path.with_suffix(".safetensors.part"), path.with_suffix(".json.part")
    description.write_text(text + "\n", encoding="utf-8")
    beside.write_bytes(save(tensors, metadata={"format": FORMAT, "config": text}))
    os.replace(description, path.with_suffix(".json"))
    os.replace(beside, path)
    return path


def weights_dtype(name: str | None) -> torch.dtype | None:
    """The floating dtype that weights are written in.

    Args:
        name: Its name; None keeps that of the network.

    Raises:
        ValueError: There is no such dtype, or none for weights.
    """
    allowed = {None: None, "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if name not in allowed:
        raise ValueError(f"weights_dtype must be one of null, float32, float16 and bfloat16, got {name}")
    return allowed[name]


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and configuration of a weights file.

    Raises:
        ValueError: The file is missing or was not written by `save_weights`.
    """
    with _opened(path) as (file, config):
        return {name: file.get_tensor(name) for name in file.keys()}, config


def load_config(path: str | Path) -> dict[str, Any]:
    """Configuration of a weights file, without reading its tensors.

    Raises:
        ValueError: The file is missing or was not written by `save_weights`.
    """
    with _opened(path) as (_, config):
        return config


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A weights file and its configuration."""
    from safetensors import SafetensorError, safe_open

    path = _existing(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(f"checkpoint {path} does not hold planar3d weights; give one that planar3d.train wrote")
            yield file, json.loads(metadata["config"])
    except SafetensorError as error:
        raise ValueError(f"checkpoint {path} is not a safetensors file ({error}); give one that planar3d.train wrote") from error


def load_checkpoint_into(net: nn.Module, path: str | Path) -> None:
    """Fill a network from a weights file or from a training checkpoint.

    Args:
        net: The network; it keeps its dtype and device.
        path: A ``.safetensors`` file, or a ``.ckpt`` of Lightning whose averaged weights are taken. A `PosteriorNet` may start from
            the weights of its estimator alone; where a file holds its denoiser alone, the estimator is that of the weights which the
            file's configuration names as ``estimator_checkpoint``.

    Raises:
        ValueError: The file is missing, unreadable or of another architecture.
    """
    path = _existing(path)
    tensors, config = load_weights(path) if path.suffix == ".safetensors" else (_training_weights(path), {})
    if isinstance(net, PosteriorNet):
        if net.start_from_estimator(tensors):
            return
        apart = config.get("estimator_checkpoint")
        if apart is not None and not any(name.startswith(ESTIMATOR_PREFIX) for name in tensors):
            load_checkpoint_into(net.estimator, apart)
            tensors |= {f"{ESTIMATOR_PREFIX}{name}": value for name, value in net.estimator.state_dict().items()}
    expected = net.state_dict()
    missing = [k for k in expected if k not in tensors]
    surplus = [k for k in tensors if k not in expected]
    other = [k for k in expected if k in tensors and tensors[k].shape != expected[k].shape]
    if missing or surplus or other:
        raise ValueError(
            f"checkpoint {path} is of another architecture: {len(missing)} tensors missing, {len(surplus)} not known and "
            f"{len(other)} of another shape ({', '.join((missing + surplus + other)[:3])}); give the net options it was trained with"
        )
    net.load_state_dict(tensors)


def _training_weights(path: Path) -> dict[str, Tensor]:
    """The network's tensors in a Lightning checkpoint."""
    from pickle import UnpicklingError

    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        state = checkpoint["state_dict"]
    except (UnpicklingError, RuntimeError, KeyError, EOFError, TypeError) as error:
        raise ValueError(f"checkpoint {path} cannot be read as a training checkpoint; give a .ckpt or .safetensors of planar3d") from error
    return {name.removeprefix(NET_PREFIX): value for name, value in state.items() if name.startswith(NET_PREFIX)}


def shipped_weights() -> dict[str, Path]:
    """Weights that come with the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.safetensors"))}


def _existing(path: str | Path) -> Path:
    """The path, or that of shipped weights by their name, if a file is there."""
    path = shipped_weights().get(str(path), Path(path))
    if not path.is_file():
        names = "".join(f", or {name}, which comes with planar3d" for name in shipped_weights())
        raise ValueError(f"checkpoint {path} is not there; give the .safetensors or .ckpt file that planar3d.train wrote{names}")
    return path


def _stored(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    """The tensor as it goes to disk."""
    value = value.detach().cpu().contiguous()
    return value.to(dtype) if dtype is not None and value.is_floating_point() else value
