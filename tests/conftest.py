"""What the tests share: sample data, a seeded generator and a thread count fit for small machines."""

from __future__ import annotations

import os
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
