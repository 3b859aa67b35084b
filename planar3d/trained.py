"""Trained networks that a configuration names: weights files, or those that come with planar3d, as reconstruction methods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.utils import instantiate

from planar3d.diffusion import Sampler
from planar3d.models.checkpoint import load_checkpoint_into, load_config, shipped_weights
from planar3d.nn.posterior_net import PosteriorNet
from planar3d.nn.sliding import SlidingWindow
from planar3d.reconstruction.diffusion import DiffusionReconstruction
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.learned import UNetReconstruction

__all__ = [
    "checkpoint_of",
    "is_ours",
    "network_option",
    "open_diffusion",
    "open_unet",
    "shipped_for",
    "trained_cameras",
    "trained_spacing_mm",
]

INTERVALS = {"organ_widen": 2.0, "organ_error": 0.05}
"""Standard errors of organs where weights do not tell theirs: found for `diffusion_population_8mm` (experiments/13_posterior)."""


def open_unet(
    *,
    checkpoint: str | None,
    shipped: str | None = None,
    spacing_mm: float | None = None,
    window: Sequence[int] | None = None,
    **options: Any,
) -> UNetReconstruction:
    """The reconstruction method of a weights file, which says itself which network it is.

    Args:
        checkpoint: File ``weights.safetensors`` that `planar3d.train` wrote.
        shipped: Family of weights that come with planar3d, one of which is taken where no file is given (`shipped_for`).
        spacing_mm: Voxel edge that the method is to work on, as far as it is known [mm].
        window: Largest part of a volume that the network sees at once, along x, y, z [voxel]; None for the whole.
        options: Further options of `UNetReconstruction`.

    Raises:
        ValueError: There is no such file, or it holds no such network.
    """
    net, inputs, config = _opened(_chosen(checkpoint, shipped, spacing_mm), "unet")
    estimator: Any = net.estimator if isinstance(net, PosteriorNet) else net
    if window is not None:
        estimator = SlidingWindow(estimator, window, align=estimator.multiple)
    return UNetReconstruction(net=estimator, inputs=inputs, passes=_passes(config), **options)


def open_diffusion(
    *,
    checkpoint: str | None,
    shipped: str | None = None,
    spacing_mm: float | None = None,
    window: Sequence[int] | None = None,
    sampler: Sampler | None = None,
    estimator_checkpoint: str | None = None,
    organ_widen: float | None = None,
    organ_error: float | None = None,
    **options: Any,
) -> DiffusionReconstruction:
    """The reconstruction method of the weights file of a diffusion model.

    Args:
        checkpoint: File ``weights.safetensors`` that `planar3d.train` wrote.
        shipped: Family of weights that come with planar3d, one of which is taken where no file is given (`shipped_for`).
        spacing_mm: Voxel edge that the method is to work on, as far as it is known [mm].
        window: Largest part of a volume that its networks see at once, along x, y, z [voxel]; None for the whole.
        sampler: Draws the samples.
        estimator_checkpoint: File of a U-Net that takes the place of the estimator, as one trained for the patient; None for none.
        organ_widen: As `DiffusionReconstruction` takes it; None for what the file says under ``intervals``, else `INTERVALS`.
        organ_error: Likewise.
        options: Further options of `DiffusionReconstruction`.

    Raises:
        ValueError: There is no such file, or it holds no such network.
    """
    checkpoint = _chosen(checkpoint, shipped, spacing_mm, estimator_checkpoint)
    net, inputs, config = _opened(checkpoint, "diffusion")
    noise = config["model"].get("noise", {"_target_": "planar3d.diffusion.NoiseField"})
    if not isinstance(net, PosteriorNet):
        raise ValueError(
            f"checkpoint {checkpoint} holds no diffusion model; give weights that planar3d.train wrote of one, or use method=unet"
        )
    if not is_ours(noise):
        raise ValueError(f"checkpoint {checkpoint} does not describe a diffusion model of planar3d; give weights that planar3d.train wrote")
    if estimator_checkpoint is not None:
        load_checkpoint_into(net.estimator, estimator_checkpoint)
    if window is not None:
        net.look_through(window)
    asked, told = {"organ_widen": organ_widen, "organ_error": organ_error}, config.get("intervals", {})
    intervals: dict[str, Any] = {name: told.get(name, usual) if asked[name] is None else asked[name] for name, usual in INTERVALS.items()}
    return DiffusionReconstruction(
        net=net, inputs=inputs, passes=_passes(config), sampler=sampler, noise=instantiate(noise, _convert_="all"), **options, **intervals
    )


def _opened(checkpoint: str | None, method: str) -> tuple[Any, PhysicsInputs, dict[str, Any]]:
    """Network, inputs and configuration of a weights file."""
    if checkpoint is None:
        raise ValueError(f"checkpoint is required by {method} and was not given; add checkpoint=... with weights that planar3d.train wrote")
    config = load_config(checkpoint)
    model = config.get("model", {})
    if not {"net", "inputs"} <= set(model) or not is_ours(model["net"]) or not is_ours(model["inputs"]):
        raise ValueError(f"checkpoint {checkpoint} does not describe a network of planar3d; give weights that planar3d.train wrote")
    net, inputs = instantiate(model["net"], _convert_="all"), instantiate(model["inputs"], _convert_="all")
    load_checkpoint_into(net, checkpoint)
    return net, inputs, config


def _passes(config: dict[str, Any]) -> int:
    """How often the estimator goes over its estimate."""
    return int(config["model"].get("passes", 1))


def shipped_for(family: str | None, spacing_mm: float | None) -> str | None:
    """Name of the weights that come with planar3d for voxels of some size; None where no family is named.

    Args:
        family: Name without the voxel edge, as ``"unet_population"``.
        spacing_mm: Voxel edge wanted, of which the nearest by its logarithm is taken; None takes the finest [mm].

    Raises:
        ValueError: There is no such family.
    """
    if family is None:
        return None
    edges = {name: trained_spacing_mm(name) or math.inf for name in shipped_weights() if name.rpartition("_")[0] == family}
    if not edges:
        families = sorted({name.rpartition("_")[0] for name in shipped_weights()})
        raise ValueError(f"shipped must be one of {', '.join(families)}, got {family}")
    return min(edges, key=lambda name: edges[name] if spacing_mm is None else abs(math.log(edges[name] / spacing_mm)))


def checkpoint_of(checkpoint: str | None, method: Mapping[str, Any], spacing_mm: float | None = None) -> str | None:
    """The weights that a method uses: those given, else those that come with planar3d; None for a method without weights.

    Args:
        checkpoint: Those given.
        method: Configuration of the method.
        spacing_mm: Voxel edge asked for; None for that of the method, or else of the U-Net given to it [mm].
    """
    return _chosen(checkpoint, method.get("shipped"), spacing_mm or method.get("spacing_mm"), method.get("estimator_checkpoint"))


def _chosen(checkpoint: str | None, shipped: str | None, edge_mm: float | None, estimator: str | None = None) -> str | None:
    """The weights given, else of a family those for voxels of an edge [mm]; where none is known, of that of the U-Net they go beside."""
    if not edge_mm and estimator is not None:
        edge_mm = trained_spacing_mm(estimator)
    return checkpoint or shipped_for(shipped, edge_mm)


def network_option(checkpoint: str, option: str, usual: Any) -> Any:
    """An option of the network that a weights file describes, so that training may start from it.

    Args:
        checkpoint: Weights file, or the name of weights that come with planar3d.
        option: As in ``conf/net``, with a dot before one of a part, as ``"estimator.width"``; of a U-Net's weights, which may be the
            estimator of a posterior's network, the U-Net's own.
        usual: Returned where there is no such file, or it does not tell: opening it will say what is wrong.
    """
    try:
        net = load_config(checkpoint)["model"]["net"]
    except (ValueError, KeyError, OSError):
        return usual
    part, _, name = option.rpartition(".")
    described = net.get(part, net if part == "estimator" else {}) if part else net
    return described.get(name, usual)


def trained_spacing_mm(checkpoint: str) -> float | None:
    """Voxel edge that the network of a weights file was trained on [mm]; None where the file does not say."""
    config = load_config(checkpoint)
    patients = config.get("data", {}).get("patients")
    source = patients if isinstance(patients, dict) else config.get("patient", {})
    spacing = source.get("spacing_mm")
    return None if spacing is None else float(spacing)


def trained_cameras(checkpoint: str) -> list[tuple[str, str]]:
    """Cameras and isotopes that the network of a weights file was trained for, its own first; none where the file does not say."""
    config = load_config(checkpoint)
    simulators = (config.get("data") or {}).get("training_simulators") or {}
    cameras = [config.get("camera"), *(simulator.get("camera") for simulator in simulators.values())]
    return list(dict.fromkeys((str(c["name"]), str(c["isotope"])) for c in cameras if c and c.get("name") and c.get("isotope")))


def is_ours(node: Any) -> bool:
    """Whether a configuration from a file makes objects of this library only; any other could run any code."""
    if isinstance(node, dict):
        target = node.get("_target_", "planar3d.")
        return isinstance(target, str) and target.startswith("planar3d.") and all(is_ours(value) for value in node.values())
    return not isinstance(node, list) or all(is_ours(value) for value in node)
