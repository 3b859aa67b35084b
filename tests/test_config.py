"""Results appear whole or not at all, and what is told as a wrong input is one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

from planar3d.config import CONFIG_DIR, open_patient, wrong_input
from planar3d.grid import Grid
from planar3d.io import PlanarImage
from planar3d.measured import tell_of_other_training, tell_of_other_voxels
from planar3d.models.checkpoint import FORMAT, load_config, load_weights, save_weights, shipped_weights
from planar3d.results import output_folder, without_paths
from planar3d.trained import checkpoint_of, open_diffusion, open_unet, shipped_for, trained_cameras, trained_spacing_mm


def write_half(target: Path) -> None:
    """Begin to write, and fail."""
    with output_folder(target) as folder:
        (folder / "x.txt").write_text("half")
        raise RuntimeError("bug")


def test_configuration_is_found_from_any_folder() -> None:
    assert CONFIG_DIR.is_absolute()
    assert (CONFIG_DIR / "train.yaml").is_file()


def test_output_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    with output_folder(target, OmegaConf.create({"seed": 1})) as folder:
        (folder / "x.txt").write_text("x")
        assert not target.exists()
    assert {path.name for path in target.iterdir()} == {"x.txt", "config.yaml"}
    assert [path.name for path in target.parent.iterdir()] == ["b"]


def test_failed_output_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="bug"):
        write_half(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())


def test_failed_output_leaves_earlier_results_and_success_keeps_other_files(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "x.txt").write_text("earlier")
    (target / "mine.txt").write_text("mine")
    with pytest.raises(RuntimeError, match="bug"):
        write_half(target)
    assert (target / "x.txt").read_text() == "earlier"
    with output_folder(target) as folder:
        (folder / "x.txt").write_text("later")
    assert (target / "x.txt").read_text() == "later"
    assert (target / "mine.txt").read_text() == "mine"


def test_a_check_of_the_library_is_a_wrong_input_and_a_failure_elsewhere_is_none() -> None:
    with pytest.raises(ValueError, match="shape") as checked:
        Grid(shape=(0, 1, 1), spacing_mm=(1.0, 1.0, 1.0), origin_mm=(0.0, 0.0, 0.0))
    assert wrong_input(checked.value) == str(checked.value)
    with pytest.raises(ValueError, match="invalid literal") as broken:
        int("x")
    broken.value.__traceback__ = None
    assert wrong_input(broken.value) is None


def test_missing_file_is_a_wrong_input_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        (tmp_path / "absent.txt").read_text()
    assert "absent.txt" in (wrong_input(error.value) or "")


def test_patient_without_files_is_digital_and_depends_on_the_seed_alone() -> None:
    first, again, other = (open_patient(spacing_mm=32.0, seed=seed) for seed in (1, 1, 2))
    assert first.ct_hu.equal(again.ct_hu)
    assert not first.ct_hu.equal(other.ct_hu)


def test_patient_of_one_file_alone_is_refused() -> None:
    with pytest.raises(ValueError, match=r"patient\.labels is required together with patient\.ct"):
        open_patient(ct="ct.nii.gz")


def test_configuration_kept_with_results_names_no_file_of_the_patient(tmp_path: Path) -> None:
    cfg = OmegaConf.create(
        {
            "planar": "Doe_Jane",
            "output_dir": "/home/x/Doe_Jane",
            "trainer": {"default_root_dir": "${output_dir}", "log": "${output_dir}/log"},
            "checkpoints": "Doe",
            "patient": {"ct": "Doe_Jane.nii.gz", "labels": "Doe/seg.nii.gz", "label_scheme": "auto", "spacing_mm": 8.0},
            "benchmark": {"patients": [{"ct": "/data/Doe/ct.nii.gz", "label_scheme": {1: "liver"}}]},
            "checkpoint": "${mine}",
            "mine": None,
            "model": {"label_scheme": "totalsegmentator_v1", "checkpoint": "Doe_weights"},
        }
    )
    with output_folder(tmp_path / "out", cfg):
        pass
    text = (tmp_path / "out" / "config.yaml").read_text()
    assert "Doe" not in text
    kept = OmegaConf.load(tmp_path / "out" / "config.yaml")
    assert kept.model.label_scheme == "totalsegmentator_v1"
    assert kept.patient.label_scheme == "auto"
    assert kept.benchmark.patients[0].label_scheme == {1: "liver"}


def test_a_network_says_every_camera_that_it_was_trained_for(tmp_path: Path) -> None:
    siemens = {"name": "siemens-melp", "isotope": "Lu-177"}
    simulators = {"psma": {"camera": siemens}, "iodine": {"camera": {"name": "siemens-he", "isotope": "I-131"}}}
    config = {"camera": siemens, "data": {"training_simulators": simulators}}
    weights = tmp_path / "weights.safetensors"
    save_weights(weights, torch.nn.Linear(1, 1), config)
    assert trained_cameras(str(weights)) == [("siemens-melp", "Lu-177"), ("siemens-he", "I-131")]
    save_weights(weights, torch.nn.Linear(1, 1), {"data": {"training_simulators": None}})
    assert trained_cameras(str(weights)) == []


@pytest.mark.parametrize("name", shipped_weights())
def test_weights_that_come_with_the_package_open_and_have_the_voxels_of_their_name(name: str) -> None:
    assert name.endswith(f"_{trained_spacing_mm(name):g}mm")
    assert open_unet(checkpoint=name).inputs.channels > 0


@pytest.mark.parametrize(("asked", "edge_mm"), [(None, 4.8), (3.0, 4.8), (6.0, 4.8), (6.4, 8.0), (20.0, 8.0)])
@pytest.mark.parametrize("family", ["unet_population", "diffusion_population"])
def test_of_the_weights_that_come_with_the_package_those_for_voxels_nearest_in_size_are_taken(
    family: str, asked: float | None, edge_mm: float
) -> None:
    assert shipped_for(family, asked) == f"{family}_{edge_mm:g}mm"
    method = {"shipped": family, "spacing_mm": asked}
    assert checkpoint_of(None, OmegaConf.create(method)) == f"{family}_{edge_mm:g}mm"
    assert checkpoint_of("mine.safetensors", OmegaConf.create(method)) == "mine.safetensors"


@pytest.mark.parametrize("edge_mm", [4.8, 8.0])
def test_samples_are_drawn_about_a_network_of_the_patient_by_the_denoiser_for_its_voxels(edge_mm: float, tmp_path: Path) -> None:
    tensors, described = load_weights(f"unet_population_{edge_mm:g}mm")
    net = instantiate(described["model"]["net"], _convert_="all")
    net.load_state_dict({name: value.float() for name, value in tensors.items()})
    last = next(reversed(list(net.parameters())))
    torch.nn.init.constant_(last, 0.25)
    own = str(save_weights(tmp_path / "MILLER.safetensors", net, described))
    method = {"shipped": "diffusion_population", "spacing_mm": None, "estimator_checkpoint": own}
    assert checkpoint_of(None, method) == f"diffusion_population_{edge_mm:g}mm"
    opened = open_diffusion(checkpoint=None, shipped="diffusion_population", estimator_checkpoint=own)
    for name, value in opened.net.estimator.state_dict().items():
        torch.testing.assert_close(value, net.state_dict()[name], msg=name)
    assert "MILLER" not in str(without_paths(OmegaConf.create({"method": method})))


def test_a_method_knows_the_voxels_that_a_benchmark_or_a_command_asks_for() -> None:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        coarse = compose("evaluate", ["+benchmark=sim_v1_coarse"])
        given = ["planar=p.nii", "patient.ct=c.nii", "patient.labels=l.nii"]
        commands = [compose("reconstruct", [*given, f"spacing_mm={spacing}"]) for spacing in ("null", "8")]
    assert coarse.candidates.unet.spacing_mm == coarse.candidates.diffusion.spacing_mm == 8.0
    assert [cfg.method.spacing_mm for cfg in commands] == [None, 8]


def test_weights_tell_how_far_their_samples_are_to_be_widened_unless_a_user_does(tmp_path: Path) -> None:
    shipped = shipped_weights()["diffusion_population_8mm"]
    config = load_config(shipped) | {"intervals": {"organ_widen": 1.3, "organ_error": 0.02}}
    path = tmp_path / "weights.safetensors"
    save_file(load_file(shipped), path, metadata={"format": FORMAT, "config": json.dumps(config)})
    own, usual = (open_diffusion(checkpoint=str(file)) for file in (path, shipped))
    assert (own.organ_widen, own.organ_error) == (1.3, 0.02)
    assert (usual.organ_widen, usual.organ_error) == (2.0, 0.05)
    assert open_diffusion(checkpoint=str(path), organ_widen=1.0, organ_error=0.0).organ_widen == 1.0


@pytest.mark.parametrize("name", shipped_weights())
def test_shipped_weights_say_of_themselves_what_stands_beside_them(name: str) -> None:
    """The configuration in the file is the one that a reader sees, and nothing but what planar3d has made it."""
    config = load_config(name)
    assert config == json.loads(shipped_weights()[name].with_suffix(".json").read_text(encoding="utf-8"))
    targets = re.findall(r'"_target_": "([^"]+)"', json.dumps(config))
    assert {target.split(".")[0] for target in targets} <= {"planar3d", "torch", "lightning", "monai", "diffusers"}


def test_no_weights_and_a_family_that_does_not_exist() -> None:
    assert shipped_for(None, 8.0) is None
    with pytest.raises(ValueError, match="shipped must be one of diffusion_population, unet_population, got unet"):
        shipped_for("unet", 8.0)


@pytest.mark.parametrize(("edge_mm", "told"), [(8.0, False), (7.2, False), (4.8, True), (12.0, True)])
def test_voxels_unlike_those_of_the_training_are_told(edge_mm: float, told: bool, capsys: pytest.CaptureFixture[str]) -> None:
    tell_of_other_voxels(OmegaConf.create({"checkpoint": "unet_population_8mm"}), (edge_mm,) * 3)
    assert ("trained on voxels of 8 mm" in capsys.readouterr().out) == told


@pytest.mark.parametrize(("camera", "isotope", "told"), [("siemens-melp", "Lu-177", ""), ("siemens-he", "Lu-177", "be careful")])
def test_an_image_of_another_camera_than_those_of_the_training_is_told(
    camera: str, isotope: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    image = PlanarImage(
        views=torch.ones(1, 2, 4, 4), pixel_mm=(8.0, 8.0), origin_mm=(0.0, 0.0), isotope=isotope, camera=camera, dwell_time_s=60.0
    )
    tell_of_other_training(OmegaConf.create({"checkpoint": "unet_population_8mm"}), image)
    printed = capsys.readouterr().out
    assert (told in printed) if told else not printed
