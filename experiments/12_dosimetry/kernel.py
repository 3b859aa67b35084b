"""Mean organ dose by kernel over that by local deposition in digital patients: ``python experiments/12_dosimetry/kernel.py [patients]``."""

from __future__ import annotations

import sys

import torch
from cohort import Cohort
from doses import GROUPS, MARROW
from planar import FIELD

from planar3d.anatomy.digital import digital_patient
from planar3d.dosimetry import KernelDose, hu_to_density, local_dose, organ_doses
from planar3d.organs import LESIONS, organ_id

FIRST_SEED = 2100


def main() -> None:
    """One convolution for each patient."""
    torch.set_num_threads(1)
    cohort, kernel = Cohort.of_config(), KernelDose(grid=FIELD, isotope="Lu-177")
    organs = {g: names for g, names in GROUPS.items() if g not in ("marrow", "lesions")} | {"marrow": tuple(MARROW), "lesions": LESIONS}
    ratios: dict[str, list[float]] = {g: [] for g in organs}
    for seed in range(FIRST_SEED, FIRST_SEED + (int(sys.argv[1]) if len(sys.argv) > 1 else 4)):
        patient = digital_patient(seed, 8.0, FIELD)
        labels, density = patient.labels[None], hu_to_density(patient.ct_hu)[None]
        whole = cohort.synthesizer.render(cohort.integrated(cohort.draw([seed])), labels, patient.mu_map(208.0)[None], FIELD)
        found = [
            organ_doses(d, whole.imaged_labels, voxel_volume_ml=FIELD.voxel_volume_ml, density_g_per_ml=density)
            for d in (
                kernel(whole.activity, density),
                local_dose(whole.activity, isotope="Lu-177", density_g_per_ml=density.clamp(min=0.1)),
            )
        ]
        for group, names in organs.items():
            for i in map(organ_id, names):
                if i in found[0].ids:
                    j = found[0].ids.index(i)
                    ratios[group].append(float(found[0].dose_gy[0, j] / found[1].dose_gy[0, j]))
    for group, values in ratios.items():
        v = torch.tensor(values)
        print(f"| {group} | {len(v)} | {v.median():.3f} | {v.min():.3f}-{v.max():.3f} |")


if __name__ == "__main__":
    main()
