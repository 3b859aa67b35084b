"""Reinforcement by rounds: rounds end for a reason, leave weights that reconstruct, and tell what they came to."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from planar3d.anatomy.patient import Patient
from planar3d.data.measured_datamodule import MeasuredDataModule
from planar3d.grid import Grid
from planar3d.models import UNetModule, load_weights, save_weights
from planar3d.nn import ActivityLoss, CorrectionUNet, PosteriorNet
from planar3d.organs import organ_id
from planar3d.phantom import Biodistribution, Deformation, PhantomSynthesizer
from planar3d.physics import GammaCamera
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reinforcement import ReinforcementRound, reinforce
from planar3d.simulation import PlanarSimulator

NET = {"_target_": "planar3d.nn.CorrectionUNet", "in_channels": PhysicsInputs.channels, "width": 8, "blocks_down": [1, 1]}
MODEL = {
    "_target_": "planar3d.models.UNetModule",
    "net": NET,
    "inputs": {"_target_": "planar3d.reconstruction.features.PhysicsInputs"},
    "loss": {"_target_": "planar3d.nn.ActivityLoss"},
}
SMALL = ["pool=8", "data.batch_size=2", "data.samples_per_epoch=4", "data.validation_samples=2", "trainer.max_epochs=1"]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step`"),
]


def network() -> CorrectionUNet:
    """A small network of fixed weights."""
    torch.manual_seed(0)
    return CorrectionUNet(in_channels=PhysicsInputs.channels, width=8, blocks_down=(1, 1))


@pytest.fixture
def model() -> UNetModule:
    return UNetModule(
        net=network(), inputs=PhysicsInputs(), loss=ActivityLoss(organ=0.5), optimizer=lambda p: torch.optim.AdamW(p, lr=1e-3)
    )


@pytest.fixture
def data() -> MeasuredDataModule:
    """A box of tissue with three organs, imaged once, on 20 mm voxels."""
    grid = Grid.centred((15, 10, 12), 20.0)
    labels = torch.zeros(1, *grid.shape, dtype=torch.int64)
    labels[:, 2:-2, 2:-2] = organ_id("body")
    labels[:, 8:12, 3:7, 6:10] = organ_id("liver")
    labels[:, 4:6, 3:5, 3:7] = organ_id("kidney_left")
    labels[:, 3:5, 4:6, 8:11] = organ_id("spleen")
    patient = Patient(grid=grid, ct_hu=torch.where(labels > 0, 20.0, -1000.0), labels=labels)
    synthesizer = PhantomSynthesizer(
        biodistribution=Biodistribution.from_name("psma617", time_s=86400.0, administered_bq=7.4e9), deformation=Deformation()
    )
    camera = GammaCamera.from_name("siemens-melp", isotope="Lu-177", dwell_time_s=240.0, scatter=False)
    mu_map, given = patient.mu_map(camera.energy_kev)[None], labels[None]
    truth = PlanarSimulator(camera=camera, synthesizer=synthesizer).simulate(
        labels=given, given_labels=given, mu_map=mu_map, grid=grid, seeds=torch.tensor([2**31 + 3])
    )
    return MeasuredDataModule(
        problem=PlanarProblem.of_batch(truth, camera, grid),
        synthesizer=synthesizer,
        batch_size=4,
        samples_per_epoch=8,
        validation_samples=2,
    )


def trainer(number: int) -> Trainer:
    """A few steps."""
    return Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False
    )


def refused(number: int) -> Trainer:
    raise AssertionError("there was nothing to train for")


def test_rounds_train_and_are_measured(model: UNetModule, data: MeasuredDataModule) -> None:
    told: list[ReinforcementRound] = []
    start = {name: value.clone() for name, value in model.net.state_dict().items()}
    course = reinforce(model, data, trainer=trainer, rounds=2, pool=16, smallest_change=0.0, after=told.append)
    assert [r.round for r in course] == [0, 1, 2]
    assert [r.estimator for r in course] == ["", "qplanar", "network"]
    assert [r.round for r in told] == [0, 1, 2]
    assert course[-1].told == "2 rounds were asked for"
    assert any(not torch.equal(value, start[name]) for name, value in model.net.state_dict().items())
    for row in course[1:]:
        assert row.effective_share is not None
        assert row.divergence is not None
        assert 0.1 < row.effective_share <= 1
        assert row.divergence > 0
        assert row.nmae_after != row.nmae_before
    assert all(r.deviance > 0 for r in course)
    assert data.proposal is not None


def test_rounds_end_where_the_proposal_hardly_changes_or_no_sample_would_count(model: UNetModule, data: MeasuredDataModule) -> None:
    course = reinforce(model, data, trainer=refused, pool=16, smallest_change=1e6)
    assert [r.round for r in course] == [0]
    assert "nats alone" in course[0].told
    course = reinforce(model, data, trainer=refused, pool=16, smallest_share=0.999)
    assert [r.round for r in course] == [0]
    assert "effective share of 0.999" in course[0].told


def test_the_round_starts_from_qplanar_whatever_the_network_says(model: UNetModule, data: MeasuredDataModule) -> None:
    """The first proposal moves toward the measurement: its phantoms' organ shares lie nearer to QPlanar's estimate than the prior's."""
    reinforce(model, data, trainer=trainer, rounds=1, pool=16, smallest_change=0.0)
    from planar3d.phantom.organ_share import OrganShares
    from planar3d.reconstruction.organ_estimate import OrganEstimate

    estimate, source = OrganEstimate(data.problem), data.simulator.synthesizer
    shares = OrganShares(source=source.biodistribution, ids=estimate.ids, volumes_ml=estimate.volumes_ml)
    found, seeds = shares.of_activity(estimate(data.problem))[0], torch.arange(200)
    near, far = (
        (shares.of_concentration(s.draw(seeds).concentration) - found).square().sum(dim=1).mean()
        for s in (source, source.with_proposal(None))
    )
    assert near < 0.8 * far


@pytest.mark.parametrize(
    ("options", "word"),
    [({"rounds": 0}, "rounds must be"), ({"pool": 3}, "pool must be"), ({"smallest_share": 1.0}, "smallest_share must")],
)
def test_bad_arguments_are_named(options: dict[str, float], word: str, model: UNetModule, data: MeasuredDataModule) -> None:
    with pytest.raises(ValueError, match=word):
        reinforce(model, data, trainer=refused, **options)


def weights(folder: Path, **changes: object) -> Path:
    """Weights of the small network, as training writes them."""
    return save_weights(folder / "start.safetensors", network(), {"model": MODEL | changes, "patient": {"spacing_mm": 16.0}})


def test_the_command_leaves_weights_that_reconstruct(
    run: Callable[..., None], given: Callable[..., list[str]], acquisition: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = weights(tmp_path)
    run("reinforce", *given(acquisition), f"checkpoint={start}", "rounds=1", "smallest_change=0.0", *SMALL)
    told, out = capsys.readouterr().out, tmp_path / "out"
    assert "Round 1 by qplanar" in told
    assert "Ended after 1 rounds" in told
    assert {"weights.safetensors", "weights.json", "rounds.csv", "config.yaml", "round_1"} <= {p.name for p in out.iterdir()}
    rows = list(csv.DictReader((out / "rounds.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["round"] for row in rows] == ["0", "1"]
    assert float(rows[1]["effective_share"]) > 0
    tensors, config = load_weights(out / "weights.safetensors")
    assert any(not torch.equal(value, network().state_dict()[name]) for name, value in tensors.items())
    assert config["camera"] == {"name": "siemens-melp", "isotope": "Lu-177"}
    assert str(tmp_path) not in (out / "weights.json").read_text(encoding="utf-8")
    run("reconstruct", *given(acquisition, output_dir="rec"), "method=unet", f"checkpoint={out / 'weights.safetensors'}")
    assert (tmp_path / "rec" / "activity.nii.gz").is_file()


def test_a_reward_tunes_a_diffusion_model(
    run: Callable[..., None],
    fails: Callable[..., str],
    given: Callable[..., list[str]],
    acquisition: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = {"width": 8, "blocks_down": [1]}
    net = PosteriorNet(in_channels=PhysicsInputs.channels, estimator=small, denoiser=small)
    described = {"_target_": "planar3d.nn.PosteriorNet", "in_channels": PhysicsInputs.channels, "estimator": small, "denoiser": small}
    model = MODEL | {"_target_": "planar3d.models.DiffusionModule", "net": described}
    start = save_weights(tmp_path / "start.safetensors", net, {"model": model, "patient": {"spacing_mm": 16.0}})
    reward = ["rounds=0", "reward=likelihood", "reward.steps=2", "reward.sampler.evaluations=3"]
    run("reinforce", *given(acquisition), f"checkpoint={start}", *SMALL, *reward)
    assert "after 2 steps" in capsys.readouterr().out
    tensors, _ = load_weights(tmp_path / "out" / "weights.safetensors")
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, tensors[name])}
    assert changed
    assert all(torch.isfinite(value).all() for value in tensors.values())
    assert all(name.startswith("denoiser.") for name in changed)
    sampler = ["method=diffusion", "method.samples=2", "method.sampler.evaluations=2"]
    run("reconstruct", *given(acquisition, output_dir="rec"), *sampler, f"checkpoint={tmp_path / 'out' / 'weights.safetensors'}")
    assert (tmp_path / "rec" / "activity_std.nii.gz").is_file()
    other = weights(tmp_path)
    assert "reward needs the weights of a diffusion model" in fails(
        "reinforce", *given(acquisition), f"checkpoint={other}", *SMALL, *reward
    )


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["checkpoint=nowhere.safetensors"], "nowhere.safetensors"),
        (["rounds=0"], "rounds must be at least 1"),
        (["data.correction=whole"], "correction must be one of"),
        (["weights_dtype=int8"], "weights_dtype"),
        (["data.batch_size=0"], "batch_size"),
        (["defence=2.0"], "defence"),
    ],
)
def test_a_wrong_input_is_told_in_one_sentence(
    arguments: list[str], word: str, fails: Callable[..., str], given: Callable[..., list[str]], acquisition: Path, tmp_path: Path
) -> None:
    start = weights(tmp_path)
    assert word in fails("reinforce", *given(acquisition), f"checkpoint={start}", *SMALL, *arguments)


def test_weights_that_would_run_other_code_are_refused(
    fails: Callable[..., str], given: Callable[..., list[str]], acquisition: Path, tmp_path: Path
) -> None:
    start = weights(tmp_path, loss={"_target_": "os.mkdir", "path": "made"})
    assert "does not describe" in fails("reinforce", *given(acquisition), f"checkpoint={start}", *SMALL)
    assert "checkpoint must be given" in fails("reinforce", *given(acquisition))
