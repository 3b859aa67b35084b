"""Whole bodies as truth and as methods see them: ``python experiments/15_whole_body/image.py [weights of other networks]``.

Maximum projections from the front of the first case of three anatomies of ``sim_body_coarse``: truth, ``qplanar_em``, the U-Net that comes
with the package, and any others given. Writes ``figures/bodies.png``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from matplotlib import pyplot as plt

from planar3d.config import CONFIG_DIR
from planar3d.reconstruction import QPlanarEM
from planar3d.trained import open_unet
from planar3d.visualization.drawing import COUNTS_MAP, show

HERE = Path(__file__).parent
SHIPPED = "unet_population_8mm"
BRIGHTEST = 0.25  # of the maximum of the truth: kidneys and bladder would hide all else


def main() -> None:
    """Reconstruct and draw."""
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        given = ["+benchmark=sim_body_coarse", "benchmark.cases_per_anatomy=1"]
        benchmark = instantiate(compose("evaluate", given).benchmark, _convert_="all")
    methods = {"qplanar_em": QPlanarEM(), "unet": open_unet(checkpoint=SHIPPED)}
    methods |= {Path(path).stem: open_unet(checkpoint=path) for path in sys.argv[1:]}
    rows, grids = [], []
    for cases in benchmark.only(benchmark.anatomies[:3]):
        grids.append(cases.grid)
        rows.append({"truth": cases.truth.activity} | {name: method(cases.problem).mean for name, method in methods.items()})
    figure, axes = plt.subplots(1, len(rows) * len(rows[0]), figsize=(1.6 * len(rows) * len(rows[0]), 3.4), constrained_layout=True)
    for k, row in enumerate(rows):
        for axis, (name, volume) in zip(axes[k * len(row) :], row.items(), strict=False):
            top = BRIGHTEST * float(row["truth"].amax())
            show(axis, volume[0, 0].amax(dim=1).numpy(), grids[k], "front", cmap=COUNTS_MAP, vmin=0, vmax=top, letters=name == "truth")
            axis.set_title(name, fontsize=8)
    (HERE / "figures").mkdir(exist_ok=True)
    figure.savefig(HERE / "figures" / "bodies.png", dpi=130)


if __name__ == "__main__":
    main()
