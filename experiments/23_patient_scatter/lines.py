"""The same comparison of scatter for every line that the library knows: `lines.csv`.

``OMP_NUM_THREADS=1 python experiments/23_patient_scatter/lines.py [photons]``; activity is always that of the phantoms of `analyse.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from analyse import PHOTONS, compared, images_of, patients_and_simulator, phantom_of

from planar3d.io import write_csv
from planar3d.physics import GammaCamera

CAMERAS = {
    "Lu-177/208": "siemens-melp", "Lu-177/113": "siemens-melp", "Tc-99m/140": "siemens-lehr", "I-123/159": "siemens-lehr",
    "In-111/171": "siemens-melp", "In-111/245": "siemens-melp", "I-131/364": "siemens-he",
}  # fmt: skip
HERE = Path(__file__).parent


def main() -> None:
    """Image every patient at every line."""
    photons = int(sys.argv[1]) if len(sys.argv) > 1 else PHOTONS
    patients, simulator = patients_and_simulator()
    rows = []
    for patient in patients:
        for entry, name in CAMERAS.items():
            isotope, line = entry.split("/")
            setting = {"isotope": isotope, "energy_kev": float(line), "dwell_time_s": 240.0}
            bare, camera = (GammaCamera.from_name(name, scatter=scatter, **setting) for scatter in (False, True))
            phantom = phantom_of(patient, simulator, energy_kev=camera.energy_kev)
            images = images_of(phantom, bare, camera, patient.grid, entry=entry, photons=photons)
            rows += [{"line": entry} | row for row in compared(patient.name, *images)]
    write_csv(HERE / "lines.csv", rows)


if __name__ == "__main__":
    main()
