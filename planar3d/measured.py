"""The measured patient of a command: the planar image, the anatomy, and the problem that they pose together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console

from planar3d.anatomy.patient import Patient
from planar3d.grid import cube_edge_mm
from planar3d.io import PlanarImage, read_planar, within_field_of_view
from planar3d.measurement import MARGIN_MM, camera_of, located, pose, rearranged
from planar3d.reconstruction.arrangement import better_arrangement
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.trained import checkpoint_of, trained_cameras, trained_spacing_mm

__all__ = ["MeasuredPatient", "announce_place", "device_of", "open_measured", "require_as_given", "suit_voxels", "working_spacing_mm"]

DEFAULT_SPACING_MM = 4.8
SPACING_FACTOR = 1.3  # within which voxels are as good as those that a network was trained on


@dataclass(frozen=True, kw_only=True)
class MeasuredPatient:
    """What was measured of one patient.

    Attributes:
        image: The acquisition.
        patient: CT and organs as read.
        problem: Both on the working grid, with a margin where image or CT go on beyond the other.
    """

    image: PlanarImage
    patient: Patient
    problem: PlanarProblem


def open_measured(cfg: DictConfig, stage: Callable[[str], None]) -> MeasuredPatient:
    """Read, place and check what a configuration names, as ``conf/reconstruct.yaml`` does.

    Args:
        cfg: Configuration of the command.
        stage: Told of each of three stages as it begins.

    Raises:
        ValueError: A file is missing, cannot be read, or does not go with the others.
    """
    stage("Reading the planar image")
    image = read_planar(cfg.planar, **cfg.acquisition, lower_window=cfg.planar_lower, upper_window=cfg.planar_upper)
    camera = camera_of(image)
    stage("Reading the anatomy")
    patient = instantiate(cfg.patient, _convert_="all")
    stage("Setting up the camera before the patient")
    if not image.origin_is_known:
        image = located(image, camera, patient, scanner=cfg.scanner)
        announce_place(image)
    tell_of_other_training(cfg, image)
    problem = pose(
        within_field_of_view(image),
        camera,
        patient,
        spacing_mm=working_spacing_mm(cfg.spacing_mm, _weights_of(cfg)),
        scanner=cfg.scanner,
        device=device_of(cfg.device),
        margin_mm=MARGIN_MM,
    )
    if "method" in cfg:
        suit_voxels(cfg.method, problem.grid.spacing_mm)
    tell_of_other_voxels(cfg, problem.grid.spacing_mm)
    if cfg.check_arrangement:
        require_as_given(image, problem, views="the planar views", or_else="pass check_arrangement=false")
    return MeasuredPatient(image=image, patient=patient, problem=problem)


def suit_voxels(method: DictConfig, spacing_mm: Sequence[float]) -> None:
    """Have a method without weights of its own take those for the voxels it works on: whole pixels of the image, which may be coarse.

    Args:
        method: Configuration of the method.
        spacing_mm: Edges of the working voxels [mm].
    """
    if "shipped" in method:
        method.spacing_mm = cube_edge_mm(spacing_mm)


def tell_of_other_training(cfg: DictConfig, image: PlanarImage) -> None:
    """Say so where a network was trained for another camera or isotope than the image's: it is used all the same.

    Args:
        cfg: Configuration of the command.
        image: The acquisition.
    """
    weights = _weights_of(cfg)
    trained = [] if weights is None else trained_cameras(weights)
    if trained and (image.camera, image.isotope) not in trained:
        text = (
            f"The network was trained for {'; '.join(f'{camera} and {isotope}' for camera, isotope in trained)}, the image is of "
            f"{image.camera} and {image.isotope}: be careful, standard errors may be too small"
        )
        _tell(text)


def tell_of_other_voxels(cfg: DictConfig, spacing_mm: Sequence[float]) -> None:
    """Say so where a network was trained on coarser or finer voxels than it is to work on: it is used all the same.

    Args:
        cfg: Configuration of the command.
        spacing_mm: Edges of the working voxels [mm].
    """
    weights = _weights_of(cfg)
    trained = None if weights is None else trained_spacing_mm(weights)
    used = cube_edge_mm(spacing_mm)
    if trained is not None and not 1 / SPACING_FACTOR <= used / trained <= SPACING_FACTOR:
        text = (
            f"The network was trained on voxels of {trained:g} mm and works on {used:.2g} mm: be careful, maps may be less accurate; "
            "leave out spacing_mm, or give weights trained on such voxels as checkpoint"
        )
        _tell(text)


def announce_place(image: PlanarImage) -> None:
    """Tell where an image was placed."""
    x, z = image.origin_mm
    _tell(f"Placed the planar image by its counts: acquisition.origin_mm=[{x:.1f},{z:.1f}] (mm); check on sheet.png that it fits the CT")


def _weights_of(cfg: DictConfig) -> str | None:
    """The weights that the method of a command uses; None for a method without, or a command without a method."""
    return checkpoint_of(cfg.checkpoint, cfg.get("method") or {})


def _tell(text: str) -> None:
    """Print a sentence as it stands, on one line."""
    Console(soft_wrap=True, highlight=False).print(text, markup=False)


def require_as_given(image: PlanarImage, problem: PlanarProblem, *, views: str, or_else: str) -> None:
    """Raise if the counts say that the views are swapped or mirrored.

    Args:
        image: The acquisition.
        problem: What it was made into.
        views: What to call the views.
        or_else: What to do where they are right as they are.

    Raises:
        ValueError: Another arrangement of the views fits the patient clearly better.
    """
    better = better_arrangement(problem, lambda turn: rearranged(image, problem, turn))
    if better is not None:
        raise ValueError(
            f"{views} seem to be {better}: their counts then fit the organs in the CT clearly better; correct the image, or {or_else} if "
            "it is right as it is"
        )


def working_spacing_mm(asked: float | None, weights: str | None) -> float:
    """The spacing asked for, else the one that the weights were trained on, else the default [mm].

    Args:
        asked: What the user asks for [mm]; None for no wish.
        weights: Weights of the method; None for a method without.
    """
    if asked is not None:
        return float(asked)
    trained = None if weights is None else trained_spacing_mm(weights)
    return DEFAULT_SPACING_MM if trained is None else trained


def device_of(name: str) -> str:
    """The device that a name stands for; ``"auto"`` is a GPU where there is one.

    Args:
        name: ``"auto"``, or a device of torch.
    """
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"
