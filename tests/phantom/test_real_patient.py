"""Phantoms in a real anatomy whose label map is poor."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from planar3d.anatomy import Patient
from planar3d.organs import organ_id
from planar3d.phantom import PhantomSynthesizer


def test_a_real_patient_without_bowel_labels_has_uneven_unlabelled_uptake(
    synthesizer: PhantomSynthesizer, sample_data: Path, tmp_path: Path
) -> None:
    folder = sample_data / "lu177_dotatate_patient"
    scheme = tmp_path / "scheme.json"
    names = ("liver", "spleen", "kidney_left", "kidney_right", "lesion_1", "lesion_2", "lesion_3", "background")
    scheme.write_text(json.dumps({str(k): name for k, name in enumerate(names, start=1)}))
    patient = Patient.from_files(folder / "ct.nii.gz", folder / "labels.nii.gz", label_scheme=scheme, spacing_mm=8.0)
    phantom = synthesizer.render(synthesizer.draw(torch.arange(4)), patient.labels[None], patient.mu_map(208.0)[None], patient.grid)
    total = phantom.activity.sum(dim=(1, 2, 3, 4))
    body = phantom.imaged_labels == organ_id("body")
    share = (phantom.activity * body).sum(dim=(1, 2, 3, 4)) / total
    assert (share > 0.15).all()
    assert (share < 0.85).all()
    for b in range(4):
        values = phantom.activity[b][body[b]]
        assert values.quantile(0.995) > 5 * values.median()
