"""An image is put where its counts fit the organs, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from planar3d.anatomy.digital import digital_patient
from planar3d.grid import Grid
from planar3d.io import PlanarImage, rebin
from planar3d.organs import organ_id
from planar3d.physics import GammaCamera, PlanarProjector, poisson
from planar3d.reconstruction.placement import Placement, place

SPACING_MM = 12.0
UPTAKE = {"liver": 6.0, "spleen": 8.0, "kidney_left": 25.0, "kidney_right": 25.0, "urinary_bladder": 15.0, "lung_left": 0.6}
CT_ROWS = slice(5, 35)
TORSO_AT = (12, 60)  # of the whole-body image, its first pixel


@dataclass(frozen=True, kw_only=True)
class Case:
    """Part of a patient in the CT, and the expected counts of a whole-body image."""

    grid: Grid
    projector: PlanarProjector
    labels: Tensor
    whole: Tensor

    def placed(self, views: Tensor, corner_mm: tuple[float, float] = (-300.0, -900.0)) -> Placement:
        """Where an image is put of which the first pixel lies at a corner."""
        image = PlanarImage(
            views=views[None],
            pixel_mm=(SPACING_MM, SPACING_MM),
            origin_mm=corner_mm,
            isotope="Lu-177",
            camera="siemens-melp",
            dwell_time_s=600.0,
        )
        return place(self.projector, self.labels, self.grid, lambda grid: rebin(image, grid), image.extent_mm)


def make_case(camera: GammaCamera, seed: int) -> Case:
    """A torso between a head with two hot glands and legs."""
    patient = digital_patient(seed, SPACING_MM)
    labels, mu_map = patient.labels[None], patient.mu_map(camera.energy_kev)[None]
    activity = (labels > 0).float()
    for name, level in UPTAKE.items():
        activity[labels == organ_id(name)] = level
    torso = camera(activity, mu_map, patient.grid)[0]
    nx, nz = torso.shape[1:]
    x0, z0 = TORSO_AT
    whole = torch.zeros(2, 50, 160)
    even = float(torso[:, nx // 3 : 2 * nx // 3].median())
    middle = x0 + nx // 2
    whole[:, middle - 12 : middle - 3, :z0] = whole[:, middle + 3 : middle + 12, :z0] = 0.6 * even
    whole[:, middle - 6 : middle + 6, z0 + nz : z0 + nz + 20] = 0.8 * even
    for x in (middle - 6, middle + 4):
        whole[:, x : x + 2, z0 + nz + 5 : z0 + nz + 8] = 8.0 * even
    whole[:, x0 : x0 + nx, z0 : z0 + nz] = torso
    part = Grid(
        shape=(*patient.grid.shape[:2], CT_ROWS.stop - CT_ROWS.start),
        spacing_mm=patient.grid.spacing_mm,
        origin_mm=(*patient.grid.origin_mm[:2], patient.grid.origin_mm[2] + CT_ROWS.start * SPACING_MM),
    )
    projector = camera.projector(mu_map[..., CT_ROWS], part)
    return Case(grid=part, projector=projector, labels=labels[..., CT_ROWS], whole=whole * (6e5 / whole[0].sum()))


@pytest.fixture(scope="module")
def case(camera: GammaCamera) -> Case:
    """One patient for the tests that need no more."""
    return make_case(camera, 11)


@pytest.mark.parametrize(("seed", "corner_mm"), [(11, (-300.0, -900.0)), (12, (37.3, 4.1)), (13, (-291.7, 1204.9))])
def test_a_torso_is_found_in_a_whole_body_image(
    seed: int, corner_mm: tuple[float, float], camera: GammaCamera, generator: torch.Generator
) -> None:
    case = make_case(camera, seed)
    found = case.placed(poisson(case.whole, generator), corner_mm)
    first = case.grid.origin_mm[0], case.grid.origin_mm[2] - CT_ROWS.start * SPACING_MM
    for offset, truth, corner, pixel in zip(found.offset_mm, first, corner_mm, TORSO_AT, strict=True):
        assert abs(offset - (truth - (corner + pixel * SPACING_MM))) <= SPACING_MM


def test_an_image_that_shows_no_more_than_the_ct_is_found(case: Case, generator: torch.Generator) -> None:
    x0, z0 = TORSO_AT
    nx, _, nz = case.grid.shape
    first = z0 + CT_ROWS.start
    found = case.placed(poisson(case.whole[:, x0 : x0 + nx, first : first + nz], generator), (100.0, 200.0))
    assert found.offset_mm[0] == pytest.approx(case.grid.origin_mm[0] - 100.0, abs=SPACING_MM)
    assert found.offset_mm[1] == pytest.approx(case.grid.origin_mm[2] - 200.0, abs=SPACING_MM)


def test_a_flat_image_has_no_place(case: Case, generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match=r"acquisition\.origin_mm is required"):
        case.placed(poisson(torch.full((2, 50, 160), 30.0), generator))


def test_legs_are_no_place_for_a_torso(case: Case, generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match=r"acquisition\.origin_mm is required"):
        case.placed(poisson(case.whole[..., : TORSO_AT[1]], generator))


def test_an_image_smaller_than_half_the_body_has_no_place(case: Case, generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match=r"acquisition\.origin_mm is required"):
        case.placed(poisson(case.whole[:, 18:34, 70:82], generator))
