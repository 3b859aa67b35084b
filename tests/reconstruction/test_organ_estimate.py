"""Properties of the estimate of organ activities over many acquisitions of a patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from planar3d.reconstruction import QPlanar
from planar3d.reconstruction.organ_estimate import OrganEstimate

if TYPE_CHECKING:
    from tests.reconstruction.conftest import Torso


def test_it_is_qplanar_of_every_acquisition(torso: Torso) -> None:
    views = torch.poisson(torch.cat([torso.views(), 0.3 * torso.views()]), generator=torch.Generator().manual_seed(0))
    background = torso.uneven_background().expand_as(views)
    problem = torso.problem(views, background=background)
    estimate = OrganEstimate(torso.problem(torso.views()))
    organs = QPlanar(count_misfit=False)(problem).organs
    assert organs is not None
    torch.testing.assert_close(estimate.ids, organs.ids)
    torch.testing.assert_close(estimate(problem), organs.activity_bq, rtol=1e-4, atol=1.0)


def test_it_finds_the_truth_without_noise_and_sums_a_map_of_it(torso: Torso) -> None:
    problem = torso.problem(torso.views())
    torch.testing.assert_close(OrganEstimate(problem)(problem)[0], torso.organ_activity(), rtol=1e-3, atol=0.0)
    summed = OrganEstimate(problem, method=lambda given: torso.activity)(problem)
    torch.testing.assert_close(summed[0], torso.organ_activity(), rtol=1e-4, atol=0.0)


def test_several_patients_are_refused(torso: Torso) -> None:
    with pytest.raises(ValueError, match="one sample"):
        OrganEstimate(torso.problem(torso.views().expand(2, -1, -1, -1)))
