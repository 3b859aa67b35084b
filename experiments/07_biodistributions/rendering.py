"""What rendering does to activity: ``rendering.csv``.

For each grid and organ the sum of the activity over the label times the voxel volume, over the drawn concentration times the volume of the
label, with texture; the same for lesions and unlabelled uptake against what was drawn for them; and what deformation, breathing and
filling do to totals.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from planar3d.anatomy.digital import digital_patient
from planar3d.io import write_csv
from planar3d.organs import organ_id
from planar3d.phantom import (
    Biodistribution,
    Breathing,
    Deformation,
    Filling,
    LesionCount,
    LesionPopulation,
    PhantomSynthesizer,
    Texture,
    UnlabelledUptake,
)

HERE = Path(__file__).parent
SEEDS = torch.arange(8)
PATIENT = 3
ORGAN_NAMES = ("liver", "spleen", "kidney_left", "kidney_right", "small_bowel", "colon", "stomach", "urinary_bladder", "spine", "muscle")


def main() -> None:
    """Render, sum, write."""
    source = Biodistribution.from_name("psma617", time_s=86400.0, voiding=True)
    rows: list[dict[str, str | float]] = []
    for spacing_mm in (4.8, 8.0):
        patient = digital_patient(PATIENT, spacing_mm=spacing_mm)
        anatomy = (patient.labels[None], patient.mu_map(208.0)[None], patient.grid)
        voxel = patient.grid.voxel_volume_ml

        def note(what: str, ratio: Tensor, spacing_mm: float = spacing_mm) -> None:
            values = ratio.double()
            rows.append({"spacing_mm": spacing_mm, "what": what, "mean": round(float(values.mean()), 5),
                         "lowest": round(float(values.min()), 5), "highest": round(float(values.max()), 5)})  # fmt: skip

        plain = PhantomSynthesizer(biodistribution=source, texture=Texture())
        record = plain.draw(SEEDS)
        phantom = plain.render(record, *anatomy)
        for name in ORGAN_NAMES:
            inside = anatomy[0] == organ_id(name)
            held = (phantom.activity * inside).double().sum(dim=(1, 2, 3, 4)) * voxel
            note(f"organ: {name}", held / (record.concentration[:, organ_id(name)].double() * inside.sum() * voxel))

        lesions = LesionPopulation(count=LesionCount(mean=12.0))
        extra = PhantomSynthesizer(biodistribution=source, lesions=lesions, unlabelled=UnlabelledUptake(bowel_share=0.0))
        drawn = extra.draw(SEEDS)
        base = PhantomSynthesizer(biodistribution=source).render(drawn, *anatomy)
        added = (extra.render(drawn, *anatomy).activity - base.activity).double().sum(dim=(1, 2, 3, 4)) * voxel
        wanted = lesions.activity_bq(drawn.lesions, drawn.lesion_concentration).sum(dim=1) + drawn.unlabelled.activity_bq.sum(dim=1)
        note("lesions and unlabelled uptake", added / wanted)

        for what, parts in {
            "total, breathing": {"breathing": Breathing()},
            "total, deformation": {"deformation": Deformation()},
            "total, filling": {"filling": Filling()},
            "total, all three": {"breathing": Breathing(), "deformation": Deformation(), "filling": Filling()},
        }.items():
            moving = PhantomSynthesizer(biodistribution=source, texture=Texture(), **parts)
            moved = moving.render(moving.draw(SEEDS), *anatomy)
            note(what, moved.activity.double().sum(dim=(1, 2, 3, 4)) / phantom.activity.double().sum(dim=(1, 2, 3, 4)))
            if what == "total, deformation":
                for name in ("liver", "kidney_left"):
                    inside = anatomy[0] == organ_id(name)
                    there = (moved.imaged_labels == organ_id(name)).flatten(1).sum(dim=1)
                    note(f"volume, deformation: {name}", there / inside.sum())
    write_csv(HERE / "rendering.csv", rows)
    print("| grid, mm | what | mean | lowest | highest |\n|---|---|---|---|---|")
    for r in rows:
        print(f"| {r['spacing_mm']} | {r['what']} | {r['mean']:.4f} | {r['lowest']:.4f} | {r['highest']:.4f} |")


if __name__ == "__main__":
    main()
