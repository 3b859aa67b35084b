"""Weights compared on phantoms that none was trained on: ``python experiments/17_losses/compare.py BATCHES name=weights.safetensors ...``.

What begins with ``data.`` changes the configuration of the phantoms, as ``data.patients.spacing_mm=4.8`` does.

Of three batches two are parts of whole bodies as `data=whole_body` draws them (half with their lesions outlined) and one is of trunks,
all of digital patients that no training draws. Prints a Markdown table: mean NMAE, and of organs and lesions of at least 2 mL the median
relative error with the median of its absolute in brackets.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from planar3d.config import CONFIG_DIR
from planar3d.metrics import nmae, organ_errors
from planar3d.models import load_checkpoint_into
from planar3d.models.checkpoint import load_config
from planar3d.organs import GROUPS, LESIONS, organ_name
from planar3d.reconstruction.solved_problem import SolvedProblem
from planar3d.shapes import Volume

DATA = [
    "data=whole_body", "data.patients.count=8", "data.patients.first_seed=100001", "data.validation_patients.count=8",
    "data.outlined_share=0.5", "data.seed=77", "output_dir=.",
]  # fmt: skip
REGIONS = {
    "kidneys": GROUPS["kidneys"],
    "liver": ("liver",),
    "spleen": ("spleen",),
    "parotids": ("parotid_left", "parotid_right"),
    "submandibular glands": ("submandibular_left", "submandibular_right"),
}
REGION_OF = {organ: region for region, organs in REGIONS.items() for organ in organs}
BASELINE = "`qplanar_em`"
SMALLEST_ML = 2.0
Found = dict[str, dict[str, list[float]]]  # what was measured, by what of and whose


def main() -> None:
    """Load, estimate, tabulate."""
    changed = [pair for pair in sys.argv[2:] if pair.startswith("data.")]
    batches, named = int(sys.argv[1]), dict(pair.split("=", 1) for pair in sys.argv[2:] if pair not in changed)
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        cfg = compose("train", overrides=["+experiment=unet_population", *DATA, *changed])
    data = instantiate(cfg.data, _convert_="all")
    data.setup("fit")
    models = {}
    for name, weights in named.items():
        if not weights.endswith(".ckpt"):  # other weights say which network they are of
            cfg.net = load_config(weights)["net"]
        models[f"`{name}`"] = model = instantiate(cfg.model, _convert_="all").eval()
        load_checkpoint_into(model.net, weights)
    found: Found = defaultdict(lambda: defaultdict(list))
    for number in range(batches):
        kind, index = ("trunks", number // 3) if number % 3 == 2 else ("bodies", number)
        samples = torch.arange(2 * index, 2 * index + 2)
        batch: SolvedProblem = data.synthesise(samples, epoch=None if kind == "trunks" else 0)
        outlined = [False, False] if kind == "trunks" else data.keys(samples, epoch=0).outlined.tolist()
        for name, model in models.items():
            with torch.no_grad():
                made = model.estimate(batch.problem)
            add(found, name, made.mean, batch, kind, outlined)
            if name == next(iter(models)):
                add(found, BASELINE, made.baseline, batch, kind, outlined)
    print_table(found, [BASELINE, *models])


def add(found: Found, name: str, estimate: Volume, batch: SolvedProblem, kind: str, outlined: list[bool]) -> None:
    """Errors of one estimate."""
    truth = batch.truth
    errors = organ_errors(estimate, truth.activity, truth.imaged_labels, batch.problem.grid)
    for k, value in enumerate(nmae(estimate, truth.activity).tolist()):
        found[f"NMAE, {kind}"][name].append(value)
        for column, identifier in enumerate(errors.ids.tolist()):
            organ, error = organ_name(identifier), float(errors.relative_error[k, column])
            known = "lesions, outlined" if outlined[k] else "lesions, not outlined"
            region = known if organ in LESIONS else REGION_OF.get(organ)
            if region is not None and errors.volume_ml[k, column] >= SMALLEST_ML and not math.isnan(error):
                found[region][name].append(error)


def print_table(found: Found, names: list[str]) -> None:
    """Markdown."""
    print("| | n | " + " | ".join(names) + " |\n|---|---|" + "---|" * len(names))
    for row in sorted(found):
        cells = [summary(row, torch.tensor(found[row][name])) for name in names]
        print(f"| {row} | {len(found[row][names[0]])} | " + " | ".join(cells) + " |")


def summary(row: str, values: torch.Tensor) -> str:
    """A mean of NMAE, a median of errors."""
    if row.startswith("NMAE"):
        return f"{values.mean():.4f}"
    return f"{values.quantile(0.5):+.1%} ({values.abs().quantile(0.5):.1%})"


if __name__ == "__main__":
    main()
