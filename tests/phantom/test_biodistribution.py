"""Properties of the organ levels."""

from __future__ import annotations

import math

import pytest
import torch

from planar3d.organs import LESIONS, ORGANS, organ_id
from planar3d.phantom import UPTAKE_TABLES, Biodistribution, TissueUptake

DAY_S = 86400.0


def draws(n: int, **arguments: float) -> torch.Tensor:
    """Concentrations of many patients, ``(n, organs)``."""
    generator = torch.Generator().manual_seed(1)
    source = Biodistribution.from_name("psma617", **{"time_s": DAY_S, **arguments})
    return torch.stack([source.draw(generator) for _ in range(n)])


def test_medians_pass_through_the_table_at_24_hours() -> None:
    concentration = draws(1, variability=0.0)[0]
    assert concentration[organ_id("kidney_left")].item() == pytest.approx(7.4e9 * 0.022 / 310.0, rel=1e-4)
    assert concentration[organ_id("liver")].item() == pytest.approx(7.4e9 * 0.031 / 1800.0, rel=1e-4)


@pytest.mark.parametrize(("hours", "percent"), [(1.0, 3.5), (48.0, 1.4), (72.0, 0.87), (168.0, 0.13)])
def test_kidneys_follow_the_published_curve(hours: float, percent: float) -> None:
    concentration = draws(1, variability=0.0, time_s=hours * 3600.0)[0]
    assert concentration[organ_id("kidney_right")].item() * 310.0 / 7.4e9 * 100 == pytest.approx(percent, rel=0.04)


def test_every_organ_but_the_background_holds_activity() -> None:
    for name in UPTAKE_TABLES:
        concentration = Biodistribution.from_name(name, time_s=DAY_S).draw(torch.Generator().manual_seed(0))
        assert concentration.shape == (len(ORGANS),)
        assert concentration[0] == 0
        assert (concentration[1:] > 0).all()


def test_patients_vary_and_the_kidneys_of_one_agree() -> None:
    log = draws(400).log()
    left, right = log[:, organ_id("kidney_left")], log[:, organ_id("kidney_right")]
    assert 0.35 < left.std() < 0.8
    assert torch.corrcoef(torch.stack([left, right]))[0, 1] > 0.95
    assert 0.0 < (left - right).std() < 0.15
    parotid, submandibular = log[:, organ_id("parotid_left")], log[:, organ_id("submandibular_right")]
    assert torch.corrcoef(torch.stack([parotid, submandibular]))[0, 1] > 0.4
    lesions = log[:, [organ_id(name) for name in LESIONS]]
    assert lesions.std(dim=1).median() > 0.5


def test_a_share_never_passes_its_limit_nor_a_half_time_the_physical_one() -> None:
    bladder = draws(2000)[:, organ_id("urinary_bladder")] * 200.0 / 7.4e9
    assert bladder.max() <= 0.10 + 1e-6
    assert bladder.max() > 0.08
    rows = (TissueUptake(organs=("body",), volume_ml=1.0, fraction_24h=0.1, half_time_h=150.0, half_time_log_sd=1.0, log_sd=0.0),)
    at_start, later = (Biodistribution(table=rows, time_s=t, administered_bq=1.0) for t in (0.0, 100 * DAY_S))
    for seed in range(50):
        ratio = later.draw(torch.Generator().manual_seed(seed))[1] / at_start.draw(torch.Generator().manual_seed(seed))[1]
        assert ratio <= 2.0 ** (-100 / 6.647) * 1.001


def test_activity_scales_with_what_was_administered() -> None:
    torch.testing.assert_close(draws(3, administered_bq=2.0e9), 2.0 * draws(3, administered_bq=1.0e9), rtol=1e-4, atol=0.0)


def test_dotatate_has_the_published_doses() -> None:
    """D = 85.3 TIAC / m with TIAC = c(0) V / A T / ln 2."""
    source = Biodistribution.from_name("dotatate", time_s=0.0, administered_bq=1.0, variability=0.0)
    concentration = source.draw(torch.Generator().manual_seed(0))
    for name, half_time_h, dose in (("kidney_left", 50.0, 0.45), ("spleen", 67.0, 1.17), ("liver", 65.0, 0.35)):
        assert 85.3 * concentration[organ_id(name)].item() * half_time_h / math.log(2.0) == pytest.approx(dose, rel=1e-3)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="'psma' is not known; known are psma617, dotatate"):
        Biodistribution.from_name("psma", time_s=DAY_S)
    with pytest.raises(ValueError, match="time_s"):
        Biodistribution.from_name("psma617", time_s=-1.0)
    with pytest.raises(ValueError, match="administered_bq"):
        Biodistribution.from_name("psma617", time_s=1.0, administered_bq=0.0)
    with pytest.raises(ValueError, match="body"):
        Biodistribution(table=(), time_s=1.0, administered_bq=1.0)


def test_at_24_hours_uptake_has_the_median_and_spread_of_the_table() -> None:
    """The spread of half-times widens uptake away from the time of the table, not at it."""
    generator = torch.Generator().manual_seed(3)
    draws = {h: [Biodistribution.from_name("psma617", time_s=3600.0 * h).draw(generator) for _ in range(1500)] for h in (24.0, 96.0)}
    for organ in ("liver", "spleen", "kidney_left"):
        row = next(t for t in UPTAKE_TABLES["psma617"] if organ in t.organs)
        logs = {h: torch.stack(values)[:, organ_id(organ)].log() for h, values in draws.items()}
        stated = math.log(7.4e9 * row.fraction_24h / row.volume_ml)
        assert float(logs[24.0].median()) == pytest.approx(stated, abs=0.06)
        assert float(logs[24.0].std()) == pytest.approx(math.hypot(row.log_sd, row.organ_log_sd), rel=0.08)
        assert float(logs[96.0].std()) > 1.2 * float(logs[24.0].std())
