"""What a network is shown of a reconstruction problem: physics first, so that it has little left to learn.

With views ``y``, camera ``A``, view terms ``B_v`` of its adjoint, baseline ``x0`` and its mean ``s`` over the body, the channels are

- ``sqrt(B_v((y - k) / A b) / B_v(1) / s)``: both views less known background ``k`` spread back, each pixel as the activity that a uniform
  body ``b`` would need;
- ``sqrt(B_v(y / (A x0 + k)) / B_v(1))``: where the images ask for more (> 1) or less than the baseline;
- ``B_v(1)`` relative to its maximum: how well each view sees a voxel;
- ``sqrt(x0 / s)``, and the same of the mean of ``x0`` over the organ that a voxel belongs to;
- mu relative to its maximum in soft tissue, organ groups as masks, and where the voxel lies in the body.

Activity-like channels are divided by ``s`` and rooted, which evens out their variance; no channel depends on the count scale. A
network's answer ``d`` becomes the activity ``s (sqrt(x0 / s) + d)^2``: non-negative, the baseline for ``d = 0``, and
scaling with the counts. A few EM steps may follow, in training too: one already makes the expected counts add up to those measured,
which a regression that minimises absolute errors does not (a median lies below a mean). The estimate may then take the place of the
baseline and the network go over it again: an unrolled iteration with the camera in the loop.

A second answer per voxel is the logarithm of the spread ``tau`` of ``sqrt(x / s)`` around the estimate; the standard deviation of the
activity is then ``s sqrt(4 r^2 tau^2 + 2 tau^4)`` with ``r = sqrt(x_hat / s)``, that of the square of a normal variable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from planar3d.organ_sums import organ_sums
from planar3d.organs import BACKGROUND, GROUPS, LESIONS, ORGANS, organ_id
from planar3d.reconstruction.mlem import mlem_iterate
from planar3d.reconstruction.posterior import Posterior
from planar3d.reconstruction.problem import PlanarProblem
from planar3d.reconstruction.qplanar_em import QPlanarEM
from planar3d.shapes import BodyMask, LabelMap, Volume

__all__ = ["LABEL_CHANNELS", "NetworkInputs", "PhysicsInputs"]

LABEL_CHANNELS: dict[str, tuple[str, ...]] = {
    "liver": ("liver", "gallbladder"),
    "spleen": ("spleen",),
    "kidneys": GROUPS["kidneys"],
    "stomach": ("stomach",),
    "bowel": GROUPS["bowel"],
    "urinary_bladder": ("urinary_bladder",),
    "blood": ("heart", "vessels"),
    "lungs": GROUPS["lungs"],
    "skeleton": GROUPS["skeleton"],
    "lesions": LESIONS,
    "glands": (
        "pancreas", "adrenal_left", "adrenal_right", "prostate", "thyroid", "mucosa",
        *GROUPS["salivary_glands"], *GROUPS["lacrimal_glands"],
    ),
    "soft_tissue": (*GROUPS["soft_tissue"], "trachea", "brain"),
}  # fmt: skip
"""Organs that share one label channel."""

SPREAD = 0.25  # of the root of relative activity, where a network answers zero
LOG_SPREAD_RANGE = (-4.0, 3.0)  # of a network's answer: never so small that a division overflows, never without bound

RATIO_LIMIT = 9.0  # a pixel that asks for more than this much of what is expected says no more by its size
MU_SOFT_TISSUE_PER_MM = 0.0135  # about that of water at 208 keV; only brings the channel near one


@dataclass(frozen=True, kw_only=True)
class NetworkInputs:
    """What a network sees of a batch, and what its answer is relative to.

    Attributes:
        channels: ``(b, c, x, y, z)``, free of unit and count scale.
        baseline: The estimate to be corrected, ``(b, 1, x, y, z)`` [Bq/mL].
        scale: Mean of the baseline over the body, ``(b, 1, 1, 1, 1)`` [Bq/mL].
        mask: Where the answer may hold activity, ``(b, 1, x, y, z)``.
        problem: What it was made from.
        em_steps: EM steps that follow the network.
    """

    channels: Float[Tensor, "b c x y z"]
    baseline: Volume
    scale: Float[Tensor, "b 1 1 1 1"]
    mask: BodyMask
    problem: PlanarProblem
    em_steps: int = 0

    def estimate(self, answer: Float[Tensor, "b out x y z"]) -> Volume:
        """The activity that a network's answer stands for, ``(b, 1, x, y, z)`` [Bq/mL]."""
        # mixed precision is for the network; counts and line integrals need all their digits
        with torch.autocast(answer.device.type, enabled=False):
            root = torch.sqrt(self.baseline / self.scale) + answer[:, :1].to(self.baseline)
            return mlem_iterate(self.problem, self.scale * root.square() * self.mask, self.em_steps, mask=self.mask)

    def root(self, activity: Volume) -> Volume:
        """Square root of an activity over the scale, in which noise and errors are even, ``(b, 1, x, y, z)``."""
        return torch.sqrt(activity.clamp(min=0) / self.scale) * self.mask

    def root_spread(self, answer: Float[Tensor, "b out x y z"]) -> Volume | None:
        """Standard deviation of `root` that a network's answer states; None where it states none, ``(b, 1, x, y, z)``."""
        if answer.shape[1] < 2:
            return None
        return SPREAD * torch.exp(answer[:, 1:2].to(self.baseline).clamp(*LOG_SPREAD_RANGE))

    def std(self, activity: Volume, root_spread: Volume) -> Volume:
        """Standard deviation of the activity, ``(b, 1, x, y, z)`` [Bq/mL].

        Args:
            activity: The estimate, ``(b, 1, x, y, z)`` [Bq/mL].
            root_spread: Standard deviation of its `root`, ``(b, 1, x, y, z)``.
        """
        tau2 = root_spread.square()
        return self.scale * torch.sqrt(4.0 * self.root(activity).square() * tau2 + 2.0 * tau2.square()) * self.mask


class PhysicsInputs:
    """Makes `NetworkInputs` from a problem.

    Args:
        baseline: The method whose estimate the network corrects; `QPlanarEM` if None.
        dilation_mm: How far outside the given body activity may lie [mm].
        em_steps: EM steps that follow the network, through the camera.
        anatomy: Whether the network is shown organs and attenuation; to find out what they are worth.
        views: Views that are used, 0 anterior and 1 posterior; to find out what the second is worth.
    """

    channels = 9 + len(LABEL_CHANNELS) + 4
    """Number of channels made."""

    measured = (0, 1, 2, 3, 6, 7)
    """Channels that hold something of the measurement; the others are known before it."""

    def __init__(
        self,
        *,
        baseline: Callable[[PlanarProblem], Posterior] | None = None,
        dilation_mm: float = 8.0,
        em_steps: int = 0,
        anatomy: bool = True,
        views: Sequence[int] = (0, 1),
    ) -> None:
        for name, value in (("dilation_mm", dilation_mm), ("em_steps", em_steps)):
            if value < 0:
                raise ValueError(f"{name} must not be negative, got {value}")
        if not views or not set(views) <= {0, 1}:
            raise ValueError(f"views must be one or both of 0 (anterior) and 1 (posterior), got {list(views)}")
        self.baseline = QPlanarEM() if baseline is None else baseline
        self.dilation_mm = dilation_mm
        self.em_steps = em_steps
        self.anatomy = anatomy
        self.views = tuple(sorted(set(views)))

    def __call__(self, problem: PlanarProblem) -> NetworkInputs:
        """Channels, baseline and scale of a batch."""
        with torch.autocast(problem.views.device.type, enabled=False):
            if len(self.views) == 1:
                problem = problem.with_views(self.views)
            if not self.anatomy:
                problem = problem.without_organs()
            baseline = self.baseline(problem).mean
            body = problem.body.to(baseline)
            scale = _positive((baseline * body).sum(dim=(1, 2, 3, 4), keepdim=True) / body.sum(dim=(1, 2, 3, 4), keepdim=True))
            known = [
                problem.mu_map / MU_SOFT_TISSUE_PER_MM if self.anatomy else body,
                _label_channels(problem.organ_labels).to(baseline),
                _position_channels(body),
            ]
            channels = torch.cat([_baseline_channels(problem, baseline, body, scale), *known], dim=1)
            mask = _dilated(body, self.dilation_mm, problem.grid.spacing_mm)
            return NetworkInputs(channels=channels, baseline=baseline, scale=scale, mask=mask, problem=problem, em_steps=self.em_steps)

    def again(self, inputs: NetworkInputs, estimate: Volume) -> NetworkInputs:
        """What a network sees when its estimate has taken the place of the baseline; no gradient goes back through that.

        Args:
            inputs: What it saw before.
            estimate: What it made of that, ``(b, 1, x, y, z)`` [Bq/mL].
        """
        problem, estimate = inputs.problem, estimate.detach()
        with torch.autocast(problem.views.device.type, enabled=False):
            made = _baseline_channels(problem, estimate, problem.body.to(estimate), inputs.scale)
            return replace(inputs, channels=torch.cat([made, inputs.channels[:, made.shape[1] :]], dim=1), baseline=estimate)


def _baseline_channels(problem: PlanarProblem, baseline: Tensor, body: Tensor, scale: Tensor) -> Tensor:
    """Channels that depend on the baseline, ``(b, 8, x, y, z)``."""
    means = _organ_means(baseline, problem.organ_labels)
    return torch.cat([_view_channels(problem, baseline, body, scale), torch.sqrt(baseline / scale), torch.sqrt(means / scale)], dim=1)


def _view_channels(problem: PlanarProblem, baseline: Tensor, body: Tensor, scale: Tensor) -> Tensor:
    """Both views spread back three ways, ``(b, 6, x, y, z)``."""
    terms, blind = problem.projector.view_terms, ~problem.covered & problem.fitted
    expected = problem.expected_counts(baseline)
    # rows without pixels are not rows without counts: there the baseline is taken at its word
    y = torch.where(blind, expected, problem.views * problem.seen)
    net = y - torch.where(blind, problem.known_counts, problem.known_counts * problem.seen)
    ones = terms(torch.ones_like(y))
    sight = ones / _positive(ones.amax(dim=(1, 2, 3, 4), keepdim=True))
    uniform = terms(net / _positive(problem.silhouette)) / _positive(ones) / scale
    floor = 0.01 * expected.amax(dim=(1, 2, 3), keepdim=True)
    ratio = (y / _positive(torch.maximum(expected, floor))).clamp(max=RATIO_LIMIT)
    asked = terms(ratio) / _positive(ones)
    return torch.cat([torch.sqrt(uniform.clamp(min=0)), torch.sqrt(asked.clamp(min=0)), sight], dim=1) * body


def _organ_means(volume: Volume, labels: LabelMap) -> Volume:
    """Mean of a volume over the organ that each voxel belongs to; zero in the background."""
    means = organ_sums(volume, labels) / organ_sums(torch.ones_like(volume), labels).clamp(min=1)
    return means.gather(1, labels.flatten(1).long()).view_as(volume) * (labels != BACKGROUND)


def _label_channels(labels: LabelMap) -> Tensor:
    """A mask per entry of `LABEL_CHANNELS`, ``(b, c, x, y, z)``."""
    table = torch.zeros(len(ORGANS), len(LABEL_CHANNELS), dtype=torch.bool)
    for channel, names in enumerate(LABEL_CHANNELS.values()):
        table[[organ_id(name) for name in names], channel] = True
    return table.to(labels.device)[labels[:, 0].long()].movedim(-1, 1)


def _position_channels(body: Tensor) -> Tensor:
    """Place in the body along x and z from -1 to 1, and share of the body in front and behind, ``(b, 4, x, y, z)``."""
    across, along = (_relative_place(body, axis) for axis in (2, 4))
    thickness = _positive(body.sum(dim=3, keepdim=True))
    behind = body.cumsum(dim=3) / thickness
    return torch.cat([across * body, along * body, behind * body, (1 - behind) * body], dim=1)


def _relative_place(body: Tensor, axis: int) -> Tensor:
    """Index along an axis, -1 at the first and 1 at the last slice that holds body."""
    filled = body.amax(dim=[d for d in (2, 3, 4) if d != axis], keepdim=True) > 0
    index = torch.arange(body.shape[axis], device=body.device, dtype=body.dtype)
    index = index.view([-1 if d == axis else 1 for d in range(5)]).expand_as(filled)
    first = torch.where(filled, index, torch.inf).amin(dim=axis, keepdim=True)
    last = torch.where(filled, index, -torch.inf).amax(dim=axis, keepdim=True)
    return 2 * (index - first) / (last - first).clamp(min=1) - 1


def _dilated(body: Tensor, by_mm: float, spacing_mm: tuple[float, float, float]) -> Tensor:
    """The body grown by a distance along every axis."""
    steps = [round(by_mm / s) for s in spacing_mm]
    return torch.nn.functional.max_pool3d(body, [2 * n + 1 for n in steps], stride=1, padding=steps) > 0


def _positive(value: Tensor) -> Tensor:
    """Never zero, so that it can be divided by; an empty pixel or volume gives zero over a tiny number."""
    return value.clamp(min=torch.finfo(value.dtype).tiny)
