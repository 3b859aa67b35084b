"""From a study described in one file to absorbed dose: ``python -m planar3d.dosimetry study=study.yaml``.

Activity comes from maps, or from planar acquisitions reconstructed here, each alone or all together; then curves, dose, and the uncertainty
of both. The dose goes back to the space of the CT.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from planar3d.anatomy.ct_file import space_of
from planar3d.anatomy.patient import Patient
from planar3d.anatomy.reading import read_volume
from planar3d.config import command
from planar3d.dosimetry import EffectiveHalfLifePrior, hu_to_density
from planar3d.dosimetry.activity_series import ActivitySeries
from planar3d.dosimetry.organ_kinetics import organ_priors, taken
from planar3d.dosimetry.study import Study, StudyImage
from planar3d.dosimetry.study_dose import StudyDose
from planar3d.dosimetry.study_options import DEFAULT
from planar3d.grid import Grid, cube_edge_mm, require_same_grid
from planar3d.io import PlanarImage, read_planar, reference_for, resample_to, within_field_of_view, write_rt_dose, write_volume
from planar3d.io.alignment import on_common_pixels
from planar3d.io.nifti import sidecar_path
from planar3d.measured import announce_place, device_of, require_as_given, suit_voxels, working_spacing_mm
from planar3d.measurement import MARGIN_MM, camera_of, located, pose
from planar3d.organs import organ_name
from planar3d.phantom.tracers import TRACERS
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.reconstruct_series import reconstruct_series
from planar3d.report.dose_rows import dose_head, dose_rows
from planar3d.report.dose_table import read_mean_doses_gy, write_dose_table, write_uncertainty_budget
from planar3d.results import announce, output_folder, stages
from planar3d.shapes import Volume
from planar3d.trained import checkpoint_of
from planar3d.units import MGY_PER_GY, SECONDS_PER_HOUR
from planar3d.visualization.dose_figures import curve_figure, dose_volume_figure
from planar3d.visualization.page import save_sheet

__all__ = ["main", "open_study"]

BLADDER_DEVIATION = 1.0  # a bladder that fills and empties follows no curve
ORGAN_DEVIATION = 0.1


@command("dosimetry")
def main(cfg: DictConfig) -> None:
    """Read, check, reconstruct, integrate, write."""
    content, study = open_study(Path(cfg.study))
    reference = reference_for(study.patient.ct, wanted=cfg.dicom, given=cfg.dicom_reference)
    with output_folder(cfg.output_dir, _kept(cfg, content, study)) as folder, stages(5) as stage:
        stage("Reading the anatomy")
        given = study.patient
        patient = Patient.from_files(given.ct, given.labels, label_scheme=given.label_scheme, fill_from_ct=given.fill_from_ct)
        earlier = [read_mean_doses_gy(c) if isinstance(c, Path) else dict(c) for c in study.options.earlier_cycles]
        priors = _priors(study)
        stage("Reading the images")
        series = _series(cfg, study, patient, priors, stage)
        stage("Finding the dose")
        density = None
        if study.options.density == "ct":
            density = hu_to_density(patient.resampled(series.grid).ct_hu[None].to(series.maps))
        outline_voxel_mm = cube_edge_mm(patient.grid.spacing_mm)
        found = StudyDose.of(study, series, density_g_per_ml=density, outline_voxel_mm=outline_voxel_mm, priors=priors, seed=cfg.seed)
        stage("Writing")
        write(folder, study, found, earlier)
        if reference is not None:
            write_rt_dose(folder / "dose.dcm", found.dose.dose_gy, series.grid, reference=reference)
    announce(cfg.output_dir)


def open_study(path: Path) -> tuple[dict[str, Any], Study]:
    """A study and the content of its file.

    Args:
        path: YAML file.

    Raises:
        ValueError: There is no such file, it is no YAML, or it describes no possible study.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path} for study; give a YAML file that describes one")
    try:
        content: Any = OmegaConf.to_container(OmegaConf.load(path))
    except (YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise ValueError(f"study {path} is no valid YAML ({line}); correct it") from error
    return content, Study.of(content, folder=path.parent)


def write(folder: Path, study: Study, found: StudyDose, earlier: list[dict[str, float]]) -> None:
    """Write dose, table, budget and figures.

    Args:
        folder: Where to write.
        study: What was asked.
        found: What came of it.
        earlier: Mean dose of organs in each cycle before [Gy].
    """
    series, space = found.series, space_of(study.patient.ct)

    def write_map(name: str, volume: Volume, unit: str) -> None:
        placed = resample_to(volume.cpu(), series.grid, space.shape, space.affine)
        write_volume(folder / f"{name}.nii.gz", placed, space.affine, unit=unit)

    write_map("dose", found.dose.dose_gy, "Gy")
    if study.options.dose_rates:
        for i in range(len(series.maps)):
            rate = found.voxel_dose(series.maps[i : i + 1]) * (MGY_PER_GY * SECONDS_PER_HOUR)
            write_map(f"dose_rate_{i + 1}", rate, "mGy/h")
    wanted = study.options.reported(series.ids)
    rows, histograms = dose_rows(study, found, wanted, earlier=earlier)
    write_dose_table(folder / "organs", rows, head=dose_head(study, found))
    write_uncertainty_budget(folder / "budget.csv", found.dose.budget)
    hottest = dict(sorted(histograms.items(), key=lambda item: -item[1].mean_gy)[:20])
    save_sheet(dose_volume_figure(hottest, title=f"Dose-volume histograms, dose by {study.options.voxel_dose}"), folder / "dvh.png")
    index = [series.ids.index(i) for i in wanted]
    shown = taken(found.curves, torch.tensor(index, device=series.maps.device))
    error = series.standard_error_bq
    figure = curve_figure(
        shown,
        [organ_name(i) for i in wanted],
        standard_error_bq=None if error is None else error[index],
        title=f"Activity over time: {series.method}",
    )
    save_sheet(figure, folder / "curves.png")


def _series(
    cfg: DictConfig,
    study: Study,
    patient: Patient,
    priors: dict[str, EffectiveHalfLifePrior] | None,
    stage: Callable[[str], None],
) -> ActivitySeries:
    """Activity over time, read or reconstructed."""
    device = device_of(cfg.device)
    if not study.is_planar:
        times = study.time_axis()
        maps, grid = _maps(study)
        labels = patient.resampled(grid).labels[None]
        stage("Reading what the maps hold of organs")
        return ActivitySeries.of_maps(maps.to(device), labels.to(device), grid, times, relative_error=study.uncertainty.activity)
    asked = study.reconstruction
    cfg.checkpoint = asked.checkpoint or cfg.checkpoint
    if asked.joint and study.options.models[DEFAULT] not in ("auto", "mono_exponential"):
        raise ValueError(
            f"options.model {study.options.models[DEFAULT]} does not go with reconstruction.joint, whose curves are mono-exponential; set "
            f"joint: false, or leave model out"
        )
    chosen = cfg.methods[asked.method]
    weights = checkpoint_of(cfg.checkpoint, chosen, asked.spacing_mm)
    images = [_planar(study, image, i) for i, image in enumerate(study.images, start=1)]
    times = study.time_axis([image.acquired_at for image in images])
    problems = _problems(study, images, patient, spacing_mm=working_spacing_mm(asked.spacing_mm, weights), device=device)
    suit_voxels(chosen, problems[0].grid.spacing_mm)
    method = instantiate(chosen, _convert_="all")
    stage(f"Reconstructing by {asked.method}")
    return reconstruct_series(
        problems,
        times,
        method=method,
        name=asked.method,
        joint=asked.joint,
        half_life_s=study.isotope.half_life_s,
        priors=priors,
        deviation_log_sd={DEFAULT: ORGAN_DEVIATION, "urinary_bladder": BLADDER_DEVIATION},
    )


def _planar(study: Study, image: StudyImage, i: int) -> PlanarImage:
    """The acquisition of a time point."""
    assert image.planar is not None
    read = read_planar(image.planar, **image.acquisition, lower_window=image.lower_window, upper_window=image.upper_window)
    study.require_isotope(read.isotope, f"image {i}")
    return read


def _problems(study: Study, images: list[PlanarImage], patient: Patient, *, spacing_mm: float, device: str) -> list[PlanarProblem]:
    """The problems of all times on one grid; acquisitions that were made alike share their projector."""
    scanner = study.patient.scanner
    for i, image in enumerate(images):
        if not image.origin_is_known:
            images[i] = located(image, camera_of(image), patient, scanner=scanner)
            announce_place(images[i])
    images = on_common_pixels(images)
    problems: list[PlanarProblem] = []
    for i, image in enumerate(images):
        seen = within_field_of_view(image, among=images)
        alike = next((j for j in range(i) if _is_alike(images[j], image)), None)
        problem = pose(seen, camera_of(seen), patient, spacing_mm=spacing_mm, scanner=scanner, device=device, margin_mm=MARGIN_MM)
        if problems:
            shared = problems[0 if alike is None else alike]
            problem = replace(problem, grid=shared.grid, mu_map=shared.mu_map, labels=shared.labels)
            problem = problem if alike is None else replace(problem, projector=shared.projector, camera=shared.camera)
        if study.reconstruction.check_arrangement:
            or_else = "set reconstruction.check_arrangement to false in the study"
            require_as_given(image, problem, views=f"image {i + 1}: the planar views", or_else=or_else)
        problems.append(problem)
    return problems


def _is_alike(one: PlanarImage, other: PlanarImage) -> bool:
    """Whether two acquisitions have the same projector: all is the same but counts and clock, and none of it depends on counts."""
    keys = ("camera", "isotope", "dwell_time_s", "scan_speed_mm_per_s", "head_length_mm", "distance_mm", "sensitivity_cps_per_mbq",
            "energy_kev", "scatter_correction")  # fmt: skip
    return one.dead_time_s is None and other.dead_time_s is None and all(getattr(one, k) == getattr(other, k) for k in keys)


def _maps(study: Study) -> tuple[Volume, Grid]:
    """Activity maps on their common grid."""
    maps, grids = [], []
    for i, image in enumerate(study.images, start=1):
        assert image.activity is not None
        volume, grid, _ = read_volume(image.activity, name=f"activity of image {i}", outside=0.0)
        sidecar = sidecar_path(image.activity)
        if sidecar.is_file():
            stated = json.loads(sidecar.read_text(encoding="utf-8")).get("isotope")
            if stated is not None:
                study.require_isotope(str(stated), f"image {i}")
        require_same_grid(f"image {i}", grid, "image 1", grids[0] if grids else grid)
        maps.append(volume)
        grids.append(grid)
    return torch.stack(maps), grids[0]


def _priors(study: Study) -> dict[str, EffectiveHalfLifePrior] | None:
    """Effective half-lives by organ; those of a tracer's population where one is named."""
    given = study.options.priors
    if isinstance(given, str):
        if given not in TRACERS:
            raise ValueError(
                f"options.priors {given!r} is not known; name one of {', '.join(TRACERS)}, or give a table of organ to median_h"
            )
        found = {}
        for tissue in TRACERS[given].tissues:
            prior = EffectiveHalfLifePrior(median_h=tissue.half_time_h, log_sd=tissue.half_time_log_sd)
            found |= dict.fromkeys(tissue.organs, prior) | ({DEFAULT: prior} if "body" in tissue.organs else {})
        given = found
    if given is None:
        return None
    organ_priors(list(given), given, half_life_s=study.isotope.half_life_s, like=torch.zeros(()))
    return dict(given)


def _kept(cfg: DictConfig, content: dict[str, Any], study: Study) -> DictConfig:
    """What to keep of the configuration: the study itself instead of its path, and of the methods the one used."""
    method = study.reconstruction.method
    images = [{**image, "activity": None, "lower_window": None, "upper_window": None} for image in content["images"]]
    options = dict(content.get("options") or {})
    options["earlier_cycles"] = [c for c in options.get("earlier_cycles") or [] if not isinstance(c, str)]
    plain: Any = OmegaConf.to_container(cfg, resolve=False)
    plain = {**plain, "study": {**content, "images": images, "options": options}, "methods": {}}
    if study.is_planar:
        plain["methods"] = {method: OmegaConf.to_container(cfg.methods[method], resolve=False)}
    kept: Any = OmegaConf.create(plain)
    return kept


if __name__ == "__main__":
    main()
