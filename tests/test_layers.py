"""Imports point down: the contracts in pyproject.toml hold, and every module of the science has its place in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCIENCE = ("anatomy", "phantom", "physics", "dosimetry", "nn", "io", "diffusion", "reconstruction", "metrics", "report")
FRAMEWORKS = ("lightning", "pytorch_lightning", "hydra", "omegaconf", "wandb")


def test_import_contracts_are_kept(repository: Path) -> None:
    lint = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", lint, "--no-cache"], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_library_brings_in_no_heavy_package(repository: Path) -> None:
    heavy = ("wandb", "torchio", "matplotlib", "SimpleITK", "pydicom", "highdicom", "monai", *FRAMEWORKS)
    modules = [f"planar3d.{path.stem}" for path in (repository / "planar3d").glob("*.py") if path.stem in ("batch", "grid", "organs")]
    packages = [f"planar3d.{name}" for name in SCIENCE if (repository / "planar3d" / name).is_dir()]
    code = f"import sys, {', '.join(modules + packages)}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
