"""A dosimetry study: one administration to one patient, its images, and how dose shall be found, as a file describes it.

Every key has its place here and one that is not known is an error, so that a misspelt option does not pass as the default. Paths are taken
relative to the folder of the file. Times are ISO 8601 with their zone, or without one where ``zone`` names it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from planar3d.dosimetry.study_keys import choice, flag, number, table, text
from planar3d.dosimetry.study_options import StudyOptions, StudyUncertainty
from planar3d.dosimetry.time_axis import TimeAxis, parse_time
from planar3d.radionuclide import Radionuclide

__all__ = ["Study", "StudyImage", "StudyPatient", "StudyReconstruction"]

METHODS = ("conjugate_view", "mlem", "qplanar", "qplanar_em", "unet", "diffusion")


@dataclass(frozen=True, kw_only=True)
class StudyPatient:
    """The patient's files.

    Attributes:
        ct: CT [HU].
        labels: Organs on its grid.
        label_scheme: What their ids, or names, mean.
        fill_from_ct: Whether lungs and bone that it lacks come from the CT.
        scanner: Table for the CT's numbers.
    """

    ct: Path
    labels: Path
    label_scheme: str | Mapping[int, str] | Mapping[str, str | None] = "auto"
    fill_from_ct: bool = True
    scanner: str = "general"


@dataclass(frozen=True, kw_only=True)
class StudyImage:
    """One time point.

    Attributes:
        planar: Planar acquisition, or None.
        activity: Activity map as it was at its time, not corrected for decay [Bq/mL], or None.
        time: When it was taken; None for what the acquisition says.
        acquisition: What stands above the acquisition's own metadata.
        lower_window: Side window below the peak, for NIfTI.
        upper_window: Side window above the peak.
    """

    planar: Path | None = None
    activity: Path | None = None
    time: str | None = None
    acquisition: Mapping[str, Any] = field(default_factory=dict)
    lower_window: str | None = None
    upper_window: str | None = None


@dataclass(frozen=True, kw_only=True)
class StudyReconstruction:
    """How planar acquisitions become activity.

    Attributes:
        method: Name of the method.
        joint: Whether all times are reconstructed together, organ activities on their curves.
        checkpoint: Weights of a learned method.
        spacing_mm: About which voxel edge to work with; None for that of the weights, or 4.8 [mm].
        check_arrangement: Whether views that look swapped or mirrored are refused.
    """

    method: str = "qplanar"
    joint: bool = True
    checkpoint: str | None = None
    spacing_mm: float | None = None
    check_arrangement: bool = True


@dataclass(frozen=True, kw_only=True)
class Study:
    """What a study file says.

    Attributes:
        isotope: Radionuclide.
        injection: When it was injected.
        administered_bq: Activity at the time of injection [Bq].
        zone: Zone of times that carry none; None where all do.
        patient: The patient's files.
        images: In the order of their times.
        reconstruction: How planar acquisitions become activity.
        options: How activity becomes dose.
        uncertainty: What is known of errors.
    """

    isotope: Radionuclide
    injection: datetime
    administered_bq: float
    zone: str | None
    patient: StudyPatient
    images: tuple[StudyImage, ...]
    reconstruction: StudyReconstruction
    options: StudyOptions
    uncertainty: StudyUncertainty

    @classmethod
    def of(cls, content: Any, *, folder: Path) -> Study:
        """Read a study from the content of its file.

        Args:
            content: Keys and values.
            folder: What paths are relative to.

        Raises:
            ValueError: A key is missing, not known or has an impossible value.
        """
        keys = ("isotope", "injection", "zone", "patient", "images", "reconstruction", "options", "uncertainty")
        study = table(content, "the study", keys, required=("isotope", "injection", "patient", "images"))
        isotope = Radionuclide.from_name(text(study["isotope"], "isotope"))
        zone = None if study.get("zone") is None else text(study["zone"], "zone")
        injection, administered_bq = _injection(study["injection"], isotope, zone)
        reconstruction = _reconstruction(study.get("reconstruction"), folder)
        return cls(
            isotope=isotope,
            injection=injection,
            administered_bq=administered_bq,
            zone=zone,
            patient=_patient(study["patient"], folder),
            images=_images(study["images"], folder),
            reconstruction=reconstruction,
            options=StudyOptions.of(study.get("options"), folder=folder),
            uncertainty=StudyUncertainty.of(study.get("uncertainty")),
        )

    @property
    def is_planar(self) -> bool:
        """Whether its images are planar acquisitions."""
        return self.images[0].planar is not None

    def time_axis(self, acquired: Sequence[datetime | None] | None = None) -> TimeAxis:
        """Times of the images.

        Args:
            acquired: When acquisitions say that they were made, for images to which the study gives no time.

        Raises:
            ValueError: An image has no time, or times are out of order or before the injection.
        """
        times = []
        for i, image in enumerate(self.images, start=1):
            time = image.time or (None if acquired is None else acquired[i - 1])
            if time is None:
                raise ValueError(f"images: image {i} has no time and its file states none; add time: 2026-03-01T09:00+01:00 to it")
            times.append(parse_time(time, zone=self.zone))
        elapsed = [(t.astimezone(UTC) - self.injection.astimezone(UTC)).total_seconds() for t in times]
        return TimeAxis(injection=self.injection, times_s=tuple(elapsed))

    def require_isotope(self, name: str, source: str) -> None:
        """Raise unless an image shows the radionuclide of the study."""
        if Radionuclide.from_name(name) != self.isotope:
            raise ValueError(f"{source} is of {name} and the study of {self.isotope.name}; a study has one isotope, correct one of them")

    def require_activity_left(self, activity_bq: float, time_s: float, source: str) -> None:
        """Raise where an image shows far more activity than can be left, as by a mix-up of units.

        Args:
            activity_bq: In the whole image [Bq].
            time_s: After injection [s].
            source: Which image.
        """
        left = self.administered_bq * self.isotope.decay_factor(time_s)
        if activity_bq > 2.0 * left:
            raise ValueError(
                f"{source} holds {activity_bq:.3g} Bq, but of the {self.administered_bq:.3g} Bq administered {left:.3g} Bq are left then; "
                f"check the unit of the image (Bq/mL), its calibration and injection.activity_bq (Bq)"
            )


def _injection(value: Any, isotope: Radionuclide, zone: str | None) -> tuple[datetime, float]:
    """Time of injection, and the activity then."""
    given = table(value, "injection", ("time", "activity_bq", "activity_at"), required=("time", "activity_bq"))
    time = parse_time(text(given["time"], "injection.time"), zone=zone)
    activity = number(given["activity_bq"], "injection.activity_bq", "becquerels, as in 7.4e9")
    if not activity > 0:
        raise ValueError(f"injection.activity_bq must be positive, got {activity:g}; give becquerels, as in 7.4e9")
    if given.get("activity_at") is None:
        return time, activity
    measured = parse_time(text(given["activity_at"], "injection.activity_at"), zone=zone)
    return time, activity * isotope.decay_factor((time.astimezone(UTC) - measured.astimezone(UTC)).total_seconds())


def _patient(value: Any, folder: Path) -> StudyPatient:
    """The patient's files."""
    keys = ("ct", "labels", "label_scheme", "fill_from_ct", "scanner")
    given = table(value, "patient", keys, required=("ct", "labels"))
    scheme = given.get("label_scheme", "auto")
    if isinstance(scheme, str) and scheme.lower().endswith(".json"):
        scheme = str(folder / scheme)
    return StudyPatient(
        ct=folder / text(given["ct"], "patient.ct"),
        labels=folder / text(given["labels"], "patient.labels"),
        label_scheme=scheme,
        fill_from_ct=flag(given.get("fill_from_ct", True), "patient.fill_from_ct"),
        scanner=text(given.get("scanner", "general"), "patient.scanner"),
    )


def _images(value: Any, folder: Path) -> tuple[StudyImage, ...]:
    """All time points, of one kind."""
    if not isinstance(value, list) or not value:
        raise ValueError("images must be a list of at least one image; write one line '- {planar: planar.nii.gz, time: ...}' for each")
    images = []
    for i, one in enumerate(value, start=1):
        where = f"image {i}"
        given = table(one, where, ("planar", "activity", "time", "acquisition", "lower_window", "upper_window"))
        kinds = [key for key in ("planar", "activity") if given.get(key) is not None]
        if len(kinds) != 1:
            raise ValueError(f"{where} must have exactly one of planar and activity, got {' and '.join(kinds) or 'neither'}; correct it")
        images.append(
            StudyImage(
                time=None if given.get("time") is None else text(given["time"], f"time of {where}"),
                acquisition=table(given.get("acquisition") or {}, f"acquisition of {where}", None),
                lower_window=None if given.get("lower_window") is None else str(folder / given["lower_window"]),
                upper_window=None if given.get("upper_window") is None else str(folder / given["upper_window"]),
                **{kinds[0]: folder / text(given[kinds[0]], f"{kinds[0]} of {where}")},
            )
        )
        if (images[-1].planar is None) != (images[0].planar is None):
            raise ValueError(f"{where} is of another kind than image 1; give planar acquisitions alone, or activity maps alone")
    return tuple(images)


def _reconstruction(value: Any, folder: Path) -> StudyReconstruction:
    """How planar acquisitions become activity."""
    given = table(value or {}, "reconstruction", ("method", "joint", "checkpoint", "spacing_mm", "check_arrangement"))
    spacing, checkpoint = given.get("spacing_mm"), given.get("checkpoint")
    if checkpoint is not None and (folder / text(checkpoint, "reconstruction.checkpoint")).exists():
        checkpoint = str(folder / checkpoint)
    if spacing is not None and not (number(spacing, "reconstruction.spacing_mm", "mm") > 0 and math.isfinite(spacing)):
        raise ValueError(f"reconstruction.spacing_mm must be positive, got {spacing}; give a voxel edge in mm")
    return StudyReconstruction(
        method=choice(given.get("method", "qplanar"), "reconstruction.method", METHODS),
        joint=flag(given.get("joint", True), "reconstruction.joint"),
        checkpoint=checkpoint,
        spacing_mm=None if spacing is None else float(spacing),
        check_arrangement=flag(given.get("check_arrangement", True), "reconstruction.check_arrangement"),
    )
