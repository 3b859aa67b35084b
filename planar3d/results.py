"""What a command leaves behind and tells: folders that appear whole or not at all, the configuration kept with them, and progress."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from planar3d.anatomy.labels import SCHEMES
from planar3d.models.checkpoint import shipped_weights

__all__ = ["announce", "output_folder", "remove_empty", "stages", "without_paths"]

_PATHS = {
    "ct",
    "labels",
    "planar",
    "planar_lower",
    "planar_upper",
    "dicom_reference",
    "checkpoints",
    "resume",
    "output_dir",
    "default_root_dir",
    "dirpath",
    "save_dir",
}
_NAMES_OR_PATHS = {"label_scheme", "checkpoint", "estimator_checkpoint", "pet"}  # a phantom's guide by PET is a table of that name


@contextmanager
def output_folder(path: str | Path, cfg: DictConfig | None = None) -> Iterator[Path]:
    """A folder to write into that takes its name only once everything in it is whole.

    Files land in a hidden folder beside ``path`` and move there when the block ends well. When it does not, nothing is left behind.

    Args:
        path: Where the files shall be. Existing files of other names in it stay.
        cfg: Configuration to keep with them as ``config.yaml``, without paths.

    Raises:
        ValueError: The folder cannot be made or written to.
    """
    target = Path(path).expanduser().absolute()
    made = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not (target.is_dir() and os.access(target, os.W_OK)):
            raise PermissionError(13, "it is not a folder that can be written to", str(target))
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        remove_empty(made)
        raise ValueError(f"output_dir {str(path)!r} cannot be written: {error.strerror}; give a folder that you may write to") from error
    try:
        yield partial
        if cfg is not None:
            (partial / "config.yaml").write_text(OmegaConf.to_yaml(without_paths(cfg)))
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        remove_empty(made)
        raise
    target.mkdir(exist_ok=True)
    for item in partial.iterdir():
        item.replace(target / item.name)
    partial.rmdir()


def without_paths(cfg: DictConfig) -> dict[str, Any]:
    """A configuration, resolved, with the paths of this machine and of the patient's files, and what structures in them are called, set to
    None: they may carry a name."""
    # cleared before anything is interpolated from them
    bare = OmegaConf.create(_cleared(OmegaConf.to_container(cfg, resolve=False)))
    resolved: Any = OmegaConf.to_container(bare, resolve=True)
    return resolved


def _cleared(node: Any) -> Any:
    """A part of a configuration with None for what names a path."""
    if isinstance(node, list):
        return [_cleared(value) for value in node]
    if not isinstance(node, dict):
        return node
    return {key: None if _may_tell(key, value) else _cleared(value) for key, value in node.items()}


def _may_tell(key: Any, value: Any) -> bool:
    """Whether a value may carry a name: a path, or a table of the names that people gave to outlined structures."""
    if key == "label_scheme" and isinstance(value, dict):
        return not all(str(identifier).isdigit() for identifier in value)
    return key in _PATHS or (key in _NAMES_OR_PATHS and not _is_name(value))


def _is_name(value: Any) -> bool:
    """Whether a value is one of the names that come with the package, or a table."""
    return not isinstance(value, str) or value in ("auto", *SCHEMES, *shipped_weights())


def remove_empty(folders: list[Path]) -> None:
    """Remove folders, given innermost first, as far as they exist and are empty."""
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def stages(total: int) -> Iterator[Callable[[str], None]]:
    """Progress over the stages of a command, on stderr.

    Args:
        total: Number of stages; call what is yielded with a description as each begins.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Starting", total=total)
        begun = 0

        def stage(description: str) -> None:
            nonlocal begun
            progress.update(task, description=description, completed=begun)
            begun += 1

        yield stage


def announce(path: str | Path) -> None:
    """Closing line of a command: what it wrote and where."""
    folder = Path(path).expanduser()
    names = ", ".join(sorted(item.name for item in folder.iterdir() if not item.name.startswith(".")))
    Console(soft_wrap=True, highlight=False).print(f"Wrote {names} to {folder}/", markup=False)
