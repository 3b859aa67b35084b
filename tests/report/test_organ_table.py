"""The organ table adds up, keeps its units and says what made it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from planar3d.grid import Grid
from planar3d.organs import organ_id
from planar3d.report import organ_table, write_organ_table

GRID = Grid.centred((10, 10, 10), (10.0, 10.0, 5.0))  # 0.5 mL voxels
LIVER, SPLEEN, BODY = organ_id("liver"), organ_id("spleen"), organ_id("body")


@pytest.fixture
def labels() -> torch.Tensor:
    """A body of 500 voxels with 100 of liver and 20 of spleen."""
    ids = torch.zeros(1000, dtype=torch.long)
    ids[:500] = BODY
    ids[:100] = LIVER
    ids[100:120] = SPLEEN
    return ids.reshape(1, 1, 10, 10, 10)


@pytest.fixture
def activity(labels: torch.Tensor) -> torch.Tensor:
    """2 MBq in the liver, 0.5 MBq in the spleen, 0.1 MBq of stray activity outside the body [Bq/mL]."""
    values = torch.zeros(labels.shape)
    values[labels == LIVER] = 40e3
    values[labels == SPLEEN] = 50e3
    values[0, 0, -1, -1, -1] = 200e3
    return values


def test_rows_hold_volume_activity_and_concentration(activity: torch.Tensor, labels: torch.Tensor) -> None:
    rows = {row.organ: row for row in organ_table(activity, labels, GRID)}
    assert list(rows) == ["liver", "spleen", "body", "total"]
    liver = rows["liver"]
    assert (liver.volume_ml, liver.activity_mbq, liver.concentration_kbq_per_ml) == pytest.approx((50.0, 2.0, 40.0))
    assert liver.standard_error_mbq is None
    assert rows["total"].activity_mbq == pytest.approx(2.6)
    assert rows["spleen"].fraction_of_total == pytest.approx(0.5 / 2.6)
    assert rows["total"].fraction_of_total == 1.0


def test_what_the_method_estimates_itself_comes_first(activity: torch.Tensor, labels: torch.Tensor) -> None:
    rows = organ_table(activity, labels, GRID, organ_activity_bq={SPLEEN: 3e6}, standard_error_bq={SPLEEN: 1e5})
    assert (rows[0].organ, rows[0].activity_mbq, rows[0].standard_error_mbq) == ("spleen", 3.0, 0.1)
    assert rows[1].standard_error_mbq is None


def test_standard_errors_come_from_samples(activity: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> None:
    scale = 1 + 0.1 * torch.randn(4000, generator=generator)
    samples = torch.stack([s * activity for s in scale])
    rows = {row.organ: row for row in organ_table(activity, labels, GRID, samples=samples)}
    assert rows["liver"].standard_error_mbq == pytest.approx(0.2, rel=0.05)
    assert rows["total"].standard_error_mbq == pytest.approx(0.26, rel=0.05)  # fully correlated, not added in squares


def test_csv_and_json_hold_the_same_rows_with_units(activity: torch.Tensor, labels: torch.Tensor, tmp_path: Path) -> None:
    rows = organ_table(activity, labels, GRID, standard_error_bq={LIVER: 2e5})
    table, document = write_organ_table(tmp_path / "organs", rows, method="qplanar", isotope="Lu-177", reference_time="start of scan")
    with table.open(newline="") as stream:
        cells = list(csv.DictReader(stream))
    content = json.loads(document.read_text())
    assert {row["method"] for row in cells} == {content["method"]} == {"qplanar"}
    assert content["units"]["activity_mbq"] == "MBq"
    assert content["reference_time"] == "start of scan"
    assert set(content["units"]) | {"organ"} == set(content["organs"][0])
    for cell, organ in zip(cells, content["organs"], strict=True):
        assert cell["organ"] == organ["organ"]
        assert float(cell["activity_mbq"]) == pytest.approx(organ["activity_mbq"], rel=1e-5)
    assert cells[0]["standard_error_mbq"] == "0.2"
    assert (cells[1]["standard_error_mbq"], content["organs"][1]["standard_error_mbq"]) == ("", None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["organs.csv", "organs.json"]


def test_labels_of_another_grid_are_refused(activity: torch.Tensor, labels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="activity must have shape"):
        organ_table(activity, labels, GRID.resampled(8.0))
