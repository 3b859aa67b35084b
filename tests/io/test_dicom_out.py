"""Volumes as DICOM: every voxel where its grid says, every value within half a step, whose patient it is and nothing more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydicom import Dataset, dcmread

from planar3d.grid import Grid
from planar3d.io import read_reference, write_nm_activity, write_rt_dose
from planar3d.io.dicom_header import acquired_at, isotope
from planar3d.io.nm_activity import ISOTOPE_CODES
from planar3d.radionuclide import RADIONUCLIDES
from tests.io.dicom_standard import lacking

GRIDS = (
    Grid(shape=(5, 6, 7), spacing_mm=(2.5, 3.3, 4.7), origin_mm=(-10.1, 20.2, -333.3)),
    Grid(shape=(8, 4, 2), spacing_mm=(4.8, 4.79, 1 / 3), origin_mm=(200.123456789, -300.0, 1234.5)),
)
HOT = (1, 3, 0)
TIME = datetime.fromisoformat("2026-03-02T13:05:07+01:00")
Write = Callable[..., Path]


@pytest.fixture
def reference(write_ct: Callable[..., Path]) -> Dataset:
    return read_reference(write_ct())


@pytest.fixture(params=["dose", "activity"])
def write(request: pytest.FixtureRequest, reference: Dataset, tmp_path: Path) -> Write:
    """Writes a volume as an object of either kind."""

    def call(volume: torch.Tensor, grid: Grid) -> Path:
        path = tmp_path / f"{request.param}.dcm"
        if request.param == "dose":
            write_rt_dose(path, volume, grid, reference=reference)
        else:
            write_nm_activity(path, volume, grid, reference=reference, acquired_at=TIME, isotope="Lu-177")
        return path

    return call


def scaled(path: Path) -> tuple[Any, float]:
    """The image as SimpleITK reads it, in the unit of its values, and the value of a step."""
    import SimpleITK as sitk

    image, header = sitk.ReadImage(path), dcmread(path)
    step = float(header.get("DoseGridScaling") or header.RescaleSlope)
    return (sitk.Cast(image, sitk.sitkFloat64) * step if "DoseGridScaling" in header else image), step


def as_volume(path: Path, grid: Grid) -> np.ndarray:
    """The values that a reader finds at the voxel centres of a grid, RAS+; NaN where it finds none within a thousandth of a voxel."""
    import SimpleITK as sitk

    image = scaled(path)[0]
    values = sitk.GetArrayFromImage(image)
    found = np.full(grid.shape, np.nan)
    for index in np.ndindex(grid.shape):
        x, y, z = grid.affine[:3] @ np.array([*index, 1.0])
        place = np.array(image.TransformPhysicalPointToContinuousIndex((-x, -y, z)))
        column, row, frame = np.rint(place).astype(int)
        if np.abs(place - (column, row, frame)).max() < 1e-3 and all(
            0 <= i < n for i, n in zip((frame, row, column), values.shape, strict=True)
        ):
            found[index] = values[frame, row, column]
    return found


def volume_on(grid: Grid, generator: torch.Generator) -> torch.Tensor:
    volume = torch.rand(grid.shape, generator=generator)
    volume[HOT] = 7.0
    return volume * 1e4


@pytest.mark.parametrize("grid", GRIDS)
def test_every_voxel_is_read_where_its_grid_says(write: Write, grid: Grid, generator: torch.Generator) -> None:
    volume = volume_on(grid, generator)
    path = write(volume[None, None], grid)
    np.testing.assert_allclose(as_volume(path, grid), volume.double().numpy(), rtol=0, atol=(0.5 + 1e-6) * scaled(path)[1])


@pytest.mark.parametrize("grid", GRIDS)
def test_the_hot_voxel_lies_exactly_at_its_grid_position(write: Write, grid: Grid, generator: torch.Generator) -> None:
    import SimpleITK as sitk

    image = scaled(write(volume_on(grid, generator), grid))[0]
    values = sitk.GetArrayFromImage(image)
    frame, row, column = (int(i) for i in np.unravel_index(values.argmax(), values.shape))
    lps = image.TransformIndexToPhysicalPoint((column, row, frame))
    np.testing.assert_allclose(np.array(lps) * (-1, -1, 1), grid.affine[:3] @ np.array([*HOT, 1.0]), rtol=0, atol=1e-9)
    np.testing.assert_allclose(image.GetSpacing()[:2], grid.spacing_mm[:2], rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flip_or_a_shift_by_half_a_voxel_would_show(write: Write, axis: int, generator: torch.Generator) -> None:
    grid = GRIDS[0]
    volume = volume_on(grid, generator)
    flipped = as_volume(write(volume.flip(axis), grid), grid)
    assert np.abs(flipped - volume.numpy()).max() > 1e3
    origin = list(grid.origin_mm)
    origin[axis] += 0.5 * grid.spacing_mm[axis]
    shifted = Grid(shape=grid.shape, spacing_mm=grid.spacing_mm, origin_mm=(origin[0], origin[1], origin[2]))
    assert np.isnan(as_volume(write(volume, shifted), grid)).all()


def test_the_object_is_the_patients_in_the_study_and_space_of_the_ct(write: Write, reference: Dataset, generator: torch.Generator) -> None:
    headers = [dcmread(write(volume_on(GRIDS[0], generator), GRIDS[0])) for _ in range(2)]
    kept = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientWeight", "StudyInstanceUID", "StudyDate", "StudyTime",
            "StudyDescription", "AccessionNumber", "FrameOfReferenceUID")  # fmt: skip
    for header in headers:
        assert all(header[keyword].value == reference[keyword].value for keyword in kept)
        assert header.SOPInstanceUID == header.file_meta.MediaStorageSOPInstanceUID
        assert {"InstitutionName"}.isdisjoint(header.dir())
        assert header.SeriesDescription.startswith("planar3d")
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        one, other = (header[keyword].value for header in headers)
        assert one != other
        assert one.startswith("2.25.")


def test_nothing_is_a_step_of_one(write: Write) -> None:
    path = write(torch.zeros(GRIDS[0].shape), GRIDS[0])
    assert scaled(path)[1] == 1.0
    assert not dcmread(path).pixel_array.any()


def test_rounding_below_zero_is_zero_and_more_is_an_error(write: Write) -> None:
    volume = torch.ones(GRIDS[0].shape)
    volume[HOT] = -1e-7
    assert as_volume(write(volume, GRIDS[0]), GRIDS[0])[HOT] == 0.0
    for wrong in (-0.1, float("nan"), float("inf")):
        volume[HOT] = wrong
        with pytest.raises(ValueError, match="finite and not negative"):
            write(volume, GRIDS[0])


def test_another_grid_or_a_reference_without_place_is_an_error(write: Write, reference: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give the grid that the volume lies on"):
        write(torch.ones(GRIDS[1].shape), GRIDS[0])
    del reference.FrameOfReferenceUID
    with pytest.raises(ValueError, match="no Frame of Reference UID"):
        write(torch.ones(GRIDS[0].shape), GRIDS[0])
    assert not list(tmp_path.glob("*.dcm"))


def test_dose_has_what_the_standard_asks_for(reference: Dataset, tmp_path: Path) -> None:
    grid = GRIDS[0]
    write_rt_dose(tmp_path / "dose.dcm", torch.ones(grid.shape), grid, reference=reference, comment="first cycle")
    header = dcmread(tmp_path / "dose.dcm")
    assert not lacking(header, "general-image", "image-plane", "image-pixel", "multi-frame")
    assert (header.Modality, header.DoseUnits, header.DoseType, header.DoseSummationType) == ("RTDOSE", "GY", "PHYSICAL", "PLAN")
    assert header[header.FrameIncrementPointer].keyword == "GridFrameOffsetVector"
    np.testing.assert_allclose(header.GridFrameOffsetVector, [4.7 * k for k in range(7)], atol=1e-9)
    assert header.pixel_array.max() < 2**31
    assert header.DoseComment == "first cycle"
    assert "ReferencedRTPlanSequence" not in header


def test_activity_has_what_the_standard_asks_for_and_its_time_and_unit(reference: Dataset, tmp_path: Path) -> None:
    grid = GRIDS[0]
    write_nm_activity(
        tmp_path / "activity.dcm", torch.full(grid.shape, 2e5), grid, reference=reference, acquired_at=TIME, isotope="177Lu",
        window_kev=(187.2, 228.8),
    )  # fmt: skip
    header = dcmread(tmp_path / "activity.dcm")
    assert not lacking(header, "frame-of-reference", "nm-tomo-acquisition", "nm-reconstruction")
    assert (header.Modality, header.ImageType[2], header.Units, header.DecayCorrection) == ("NM", "RECON TOMO", "BQML", "NONE")
    assert (header.AcquisitionDate, header.AcquisitionTime[:6], header.AcquisitionDateTime[-5:]) == ("20260302", "130507", "+0100")
    assert acquired_at(header) == TIME.replace(tzinfo=None)
    assert isotope(header) == "Lu-177"
    assert header[header.FrameIncrementPointer].keyword == "SliceVector"
    assert list(header.SliceVector) == list(range(1, header.NumberOfSlices + 1))
    assert header.SpacingBetweenSlices == 4.7
    (mapping,), (window,) = header.RealWorldValueMappingSequence, header.EnergyWindowInformationSequence
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "Bq/ml"
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (header.RescaleSlope, header.RescaleIntercept)
    assert window.EnergyWindowRangeSequence[0].EnergyWindowUpperLimit == 228.8
    assert header.RadiopharmaceuticalInformationSequence[0].RadionuclideHalfLife == 6.647 * 86400


def test_every_radionuclide_has_its_code() -> None:
    codes = pytest.importorskip("pydicom.sr.codedict").codes
    for nuclide in RADIONUCLIDES:
        symbol, mass = nuclide.name.split("-")
        element = {"Lu": "Lutetium", "I": "Iodine", "Tc": "Technetium", "In": "Indium"}[symbol]
        code = getattr(codes.cid18, f"_{mass}{element}")
        assert ISOTOPE_CODES[nuclide.name] == (code.value, code.meaning)
