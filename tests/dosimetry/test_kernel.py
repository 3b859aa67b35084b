"""Voxel kernels conserve energy, for any voxel, and agree with an independent Monte Carlo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from planar3d.dosimetry.electron_point_kernel import electron_shells
from planar3d.dosimetry.emissions import Emissions
from planar3d.dosimetry.kernel import VoxelKernel, unfolded, voxel_kernel
from planar3d.dosimetry.photon_point_kernel import local_photon_kev, photon_tail_kev


@pytest.mark.parametrize("spacing_mm", [3.0, 4.8, (2.0, 3.0, 5.0)])
@pytest.mark.parametrize("isotope", ["Lu-177", "I-131"])
def test_electrons_lose_nothing(isotope: str, spacing_mm: float | tuple[float, ...]) -> None:
    emissions = Emissions.of(isotope)
    kernel = voxel_kernel(isotope, spacing_mm, reach=(2, 2, 2))
    assert float(unfolded(kernel.electron_kev).sum()) == pytest.approx(emissions.electron_kev + local_photon_kev(emissions), rel=1e-9)


@pytest.mark.parametrize("spacing_mm", [6.0, (4.0, 6.0, 9.0)])
def test_photons_lose_what_goes_beyond_the_kernel(spacing_mm: float | tuple[float, ...]) -> None:
    kernel = voxel_kernel("Lu-177", spacing_mm, tail=0.02)
    emissions = Emissions.of("Lu-177")
    # the kernel is a box, so less is lost than beyond the sphere inside it and more than beyond the one around it
    half = np.array([(n - 0.5) * s for n, s in zip(kernel.photon_kev.shape, kernel.spacing_mm, strict=True)])
    most, least = photon_tail_kev(emissions, np.array([half.min(), np.linalg.norm(half)]))
    slack = 0.01 * kernel.emitted_photon_kev
    assert least - slack < kernel.escaped_kev < most + slack


def test_near_and_far_photons_meet() -> None:
    """Around four voxels the kernel passes from shells to the point kernel; r^2 K must go on smoothly."""
    row = voxel_kernel("Lu-177", 4.8, reach=(9, 9, 9)).photon_kev[:, 0, 0]
    scaled = row[2:] * torch.arange(2, 10) ** 2
    assert (scaled[1:] / scaled[:-1] - 1.0).abs().max() < 0.06


def test_a_coarse_kernel_is_the_fine_one_added_up() -> None:
    """Voxels of twice the edge: the mean over sources of the sum over targets of eight small voxels each."""
    fine = unfolded(voxel_kernel("I-131", 3.0, reach=(5, 5, 5)).photon_kev)
    coarse = voxel_kernel("I-131", 6.0, reach=(1, 1, 1)).photon_kev
    pair = torch.tensor([0.5, 1.0, 0.5], dtype=torch.float64)  # number of small pairs at offsets -1, 0, 1, over two sources
    triangle = pair[:, None, None] * pair[:, None] * pair
    for offset in ((0, 0, 0), (1, 0, 0), (1, 1, 1)):
        part = fine[tuple(slice(5 + 2 * o - 1, 5 + 2 * o + 2) for o in offset)]
        assert float((part * triangle).sum()) == pytest.approx(float(coarse[offset]), rel=1e-2)


def test_axes_follow_their_own_spacing() -> None:
    kernel = voxel_kernel("Lu-177", (2.0, 3.0, 5.0), reach=(3, 3, 3))
    turned = voxel_kernel("Lu-177", (5.0, 2.0, 3.0), reach=(3, 3, 3))
    torch.testing.assert_close(kernel.photon_kev, turned.photon_kev.permute(1, 2, 0), rtol=1e-2, atol=0.0)
    assert kernel.electron_kev[1, 0, 0] > kernel.electron_kev[0, 1, 0] > kernel.electron_kev[0, 0, 1]


def test_electrons_of_short_range_cross_a_face_in_proportion_to_their_mean_distance() -> None:
    """For ``r << a`` the share that leaves through the two faces of an axis is ``<|x|> / a`` = ``<r> / 2a``."""
    radius, energy = electron_shells(Emissions.of("Lu-177"))
    mean_mm = float((radius * energy).sum() / energy.sum())
    kernel = unfolded(voxel_kernel("Lu-177", 40.0, reach=(1, 1, 1)).electron_kev)
    crossed = 1.0 - float(kernel[kernel.shape[0] // 2].sum() / kernel.sum())
    assert crossed == pytest.approx(mean_mm / 2.0 / 40.0, rel=1e-2)


def test_denser_water_is_a_larger_voxel() -> None:
    dense = voxel_kernel("Lu-177", 3.0, reach=(2, 2, 2), density_g_per_ml=2.0)
    large = voxel_kernel("Lu-177", 6.0, reach=(2, 2, 2))
    torch.testing.assert_close(dense.electron_kev, large.electron_kev, rtol=1e-9, atol=0.0)
    torch.testing.assert_close(dense.photon_kev, large.photon_kev, rtol=1e-6, atol=0.0)


def test_kernels_are_made_once() -> None:
    assert voxel_kernel("Lu-177", 5.0, reach=(2, 2, 2)) is voxel_kernel("177Lu", (5.0, 5.0, 5.0), reach=[2, 2, 2])


@pytest.mark.parametrize("case", ["177Lu3", "177Lu4.42", "177Lu4.8", "177Lu6", "131I4.8"])
def test_agrees_with_voxel_s_values(case: str, sample_data: Path) -> None:
    """Lanconelli et al. 2012. Photons within 4 % once the yields are theirs; electrons that leave the voxel within 6 %.

    Their self voxel of 177Lu lacks the conversion electrons, so it is compared with the beta particles alone.
    """
    published = _published(sample_data / "voxel_s_values" / f"{case}mmsoft.txt")
    lutetium = case.startswith("177")
    spacing_mm = float(case.removeprefix("177Lu").removeprefix("131I"))
    kernel = voxel_kernel("Lu-177" if lutetium else "I-131", spacing_mm, reach=(6, 6, 6), density_g_per_ml=1.04)
    yields = 0.11 / 0.1038 if lutetium else 1.0
    for offset in ((0, 0, 3), (0, 2, 4), (3, 3, 3), (5, 5, 5)):
        assert yields * _milligray(kernel, offset) == pytest.approx(published[offset], rel=0.04)
    assert _milligray(kernel, (0, 0, 1)) == pytest.approx(published[0, 0, 1], rel=0.06)
    assert _milligray(kernel, (0, 1, 1)) == pytest.approx(published[0, 1, 1], rel=0.1)
    emissions = Emissions.of(kernel.isotope)
    betas = sum(b.mean_kev * b.yield_per_decay for b in emissions.betas) / emissions.electron_kev if lutetium else 1.0
    assert betas * _milligray(kernel, (0, 0, 0)) == pytest.approx(published[0, 0, 0], rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"isotope": "Zz-9"}, "isotope"),
        ({"spacing_mm": (4.0, 0.0, 4.0)}, "spacing_mm"),
        ({"spacing_mm": (4.0, 4.0)}, "spacing_mm"),
        ({"density_g_per_ml": 0.0}, "density_g_per_ml"),
        ({"tail": 1.0}, "tail"),
    ],
)
def test_refuses_bad_arguments(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        voxel_kernel(**{"isotope": "Lu-177", "spacing_mm": 4.0, **arguments})


def _published(path: Path) -> dict[tuple[int, ...], float]:
    """Table by offset [mGy/(MBq s)]."""
    rows = [line.split() for line in path.read_text(encoding="latin-1").splitlines()[2:]]
    return {(int(r[0]), int(r[1]), int(r[2])): float(r[3]) for r in rows if len(r) == 4}


def _milligray(kernel: VoxelKernel, offset: tuple[int, int, int]) -> float:
    """S value [mGy/(MBq s)]."""
    inside = all(i < n for i, n in zip(offset, kernel.electron_kev.shape, strict=True))
    kev = float(kernel.photon_kev[offset]) + (float(kernel.electron_kev[offset]) if inside else 0.0)
    mass_kg = np.prod(kernel.spacing_mm) * 1e-6 * kernel.density_g_per_ml
    return kev * 1.602176634e-16 / mass_kg * 1e3 * 1e6
