"""Every notebook runs from top to bottom, and is kept without outputs.

The code of the cells is run as one program, in an empty folder; that needs no notebook packages. Lines that speak to the notebook alone
(``%matplotlib inline``) are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def cells(path: Path) -> list[dict]:
    """Code cells of a notebook."""
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def test_there_are_notebooks() -> None:
    if not FOLDER.is_dir():
        pytest.skip("notebooks are not part of this copy of the sources (they lie in the repository's notebooks/)")
    assert {"01_conventions", "02_digital_patients", "03_gamma_camera", "04_reconstruction", "05_dosimetry"} <= {
        path.stem for path in NOTEBOOKS
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    lines = [line for cell in cells(path) for line in ["".join(cell["source"]), ""]]
    program = "\n".join(line for line in "\n".join(lines).splitlines() if not line.startswith("%"))
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"), "PYTHONPATH": str(FOLDER.parent)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_without_outputs(path: Path) -> None:
    for cell in cells(path):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
