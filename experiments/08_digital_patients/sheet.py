"""Twelve digital patients beside the two real anatomies: coronal CT, organ labels, highest activity along y, anterior and posterior view.

The phantom is that of ``conf/phantom/psma_population.yaml``, the camera that of ``conf/camera/siemens_melp.yaml`` without noise.

PLANAR3D_DATA=data python experiments/08_digital_patients/sheet.py
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from planar3d.anatomy import Patient, digital_patient, draw_habitus
from planar3d.anatomy.field import WHOLE_BODY
from planar3d.config import CONFIG_DIR
from planar3d.organs import ORGANS, organ_id

HERE = Path(__file__).parent
DOTATATE_IDS = {
    1: "liver", 2: "spleen", 3: "kidney_left", 4: "kidney_right", 5: "lesion_1", 6: "lesion_2", 7: "lesion_3", 8: "background",
}  # fmt: skip
COLOURS = {
    "body": "#8d8d99", "fat": "#efdca0", "muscle": "#b5534a", "lung_left": "#8fc1e3", "lung_right": "#79b0d8", "liver": "#7a3b12",
    "spleen": "#5d2e8c", "kidney_left": "#2f9e44", "kidney_right": "#2b8a3e", "stomach": "#4263eb", "duodenum": "#15aabf",
    "small_bowel": "#ffa8a8", "colon": "#9775fa", "urinary_bladder": "#ffd43b", "gallbladder": "#a9e34b", "pancreas": "#f76707",
    "heart": "#e03131", "vessels": "#c2255c", "spine": "#ffffff", "ribs": "#f1f3f5", "pelvis": "#e9ecef", "limb_bones": "#dee2e6",
    "skull": "#f8f9fa", "brain": "#e599c0", "trachea": "#1864ab", "esophagus": "#d9480f", "mucosa": "#f06595", "spinal_cord": "#ffe066",
    "prostate": "#66d9e8", "uterus": "#66d9e8", "thyroid": "#d0bfff",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 13)))
    parser.add_argument("--spacing-mm", type=float, default=4.0)
    parser.add_argument("--phantom-mm", type=float, default=6.0)
    parser.add_argument("--out", type=Path, default=HERE / "figures" / "sheet_patients.png")
    args = parser.parse_args()
    columns = [(digital_patient(seed, args.spacing_mm, WHOLE_BODY), _caption(seed)) for seed in args.seeds]
    columns += [(patient, patient.name.replace("_", "\n")) for patient in real_patients(args.spacing_mm)]
    figure = Figure(figsize=(1.75 * len(columns), 16.0), layout="constrained")
    axes = figure.subplots(5, len(columns))
    for seed, ((top, middle, *below), (patient, caption)) in enumerate(zip(axes.T, columns, strict=True)):
        plane = middle_plane(patient)
        ct, labels = patient.ct_hu[0].numpy(), patient.labels[0].numpy()
        top.set_title(caption, fontsize=7)
        draw_plane(top, patient, ct[:, plane], cmap="gray", vmin=-300, vmax=400)
        draw_plane(middle, patient, palette()[labels[:, plane]])
        for axis, image in zip(below, imaged(patient.resampled(args.phantom_mm), seed), strict=True):
            draw_plane(axis, patient, image, cmap="gray_r", vmin=0.0, vmax=float(np.quantile(image, 0.997)))
        print(patient.name, flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=75)
    print(f"wrote {args.out}")


def real_patients(spacing_mm: float) -> list[Patient]:
    """The real anatomies that are there."""
    folder = Path(os.environ.get("PLANAR3D_DATA", HERE.parents[2] / "shared" / "data"))
    sources = [
        ("lu177_dotatate_patient", "labels.nii.gz", DOTATATE_IDS),
        ("totalsegmentator_example", "labels_v1.nii.gz", "totalsegmentator_v1"),
    ]
    return [
        Patient.from_files(folder / name / "ct.nii.gz", folder / name / labels, label_scheme=scheme, spacing_mm=spacing_mm, name=name)
        for name, labels, scheme in sources
        if (folder / name / "ct.nii.gz").is_file()
    ]


def imaged(patient: Patient, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Highest activity along y, and the expected counts of the anterior and the posterior view, of one draw."""
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        cfg = compose("simulate", ["phantom=psma_population", "output_dir=out"])
    camera, synthesizer = (instantiate(part, _convert_="all") for part in (cfg.camera, cfg.phantom))
    mu_map = patient.mu_map(camera.energy_kev)[None]
    phantom = synthesizer.render(synthesizer.draw(torch.tensor([seed])), patient.labels[None], mu_map, patient.grid)
    views = camera.projector(phantom.mu_map, patient.grid)(phantom.activity)[0]
    return phantom.activity[0, 0].amax(dim=1).numpy(), views[0].numpy(), views[1].numpy()


def middle_plane(patient: Patient) -> int:
    """The coronal plane a little in front of the middle of the body."""
    depth = torch.nonzero(patient.body[0].any(dim=2).any(dim=0)).flatten()
    return int(depth.float().mean())


def palette() -> np.ndarray:
    """Colour of each organ id ``(id, 3)``."""
    spare = np.random.default_rng(4).uniform(0.2, 1.0, (len(ORGANS), 3))
    spare[0] = 0.0
    for name, code in COLOURS.items():
        spare[organ_id(name)] = [int(code[i : i + 2], 16) / 255.0 for i in (1, 3, 5)]
    return spare


def _caption(seed: int) -> str:
    habitus = draw_habitus(torch.Generator().manual_seed(seed))
    rare = [v for v in habitus.variants if v != "arms_up"]
    sex = "man" if habitus.is_male else "woman"
    return f"seed {seed}: {sex}\n{habitus.height_cm:.0f} cm, {habitus.weight_kg:.0f} kg\n{', '.join(rare).replace('_', ' ')}"


def draw_plane(ax: Axes, patient: Patient, plane: np.ndarray, **style: object) -> None:
    """A coronal picture, seen from the front: the patient's right on the left."""
    (left, right), (low, high) = [
        (c - e / 2, c + e / 2) for c, e in ((patient.grid.centre_mm[k], patient.grid.extent_mm[k]) for k in (0, 2))
    ]
    ax.imshow(plane.swapaxes(0, 1), origin="lower", extent=(left, right, low, high), **style)  # pyright: ignore[reportArgumentType]
    ax.set_xlim(right, left)
    ax.set_axis_off()


if __name__ == "__main__":
    main()
