"""NMAE and SSIM against their formulas, and what must hold for any images."""

from __future__ import annotations

import pytest
import torch
from scipy.ndimage import gaussian_filter

from planar3d.metrics import nmae, ssim3d
from planar3d.metrics.image import ssim_map


def _pair(generator: torch.Generator, shape: tuple[int, int, int] = (20, 18, 22)) -> tuple[torch.Tensor, torch.Tensor]:
    truth = torch.rand(2, 1, *shape, generator=generator) * torch.tensor([3.0, 500.0]).view(2, 1, 1, 1, 1)
    return truth * (0.7 + 0.6 * torch.rand(truth.shape, generator=generator)), truth


def _ssim_at(x: torch.Tensor, y: torch.Tensor, centre: tuple[int, int, int]) -> float:
    """Formula for one voxel, in float64, voxel by voxel of the window that lies within the volume."""
    peak = y.max().item()
    weights, xs, ys = [], [], []
    for i in range(-5, 6):
        for j in range(-5, 6):
            for k in range(-5, 6):
                at = (centre[0] + i, centre[1] + j, centre[2] + k)
                if all(0 <= a < n for a, n in zip(at, x.shape, strict=True)):
                    weights.append(torch.exp(torch.tensor(-(i * i + j * j + k * k) / (2 * 1.5**2), dtype=torch.float64)))
                    xs.append(x[at].double())
                    ys.append(y[at].double())
    w = torch.stack(weights) / torch.stack(weights).sum()
    a, b = torch.stack(xs), torch.stack(ys)
    ma, mb = (w * a).sum(), (w * b).sum()
    va, vb, cov = (w * (a - ma) ** 2).sum(), (w * (b - mb) ** 2).sum(), (w * (a - ma) * (b - mb)).sum()
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    return float((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))


@pytest.mark.parametrize("centre", [(10, 9, 11), (0, 0, 0), (19, 3, 21)])
def test_ssim_is_its_formula_inside_and_at_the_border(generator: torch.Generator, centre: tuple[int, int, int]) -> None:
    estimate, truth = _pair(generator)
    similarity = ssim_map(estimate, truth)
    for b in range(2):
        assert similarity[(b, 0, *centre)].item() == pytest.approx(_ssim_at(estimate[b, 0], truth[b, 0], centre), abs=1e-4)


def test_ssim_away_from_the_border_is_that_of_scipy_filters(generator: torch.Generator) -> None:
    estimate, truth = _pair(generator)
    similarity = ssim_map(estimate, truth)
    for b in range(2):
        x, y = (v[b, 0].double().numpy() for v in (estimate, truth))
        mx, my, mxx, myy, mxy = (gaussian_filter(v, sigma=1.5, radius=5) for v in (x, y, x * x, y * y, x * y))
        c1, c2 = (0.01 * y.max()) ** 2, (0.03 * y.max()) ** 2
        theirs = (2 * mx * my + c1) * (2 * (mxy - mx * my) + c2) / ((mx**2 + my**2 + c1) * (mxx - mx**2 + myy - my**2 + c2))
        inner = slice(5, -5), slice(5, -5), slice(5, -5)
        assert torch.allclose(similarity[b, 0][inner], torch.from_numpy(theirs[inner]).float(), atol=1e-4)


def test_exact_estimate_is_perfect(generator: torch.Generator) -> None:
    _, truth = _pair(generator)
    assert torch.allclose(ssim3d(truth, truth), torch.ones(2))
    assert torch.equal(nmae(truth, truth), torch.zeros(2))


def test_neither_depends_on_the_unit(generator: torch.Generator) -> None:
    estimate, truth = _pair(generator)
    assert torch.allclose(ssim3d(1e3 * estimate, 1e3 * truth), ssim3d(estimate, truth), atol=1e-5)
    assert torch.allclose(nmae(1e3 * estimate, 1e3 * truth), nmae(estimate, truth))


def test_constant_images_in_closed_form() -> None:
    truth = torch.full((1, 1, 6, 5, 4), 2.0)
    # without variance only the luminance term is left: (2 m n + C1) / (m^2 + n^2 + C1)
    expected = (2 * 1.0 * 0.5 + 1e-4) / (1.0 + 0.25 + 1e-4)
    assert ssim3d(0.5 * truth, truth).item() == pytest.approx(expected, rel=1e-4)
    assert nmae(0.5 * truth, truth).item() == pytest.approx(0.5)
    assert nmae(torch.zeros_like(truth), truth).item() == pytest.approx(1.0)


def test_mask_leaves_out_what_lies_outside(generator: torch.Generator) -> None:
    estimate, truth = _pair(generator)
    mask = torch.zeros(truth.shape, dtype=torch.bool)
    mask[..., 8:12, 8:12, 8:12] = True
    assert torch.allclose(ssim3d(estimate, truth, mask), ssim_map(estimate, truth)[..., 8:12, 8:12, 8:12].flatten(1).mean(dim=1))
    wrong_outside = torch.where(mask, estimate, 2 * estimate)
    assert torch.allclose(nmae(wrong_outside, truth, mask), nmae(estimate, truth, mask))


def test_air_makes_the_whole_look_better_than_the_body(generator: torch.Generator) -> None:
    truth = torch.zeros(1, 1, 40, 40, 40)
    truth[..., 15:25, 15:25, 15:25] = torch.rand(10, 10, 10, generator=generator)
    estimate = 0.5 * truth
    assert ssim3d(estimate, truth) > ssim3d(estimate, truth, truth > 0)


def test_batch_equals_elements(generator: torch.Generator) -> None:
    estimate, truth = _pair(generator)
    for metric in (nmae, ssim3d):
        alone = torch.cat([metric(estimate[k : k + 1], truth[k : k + 1]) for k in range(2)])
        assert torch.allclose(metric(estimate, truth), alone, atol=1e-6)
