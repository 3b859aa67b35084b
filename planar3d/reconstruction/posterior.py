"""What a reconstruction method returns: an activity map and what is known of its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from planar3d.organ_sums import organ_sums
from planar3d.organs import BACKGROUND
from planar3d.reconstruction.rigid_offset import RigidOffset
from planar3d.shapes import LabelMap, Views, Volume

__all__ = ["OrganActivities", "Posterior"]


@dataclass(frozen=True, kw_only=True)
class OrganActivities:
    """Total activity of each organ.

    Attributes:
        ids: Organ ids, those present in any sample of the batch, ascending, ``(k,)``.
        activity_bq: ``(b, k)`` [Bq]; zero for an organ that a sample lacks.
        standard_error_bq: ``(b, k)`` [Bq]; None where the method gives none.
        covariance_bq2: ``(b, k, k)`` [Bq^2]; None where the method gives none.
    """

    ids: Integer[Tensor, " k"]
    activity_bq: Float[Tensor, "b k"]
    standard_error_bq: Float[Tensor, "b k"] | None = None
    covariance_bq2: Float[Tensor, "b k k"] | None = None

    @classmethod
    def of_map(cls, activity: Volume, labels: LabelMap, voxel_volume_ml: float) -> OrganActivities:
        """Sums of a map over the masks of organs, without errors.

        Args:
            activity: ``(b, 1, x, y, z)`` [Bq/mL].
            labels: Organ ids, ``(b, 1, x, y, z)``.
            voxel_volume_ml: Volume of a voxel [mL].
        """
        ids = labels.unique()
        ids = ids[ids != BACKGROUND]
        return cls(ids=ids, activity_bq=organ_sums(activity, labels)[:, ids.long()] * voxel_volume_ml)

    @classmethod
    def of_samples(cls, samples_bq: Float[Tensor, "sample b k"], ids: Integer[Tensor, " k"]) -> OrganActivities:
        """Mean, standard deviation and covariance of samples.

        Args:
            samples_bq: Activity of each organ in each of at least two samples, ``(sample, b, k)`` [Bq].
            ids: Organ ids, ``(k,)``.
        """
        mean = samples_bq.mean(dim=0)
        apart = samples_bq - mean
        covariance = torch.einsum("sbk,sbl->bkl", apart, apart) / (len(samples_bq) - 1)
        return cls(ids=ids, activity_bq=mean, standard_error_bq=samples_bq.std(dim=0), covariance_bq2=covariance)


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """An estimate of the activity in the position imaged.

    Attributes:
        mean: Activity map, ``(b, 1, x, y, z)`` [Bq/mL].
        std: Standard deviation of the map as far as the method knows it, ``(b, 1, x, y, z)`` [Bq/mL]; None where it knows none.
        samples: Draws from the posterior, ``(sample, b, 1, x, y, z)`` [Bq/mL]; None for a method that draws none.
        organs: Activities per organ where the method estimates them itself.
        expected_views: Expected counts of ``mean``, known background included, ``(b, view, x, z)``.
        offset: Where the patient lay relative to the CT; None where it was not estimated.
    """

    mean: Volume
    std: Volume | None = None
    samples: Float[Tensor, "sample b 1 x y z"] | None = None
    organs: OrganActivities | None = None
    expected_views: Views | None = None
    offset: RigidOffset | None = None
