"""A patient's PET: brought onto the patient's grid from any other, and refused where it cannot be one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from planar3d.anatomy import Patient, draw_warp, warp_patient
from planar3d.grid import Grid
from planar3d.organs import organ_id

Store = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Writes a PET."""

    def write(volume: torch.Tensor, grid: Grid, *, turn: np.ndarray | None = None, codes: str = "RAS") -> Path:
        affine = grid.affine if turn is None else turn @ grid.affine
        image = nib.Nifti1Image(volume.reshape(grid.shape).numpy().astype(np.float32), affine)
        image = image if codes == "RAS" else image.as_reoriented(nib.orientations.axcodes2ornt(codes))
        nib.save(image, tmp_path / "pet.nii.gz")
        return tmp_path / "pet.nii.gz"

    return write


def ramp(grid: Grid) -> torch.Tensor:
    """Positive values linear in place, which interpolation keeps."""
    x, y, z = (torch.arange(n) * s + o for n, s, o in zip(grid.shape, grid.spacing_mm, grid.origin_mm, strict=True))
    return 2000.0 + x[:, None, None] + 0.5 * y[None, :, None] + 2.0 * z


@pytest.mark.parametrize("codes", ["RAS", "LPS"])
@pytest.mark.parametrize("spacing_mm", [5.3, 11.0])
def test_a_pet_of_another_grid_and_orientation_lies_where_it_was(digital: Patient, store: Store, spacing_mm: float, codes: str) -> None:
    grid = Grid.centred((110, 90, 130), spacing_mm, (7.0, -3.0, 11.0)) if spacing_mm < 8 else digital.grid.resampled(spacing_mm)
    patient = digital.with_pet(store(ramp(grid), grid, codes=codes))
    assert patient.pet is not None
    inner = (0, *(slice(4, -4),) * 3)
    torch.testing.assert_close(patient.pet[inner], ramp(digital.grid)[inner[1:]], rtol=1e-3, atol=0.0)
    assert torch.equal(patient.labels, digital.labels)


def test_beyond_an_oblique_pet_there_is_no_activity(digital: Patient, store: Store) -> None:
    """And not that of air in a CT, -1000."""
    angle = np.deg2rad(8.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0, 0], [np.sin(angle), np.cos(angle), 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    patient = digital.with_pet(store(torch.full(digital.grid.shape, 3.0), digital.grid, turn=turn))
    assert patient.pet is not None
    assert float(patient.pet.min()) == 0.0
    assert float(patient.pet.max()) == pytest.approx(3.0, rel=1e-3)


def test_a_pet_goes_with_the_patient(digital: Patient, digital_files: tuple[Path, Path, Path], store: Store) -> None:
    liver = (digital.labels == organ_id("liver")).float() + 0.01
    ct, labels, ids = digital_files
    patient = Patient.from_files(ct, labels, label_scheme=ids, spacing_mm=12.0, pet=store(liver, digital.grid))
    for moved in (patient, patient.resampled(16.0), warp_patient(patient, draw_warp(torch.Generator().manual_seed(1)))):
        assert moved.pet is not None
        inside = moved.labels == organ_id("liver")
        assert float(moved.pet[inside].mean()) > 0.8
        assert float(moved.pet[~inside].mean()) < 0.05


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda pet, grid: (pet - 1.0, grid), "negative"),
        (lambda pet, grid: (pet / pet.sub(pet[0, 0, 0]), grid), "NaN or infinite"),
        (lambda pet, grid: (0.0 * pet, grid), "zero in the whole patient"),
        (lambda pet, grid: (pet, Grid.centred(grid.shape, grid.spacing_mm, (900.0, 0.0, 0.0))), "shows 0 % of the patient"),
        (lambda pet, grid: (pet[..., :20], Grid.centred((*grid.shape[:2], 20), grid.spacing_mm, grid.centre_mm)), "crop CT and labels"),
    ],
)
def test_what_is_no_pet_of_the_patient_is_refused(digital: Patient, store: Store, change: Callable, word: str) -> None:
    pet = torch.rand(digital.grid.shape, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=word):
        digital.with_pet(store(*change(pet, digital.grid)))
