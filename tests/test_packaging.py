"""The wheel carries the configuration and runs from an empty directory; the checkout stays within the style guide's limits."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

MAX_LINES = 300


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder and return what it printed."""
    env = {**os.environ, **environment}
    return subprocess.run([str(c) for c in command], cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, repository, cwd=folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("planar3d-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a fresh environment that has the wheel, and borrows everything else from this one."""
    folder = tmp_path_factory.mktemp("environment")
    made = run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    assert made.returncode == 0, made.stderr
    packages = next(folder.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # addsitedir would follow the editable install's own .pth file; a plain path does not
    (packages / "borrowed.pth").write_text("\n".join(p for p in site.getsitepackages() if Path(p).is_dir()))
    return folder / "bin" / "python"


def test_wheel_carries_every_configuration_file(wheel: Path, repository: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("planar3d/conf/")}
    expected = {f"planar3d/conf/{path.relative_to(repository / 'conf').as_posix()}" for path in (repository / "conf").rglob("*.yaml")}
    assert expected
    assert packed == expected


def test_checkout_has_no_packaged_configuration(repository: Path) -> None:
    assert not (repository / "planar3d" / "conf").exists(), "planar3d/conf shadows conf/; remove it"


def test_wheel_is_what_the_fresh_environment_imports(installed: Path, tmp_path: Path) -> None:
    shown = run(installed, "-c", "from planar3d.config import CONFIG_DIR; print(CONFIG_DIR)", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert Path(shown.stdout.strip()).is_relative_to(installed.parents[1])


@pytest.mark.slow
def test_wheel_trains_from_an_empty_directory(installed: Path, tmp_path: Path) -> None:
    trained = run(installed, "-m", "planar3d.train", "+experiment=unet_ps", "+debug=smoke", cwd=tmp_path)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert list(tmp_path.rglob("*.yaml")), "the run left no record of its configuration"


@pytest.mark.parametrize("folder", ["planar3d", "tests", "conf", "experiments"])
def test_no_file_is_longer_than_the_limit(folder: str, repository: Path) -> None:
    files = [path for kind in ("*.py", "*.yaml") for path in (repository / folder).rglob(kind)]
    too_long = [str(path) for path in files if len(path.read_text().splitlines()) > MAX_LINES]
    assert not too_long


@pytest.mark.parametrize("arguments", [("ruff", "format", "--check", "."), ("ruff", "check", "."), ("pyright",)])
def test_linters_find_nothing(arguments: tuple[str, ...], repository: Path) -> None:
    done = run(sys.executable, "-m", *arguments, cwd=repository)
    assert done.returncode == 0, done.stdout + done.stderr
