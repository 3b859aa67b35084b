"""What every command shares: where the configuration lies, how a wrong input is told, and whose anatomy a configuration names.

A command is a task decorated with `command`. A wrong input (a `ValueError` of this library, a file that cannot be read or written, a
configuration that does not compose) ends it with one sentence on stderr and exit code 2. Anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from planar3d.anatomy.digital import digital_patient
from planar3d.anatomy.patient import Patient
from planar3d.memory import keep_freed_memory
from planar3d.results import remove_empty

__all__ = [
    "CONFIG_DIR",
    "command",
    "open_patient",
    "wrong_input",
]

_PACKAGED = Path(__file__).parent / "conf"
CONFIG_DIR = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[1] / "conf"
"""Absolute folder of the configuration: inside an installed wheel, or else the checkout's ``conf/``."""

EXIT_WRONG_INPUT = 2
_NOISE = re.compile(
    r"^(full_key|object_type|reference_type|set the environment variable|config search path|search path entry|provider=)", re.I
)


def _shipped(family: str, spacing_mm: float | None) -> str | None:
    """``${shipped:FAMILY,MM}``: the weights of a family that come with planar3d, for voxels nearest to that size."""
    from planar3d.trained import shipped_for  # the libraries of training are not for commands that do without

    return shipped_for(family, spacing_mm)


def _of_weights(checkpoint: str | None, option: str, usual: Any) -> Any:
    """``${of_weights:CHECKPOINT,OPTION,USUAL}``: an option of the network of a weights file; the usual one where no file tells it."""
    from planar3d.trained import network_option

    return usual if checkpoint is None else network_option(checkpoint, option, usual)


OmegaConf.register_new_resolver("shipped", _shipped, replace=True)
OmegaConf.register_new_resolver("of_weights", _of_weights, replace=True)


def command(config_name: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Decorator that makes a command of a task.

    Args:
        config_name: Primary configuration, as in ``"train"`` for ``conf/train.yaml``.
    """

    def decorate(task: Callable[[DictConfig], None]) -> Callable[[], None]:
        @functools.wraps(task)
        def checked(cfg: DictConfig) -> None:
            folder = Path(HydraConfig.get().runtime.output_dir)
            try:
                with _exit_on_wrong_input():
                    _require_given(cfg)
                    _require_own_folders()
                    task(cfg)
            finally:
                # Hydra makes its folder before the task runs, which may have failed or written elsewhere
                remove_empty([f for f in (folder, *folder.parents) if Path.cwd() in f.parents])

        main = hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name=config_name)(checked)

        @functools.wraps(task)
        def run() -> None:
            # Hydra then raises what it finds wrong instead of printing a traceback of its own
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")
            keep_freed_memory()
            with _exit_on_wrong_input():
                main()

        return run

    return decorate


def _require_given(cfg: DictConfig) -> None:
    """Raise if a key that has no default was not given."""
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise ValueError(f"{' and '.join(missing)} must be given; add {missing[0]}=... to the command")


def _require_own_folders() -> None:
    """Raise if the jobs of a sweep were given one folder, in which each would overwrite what the last one wrote."""
    config = HydraConfig.get()
    if config.mode == RunMode.MULTIRUN and any(o.lstrip("+").startswith("output_dir=") and "${" not in o for o in config.overrides.task):
        raise ValueError("output_dir would be the same folder for every job of the sweep; give hydra.sweep.dir=... instead")


@contextmanager
def _exit_on_wrong_input() -> Iterator[None]:
    """Turn a wrong input into one sentence on stderr and exit code 2."""
    try:
        yield
    except Exception as error:
        sentence = wrong_input(error)
        if sentence is None:
            raise
        print(f"error: {sentence}", file=sys.stderr)
        raise SystemExit(EXIT_WRONG_INPUT) from None


def wrong_input(error: BaseException) -> str | None:
    """The sentence for the user if an error comes from what was given, or None if it is a bug."""
    if isinstance(error, InstantiationException):
        return _instantiation(error)
    if isinstance(error, AttributeError):  # of a task that reads a key which its configuration does not have
        return None
    if isinstance(error, HydraException | OmegaConfBaseException):
        chain = [error, *([error.__cause__] if isinstance(error.__cause__, HydraException | OmegaConfBaseException) else [])]
        return _one_line("\n".join(str(e) for e in chain))
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot read or write {error.filename}: {error.strerror or error}"
    if isinstance(error, ValueError) and _raised_by_library(error):
        return _one_line(str(error))
    return None


def _instantiation(error: InstantiationException) -> str | None:
    """A wrong value or an unknown key of a group, told by the constructor that it was given to."""
    cause = error.__cause__
    full_key = next((line.partition(":")[2].strip() for line in str(error).splitlines() if line.strip().startswith("full_key:")), "")
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if unknown:
        where = f" of {full_key}" if full_key else ""
        return f"config key {unknown.group(1)!r}{where} is not known; remove it, or see the keys that are in the files of {CONFIG_DIR}"
    return wrong_input(cause) if cause is not None else None


def _raised_by_library(error: BaseException) -> bool:
    """Whether the innermost frame of an error is in this library: its own check, not a failure below it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(("planar3d.", "__main__"))


def _one_line(message: str) -> str:
    """A message of several lines as one sentence, less what helps only a developer."""
    lines = [line.strip() for line in message.splitlines()]
    kept = list(dict.fromkeys(line for line in lines if line and not _NOISE.match(line)))
    return " ".join(line if line.endswith((":", ",", ";")) else f"{line.rstrip('.')};" for line in kept).rstrip(";, ")


def open_patient(
    *,
    ct: str | None = None,
    labels: str | None = None,
    label_scheme: str | Mapping[int, str] | Mapping[str, str | None] = "auto",
    spacing_mm: float | None = 8.0,
    seed: int = 0,
    fill_from_ct: bool = True,
    pet: str | None = None,
) -> Patient:
    """The patient of a CT and a label map, or a digital patient where neither is given.

    Args:
        ct: NIfTI file of the CT, or folder of its DICOM series [HU].
        labels: Organs on the grid of the CT: NIfTI label map, DICOM SEG or DICOM RT structure set.
        label_scheme: What the ids of the label map mean: ``"auto"``, a scheme's name, a JSON file, or a table of id to organ; for DICOM
            ``"auto"``, a JSON file, or a table of name to organ.
        spacing_mm: Voxel edge of the working grid; None keeps that of the CT [mm].
        seed: Which digital patient.
        fill_from_ct: Whether to label lungs and bone from the CT where the label map has none.
        pet: NIfTI file of a pre-therapy PET in the coordinates of the CT, on any grid and of any unit.

    Raises:
        ValueError: Only one of the two files is given, or they cannot be used.
    """
    if ct is None and labels is None:
        patient = digital_patient(seed, spacing_mm=8.0 if spacing_mm is None else spacing_mm)
        return patient if pet is None else patient.with_pet(pet)
    if ct is None or labels is None:
        given, absent = ("patient.labels", "patient.ct") if ct is None else ("patient.ct", "patient.labels")
        raise ValueError(
            f"{absent} is required together with {given} and was not given; add {absent}=... or drop both for a digital patient"
        )
    return Patient.from_files(ct, labels, label_scheme=label_scheme, spacing_mm=spacing_mm, fill_from_ct=fill_from_ct, pet=pet)
