"""The SPECT of simulated patients: fixed, near the truth, blind to the batch; estimates are compared with it at one width per method."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from planar3d.batch import Batch
from planar3d.grid import Grid
from planar3d.physics import GammaCamera
from planar3d.reconstruction import OSEM
from planar3d.spect_reference import SpectReference

GRID = Grid.centred((20, 16, 8), 12.0)
CAMERA = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=20.0)


def patients(count: int = 2) -> tuple[Batch, Tensor]:
    """A warm ellipse with a hot organ, moved by a voxel along x when imaged; and its attenuation in that position."""
    x, y, z = torch.meshgrid(*(torch.arange(n) - 0.5 * (n - 1) for n in GRID.shape), indexing="ij")
    labels = ((x / 8.0) ** 2 + (y / 6.0) ** 2 + (z / 20.0) ** 2 < 1).long()
    labels[((x - 3) ** 2 + (y + 1) ** 2 + z**2) < 6] = 5
    labels = labels[None, None].expand(count, -1, -1, -1, -1)
    imaged = labels.roll(1, dims=2)
    activity = torch.where(imaged == 5, 2e5, torch.where(imaged > 0, 2e4, 0.0)) * torch.arange(1, count + 1).view(-1, 1, 1, 1, 1)
    views = torch.zeros(count, 2, GRID.shape[0], GRID.shape[2])
    batch = Batch(activity=activity, views=views, mu_map=0.0135 * (labels > 0), labels=labels, imaged_labels=imaged)
    return batch, 0.0135 * (imaged > 0)


def reference(*, views: int = 24, radius_mm: float | None = None, clearance_mm: float = 20.0, iterations: int = 3) -> SpectReference:
    osem = OSEM(iterations=iterations, subsets=4)
    return SpectReference(camera=CAMERA, osem=osem, views=views, radius_mm=radius_mm, clearance_mm=clearance_mm)


def test_it_is_near_the_truth_where_the_patient_lay_when_imaged() -> None:
    truth, mu_map = patients()
    found = reference(iterations=6)(truth, mu_map, GRID, torch.tensor([1, 2])).mean
    error = (found - truth.activity).abs().flatten(1).sum(dim=1) / truth.activity.flatten(1).sum(dim=1)
    assert (error < 0.35).all()
    torch.testing.assert_close(found.flatten(1).sum(dim=1), truth.activity.flatten(1).sum(dim=1), rtol=0.02, atol=0.0)
    assert (found[mu_map == 0] == 0).all()


def test_counts_are_fixed_by_the_seed_and_blind_to_the_batch() -> None:
    truth, mu_map = patients()
    source, seeds = reference(), torch.tensor([1, 2])
    both, again = (source.problem(truth, mu_map, GRID, seeds).views for _ in range(2))
    assert torch.equal(both, again)
    alone = source.problem(truth[1:], mu_map[1:], GRID, seeds[1:]).views
    # a count may differ by one where rounding of the expectation differs between batch sizes
    assert float((both[1:] - alone).abs().sum() / alone.sum()) < 1e-3
    assert not torch.equal(both, source.problem(truth, mu_map, GRID, seeds + 7).views)


def test_counts_grow_with_the_time_per_view() -> None:
    truth, mu_map = patients()
    longer = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=60.0)
    source = SpectReference(camera=longer, osem=OSEM(), views=24)
    short, long = (s.problem(truth, mu_map, GRID, torch.tensor([1, 2])).views.sum() for s in (reference(), source))
    torch.testing.assert_close(long / short, torch.tensor(3.0), rtol=0.01, atol=0.0)


def test_the_head_follows_the_anatomy_given_or_a_circle() -> None:
    truth, _ = patients()
    body = truth.mu_map[:1] > 0
    path = reference(clearance_mm=30.0).orbit(body, GRID)
    assert path.radii_mm[0] == pytest.approx(6 * 12.0 + 30.0)
    assert path.radii_mm[6] == pytest.approx(8 * 12.0 + 30.0)
    circle = reference(radius_mm=250.0).orbit(body, GRID)
    assert set(circle.radii_mm) == {250.0}
    assert circle.angles_deg == path.angles_deg


def test_refuses_bad_settings() -> None:
    truth, mu_map = patients()
    with pytest.raises(ValueError, match="views must be at least 1"):
        reference(views=0)
    with pytest.raises(ValueError, match="radius_mm must be positive"):
        reference(radius_mm=-1.0)
    with pytest.raises(ValueError, match="clearance_mm must be non-negative"):
        reference(clearance_mm=-1.0)
    with pytest.raises(ValueError, match="seeds must hold one seed per sample"):
        reference()(truth, mu_map, GRID, torch.tensor([1]))
    with pytest.raises(ValueError, match="radius_mm must be positive"):
        reference(radius_mm=float("nan"))


def test_the_benchmark_compares_every_case_at_one_width_per_method(run: Callable[..., None]) -> None:
    run(
        "evaluate", "+benchmark=spect_v1_coarse", "benchmark.digital_seeds=[900000]", "benchmark.patients=[]",
        "benchmark.cases_per_anatomy=2", "benchmark.spacing_mm=16.0", "methods=[mlem,qplanar]", "output_dir=out",
    )  # fmt: skip
    cases, spect, summary = (_rows(Path("out") / f"{name}.csv") for name in ("cases", "spect", "summary"))
    for method in ("mlem", "qplanar"):
        own = [row for row in spect if row["method"] == method]
        means = {w: sum(float(r["nmae"]) for r in own if r["width_mm"] == w) for w in {r["width_mm"] for r in own}}
        best = min(means, key=lambda w: means[w])
        rows = [row for row in cases if row["method"] == method]
        assert {float(row["spect_width_mm"]) for row in rows} == {float(best)}
        assert sum(float(row["spect_nmae"]) for row in rows) == pytest.approx(means[best], rel=1e-4)
        assert [row["metric"] for row in summary if row["method"] == method].count("spect_nmae") == 1


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))
