"""Training of the network: it learns, resumes as if never interrupted, and its checkpoints are plain tensors."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint

from planar3d.data import PhantomDataModule
from planar3d.models import UNetModule, best_precision, load_checkpoint_into, warm_up_cosine
from planar3d.nn import ActivityLoss, CorrectionUNet
from planar3d.reconstruction.features import PhysicsInputs
from planar3d.reconstruction.qplanar_em import QPlanarEM

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),
]


def make_module(*, lr: float = 3e-3) -> UNetModule:
    torch.manual_seed(0)
    net = CorrectionUNet(in_channels=PhysicsInputs.channels, width=8, blocks_down=(1,))
    return UNetModule(
        net=net,
        inputs=PhysicsInputs(baseline=QPlanarEM(iterations=1)),
        loss=ActivityLoss(organ=0.2),
        optimizer=partial(torch.optim.AdamW, lr=lr),
        scheduler=partial(warm_up_cosine, warm_up=0.2),
    )


def make_trainer(folder: Path, *, epochs: int, callbacks: tuple[Callback, ...] = ()) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[EMAWeightAveraging(decay=0.5), ModelCheckpoint(dirpath=folder, save_last=True), *callbacks],
    )


class StopAfter(Callback):
    """Interrupts a training that was meant to be longer."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: UNetModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.epoch


def test_untrained_it_is_as_good_as_the_baseline_and_trained_it_is_better(data: PhantomDataModule, tmp_path: Path) -> None:
    module, trainer = make_module(lr=1e-2), make_trainer(tmp_path, epochs=20)
    before = trainer.validate(module, data, verbose=False)[0]
    assert before["val/nmae"] == pytest.approx(before["val/nmae_baseline"], rel=1e-5)
    trainer.fit(module, data)
    assert trainer.validate(module, data, verbose=False)[0]["val/nmae"] < 0.97 * before["val/nmae"]


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(data: PhantomDataModule, tmp_path: Path) -> None:
    whole = make_module()
    make_trainer(tmp_path / "whole", epochs=3).fit(whole, data)
    make_trainer(tmp_path / "part", epochs=3, callbacks=(StopAfter(1),)).fit(make_module(), data)
    resumed = make_module()
    make_trainer(tmp_path / "rest", epochs=3).fit(resumed, data, ckpt_path=tmp_path / "part" / "last.ckpt", weights_only=True)
    for (name, a), b in zip(whole.net.named_parameters(), resumed.net.parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name, rtol=1e-4, atol=1e-6)


def test_the_checkpoint_holds_the_averaged_network_as_plain_tensors(data: PhantomDataModule, tmp_path: Path) -> None:
    module, other = make_module(), make_module()
    make_trainer(tmp_path, epochs=1).fit(module, data)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    last = {name.removeprefix("net."): value for name, value in checkpoint["current_model_state"].items()}
    load_checkpoint_into(other.net, tmp_path / "last.ckpt")
    for name, value in module.net.state_dict().items():
        assert torch.equal(other.net.state_dict()[name], value), name
    assert any(not torch.equal(last[name], value) for name, value in module.net.state_dict().items())


def test_the_learning_rate_warms_up_and_ends_at_nothing(data: PhantomDataModule, tmp_path: Path) -> None:
    rates: list[float] = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: UNetModule, batch: object, batch_idx: int) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    make_trainer(tmp_path, epochs=5, callbacks=(Watch(),)).fit(make_module(), data)
    assert len(rates) == 10
    assert rates[0] == pytest.approx(0.5 * max(rates))
    assert max(rates) == pytest.approx(3e-3)
    assert rates[-1] < 0.05 * max(rates)


def test_precision_is_one_that_lightning_knows() -> None:
    Trainer(accelerator="cpu", precision=best_precision(), logger=False, enable_checkpointing=False, enable_progress_bar=False)
