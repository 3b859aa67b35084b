"""DICOM out of the commands: only where it is asked for, and the patient's identity in it and nowhere else."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml
from pydicom import dcmread

from planar3d.config import CONFIG_DIR
from tests.dosimetry_box import make_study
from tests.io.conftest import PATIENT

TIME = "acquisition.acquired_at=2026-03-02T13:00"
IDENTITY = (*PATIENT.values(), "Muster", "4711")
Run = Callable[..., None]


@pytest.fixture
def ct(write_ct: Callable[..., Path]) -> str:
    """A folder with the CT in DICOM, as an argument."""
    return f"dicom_reference={write_ct('Muster_Erika')}"


def revealed(folder: Path, capsys: pytest.CaptureFixture[str], *, but: str) -> list[str]:
    """Where outside of one file a result or what was told names the patient."""
    told = capsys.readouterr()
    texts = {"told": told.out + told.err, "names": " ".join(path.name for path in folder.rglob("*"))}
    for path in folder.iterdir():
        content = path.read_bytes() if path.name != but else b""
        texts[path.name] = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("latin-1")
    return [f"{name}: {word}" for name, text in texts.items() for word in IDENTITY if word in text]


def test_reconstruct_writes_activity(
    run: Run, given: Callable[..., list[str]], acquisition: Path, ct: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("reconstruct", *given(acquisition), "method=qplanar", TIME, "dicom=true", ct)
    header = dcmread("out/activity.dcm")
    volume = nibabel.load("out/activity.nii.gz")
    expected = np.asarray(volume.dataobj).sum() * abs(np.linalg.det(volume.affine[:3, :3]))
    voxel_mm3 = np.prod([*header.PixelSpacing, header.SpacingBetweenSlices])
    assert header.pixel_array.sum() * header.RescaleSlope * voxel_mm3 == pytest.approx(expected, rel=1e-3)
    assert (header.AcquisitionDate, header.AcquisitionTime[:4]) == ("20260302", "1300")
    assert header.PatientID == PATIENT["PatientID"]
    assert not revealed(Path("out"), capsys, but="activity.dcm")
    kept = yaml.safe_load(Path("out/config.yaml").read_text())
    assert kept["dicom"] is True
    assert kept["dicom_reference"] is None


def test_dosimetry_writes_dose(run: Run, tmp_path: Path, ct: str, capsys: pytest.CaptureFixture[str]) -> None:
    import SimpleITK as sitk

    Path("study.yaml").write_text(yaml.safe_dump(make_study(tmp_path)))
    run("absorbed_dose", "study=study.yaml", "output_dir=out", "dicom=true", ct)
    image, volume = sitk.ReadImage("out/dose.dcm"), nibabel.load("out/dose.nii.gz")
    values, scale = sitk.GetArrayFromImage(image), float(dcmread("out/dose.dcm").DoseGridScaling)
    dose_gy = np.asarray(volume.dataobj)
    for index in ((3, 4, 5), (9, 3, 8), (0, 0, 0)):
        x, y, z = volume.affine[:3] @ np.array([*index, 1.0])
        column, row, frame = image.TransformPhysicalPointToIndex((-x, -y, z))
        assert values[frame, row, column] * scale == pytest.approx(dose_gy[index], rel=1e-5)
    written = {path.name for path in Path("out").iterdir()}
    assert written == {"budget.csv", "config.yaml", "curves.png", "dose.dcm", "dose.nii.gz", "dvh.png", "organs.csv", "organs.json"}
    assert not revealed(Path("out"), capsys, but="dose.dcm")
    assert yaml.safe_load(Path("out/config.yaml").read_text())["dicom_reference"] is None


@pytest.mark.parametrize("name", ["reconstruct", "dosimetry"])
def test_dicom_is_not_written_unless_asked_for(name: str) -> None:
    assert yaml.safe_load((CONFIG_DIR / f"{name}.yaml").read_text())["dicom"] is False


def test_what_is_missing_is_said_before_anything_is_done(
    fails: Callable[..., str], given: Callable[..., list[str]], acquisition: Path, ct: str, tmp_path: Path
) -> None:
    arguments = [*given(acquisition), "method=conjugate_view", "dicom=true"]
    assert "add dicom_reference=" in fails("reconstruct", *arguments, TIME)
    assert "add acquisition.acquired_at=" in fails("reconstruct", *arguments, ct)
    assert "there is no file or folder nowhere" in fails("reconstruct", *arguments, TIME, "dicom_reference=nowhere")
    assert "dicom must be true or false" in fails("reconstruct", *given(acquisition), "dicom=activity", ct)
    Path("study.yaml").write_text(yaml.safe_dump(make_study(tmp_path)))
    assert "add dicom_reference=" in fails("absorbed_dose", "study=study.yaml", "output_dir=out", "dicom=true")


def test_a_ct_without_frame_of_reference_is_refused(
    fails: Callable[..., str], given: Callable[..., list[str]], acquisition: Path, write_ct: Callable[..., Path]
) -> None:
    folder = write_ct(FrameOfReferenceUID=None)
    told = fails("reconstruct", *given(acquisition), TIME, "dicom=true", f"dicom_reference={folder}")
    assert "has no Frame of Reference UID" in told
