"""Organ volumes of many digital patients against the reference persons; prints the tables of README.md.

Each patient is rendered from mid-thigh to vertex at 8 mm; head and neck again at 3 mm, where the glands are. A volume is the number of
voxels with the organ's label. Patients with a variant that changes an organ are left out of that organ's row, except for the bladder,
whose reference includes full ones.

    OMP_NUM_THREADS=1 python experiments/08_digital_patients/volumes.py --patients 500
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable

import numpy as np
import torch

from planar3d.anatomy import Habitus, Patient, draw_habitus, render_patient
from planar3d.anatomy.field import WHOLE_BODY
from planar3d.anatomy.morphology import connected_parts, volumes_of_parts
from planar3d.anatomy.reference_person import FEMALE, LUNG_ML, MALE, ReferencePerson, log_spread
from planar3d.grid import Grid
from planar3d.organs import ORGANS, organ_id

HEAD = Grid.centred((66, 74, 112), 3.0, (0.0, 8.0, 406.0))
OF_HEAD = {
    "thyroid", "parotid_left", "parotid_right", "submandibular_left", "submandibular_right", "lacrimal_left", "lacrimal_right",
}  # fmt: skip
CHANGED_BY = {"liver": "enlarged_liver", "spleen": "enlarged_spleen", "kidney_left": "single_kidney", "kidney_right": "single_kidney"}
SURFACE = {"body", "fat", "muscle", "mucosa", "skull", *OF_HEAD}
SOFT_SLOPE, SOFT_OFFSET = 0.0006, 1.03


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=500)
    parser.add_argument("--first-seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(args.first_seed, args.first_seed + args.patients)
    start = time.perf_counter()
    habits, volumes, masses, islands, outside, bare = [], [], [], [], 0, Counter()
    for seed in seeds:
        habitus = draw_habitus(torch.Generator().manual_seed(seed))
        patient = render_patient(habitus, WHOLE_BODY)
        counted = _volumes(patient)
        head = _volumes(render_patient(habitus, HEAD))
        for organ in OF_HEAD:
            counted[organ_id(organ)] = head[organ_id(organ)]
        habits.append(habitus)
        volumes.append(counted)
        masses.append(_mass_kg(patient))
        sizes = volumes_of_parts(connected_parts(patient.body[0].numpy()))
        islands.append(1.0 - sizes.max() / sizes.sum())
        outside += _touches_side(patient)
        bare += _at_the_air(patient)
    table = np.array(volumes)
    print(f"{len(habits)} patients, seeds {seeds.start} to {seeds.stop - 1}, {(time.perf_counter() - start) / len(habits):.2f} s each\n")
    for is_male, person in ((True, MALE), (False, FEMALE)):
        chosen = [i for i, h in enumerate(habits) if h.is_male == is_male]
        _print_table([habits[i] for i in chosen], table[chosen], np.array(masses)[chosen], person)
    print(f"largest share of a body apart from its largest piece: {max(islands):.1e}; bodies cut at a side: {outside}")
    print("voxels of organs that lie bare, next to the air around the body, by organ:", dict(bare))
    print("variants:", {name: sum(name in h.variants for h in habits) for name in sorted({v for h in habits for v in h.variants})})


def _print_table(habits: list[Habitus], volumes: np.ndarray, masses_kg: np.ndarray, person: ReferencePerson) -> None:
    print(f"{'man' if person is MALE else 'woman'}: {len(habits)}")
    print("| organ | reference mL | mean mL | difference | log-sd stated | log-sd | ratio | rendered/asked, 5 to 95 % | missing |")
    print("|---|---|---|---|---|---|---|---|---|")
    for organ, reference_ml in person.volumes_ml.items():
        stated = log_spread(organ)
        usual = [i for i, h in enumerate(habits) if CHANGED_BY.get(organ) not in h.variants]
        had = volumes[usual, organ_id(organ)]
        asked = np.array([habits[i].volumes_ml[organ] for i in usual])
        missing = int((had == 0).sum())
        spread = float(np.log(had[had > 0]).std())
        low, high = np.percentile(had / asked, [5, 95])
        sizes = f"{reference_ml:.1f} | {had.mean():.1f} | {had.mean() / reference_ml - 1.0:+.1%}"
        print(f"| {organ} | {sizes} | {stated:.2f} | {spread:.2f} | {spread / stated:.2f} | {low:.2f} to {high:.2f} | {missing} |")
    lungs = volumes[:, organ_id("lung_left")] + volumes[:, organ_id("lung_right")]
    reference = LUNG_ML[person is FEMALE]
    print(
        f"| lungs | {reference:.0f} | {lungs.mean():.0f} | {lungs.mean() / reference - 1.0:+.1%} | | {np.log(lungs).std():.2f} | | | 0 |\n"
    )
    for name in ("spine", "ribs", "pelvis", "limb_bones", "skull", "vessels", "muscle", "fat"):
        column = volumes[:, organ_id(name)]
        print(f"{name}: {column.mean():.0f} mL, sd {column.std():.0f}")
    weight = np.array([h.weight_kg for h in habits])
    bmi = weight / np.array([h.height_cm / 100.0 for h in habits]) ** 2
    print(f"height {_range(h.height_cm for h in habits)} cm, weight {_range(weight)} kg, BMI {_range(bmi)} kg/m2")
    print(f"rendered mass over weight: {_range(masses_kg / weight, 3)}\n")


def _range(values: Iterable[float], digits: int = 1) -> str:
    v = np.array(list(values))
    return f"{v.mean():.{digits}f} +- {v.std():.{digits}f} ({v.min():.{digits}f} to {v.max():.{digits}f})"


def _volumes(patient: Patient) -> list[float]:
    """Volume of each organ id [mL]."""
    return (torch.bincount(patient.labels.flatten(), minlength=len(ORGANS)) * patient.grid.voxel_volume_ml).tolist()


def _mass_kg(patient: Patient) -> float:
    """Mass of what is rendered, by density from CT numbers (a line each for soft tissue and bone)."""
    hu = patient.ct_hu[patient.body]
    density = torch.where(hu > 80.0, SOFT_OFFSET + SOFT_SLOPE * hu, 1.0 + hu / 1000.0)
    return float(density.sum()) * patient.grid.voxel_volume_ml / 1000.0


def _at_the_air(patient: Patient) -> Counter[str]:
    """Voxels that share a face with the air around the body, of all labels but skin, fat, muscle and those of the head."""
    air = (~patient.body[0]).float()[None, None]
    near = air.clone()
    for axis in range(2, 5):
        size = [3 if a == axis else 1 for a in range(2, 5)]
        near = torch.maximum(near, torch.nn.functional.max_pool3d(air, size, stride=1, padding=[n // 2 for n in size]))
    touched = patient.labels[0][(near[0, 0] > 0) & patient.body[0]]
    return Counter(name for name in (ORGANS[i] for i in touched.tolist()) if name not in SURFACE)


def _touches_side(patient: Patient) -> bool:
    """Whether the body reaches a face of the field other than the lower one."""
    body = patient.body[0]
    return bool(body[[0, -1]].any() or body[:, [0, -1]].any() or body[..., -1].any())


if __name__ == "__main__":
    main()
