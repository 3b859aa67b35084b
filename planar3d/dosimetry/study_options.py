"""How a study turns activity into dose, and what it knows of errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planar3d.dosimetry.effective_half_life import EffectiveHalfLifePrior
from planar3d.dosimetry.kinetics import MODELS
from planar3d.dosimetry.study_keys import choice, flag, names_of_organs, number, share, table, text
from planar3d.organs import organ_id
from planar3d.units import SECONDS_PER_HOUR

__all__ = ["DEFAULT", "Repair", "StudyOptions", "StudyUncertainty"]

DEFAULT = "default"
"""What speaks for the organs not named."""


@dataclass(frozen=True, kw_only=True)
class Repair:
    """How a tissue answers to dose rate.

    Attributes:
        alpha_beta_gy: alpha over beta [Gy].
        repair_half_time_s: Half-time of repair [s].
    """

    alpha_beta_gy: float
    repair_half_time_s: float


KIDNEY = Repair(alpha_beta_gy=2.6, repair_half_time_s=2.8 * SECONDS_PER_HOUR)
"""Kidneys: MIRD Pamphlet 20 (Wessels et al., J Nucl Med 2008;49:1884)."""


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """From activity to dose.

    Attributes:
        kinetics: ``organ``: one curve for each organ, the pattern within it that of the maps; ``voxel``: one for each voxel.
        models: Curve model of organs by name, with a ``default``. A bladder fills and empties and follows none: trapezoid if not named.
        priors: Effective half-life of organs by name, perhaps with a ``default``; the name of a tracer for its population; None for none.
        voxel_dose: ``kernel`` or ``local``.
        density: ``ct`` for mass by CT number, ``water`` for 1 g/mL.
        dose_rates: Whether maps of the dose rate at each time are wanted.
        organs: Organs or groups that must be there and alone are reported; None for all labelled.
        repair: By organ, for the BED.
        earlier_cycles: Mean dose of organs in each cycle given before [Gy], or the organ table that it stands in.
    """

    kinetics: str = "organ"
    models: Mapping[str, str] = field(default_factory=lambda: {DEFAULT: "auto", "urinary_bladder": "trapezoid"})
    priors: str | Mapping[str, EffectiveHalfLifePrior] | None = None
    voxel_dose: str = "kernel"
    density: str = "ct"
    dose_rates: bool = False
    organs: tuple[str, ...] | None = None
    repair: Mapping[str, Repair] = field(default_factory=lambda: {"kidney_left": KIDNEY, "kidney_right": KIDNEY})
    earlier_cycles: tuple[Path | Mapping[str, float], ...] = ()

    @classmethod
    def of(cls, value: Any, *, folder: Path) -> StudyOptions:
        """Read the options.

        Args:
            value: Keys and values; None for the defaults.
            folder: What paths are relative to.

        Raises:
            ValueError: A key is not known or a value not possible.
        """
        keys = ("kinetics", "model", "priors", "voxel_dose", "density", "dose_rates", "organs", "radiobiology", "earlier_cycles")
        given = table(value or {}, "options", keys)
        plain = cls()
        organs = given.get("organs")
        if organs is not None and not isinstance(organs, list):
            raise ValueError(f"options.organs must be a list of organ names, got {organs!r}; write [liver, kidney_left]")
        return cls(
            kinetics=choice(given.get("kinetics", plain.kinetics), "options.kinetics", ("organ", "voxel")),
            models={**plain.models, **_models(given.get("model", "auto"))},
            priors=_priors(given.get("priors")),
            voxel_dose=choice(given.get("voxel_dose", plain.voxel_dose), "options.voxel_dose", ("kernel", "local")),
            density=choice(given.get("density", plain.density), "options.density", ("ct", "water")),
            dose_rates=flag(given.get("dose_rates", False), "options.dose_rates"),
            organs=None if organs is None else tuple(o for o in organs if names_of_organs(o, "options.organs")),
            repair={**plain.repair, **_repair(given.get("radiobiology"))},
            earlier_cycles=_cycles(given.get("earlier_cycles"), folder),
        )

    def reported(self, present: Sequence[int]) -> tuple[int, ...]:
        """Ids of the organs to be reported.

        Args:
            present: Ids of the organs that have voxels.

        Raises:
            ValueError: One that is named has none.
        """
        if self.organs is None:
            return tuple(present)
        wanted: list[int] = []
        for name in self.organs:
            found = [organ_id(n) for n in names_of_organs(name, "options.organs") if organ_id(n) in present]
            if not found:
                raise ValueError(f"options.organs: {name} has no voxel in the label map where the images lie; leave it out, or label it")
            wanted += found
        return tuple(dict.fromkeys(wanted))


@dataclass(frozen=True, kw_only=True)
class StudyUncertainty:
    """Relative standard uncertainties, after Gear et al. (Eur J Nucl Med Mol Imaging 2018;45:2456).

    Attributes:
        calibration: Of the calibration factor, shared by organs and times.
        activity: Of an organ's activity in an activity map, each time anew; None where not known. Planar methods know their own.
        outline_fwhm_mm: Resolution of the image on which organs were outlined [mm].
        s_value: Of the kernel or S value itself.
        level: Level of the intervals.
    """

    calibration: float = 0.0
    activity: float | None = None
    outline_fwhm_mm: float = 1.0
    s_value: float = 0.0
    level: float = 0.9

    @classmethod
    def of(cls, value: Any) -> StudyUncertainty:
        """Read them; None for the defaults.

        Raises:
            ValueError: A key is not known or a value not possible.
        """
        given = table(value or {}, "uncertainty", ("calibration", "activity", "outline_fwhm_mm", "s_value", "level"))
        activity = given.get("activity")
        fwhm = number(given.get("outline_fwhm_mm", 1.0), "uncertainty.outline_fwhm_mm", "mm")
        level = share(given.get("level", 0.9), "uncertainty.level")
        if fwhm < 0 or level == 0:
            raise ValueError(f"uncertainty: outline_fwhm_mm must be zero or more and level above 0, got {fwhm:g} mm and {level:g}")
        return cls(
            calibration=share(given.get("calibration", 0.0), "uncertainty.calibration"),
            activity=None if activity is None else share(activity, "uncertainty.activity"),
            outline_fwhm_mm=fwhm,
            s_value=share(given.get("s_value", 0.0), "uncertainty.s_value"),
            level=level,
        )


def _models(value: Any) -> dict[str, str]:
    """Model by organ."""
    if isinstance(value, str):
        return {DEFAULT: choice(value, "options.model", MODELS)}
    return _by_organ(value, "options.model", lambda v, where: choice(v, where, MODELS))


def _priors(value: Any) -> str | dict[str, EffectiveHalfLifePrior] | None:
    """Priors by organ, or the name of a tracer."""
    if value is None or isinstance(value, str):
        return value

    def prior(entry: Any, where: str) -> EffectiveHalfLifePrior:
        given = table(entry, where, ("median_h", "log_sd"), required=("median_h", "log_sd"))
        median_h = number(given["median_h"], f"{where}.median_h", "hours")
        return EffectiveHalfLifePrior(median_h=median_h, log_sd=number(given["log_sd"], f"{where}.log_sd", "parts of one"))

    return _by_organ(value, "options.priors", prior)


def _repair(value: Any) -> dict[str, Repair]:
    """Radiobiology by organ."""

    def repair(entry: Any, where: str) -> Repair:
        given = table(entry, where, ("alpha_beta_gy", "repair_half_time_h"), required=("alpha_beta_gy", "repair_half_time_h"))
        ratio, hours = (number(given[key], f"{where}.{key}", "Gy or hours") for key in ("alpha_beta_gy", "repair_half_time_h"))
        if not (ratio > 0 and hours > 0):
            raise ValueError(f"{where} must have positive figures, got {ratio:g} Gy and {hours:g} h; take them from the literature")
        return Repair(alpha_beta_gy=ratio, repair_half_time_s=hours * SECONDS_PER_HOUR)

    return {k: v for k, v in _by_organ(value or {}, "options.radiobiology", repair).items() if k != DEFAULT}


def _cycles(value: Any, folder: Path) -> tuple[Path | dict[str, float], ...]:
    """Cycles given before."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError("options.earlier_cycles must be a list with one entry for each cycle: an organ table or {organ: Gy}")

    def gray(entry: Any, where: str) -> float:
        dose = number(entry, where, "Gy")
        if dose < 0:
            raise ValueError(f"{where} must be zero or more Gy, got {dose:g}")
        return dose

    where = "options.earlier_cycles"
    return tuple(folder / text(v, where) if isinstance(v, str) else _by_organ(v, where, gray) for v in value)


def _by_organ(value: Any, where: str, read: Any) -> dict[str, Any]:
    """A table of organs or groups, each entry read; ``default`` is a name too."""
    found = {}
    for name, entry in table(value, where, None).items():
        for organ in (DEFAULT,) if name == DEFAULT else names_of_organs(name, where):
            found[organ] = read(entry, f"{where}.{name}")
    return found
