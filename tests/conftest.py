"""What the tests share: sample data, a seeded generator and a thread count fit for small machines."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]
MAX_THREADS = 2


def pytest_configure() -> None:
    """Keep torch to the cores that a small machine has; more threads than cores slow every test."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", min(MAX_THREADS, os.cpu_count() or 1))))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked gpu where there is no CUDA device."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that the tests run from."""
    return REPOSITORY


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Folder of the real sample data, from PLANAR3D_DATA or ../shared/data beside the checkout."""
    folder = Path(os.environ.get("PLANAR3D_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no sample data: {folder} is not a folder; set PLANAR3D_DATA to the folder that holds them")
    return folder


@pytest.fixture
def generator() -> torch.Generator:
    """A CPU generator seeded the same for every test."""
    return torch.Generator().manual_seed(0)


def run_command(patch: pytest.MonkeyPatch, name: str, *arguments: str) -> None:
    """Run a command in this process with the arguments that a shell would pass."""
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    patch.setattr(sys, "argv", [f"planar3d.{name}", *arguments])
    importlib.import_module(f"planar3d.{name}").main()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Runs a command as the shell would, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(name: str, *arguments: str) -> None:
        run_command(monkeypatch, name, *arguments)

    return call


@pytest.fixture
def fails(run: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Runs a command that must end with exit code 2, one sentence on stderr and no file; returns the sentence."""

    def call(name: str, *arguments: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(name, *arguments)
        told = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        assert ended.value.code == 2
        assert len(told) == 1, told
        assert told[0].startswith("error: ")
        assert sorted(tmp_path.rglob("*")) == before
        return told[0]

    return call


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An acquisition of a coarse digital patient."""
    folder = tmp_path_factory.mktemp("simulated") / "acquisition"
    with pytest.MonkeyPatch.context() as patch:
        run_command(patch, "simulate", f"output_dir={folder}", "patient.spacing_mm=16.0", "patient.seed=3")
    return folder


@pytest.fixture
def acquisition(simulated: Path, tmp_path: Path) -> Path:
    """A copy of the acquisition that a test may spoil."""
    return Path(shutil.copytree(simulated, tmp_path / "acquisition"))


@pytest.fixture(scope="session")
def given() -> Callable[..., list[str]]:
    """Makes the arguments of reconstruct for an acquisition."""

    def arguments(folder: Path, **changes: str) -> list[str]:
        values = {
            "planar": folder / "planar.nii.gz",
            "patient.ct": folder / "ct.nii.gz",
            "patient.labels": folder / "labels.nii.gz",
            "output_dir": "out",
        }
        return [f"{key}={value}" for key, value in (values | changes).items()]

    return arguments
