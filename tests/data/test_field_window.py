"""Parts of a field: inside it, whole in depth, of every size asked for, and the patient in them where he was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from planar3d.anatomy.field import TORSO, WHOLE_BODY
from planar3d.anatomy.patient import Patient
from planar3d.data import AnatomyBank, PhantomDataModule
from planar3d.data.field_window import FieldWindows
from planar3d.grid import Grid
from planar3d.phantom import Biodistribution, PhantomSynthesizer
from planar3d.physics import GammaCamera
from planar3d.simulation import PlanarSimulator

MakeData = Callable[..., PhantomDataModule]


def drawn(windows: FieldWindows, shape: tuple[int, int, int], count: int = 400) -> list[tuple[slice, slice]]:
    generator = torch.Generator().manual_seed(0)
    grid = Grid.centred(shape, 8.0, (0.0, 0.0, 0.0))
    return [windows.draw(grid, generator) for _ in range(count)]


def test_windows_lie_inside_and_have_every_length_and_height() -> None:
    made = drawn(FieldWindows(smallest=(6, 4)), (9, 5, 8))
    assert {x.stop - x.start for x, _ in made} == {6, 7, 8, 9}
    assert {z.stop - z.start for _, z in made} == {4, 5, 6, 7, 8}
    assert {z.start for _, z in made if z.stop - z.start == 4} == {0, 1, 2, 3, 4}
    assert all(0 <= x.start < x.stop <= 9 and 0 <= z.start < z.stop <= 8 for x, z in made)
    assert all(abs((x.start + x.stop) - 9) <= 1 for x, _ in made)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_whole_field_is_shown_as_often_as_asked(share: float) -> None:
    whole = [x == slice(0, 90) and z == slice(0, 80) for x, z in drawn(FieldWindows(smallest=(2, 2), whole=share), (90, 5, 80))]
    assert sum(whole) / len(whole) == pytest.approx(share, abs=0.07)


def test_a_field_smaller_than_the_smallest_window_is_shown_whole() -> None:
    assert drawn(FieldWindows(smallest=(6, 9)), (5, 5, 8), count=1) == [(slice(0, 5), slice(0, 8))]


@pytest.mark.parametrize("spacing_mm", [8.0, 4.8])
def test_the_trunk_is_shown_as_often_as_asked_and_where_it_lies(spacing_mm: float) -> None:
    whole, trunk = WHOLE_BODY.resampled(spacing_mm), TORSO.resampled(spacing_mm)
    generator, windows = torch.Generator().manual_seed(0), FieldWindows(smallest=(20, 20), whole=0.2, torso=0.5)
    made = [windows.draw(whole, generator) for _ in range(300)]
    commonest = max(made, key=made.count)
    assert made.count(commonest) / 300 == pytest.approx(0.5, abs=0.08)
    for axis, part in zip((0, 2), commonest, strict=True):
        assert part.stop - part.start == pytest.approx(trunk.shape[axis], abs=1)
        first_mm = whole.origin_mm[axis] + part.start * spacing_mm
        assert first_mm == pytest.approx(trunk.origin_mm[axis], abs=0.75 * spacing_mm)


@pytest.mark.parametrize(("options", "told"), [({"smallest": (0, 4)}, "smallest"), ({"smallest": (4, 4, 4)}, "smallest")])
def test_useless_windows_are_told(options: dict[str, tuple[int, ...]], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        FieldWindows(**options)
    with pytest.raises(ValueError, match="whole must lie"):
        FieldWindows(smallest=(4, 4), whole=1.2)
    with pytest.raises(ValueError, match="torso must lie between 0 and 1"):
        FieldWindows(smallest=(4, 4), whole=0.6, torso=0.5)


def test_a_part_of_a_bank_lies_where_it_did(patients: list[Patient]) -> None:
    bank = AnatomyBank.from_patients(patients, energies_kev=[208.0])
    part = bank.window(slice(3, 13), slice(2, 9))
    assert part.grid.shape == (10, 11, 7)
    assert torch.equal(part.labels, bank.labels[..., 3:13, :, 2:9])
    assert torch.equal(part.mu_maps[208.0], bank.mu_maps[208.0][..., 3:13, :, 2:9])
    first, voxel = torch.tensor([3.0, 0.0, 2.0]), torch.tensor(bank.grid.spacing_mm)
    torch.testing.assert_close(torch.tensor(part.grid.origin_mm), torch.tensor(bank.grid.origin_mm) + first * voxel)


def test_training_sees_parts_and_validation_the_whole(make_data: MakeData) -> None:
    data, again = (make_data(windows=FieldWindows(smallest=(10, 8))) for _ in range(2))
    shapes = set()
    for index in range(12):
        sample = data.synthesise(torch.arange(2) + index, epoch=0)
        assert sample.problem.views.shape[2:] == (sample.truth.activity.shape[2], sample.truth.activity.shape[4])
        assert sample.problem.grid.shape == tuple(sample.truth.activity.shape[2:])
        assert sample.truth.activity.shape[3] == 11
        assert (sample.truth.activity.flatten(1).sum(dim=1) > 0).all()
        shapes.add(sample.problem.grid.shape)
        torch.testing.assert_close(again.synthesise(torch.arange(2) + index, epoch=0).truth.views, sample.truth.views)
    assert len(shapes) > 4
    assert data.synthesise(torch.arange(2), epoch=None).problem.grid.shape == (16, 11, 15)


def test_training_takes_each_of_its_simulators_and_validation_its_own(make_data: MakeData, simulator: PlanarSimulator) -> None:
    source = Biodistribution.from_name("dotatate", time_s=86400.0)
    other = PlanarSimulator(camera=simulator.camera, synthesizer=PhantomSynthesizer(biodistribution=source), anterior_counts=1e4)
    data = make_data(training_simulators={"few": other, "many": PlanarSimulator(camera=other.camera, synthesizer=other.synthesizer)})
    counts = [float(data.synthesise(torch.tensor([k]), epoch=0).truth.views[:, 0].sum()) for k in range(12)]
    assert 2 < sum(c < 2e4 for c in counts) < 10
    plain = make_data()
    index = torch.arange(2)
    assert torch.equal(data.synthesise(index, epoch=None).truth.views, plain.synthesise(index, epoch=None).truth.views)


def test_cameras_of_different_energies_see_the_attenuation_of_theirs(simulator: PlanarSimulator, patients: list[Patient]) -> None:
    camera = GammaCamera.from_name("siemens-melp", isotope="Lu-177", energy_kev=113.0, dwell_time_s=240.0, scatter=False)
    low = PlanarSimulator(camera=camera, synthesizer=simulator.synthesizer)
    data = PhantomDataModule(simulator=simulator, patients=patients, training_simulators={"low": low, "high": simulator})
    data.setup("fit")
    seen = {}
    for index in range(12):
        problem = data.synthesise(torch.tensor([index]), epoch=0).problem
        seen[problem.camera.energy_kev] = float(problem.mu_map.max())
    at = {s.camera.energy_kev: max(float(p.mu_map(s.camera.energy_kev).max()) for p in patients) for s in (low, simulator)}
    assert seen.keys() == at.keys()
    assert seen == {energy: pytest.approx(highest, rel=0.2) for energy, highest in at.items()}
    assert seen[low.camera.energy_kev] > 1.1 * seen[simulator.camera.energy_kev]
