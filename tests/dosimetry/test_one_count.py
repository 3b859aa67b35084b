"""Nothing counted is not nothing for certain."""

from __future__ import annotations

import torch

from planar3d.dosimetry.one_count import missing_variance


def test_counting_errors_lack_only_what_less_than_one_count_lacks() -> None:
    per_count = 50.0
    counts = torch.tensor([[400.0, 9.0, 1.0, 0.04, 0.0]])
    variance = per_count**2 * counts
    lacking = missing_variance(per_count * counts, variance)
    torch.testing.assert_close(variance + lacking, per_count**2 * counts.clamp(min=1.0))


def test_relative_errors_and_empty_curves_lack_nothing() -> None:
    activity = torch.tensor([[1e6, 1e3, 1.0, 1e-6], [0.0, 0.0, 0.0, 0.0]])
    assert (missing_variance(activity, (0.3 * activity).square()) == 0).all()
    assert (missing_variance(torch.zeros(1, 3), torch.ones(1, 3)) == 0).all()
