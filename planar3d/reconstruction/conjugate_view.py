"""The conjugate view: organ activities from the geometric mean of two opposed views, as the clinic has them (MIRD Pamphlet 16, 1999).

Per pixel the line integral ``M = sum mu dy`` through the body undoes attenuation: ``I = counts exp(M / 2)``, of which the geometric
mean over the views is free of depth. Per organ j, with its region ``R_j`` (the projection of its mask), thickness ``t_j`` and the
body's ``T_j``,

``I_j = sum_{R_j} I - |R_j| b_j (1 - t_j / T_j)`` in each view, ``b_j`` the mean of I in a ring about the region, and
``a_j = sqrt(I_j,ant I_j,post) f_j / C``, ``f_j = (mu_j t_j / 2) / sinh(mu_j t_j / 2)``, ``C`` = sensitivity x dwell time.

Where regions overlap, as kidney and liver do, the organ is measured in the part of its region that is its own and scaled up by area.
What remains belongs to the body: the pixels of no region, and the background taken off inside the regions, self-attenuated by the whole
thickness. So the activity of the geometric mean is kept, organs and remainder together.

Known background, as scatter estimated from side windows, is taken off first, pixel by pixel and not below zero; then scatter where the
projector models it: each pixel keeps the share of unscattered photons that a uniform body would have there. Blur is not corrected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from planar3d.organs import GROUPS, LESIONS, organ_id
from planar3d.reconstruction.posterior import OrganActivities, Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.voi import organ_masks, unit_maps

__all__ = ["SOURCE_ORGANS", "ConjugateView"]

SOURCE_ORGANS: tuple[str, ...] = (
    "liver", "spleen", *GROUPS["kidneys"], "urinary_bladder", "thyroid", *GROUPS["salivary_glands"], *GROUPS["lacrimal_glands"], *LESIONS,
)  # fmt: skip
"""Organs that a clinic outlines on planar images; all others are part of the remainder."""


class ConjugateView:
    """Geometric mean with attenuation, background and self-attenuation correction.

    Args:
        source_organs: Organs to outline; all others share the remainder by volume.
        ring_mm: Width of the ring about a region from which its background is taken [mm].
        least_own: Least part of its region that an organ must have for itself; below it the whole region is used, overlap and all.
    """

    name = "conjugate_view"
    uses_margin = False  # counts in regions know nothing of what is not counted

    def __init__(self, *, source_organs: Sequence[str] = SOURCE_ORGANS, ring_mm: float = 16.0, least_own: float = 0.2) -> None:
        if ring_mm <= 0:
            raise ValueError(f"ring_mm must be positive, got {ring_mm}")
        self.source_ids = tuple(organ_id(name) for name in source_organs)
        self.ring_mm = ring_mm
        self.least_own = least_own

    def __call__(self, problem: PlanarProblem) -> Posterior:
        """Reconstruct a batch."""
        ids, masks = organ_masks(problem.organ_labels)
        unit = unit_maps(masks.to(problem.views), problem.grid.voxel_volume_ml)
        is_source = torch.isin(ids, ids.new_tensor(self.source_ids))
        regions = _Regions(problem, masks[:, is_source].to(problem.views), self.ring_mm, self.least_own)
        volumes = masks.to(problem.views).sum(dim=(2, 3, 4))
        rest = torch.where(is_source, torch.zeros_like(volumes), volumes)
        share = rest / rest.sum(dim=1, keepdim=True).clamp(min=1.0)
        activity = regions.remainder_bq[:, None] * share
        activity[:, is_source] = regions.activity_bq
        mean = torch.einsum("bk,bkxyz->bxyz", activity, unit).unsqueeze(1)
        return Posterior(mean=mean, organs=OrganActivities(ids=ids, activity_bq=activity), expected_views=problem.expected_counts(mean))


@dataclass(frozen=True, eq=False)
class _Regions:
    """Regions of interest of the source organs and what is measured in them; maps are ``(b, k, x, z)``."""

    problem: PlanarProblem
    masks: Float[Tensor, "b k x y z"]
    ring_mm: float
    least_own: float

    @cached_property
    def activity_bq(self) -> Float[Tensor, "b k"]:
        """Activity of each source organ [Bq]."""
        area, own_area = _total(self.region), _total(self.own)
        total = torch.einsum("bkxz,bvxz->bkv", self.own, self.corrected)
        net = (total - own_area[..., None] * self.background).clamp(min=0.0)
        mu = torch.einsum("bxyz,bkxyz->bk", self.problem.mu_map[:, 0], self.masks) / self.masks.sum(dim=(2, 3, 4)).clamp(min=1.0)
        self_attenuation = _half_over_sinh(mu * self.thickness_mm)
        scale = area / own_area.clamp(min=1.0)
        return net.prod(dim=2).sqrt() * scale * self_attenuation / self.problem.projector.counts_per_bq

    @cached_property
    def remainder_bq(self) -> Float[Tensor, " b"]:
        """Activity outside of the source organs [Bq]: pixels of no region, and the background of each region."""
        pixels = self.corrected.prod(dim=1).sqrt()
        shared = self.region.sum(dim=1, keepdim=True).clamp(min=1.0)
        background = torch.einsum("bkxz,bk->bxz", self.region / shared, self.background.prod(dim=2).sqrt())
        return _total((pixels * self.free + background) * _half_over_sinh(self.line_integral)) / self.problem.projector.counts_per_bq

    @cached_property
    def line_integral(self) -> Float[Tensor, "b x z"]:
        """``M``, of the mu-map along y."""
        return self.problem.mu_map[:, 0].sum(dim=2) * self.problem.grid.spacing_mm[1]

    @cached_property
    def corrected(self) -> Float[Tensor, "b view x z"]:
        """``I``, the views less background, corrected for live time, scatter and attenuation, over the silhouette of the body."""
        silhouette = self.problem.body[:, 0].any(dim=2)
        net = (self.problem.views - self.problem.known_counts).clamp(min=0.0)
        dwell = self.problem.projector.relative_dwell[:, None]
        views = torch.where(dwell > 0, net / dwell.clamp(min=torch.finfo(dwell.dtype).tiny), 0.0)
        return views * _unscattered_share(self.problem) * (torch.exp(0.5 * self.line_integral) * silhouette)[:, None]

    @cached_property
    def region(self) -> Tensor:
        """``R_j``, the projection of each mask."""
        return self.masks.amax(dim=3)

    @cached_property
    def free(self) -> Float[Tensor, "b x z"]:
        """One in the pixels of the body in no region."""
        return (self.problem.body[:, 0].any(dim=2) & (self.region.sum(dim=1) == 0)).to(self.region)

    @cached_property
    def own(self) -> Tensor:
        """The part of each region in no other; the whole region where that is too small."""
        crowd = self.region.sum(dim=1, keepdim=True)
        own = self.region * (crowd == 1)
        enough = _total(own) >= self.least_own * _total(self.region)
        return torch.where(enough[..., None, None], own, self.region)

    @cached_property
    def thickness_mm(self) -> Float[Tensor, "b k"]:
        """``t_j``, mean over the region."""
        return self.masks.sum(dim=(2, 3, 4)) / _total(self.region).clamp(min=1.0) * self.problem.grid.spacing_mm[1]

    @cached_property
    def background(self) -> Float[Tensor, "b k view"]:
        """What to take off per pixel of a region: the mean of its ring, less what the organ displaces."""
        ring = _dilated(self.region, self.problem.grid.spacing_mm, self.ring_mm) * self.free[:, None]
        # a region without free neighbours takes the mean of all free pixels
        ring = torch.where(_total(ring)[..., None, None] > 0, ring, self.free[:, None])
        level = torch.einsum("bkxz,bvxz->bkv", ring, self.corrected) / _total(ring).clamp(min=1.0)[..., None]
        body_thickness = self.problem.body[:, 0].to(ring).sum(dim=2) * self.problem.grid.spacing_mm[1]
        body_mm = torch.einsum("bkxz,bxz->bk", self.region, body_thickness) / _total(self.region).clamp(min=1.0)
        displaced = self.thickness_mm / body_mm.clamp(min=self.problem.grid.spacing_mm[1])
        return level * (1.0 - displaced).clamp(min=0.0)[..., None]


def _unscattered_share(problem: PlanarProblem) -> Tensor:
    """Share of unscattered photons in each pixel if the body held uniform activity, ``(b, view, x, z)``."""
    projector = problem.projector
    if not projector.models_scatter:
        return torch.ones_like(problem.views)
    unscattered = projector.unscattered()
    body = problem.body.to(problem.views)
    everything = projector(body)
    return torch.where(everything > 0, unscattered(body) / everything.clamp(min=torch.finfo(everything.dtype).tiny), 1.0)


def _half_over_sinh(m: Tensor) -> Tensor:
    """``(m / 2) / sinh(m / 2)``, one at zero: self-attenuation of an optical thickness m in the geometric mean."""
    half = (0.5 * m).clamp(min=1e-3)
    return half / torch.sinh(half)


def _dilated(regions: Tensor, spacing_mm: tuple[float, float, float], by_mm: float) -> Tensor:
    """Regions ``(b, k, x, z)`` grown by a square."""
    reach_x, reach_z = (max(1, round(by_mm / s)) for s in (spacing_mm[0], spacing_mm[2]))
    flat = regions.flatten(0, 1).unsqueeze(1)  # there may be no region at all, which only a batch axis may say
    grown = F.max_pool2d(flat, (2 * reach_x + 1, 2 * reach_z + 1), stride=1, padding=(reach_x, reach_z))
    return grown.view_as(regions)


def _total(maps: Tensor) -> Tensor:
    """Sum over the image."""
    return maps.sum(dim=(-2, -1))
