"""Room background: what it adds, and what can be told of it from the pixels beside the body."""

import math

import pytest
import torch

from planar3d.physics import poisson
from planar3d.physics.background import RoomBackground
from planar3d.physics.sweep import WholeBodySweep

HEAD_MM = (533.0, 387.0)
PIXEL_MM = (4.8, 4.8)
SHAPE = (110, 400)
X_MM = (torch.arange(SHAPE[0], dtype=torch.float64) - 54.5) * PIXEL_MM[0]
Z_MM = (torch.arange(SHAPE[1], dtype=torch.float64) + 0.5) * PIXEL_MM[1]
SWEEP = WholeBodySweep(speed_mm_per_s=2.0, head_length_mm=387.0, start_mm=0.0, stop_mm=1920.0, ends="ramp")
DWELL_S = SWEEP.dwell_time_s(Z_MM)
BODY = ((X_MM.abs()[:, None] < 140.0) & ((Z_MM > 150.0) & (Z_MM < 1800.0))[None]).expand(1, 2, -1, -1)


def expected(rates_cps: tuple[float, ...], scatter_cps: float = 0.0, reach_mm: float = 15.0) -> torch.Tensor:
    """Background, 3000 cps of body, and scatter beside it: so many cps in a pixel at its edge, and 1/e of that each ``reach_mm``."""
    background = RoomBackground(rate_cps=rates_cps, head_mm=HEAD_MM).expected_counts(DWELL_S, pixels_x=SHAPE[0], pixel_mm=PIXEL_MM)
    beside_mm = (X_MM.abs()[:, None] - 140.0).clamp(min=0.0) + (150.0 - Z_MM).clamp(min=0.0) + (Z_MM - 1800.0).clamp(min=0.0)
    tail = scatter_cps * torch.exp(-beside_mm / reach_mm) * ~BODY + 3e3 / BODY[0, 0].sum() * BODY
    return background + tail * DWELL_S


def test_a_head_in_an_empty_room_counts_its_rate() -> None:
    """A static image of the head's field of view holds rate times time; twice the dwell, twice the counts."""
    room = RoomBackground(rate_cps=(5.0, 8.0), head_mm=(480.0, 384.0))
    counts = room.expected_counts(torch.full((80,), 60.0, dtype=torch.float64), pixels_x=100, pixel_mm=PIXEL_MM)
    torch.testing.assert_close(counts.sum(dim=(0, 2, 3)), torch.tensor([300.0, 480.0], dtype=torch.float64))
    assert torch.equal(counts, counts[..., :1, :1].expand_as(counts))
    longer = room.expected_counts(torch.linspace(0.0, 60.0, 80), pixels_x=100, pixel_mm=PIXEL_MM)
    assert longer.dtype == torch.float32
    torch.testing.assert_close(longer[0, 1, 0] / longer[0, 1, 0, -1], torch.linspace(0.0, 1.0, 80))


@pytest.mark.parametrize("scatter_cps", [0.0, 0.02])
def test_estimate_finds_the_rate_with_and_without_scatter_beside_the_body(scatter_cps: float) -> None:
    truth, found = (6.0, 3.0), []
    for seed in range(20):
        counts = poisson(expected(truth, scatter_cps), torch.Generator().manual_seed(seed))
        found.append(RoomBackground.estimate(counts, BODY, dwell_time_s=DWELL_S, pixel_mm=PIXEL_MM, head_mm=HEAD_MM))
    for view in range(2):
        rates = torch.tensor([room.rate_cps[view] for room in found])
        errors = torch.tensor([room.standard_error_cps[view] for room in found if room.standard_error_cps])
        assert float(rates.mean()) == pytest.approx(truth[view], rel=0.1)
        assert float(((rates - truth[view]) / errors).square().mean()) < (6.0 if scatter_cps else 2.5)
        assert plain_rate(expected(truth, scatter_cps)[0, view]) > (4.0 if scatter_cps else 1.0) * (1.0 - 1e-9) * truth[view]


def test_scatter_that_reaches_everywhere_leaves_an_upper_bound() -> None:
    """Still far better than all of the outside together."""
    far = expected((6.0, 3.0), 0.02, reach_mm=30.0)
    room = RoomBackground.estimate(far, BODY, dwell_time_s=DWELL_S, pixel_mm=PIXEL_MM, head_mm=HEAD_MM)
    for view, truth in enumerate((6.0, 3.0)):
        assert 0.0 < room.rate_cps[view] - truth < 0.1 * (plain_rate(far[0, view]) - truth)


def test_without_scatter_nearly_all_of_the_outside_is_used() -> None:
    """The error is near that of all counts outside: noise alone seldom ends the way inward."""
    errors = []
    for seed in range(20):
        counts = poisson(expected((6.0, 3.0)), torch.Generator().manual_seed(seed))
        room = RoomBackground.estimate(counts, BODY, dwell_time_s=DWELL_S, pixel_mm=PIXEL_MM, head_mm=HEAD_MM)
        errors.append(room.standard_error_cps)
    best = torch.sqrt(torch.tensor([6.0, 3.0]) / outside_s())
    assert float((torch.tensor(errors).median(dim=0).values / best).max()) < 1.2


def outside_s() -> float:
    """Time for which the outside was recorded, in terms of a whole head [s]."""
    return float(DWELL_S.expand(SHAPE)[~BODY[0, 0]].sum()) * PIXEL_MM[0] * PIXEL_MM[1] / (HEAD_MM[0] * HEAD_MM[1])


def plain_rate(image: torch.Tensor) -> float:
    """Rate of all pixels beside the body, however near to it."""
    return float(image[~BODY[0, 0]].sum()) / outside_s()


def test_no_counts_at_all_is_a_rate_of_zero_with_an_error() -> None:
    room = RoomBackground.estimate(torch.zeros(1, 2, *SHAPE), BODY, dwell_time_s=DWELL_S, pixel_mm=PIXEL_MM, head_mm=HEAD_MM)
    assert room.rate_cps == (0.0, 0.0)
    assert room.standard_error_cps is not None
    assert min(room.standard_error_cps) > 0.0


def test_estimate_and_expectation_agree_without_noise() -> None:
    room = RoomBackground.estimate(expected((6.0, 3.0)), BODY, dwell_time_s=DWELL_S, pixel_mm=PIXEL_MM, head_mm=HEAD_MM)
    assert room.rate_cps == pytest.approx((6.0, 3.0), rel=1e-9)


def test_bad_input_is_named() -> None:
    counts, settings = torch.ones(1, 2, *SHAPE), {"dwell_time_s": DWELL_S, "pixel_mm": PIXEL_MM, "head_mm": HEAD_MM}
    with pytest.raises(ValueError, match=r"body covers 0 of 44000 pixels of view 0"):
        RoomBackground.estimate(counts, torch.zeros_like(BODY), **settings)
    with pytest.raises(ValueError, match=r"body covers 44000 of 44000 pixels of view 0"):
        RoomBackground.estimate(counts, torch.ones_like(BODY), **settings)
    with pytest.raises(ValueError, match="counts, body and dwell_time_s must be of one patient and the same pixels"):
        RoomBackground.estimate(counts.expand(2, -1, -1, -1), BODY.expand(2, -1, -1, -1), **settings)
    with pytest.raises(ValueError, match="groups must be at least 1, got 0"):
        RoomBackground.estimate(counts, BODY, **settings, groups=0)
    for bad in ((), (-1.0,), (math.nan,)):
        with pytest.raises(ValueError, match="rate_cps must hold a finite rate"):
            RoomBackground(rate_cps=bad, head_mm=HEAD_MM)
    with pytest.raises(ValueError, match=r"head_mm must be positive and finite along x and z, got \(533.0, 0.0\)"):
        RoomBackground(rate_cps=(1.0,), head_mm=(533.0, 0.0))
