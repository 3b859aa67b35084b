"""The CT that results refer to: found among other files, read no further than needed, and refused where it cannot serve."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from planar3d.io import read_reference, reference_for
from planar3d.io.dicom_reference import PATIENT, SPACE, STUDY

WriteCt = Callable[..., Path]


def test_the_first_slice_of_the_ct_is_read_and_nothing_but_patient_study_and_space(write_ct: WriteCt) -> None:
    folder = write_ct(PatientComments="a history", PatientName="Müster^Änne")
    write_ct(name="a_scout", slices=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], FrameOfReferenceUID="1.2.9")
    write_ct(name="a_report", slices=1, Modality="SR")
    (folder / "a_note.txt").write_text("no DICOM")
    header = read_reference(folder)
    assert header.PatientName == "Müster^Änne"
    assert header.FrameOfReferenceUID == "1.2.826.4711.3"
    assert set(header.dir()) <= {"SpecificCharacterSet", "Modality", "ImageType", *PATIENT, *STUDY, *SPACE}
    assert read_reference(folder / "slice_1.dcm") == header


def test_a_value_that_breaks_a_rule_is_passed_on_and_not_quoted(write_ct: WriteCt, recwarn: pytest.WarningsRecorder) -> None:
    path = write_ct(slices=1) / "slice_0.dcm"
    content = path.read_bytes()
    assert b"20260301" in content
    path.write_bytes(content.replace(b"20260301", b"1.3.2026"))
    assert read_reference(path).StudyDate == "1.3.2026"
    assert not [str(w.message) for w in recwarn.list]


@pytest.mark.parametrize(
    ("keyword", "name"), [("StudyInstanceUID", "Study Instance UID"), ("FrameOfReferenceUID", "Frame of Reference UID")]
)
def test_a_ct_that_does_not_say_where_it_belongs(write_ct: WriteCt, keyword: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"has no {name}") as error:
        read_reference(write_ct(**{keyword: None}))
    assert "Muster" not in str(error.value)


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID", "FrameOfReferenceUID"])
def test_two_cts_in_a_folder(write_ct: WriteCt, keyword: str) -> None:
    folder = write_ct()
    write_ct(name="other", **{keyword: "1.2.9"})
    with pytest.raises(ValueError, match="more than one patient, study or frame of reference"):
        read_reference(folder)


def test_no_ct(write_ct: WriteCt, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no file or folder"):
        read_reference(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", write_ct(Modality="MR")):
        with pytest.raises(ValueError, match="holds no DICOM CT image"):
            read_reference(path)


def test_the_ct_itself_is_the_reference_unless_another_is_named(write_ct: WriteCt) -> None:
    folder, other = write_ct(), write_ct("other", FrameOfReferenceUID="1.2.9")
    assert reference_for("ct.nii.gz", wanted=False, given=None) is None
    for ct, given, expected in ((folder, None, "1.2.826.4711.3"), ("ct.nii.gz", other, "1.2.9"), (folder, other, "1.2.9")):
        header = reference_for(ct, wanted=True, given=given)
        assert header is not None
        assert header.FrameOfReferenceUID == expected
    with pytest.raises(ValueError, match="add dicom_reference="):
        reference_for("ct.nii.gz", wanted=True, given=None)
    with pytest.raises(ValueError, match="add dicom=true"):
        reference_for("ct.nii.gz", wanted=False, given=folder)


@pytest.mark.parametrize("damage", [slice(0, 60), slice(0, 140), slice(0, 300), slice(140, None)])
def test_a_damaged_file_is_none(write_ct: WriteCt, damage: slice) -> None:
    path = write_ct(slices=1) / "slice_0.dcm"
    path.write_bytes(path.read_bytes()[damage])
    with pytest.raises(ValueError, match=r"holds no DICOM CT image|has no"):
        read_reference(path)
    content = (write_ct(slices=1) / "slice_0.dcm").read_bytes()
    path.write_bytes(content.replace(b"DA", b"D\x9e"))
    with pytest.raises(ValueError, match="holds no DICOM CT image"):
        read_reference(path)
