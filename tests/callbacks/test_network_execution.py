"""Networks are executed as asked, and answer as before."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from planar3d.callbacks.network_execution import NetworkExecution
from planar3d.nn.unet import CorrectionUNet


class TwoNets(LightningModule):
    """Two networks that learn one channel of noise, called one by one as those of a posterior are."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.ModuleDict({k: CorrectionUNet(in_channels=2, width=4, blocks_down=(1, 1), groups=2) for k in ("a", "b")})

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return (self.net["a"](batch) + self.net["b"](batch) - batch[:, :1]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trained(make_trainer: Callable[..., Trainer], callback: NetworkExecution) -> TwoNets:
    module = TwoNets()
    volumes = torch.randn(4, 2, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    make_trainer(callback, logger=False, epochs=2).fit(module, torch.utils.data.DataLoader(volumes, batch_size=2))  # pyright: ignore
    return module


def bodies(module: TwoNets) -> list[nn.Module]:
    return [m.body for m in module.modules() if isinstance(m, CorrectionUNet)]


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize("asked", [{"compile": True, "backend": "aot_eager"}, {"channels_last": True}])
def test_trained_weights_do_not_depend_on_execution(make_trainer: Callable[..., Trainer], asked: dict[str, object]) -> None:
    plain = trained(make_trainer, NetworkExecution()).state_dict()
    start = TwoNets().state_dict()
    assert any(not torch.equal(plain[name], start[name]) for name in plain)
    other = trained(make_trainer, NetworkExecution(**asked)).state_dict()  # pyright: ignore
    assert other.keys() == plain.keys()
    for name, value in plain.items():
        torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_every_network_is_executed_as_asked(make_trainer: Callable[..., Trainer]) -> None:
    compiled = trained(make_trainer, NetworkExecution(compile=True, backend="eager"))
    assert all(body._compiled_call_impl is not None for body in bodies(compiled))
    assert all(body._compiled_call_impl is None for body in bodies(trained(make_trainer, NetworkExecution())))
    last = trained(make_trainer, NetworkExecution(channels_last=True))
    kernels = [p for p in last.parameters() if p.ndim == 5 and p.shape[1] > 1 and p.shape[2] > 1]
    assert kernels
    assert all(p.is_contiguous(memory_format=torch.channels_last_3d) for p in kernels)


def test_a_compiled_network_can_be_copied() -> None:
    """As the averaging of weights does."""
    net = CorrectionUNet(in_channels=2, width=4, blocks_down=(1, 1), groups=2)
    net.body.compile(backend="eager")
    assert copy.deepcopy(net).state_dict().keys() == net.state_dict().keys()
