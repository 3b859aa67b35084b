"""Properties of hollow organs that fill and empty."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from planar3d.organs import organ_id
from planar3d.phantom import Filling
from planar3d.phantom.filling import FillingRecord


@pytest.mark.parametrize("ratio", [0.4, 0.7, 1.5, 2.5])
def test_the_volume_is_multiplied_and_the_rest_stays(toy: Callable[..., SimpleNamespace], ratio: float) -> None:
    a = toy(spacing_mm=(2.5, 2.5, 2.5))
    filling = Filling({"urinary_bladder": 0.5})
    _, filled = filling.render(FillingRecord(log_ratio=torch.tensor([[ratio]]).log()), a.mu_map, a.labels, a.grid)
    bladder = organ_id("urinary_bladder")
    assert float((filled == bladder).sum() / (a.labels == bladder).sum()) == pytest.approx(ratio, rel=0.1)
    for name in ("liver", "spleen", "kidney_left"):
        assert torch.equal(filled == organ_id(name), a.labels == organ_id(name))
    centre = torch.stack([(labels == bladder).nonzero().float().mean(dim=0)[2:] for labels in (filled, a.labels)])
    assert (centre[0] - centre[1]).abs().max() < 0.5


def test_no_change_is_bit_exact_and_organs_that_lack_do_nothing(anatomy: SimpleNamespace) -> None:
    filling = Filling()
    zero = FillingRecord(log_ratio=torch.zeros(1, 2))
    _, same = filling.render(zero, anatomy.mu_map, anatomy.labels, anatomy.grid)
    assert torch.equal(same, anatomy.labels)
    stomach = Filling({"stomach": 0.5})
    mu_map, same = stomach.render(FillingRecord(log_ratio=torch.ones(1, 1)), anatomy.mu_map, anatomy.labels, anatomy.grid)
    assert torch.equal(same, anatomy.labels)
    torch.testing.assert_close(mu_map, anatomy.mu_map, rtol=0.0, atol=1e-6)


def test_draws_have_the_spread_asked_for(generator: torch.Generator) -> None:
    filling = Filling({"urinary_bladder": 0.5})
    drawn = FillingRecord.stack([filling.draw(generator) for _ in range(500)]).log_ratio
    assert float(drawn.std()) == pytest.approx(0.5, rel=0.1)
    assert float(drawn.abs().max()) <= 1.2001
    with pytest.raises(ValueError, match="log_sd"):
        Filling({"stomach": -0.1})
    with pytest.raises(ValueError, match="not known"):
        Filling({"purse": 0.1})
