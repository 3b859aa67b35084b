"""Training of the diffusion model: denoiser and estimator learn, noise is reproducible, and a regression may be where it starts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from planar3d.data import PhantomDataModule
from planar3d.diffusion import NoiseLevels, Sampler
from planar3d.models import DiffusionModule, SampleScore, UNetModule, load_checkpoint_into, save_weights
from planar3d.nn import ActivityLoss, CorrectionUNet, PosteriorNet
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.qplanar_em import QPlanarEM

pytestmark = pytest.mark.filterwarnings("ignore:.*smaller than the logging interval")

NET = {"width": 8, "blocks_down": (1,)}


def make_module(*, lr: float = 1e-2, **options: object) -> DiffusionModule:
    torch.manual_seed(0)
    return DiffusionModule(
        net=PosteriorNet(in_channels=PhysicsInputs.channels, estimator=NET, denoiser=NET),
        inputs=PhysicsInputs(baseline=QPlanarEM(iterations=1)),
        loss=ActivityLoss(organ=0.2),
        optimizer=partial(torch.optim.AdamW, lr=lr),
        sampler=Sampler(evaluations=3),
        **options,  # pyright: ignore[reportArgumentType]
    )


def make_trainer(folder: Path, epochs: int) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
    )


def test_the_denoiser_can_learn_a_patient_by_heart(data: PhantomDataModule) -> None:
    data.setup("fit")
    module = make_module(train_estimator=False, levels=NoiseLevels(log_mean=0.0, log_sd=0.3), noise_draws=4)
    optimizer = torch.optim.AdamW(module.net.denoiser.parameters(), lr=1e-2)
    batch, losses = data.synthesise(torch.arange(2), epoch=0), []
    with torch.no_grad():
        made = module.estimate(batch.problem)
    for step in range(60):
        loss = module._denoising(made, batch, module._generator(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_the_estimator_learns_beside_it(data: PhantomDataModule, tmp_path: Path) -> None:
    module, trainer = make_module(spread=1.0), make_trainer(tmp_path, 20)
    before = trainer.validate(module, data, verbose=False)[0]
    trainer.fit(module, data)
    after = trainer.validate(module, data, verbose=False)[0]
    assert after["val/nmae"] < before["val/nmae"]
    assert abs(after["val/spread_ratio"] - 1) < abs(before["val/spread_ratio"] - 1)


def test_an_estimator_that_is_not_trained_stays_as_it_is(data: PhantomDataModule, tmp_path: Path) -> None:
    module = make_module(train_estimator=False)
    before = {name: value.clone() for name, value in module.net.state_dict().items()}
    make_trainer(tmp_path, 1).fit(module, data)
    changed = {name for name, value in module.net.state_dict().items() if not torch.equal(before[name], value)}
    assert changed
    assert all(name.startswith("denoiser.") for name in changed)


def test_noise_depends_on_the_step_and_not_on_what_was_drawn_before(data: PhantomDataModule, tmp_path: Path) -> None:
    losses = []
    for _ in range(2):
        module, trainer = make_module(lr=0.0), make_trainer(tmp_path, 1)
        trainer.validate(module, data, verbose=False)
        torch.rand(3)
        losses.append(trainer.validate(module, data, verbose=False)[0]["val/denoising"])
    assert losses[0] == losses[1]


def test_a_sample_without_weight_teaches_nothing(data: PhantomDataModule) -> None:
    data.setup("fit")
    module = make_module()
    batch = data.synthesise(torch.arange(2), epoch=0)
    with torch.no_grad():
        made = module.estimate(batch.problem)
    full, none = (replace(batch, weight=torch.tensor(w)) for w in ([1.0, 1.0], [0.0, 0.0]))
    generator = partial(torch.Generator().manual_seed, 0)
    with torch.no_grad():
        plain, weighted, nothing = (module._denoising(made, b, generator()) for b in (batch, full, none))
    torch.testing.assert_close(weighted, plain)
    assert not nothing.any()


def test_the_score_of_its_samples_teaches_the_denoiser(data: PhantomDataModule) -> None:
    data.setup("fit")
    score = SampleScore(samples=3, differentiable=2)
    module, batch = make_module(train_estimator=False, sample_score=score), data.synthesise(torch.arange(2), epoch=0)
    optimizer = torch.optim.AdamW(module.net.denoiser.parameters(), lr=1e-2)
    with torch.no_grad():
        made = module.estimate(batch.problem)
    scores = []
    for _ in range(15):
        loss = module._score(made, batch, 0, score)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scores.append(float(loss.detach()))
    assert scores[-1] < 0.98 * scores[0]


def test_it_shows_its_samples_and_how_they_came_about(data: PhantomDataModule) -> None:
    data.setup("fit")
    module, batch = make_module(), data.synthesise(torch.arange(2), epoch=0)
    posterior = module.reconstruct(batch)
    trajectory, samples = module.trajectory(batch)
    assert posterior.samples is not None
    torch.testing.assert_close(posterior.samples, samples)
    assert len(trajectory) == 3
    assert all(volume.shape == batch.truth.activity.shape for _, volume in trajectory)


def test_what_it_shows_lies_about_the_mean_of_both_networks(data: PhantomDataModule) -> None:
    data.setup("fit")
    module, batch = make_module(estimator_share=1.0), data.synthesise(torch.arange(2), epoch=0)
    with torch.no_grad():
        estimate = module.estimate(batch.problem).mean
    torch.testing.assert_close(module.reconstruct(batch).mean, estimate, rtol=1e-4, atol=1e-4 * float(estimate.max()))


def test_weights_of_a_regression_start_the_diffusion_model(tmp_path: Path) -> None:
    estimator = CorrectionUNet(in_channels=PhysicsInputs.channels, out_channels=2, width=8, blocks_down=(1,))
    unet = UNetModule(net=estimator, inputs=PhysicsInputs(), loss=ActivityLoss(), optimizer=partial(torch.optim.AdamW, lr=1e-3))
    weights = save_weights(tmp_path / "weights.safetensors", unet.net, {})
    module = make_module()
    load_checkpoint_into(module.net, weights)
    for name, value in estimator.state_dict().items():
        assert torch.equal(module.net.estimator.state_dict()[name], value), name


def test_a_denoiser_written_alone_takes_the_estimator_that_its_weights_name(tmp_path: Path) -> None:
    whole = make_module().net
    estimator = save_weights(tmp_path / "unet.safetensors", whole.estimator, {})
    alone = nn.ModuleDict({"denoiser": whole.denoiser})
    named = save_weights(tmp_path / "denoiser.safetensors", alone, {"estimator_checkpoint": str(estimator)})
    module = make_module()
    for parameter in module.net.parameters():
        nn.init.zeros_(parameter)
    load_checkpoint_into(module.net, named)
    for name, value in whole.state_dict().items():
        assert torch.equal(module.net.state_dict()[name], value), name
    with pytest.raises(ValueError, match="tensors missing"):
        load_checkpoint_into(module.net, save_weights(tmp_path / "half.safetensors", alone, {}))


@pytest.mark.gpu
def test_a_step_on_a_gpu(data: PhantomDataModule) -> None:
    data.setup("fit")
    module = make_module(train_estimator=True).to("cuda")
    batch = data.synthesise(torch.arange(2, device="cuda"), epoch=0)
    loss = module._denoising(module.estimate(batch.problem), batch, module._generator(0, device="cuda"))
    loss.backward()
    assert loss.is_cuda
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in module.net.denoiser.parameters())


@pytest.mark.parametrize(("options", "said"), [({"withheld": 1.0}, "withheld must lie in"), ({"noise_draws": 0}, "noise_draws must be")])
def test_options_that_make_no_sense_are_told(options: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make_module(**options)
