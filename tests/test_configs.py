"""Every configuration composes, and every group's option makes the object that it names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from planar3d.config import CONFIG_DIR
from planar3d.phantom.synthesis import PhantomSynthesizer
from planar3d.physics.gamma_camera import GammaCamera

COMMANDS = ("train", "simulate", "reconstruct", "evaluate", "reinforce", "ablation", "dosimetry")
GROUPS_OF_TRAIN = ("camera", "phantom", "patient", "net", "optimizer", "scheduler", "model", "data", "trainer", "callbacks", "logger")
OVERLAYS = ("experiment", "debug", "benchmark", "ablation")
LEARNED = ("unet", "diffusion")  # methods that need weights


def options(group: str) -> list[str]:
    """Names of the files of a group."""
    return sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml"))


def every(groups: tuple[str, ...]) -> list[str]:
    """``group=option`` of every file in these groups."""
    return [f"{group}={option}" for group in groups for option in options(group)]


@pytest.fixture(autouse=True)
def config_folder() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        yield


def resolved(name: str, *overrides: str) -> DictConfig:
    """A composed configuration without Hydra's own part."""
    return compose(name, [*overrides, "output_dir=out"])


def test_no_group_is_left_out_of_these_tests() -> None:
    groups = {path.name for path in CONFIG_DIR.iterdir() if path.is_dir()}
    assert groups == {*GROUPS_OF_TRAIN, *OVERLAYS, "method", "reward", "sampler"}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_configuration_composes(name: str) -> None:
    assert "output_dir" in resolved(name)


def test_a_reward_is_made() -> None:
    given = ["planar=p.nii", "patient.ct=c.nii", "patient.labels=l.nii", "checkpoint=unet_population_8mm", "reward=likelihood"]
    assert instantiate(resolved("reinforce", *given).reward, _convert_="all").sampler.evaluations == 8


@pytest.mark.parametrize("choice", every(GROUPS_OF_TRAIN))
def test_every_option_composes_and_resolves_in_train(choice: str) -> None:
    given = ["patient.ct=ct.nii.gz", "patient.labels=labels.nii.gz"] if choice == "patient=files" else []
    OmegaConf.to_container(resolved("train", choice, *given), resolve=True)


@pytest.mark.parametrize("choice", every(("experiment", "debug")))
def test_every_overlay_composes_in_train(choice: str) -> None:
    OmegaConf.to_container(resolved("train", f"+{choice}"), resolve=True)


def told(ablation: str) -> tuple[str, list[str]]:
    """Command and overrides that the first lines of an ablation's file tell to type."""
    text = (CONFIG_DIR / "ablation" / f"{ablation}.yaml").read_text(encoding="utf-8")
    found = re.search(r"python -m planar3d\.(\w+) (.*)", text)
    assert found is not None
    return found[1], found[2].replace("[...]", "[qplanar]").replace("...", "weights").replace("FOLDER", "weights").split()


def jobs(ablation: str) -> list[DictConfig]:
    """The configuration of every job of an ablation, composed as its sweep would: Hydra puts what it sweeps before what was typed."""
    name, overrides = told(ablation)
    swept = compose(name, [*overrides, "output_dir=out"], return_hydra_config=True).hydra.sweeper.params
    parser = OverridesParser.create()
    choices = [list(parser.parse_override(f"{key}={value}").sweep_string_iterator()) for key, value in swept.items()]
    keys = list(swept)
    return [resolved(name, *(f"{k}={v}" for k, v in zip(keys, one, strict=True)), *overrides) for one in itertools.product(*choices)]


@pytest.mark.parametrize("ablation", options("ablation"))
def test_every_job_of_an_ablation_composes_and_no_two_are_the_same(ablation: str) -> None:
    made = [OmegaConf.to_container(job, resolve=True) for job in jobs(ablation)]
    assert len(made) > 1
    assert all(one != other for one, other in itertools.combinations(made, 2))
    assert all(isinstance(job, dict) and job["ablation"] == ablation for job in made)


@pytest.mark.parametrize("ablation", options("ablation"))
def test_every_job_of_an_ablation_knows_its_keys(ablation: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What an ablation sets are options that the objects have."""
    monkeypatch.setenv("PLANAR3D_DATA", str(tmp_path))
    for job in jobs(ablation):
        for key in ("phantom", "benchmark", "model.inputs", "candidates.diffusion.sampler"):
            if OmegaConf.select(job, key) is not None:
                instantiate(OmegaConf.select(job, key), _convert_="all")
        if "methods" in job:
            assert {name.removesuffix("_ps") for name in job.methods} <= set(job.candidates)


@pytest.mark.parametrize("ablation", options("ablation"))
def test_an_ablation_is_a_sweep_that_is_gathered(ablation: str) -> None:
    name, overrides = told(ablation)
    hydra = compose(name, [*overrides, "output_dir=out"], return_hydra_config=True).hydra
    assert hydra.mode.name == "MULTIRUN"
    assert hydra.callbacks.gather["_target_"] == "planar3d.ablation.GatherSweep"
    assert f"outputs/ablation/{ablation}/" in hydra.sweep.dir


@pytest.mark.parametrize("name", options("camera"))
def test_every_camera_is_made(name: str) -> None:
    assert isinstance(instantiate(resolved("simulate", f"camera={name}").camera, _convert_="all"), GammaCamera)


@pytest.mark.parametrize("name", options("phantom"))
def test_every_phantom_is_made(name: str) -> None:
    assert isinstance(instantiate(resolved("simulate", f"phantom={name}").phantom, _convert_="all"), PhantomSynthesizer)


@pytest.mark.parametrize("name", [name for name in options("method") if name not in LEARNED])
def test_every_method_is_made_and_has_the_name_of_its_file(name: str) -> None:
    assert instantiate(resolved("reconstruct", f"method={name}").method, _convert_="all").name == name


@pytest.mark.parametrize("name", options("benchmark"))
def test_every_benchmark_is_made(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLANAR3D_DATA", str(tmp_path))
    benchmark = instantiate(resolved("evaluate", f"+benchmark={name}").benchmark, _convert_="all")
    assert benchmark.name == name
    assert len(benchmark.missing) == len(benchmark.patients)


@pytest.mark.parametrize("choice", every(("net", "model", "data")))
def test_every_net_model_and_data_module_is_made(choice: str) -> None:
    group = choice.split("=")[0]
    beside = ["net=posterior"] if choice == "model=diffusion" else []
    cfg = resolved("train", choice, *beside, "patient.spacing_mm=32.0")
    instantiate(cfg[group], _convert_="all")


def test_the_channels_of_the_net_are_those_of_the_inputs() -> None:
    cfg = resolved("train")
    assert instantiate(cfg.net, _convert_="all").in_channels == instantiate(cfg.model.inputs, _convert_="all").channels


@pytest.mark.parametrize("path", sorted(CONFIG_DIR.rglob("*.yaml")), ids=lambda path: path.relative_to(CONFIG_DIR).as_posix())
def test_no_file_holds_the_path_of_one_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not any(start in text for start in ("/home/", "/root/", "/work/", "/Users/", "/tmp/"))
