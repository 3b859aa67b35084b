"""Properties of the scale error of the attenuation."""

from __future__ import annotations

import pytest
import torch

from planar3d.phantom import MuError
from planar3d.phantom.mu_error import MuErrorRecord


def test_the_factor_has_the_spread_asked_for_and_scales_the_map(generator: torch.Generator) -> None:
    drawn = MuErrorRecord.stack([MuError(log_sd=0.05).draw(generator) for _ in range(600)])
    assert float(drawn.factor.log().std()) == pytest.approx(0.05, rel=0.1)
    mu_map = torch.rand(600, 1, 2, 2, 2, generator=generator)
    torch.testing.assert_close(MuError().render(drawn, mu_map)[:, 0, 0, 0, 0], mu_map[:, 0, 0, 0, 0] * drawn.factor)


def test_a_negative_spread_is_refused() -> None:
    with pytest.raises(ValueError, match="log_sd"):
        MuError(log_sd=-0.1)
