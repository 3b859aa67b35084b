"""Properties of the tumour sink."""

from __future__ import annotations

import pytest
import torch

from planar3d.organs import LESIONS, ORGANS, organ_id
from planar3d.phantom import Biodistribution, LesionCount, LesionPopulation, PhantomSynthesizer, TumourSink


def test_organs_lose_to_a_large_tumour_and_lesions_do_not() -> None:
    concentration = torch.ones(3, len(ORGANS))
    after = TumourSink(exponent=2.0, usual_share=0.02)(concentration, torch.tensor([0.0, 0.02, 0.15]))
    kidney = after[:, organ_id("kidney_left")]
    assert kidney[0] > 1.0
    assert float(kidney[1]) == pytest.approx(1.0, abs=1e-6)
    assert float(kidney[2]) == pytest.approx((0.85 / 0.98) ** 2, rel=1e-5)
    assert (after[:, organ_id(LESIONS[0])] == 1.0).all()


def test_patients_with_more_tumour_have_less_in_their_organs() -> None:
    parts = {"biodistribution": Biodistribution.from_name("psma617", time_s=86400.0),
             "lesions": LesionPopulation(count=LesionCount(), site_uptake={"bone": 2.0, "node": 2.0})}  # fmt: skip
    with_sink, without = PhantomSynthesizer(**parts, sink=TumourSink(usual_share=0.04)), PhantomSynthesizer(**parts)
    seeds = torch.arange(200)
    a, b = with_sink.draw(seeds), without.draw(seeds)
    ratio = (a.concentration / b.concentration)[:, organ_id("kidney_left")]
    tumour = with_sink._tumour_share(a)
    assert torch.equal(tumour.argsort(), ratio.argsort(descending=True))
    assert float(ratio.median()) == pytest.approx(1.0, abs=0.1)
    assert float(ratio.min()) < 0.8
    torch.testing.assert_close(a.lesion_concentration, b.lesion_concentration)


def test_shares_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="exponent"):
        TumourSink(exponent=-1.0)
