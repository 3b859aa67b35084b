"""Properties of the bladder that fills and empties."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from planar3d.organs import organ_id
from planar3d.phantom import Biodistribution
from planar3d.phantom.bladder import BladderRecord, VoidingBladder

URINE = VoidingBladder(excreted=0.6, excreted_sd=0.1, fast_share=0.5, fast_half_time_h=1.0, slow_half_time_h=11.0)


def records(n: int) -> BladderRecord:
    """Many patients."""
    return BladderRecord.stack([URINE.draw(torch.Generator().manual_seed(k)) for k in range(n)])


def test_what_is_excreted_has_the_mean_and_spread_asked_for() -> None:
    excreted = records(1000).excreted
    assert float(excreted.mean()) == pytest.approx(0.6, abs=0.015)
    assert float(excreted.std()) == pytest.approx(0.1, rel=0.15)


def test_voids_collect_what_the_kidneys_excrete() -> None:
    """Just before a void the bladder holds what was excreted since the last one, and a little that was left."""
    one = replace(records(1), interval_h=torch.tensor([3.0]), phase=torch.tensor([0.0]), rest_ml=torch.tensor([1e-3]))
    collected = 0.0
    for turn in range(1, 30):
        volume = 1e-3 + float(one.flow_ml_per_h) * 3.0
        collected += float(URINE.share_per_ml(one, 3.0 * turn - 1e-4)) * volume
    assert collected == pytest.approx(float(one.excreted) * (1.0 - 0.5 * 2.0 ** (-87 / 11.0)), rel=0.01)


def test_the_bladder_is_hot_early_and_never_negative() -> None:
    many = records(300)
    early, late = (URINE.share_per_ml(many, h) for h in (1.0, 48.0))
    assert early.median() > 20 * late.median()
    assert (URINE.share_per_ml(many, 0.0) == 0).all()
    assert all((URINE.share_per_ml(many, h) >= 0).all() for h in (0.01, 5.0, 200.0))


def test_with_voiding_the_bladder_is_that_of_the_urine() -> None:
    plain, voiding = (Biodistribution.from_name("psma617", time_s=86400.0, voiding=v) for v in (False, True))
    record = voiding.draw(torch.Generator().manual_seed(1))
    a, b = plain.concentration(plain.draw(torch.Generator().manual_seed(1))), voiding.concentration(record)
    bladder = organ_id("urinary_bladder")
    assert torch.equal(a[:bladder], b[:bladder])
    assert torch.equal(a[bladder + 1 :], b[bladder + 1 :])
    assert record.bladder is not None
    physical = 7.4e9 * 2.0 ** (-24.0 / voiding.physical_half_life_h)
    torch.testing.assert_close(b[bladder], physical * voiding.urine.share_per_ml(record.bladder, 24.0))
