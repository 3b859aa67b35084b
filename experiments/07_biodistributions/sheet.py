"""Three patients of every tracer: highest activity along the anterior-posterior axis, and the anterior view: ``figures/sheet.png``."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from matplotlib import pyplot as plt

from planar3d.anatomy.digital import digital_patient
from planar3d.config import CONFIG_DIR
from planar3d.simulation import PlanarSimulator

HERE = Path(__file__).parent
CAMERAS = {"psma": "siemens_melp", "psma_population": "siemens_melp", "dotatate_population": "siemens_melp", "iodine": "siemens_he",
           "bone_agent": "siemens_lehr"}  # fmt: skip
PATIENTS = (11, 12, 13)


def main() -> None:
    """Simulate and draw."""
    matplotlib.use("Agg")
    figure, axes = plt.subplots(2 * len(PATIENTS), len(CAMERAS), figsize=(2.6 * len(CAMERAS), 6.0 * len(PATIENTS)), constrained_layout=True)
    for column, (name, camera_name) in enumerate(CAMERAS.items()):
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            cfg = compose("simulate", [f"phantom={name}", f"camera={camera_name}", "output_dir=out"])
        camera = instantiate(cfg.camera, _convert_="all")
        simulator = PlanarSimulator(camera=camera, synthesizer=instantiate(cfg.phantom, _convert_="all"), anterior_counts=7e5)
        for row, seed in enumerate(PATIENTS):
            patient = digital_patient(seed, spacing_mm=4.8)
            mu_map = patient.mu_map(camera.energy_kev)[None]
            labels = patient.labels[None]
            batch = simulator.simulate(labels=labels, given_labels=labels, mu_map=mu_map, grid=patient.grid, seeds=torch.tensor([seed]))
            for offset, image in enumerate((batch.activity[0, 0].amax(dim=1), batch.views[0, 0])):
                axis = axes[2 * row + offset, column]
                axis.imshow(image.T.flip(1), origin="lower", cmap="gray_r", vmax=float(image.quantile(0.998)))
                axis.set_axis_off()
                if row == offset == 0:
                    axis.set_title(name)
    figure.savefig(HERE / "figures" / "sheet.png", dpi=60)


if __name__ == "__main__":
    main()
