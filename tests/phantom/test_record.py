"""Records: a phantom can be made again from its record."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from planar3d.organs import organ_id
from planar3d.phantom import PhantomRecord, PhantomSynthesizer


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_a_phantom_is_made_again_from_a_file(
    population: PhantomSynthesizer, synthesizer: PhantomSynthesizer, anatomy: SimpleNamespace, tmp_path: Path, kind: str
) -> None:
    for source in (population, synthesizer):
        record = source.draw(torch.tensor([4, 9]))
        path = tmp_path / "record"
        if kind == "safetensors":
            save_file(record.tensors(), path)
            again = PhantomRecord.from_tensors(load_file(path))
        else:
            torch.save(record.tensors(), path)
            again = PhantomRecord.from_tensors(torch.load(path, weights_only=True))
        assert set(again.tensors()) == set(record.tensors())
        a, b = (source.render(r, anatomy.labels, anatomy.mu_map, anatomy.grid) for r in (record, again))
        assert all(torch.equal(tensor, again.tensors()[name]) for name, tensor in record.tensors().items())
        # within rounding: where a tensor starts in memory decides the order of sums
        torch.testing.assert_close(a.activity, b.activity, rtol=1e-4, atol=1e-6 * float(a.activity.max()))
        torch.testing.assert_close(a.mu_map, b.mu_map)
        assert torch.equal(a.imaged_labels, b.imaged_labels)


def test_strange_and_missing_tensors_are_refused(synthesizer: PhantomSynthesizer) -> None:
    tensors = synthesizer.draw(torch.tensor([1])).tensors()
    with pytest.raises(ValueError, match="must hold concentration"):
        PhantomRecord.from_tensors({name: t for name, t in tensors.items() if name != "concentration"})
    with pytest.raises(ValueError, match=r"moon.* no field"):
        PhantomRecord.from_tensors(tensors | {"moon": torch.zeros(1)})


def test_a_patient_at_another_time_has_the_same_anatomy_and_kinetics(population: PhantomSynthesizer, anatomy: SimpleNamespace) -> None:
    record = population.draw(torch.arange(3))
    later = population.at(record, 4 * 86400.0)
    first, second = (population.render(r, anatomy.labels, anatomy.mu_map, anatomy.grid) for r in (record, later))
    assert torch.equal(first.imaged_labels, second.imaged_labels)
    assert torch.equal(first.mu_map, second.mu_map)
    row = next(k for k, t in enumerate(population.biodistribution.table) if "liver" in t.organs)
    expected = 2.0 ** (-72.0 / record.uptake.half_time_h[:, row])
    liver = organ_id("liver")
    torch.testing.assert_close(later.concentration[:, liver] / record.concentration[:, liver], expected, rtol=1e-3, atol=0.0)
    assert (later.concentration[:, liver] < record.concentration[:, liver]).all()
